"""Vocabularies learned from the lines of a corpus, and how they are written: whole, and never over another one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from electra_span.config import UserError
from electra_span.files import write_text
from electra_span.folders import replaced_files, whole_folder
from pretrain.dataset.text_losses import TextLosses, loss_warnings, losses_of, unknown_warning

if TYPE_CHECKING:
    from electra_span.tokenization import Tokenizer

# The options that each kind of tokenizer has, with their defaults.
TOKENIZER_OPTIONS: Mapping[str, dict[str, Any]] = {
    "wordpiece": {
        "min_frequency": 2,
        "character_coverage": 0.99999,
        "do_lower_case": True,
        "do_strip_accents": True,
    },
    "bpe": {"min_frequency": 2, "do_lower_case": False, "do_strip_accents": False},
    "sentencepiece-unigram": {"character_coverage": 0.9995, "do_lower_case": False},
    "sentencepiece-bpe": {"character_coverage": 0.9995, "do_lower_case": False},
}


class OutputError(UserError):
    """A place where the vocabulary cannot be written."""


class OptionError(UserError):
    """An option that a kind of tokenizer does not have, or a value that cannot be."""


class Lines:
    """The lines of a corpus to learn from, each time from the first one.

    Attributes:
        num_lines: the lines of the corpus, once they were read.
        num_used: those of them that were yielded.
    """

    def __init__(self, read_lines: Callable[[], Iterator[str]], max_lines: int | None) -> None:
        """Keeps a corpus, and counts its lines where not all may be used.

        Args:
            read_lines: returns the lines of the corpus, from the first one.
            max_lines: how many to use, spread evenly over the corpus; None: all.

        Raises:
            OptionError: where max_lines is below 1.
        """
        if max_lines is not None and max_lines < 1:
            raise OptionError(f"--max-sentences must be at least 1. Received: {max_lines}")
        self._read_lines = read_lines
        self._max_lines = max_lines
        self.num_lines = self.num_used = 0
        if max_lines is not None:
            self.num_lines = sum(1 for _ in read_lines())

    def __iter__(self) -> Iterator[str]:
        """Yields the lines."""
        total = self.num_lines
        wanted = total if self._max_lines is None else min(self._max_lines, total)
        num_read = num_used = 0
        for line in self._read_lines():
            num_read += 1
            if wanted == total or num_read * wanted // total > num_used:
                num_used += 1
                yield line
        self.num_lines, self.num_used = num_read, num_used


def learn_tokenizer(
    lines: Lines, kind: str, *, vocab_size: int, special_tokens: Sequence[str], options: Mapping[str, Any]
) -> "Tokenizer":
    """Returns a tokenizer learned from lines.

    Args:
        lines: to learn from.
        kind: in TOKENIZER_OPTIONS.
        vocab_size: the number of tokens; fewer come out where the text has not so many pieces.
        special_tokens: in the order of their ids.
        options: those of the kind, by name.
    """
    from electra_span.tokenization import WordPieceTokenizer, subword_training, vocabulary_training

    kind, _, model_type = kind.partition("-")
    common: dict[str, Any] = {"vocab_size": vocab_size, "special_tokens": special_tokens}
    case, accents = options["do_lower_case"], options.get("do_strip_accents")
    numbers = {name: options[name] for name in ("min_frequency", "character_coverage") if name in options}
    if kind == "wordpiece":
        tokens, _ = vocabulary_training.train_wordpiece(
            lambda: lines, do_lower_case=case, strip_accents=accents, **common, **numbers
        )
        return WordPieceTokenizer(tokens, case, accents)
    if kind == "bpe":
        return subword_training.train_bpe(lines, lowercase=case, strip_accents=bool(accents), **common, **numbers)
    return subword_training.train_sentencepiece(lines, model_type=model_type, lowercase=case, **common, **numbers)


class Fit(NamedTuple):
    """How a vocabulary fits some text.

    Attributes:
        num_tokens: of the text.
        num_unknown: those of them that the vocabulary does not have.
        losses: what else is lost.
    """

    num_tokens: int
    num_unknown: int
    losses: TextLosses

    @property
    def warnings(self) -> list[str]:
        """What to say of a vocabulary that fits badly."""
        return [*loss_warnings(self.losses), *unknown_warning(self.num_unknown, self.num_tokens)]


def fit_of(tokenizer: "Tokenizer", lines: Sequence[str]) -> Fit:
    """Returns how a vocabulary fits lines of text."""
    ids, row_splits = tokenizer.encode_flat(lines)
    losses = losses_of(tokenizer, lines, ids, row_splits)
    return Fit(len(ids), int((ids == tokenizer.unk_id).sum()), losses)


def write_vocabulary(path: Path, vocabulary: Sequence[str], *, overwrite: bool) -> None:
    """Writes a vocabulary, one token a line, whole or not at all.

    Raises:
        OutputError: where another vocabulary is there and overwrite is false.
    """
    content = "".join(f"{token}\n" for token in vocabulary)
    _check_difference(path, content.encode(), overwrite=overwrite)
    write_text(path, content)


def write_tokenizer(tokenizer: "Tokenizer", folder: Path, *, overwrite: bool) -> None:
    """Writes all files of a tokenizer, in the published form; a new folder is there when it is whole.

    Raises:
        OutputError: where another file of one's name is there and overwrite is false.
    """
    if not folder.exists() or not any(folder.iterdir()):
        with whole_folder(folder) as partial:
            tokenizer.save(partial)
        return
    with replaced_files(folder, (), last="tokenizer_config.json") as partial:
        tokenizer.save(partial)
        for file in partial.iterdir():
            _check_difference(folder / file.name, file.read_bytes(), overwrite=overwrite)


def _check_difference(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Raises OutputError where a file is there with another content, and overwrite is false."""
    if path.exists() and not overwrite and path.read_bytes() != content:
        raise OutputError(f"{path} is there already and differs; name another place, or add --overwrite")

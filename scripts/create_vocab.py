"""Learns a vocabulary from a folder of text files, or adds special tokens to one that is there.

The same corpus gives the same vocabulary. A file that is there already, and is another vocabulary, is left as it is.
"""

import argparse
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import logging
from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from pretrain.corpus import corpus_lines
from pretrain.sources.flags import add_corpus_flags, files_of, source_settings

if TYPE_CHECKING:
    from electra_span.tokenization import Tokenizer

_SAMPLE_LINES = 10_000

# The options that each kind of tokenizer has, with their defaults.
_OPTIONS: Mapping[str, dict[str, Any]] = {
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


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, argument_default=argparse.SUPPRESS
    )
    add_corpus_flags(parser, is_required=False)
    parser.add_argument("--vocab-file", type=Path, default=None, help="file to write, one token a line")
    parser.add_argument(
        "--add-special-tokens",
        type=Path,
        default=None,
        metavar="VOCABULARY",
        help="learn nothing: append the special tokens that this vocabulary lacks, and write it to --output-dir",
    )
    parser.add_argument("--output-dir", type=Path, default=None, help="folder to write a tokenizer's files to")
    parser.add_argument("--vocab-size", type=int, default=30522, help="number of tokens")
    parser.add_argument("--tokenizer-type", choices=list(_OPTIONS), default="wordpiece", help="kind of the vocabulary")
    parser.add_argument(
        "--special-tokens",
        nargs="+",
        default=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        help="special tokens in the order of their ids, as [CLS] or <s>, [SEP] or </s> and so on; others may be added",
    )
    parser.add_argument("--max-sentences", type=int, help="lines to learn from, spread over the corpus; all otherwise")
    options = parser.add_argument_group("what not every kind has, and where nothing is said depends on it")
    options.add_argument("--min-frequency", type=int, help=_meaning("min_frequency", "how often a piece must occur"))
    options.add_argument(
        "--character-coverage",
        type=float,
        help=_meaning("character_coverage", "share of the text whose characters are known"),
    )
    _add_switch(options, ("--do-lower-case", "--lowercase"), "--no-lower-case", "whether to lower-case text")
    _add_switch(
        options, ("--do-strip-accents", "--strip-accents"), "--no-strip-accents", "whether to strip accents of text"
    )
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace another vocabulary")
    return parser


def _add_switch(group: argparse._ArgumentGroup, flags: Sequence[str], opposite: str, meaning: str) -> None:
    """Adds a flag that means true, may be followed by true or false, and its opposite; neither has a default."""
    name = flags[0].removeprefix("--").replace("-", "_")
    group.add_argument(
        *flags,
        dest=name,
        nargs="?",
        type=command_line.parse_bool,
        const=True,
        metavar="BOOL",
        help=_meaning(name, meaning),
    )
    group.add_argument(opposite, dest=name, action="store_const", const=False, help=f"the opposite of {flags[0]}")


def _meaning(name: str, meaning: str) -> str:
    """Returns the help of an option that not every kind of tokenizer has."""
    defaults = (f"{kind} {options[name]}" for kind, options in _OPTIONS.items() if name in options)
    return f"{meaning} ({', '.join(defaults)})"


def training_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the options of the arguments' kind of tokenizer, by name.

    Raises:
        OptionError: for an option that this kind does not have.
    """
    kind = arguments.tokenizer_type
    names = {name for options in _OPTIONS.values() for name in options}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    for name in given:
        if name not in _OPTIONS[kind]:
            flag, *others = (f"--{each.replace('_', '-')}" for each in (name, *_OPTIONS[kind]))
            raise OptionError(f"--tokenizer-type {kind} has no {flag}; it has {', '.join(others)}")
    return _OPTIONS[kind] | given


def main(arguments: argparse.Namespace) -> None:
    """Learns a vocabulary, or adds special tokens to one."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # text needs no GPU
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if arguments.add_special_tokens is not None:
        add_special_tokens(arguments)
    else:
        learn(arguments)


def add_special_tokens(arguments: argparse.Namespace) -> None:
    """Writes a vocabulary with the special tokens that it lacks, and logs which these are."""
    _check_flags(arguments, "--add-special-tokens", needed=("output_dir",), useless=("corpus_dir", "vocab_file"))
    from electra_span.tokenization import load_with_special_tokens

    source = arguments.add_special_tokens
    settings = _OPTIONS["wordpiece"] | vars(arguments)  # the others have theirs in their files
    strip_accents = None if settings["do_strip_accents"] else False
    tokenizer, added = load_with_special_tokens(source, settings["do_lower_case"], strip_accents)
    write_tokenizer(tokenizer, arguments.output_dir, overwrite=arguments.overwrite)
    first_id = tokenizer.vocab_size - len(added)
    names = ", ".join(f"{token} as {first_id + number}" for number, token in enumerate(added))
    logging.info("%s: %s", source, f"added {names}" if added else "lacks no special token, nothing was added")
    logging.info("%s: %d tokens, special: %s", arguments.output_dir, tokenizer.vocab_size, tokenizer.special_tokens)


def learn(arguments: argparse.Namespace) -> None:
    """Learns and writes a vocabulary, and logs how large it is and how well it fits."""
    start = time.monotonic()
    options = training_options(arguments)
    place = _check_place(arguments)
    files, settings = files_of(arguments), source_settings(arguments)
    lines = Lines(lambda: corpus_lines(files, settings), getattr(arguments, "max_sentences", None))
    tokenizer = train(lines, arguments, options)
    if arguments.output_dir is None:
        write_vocabulary(place, tokenizer.vocabulary, overwrite=arguments.overwrite)
    else:
        write_tokenizer(tokenizer, place, overwrite=arguments.overwrite)
    sample = list(itertools.islice(corpus_lines(files, settings), _SAMPLE_LINES))
    logging.info("corpus: %d lines in %d files, %d lines used", lines.num_lines, len(files), lines.num_used)
    logging.info("%s: %d tokens; %d were asked for", place, tokenizer.vocab_size, arguments.vocab_size)
    rate = 100 * unknown_rate(tokenizer, sample)
    logging.info("%.4f%% of the tokens in the first %d lines are unknown", rate, len(sample))
    logging.info("%.1f seconds", time.monotonic() - start)


def train(lines: "Lines", arguments: argparse.Namespace, options: Mapping[str, Any]) -> "Tokenizer":
    """Returns a tokenizer of the arguments' kind, learned from lines with options."""
    from electra_span.tokenization import WordPieceTokenizer, subword_training, vocabulary_training

    kind, _, model_type = arguments.tokenizer_type.partition("-")
    common = {"vocab_size": arguments.vocab_size, "special_tokens": arguments.special_tokens}
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


def _check_flags(arguments: argparse.Namespace, action: str, *, needed: Sequence[str], useless: Sequence[str]) -> None:
    """Raises OutputError for a flag that an action lacks, or one that it has no use for."""
    for names, is_needed in ((needed, True), (useless, False)):
        for name in names:
            if (getattr(arguments, name) is not None) != is_needed:
                flag = f"--{name.replace('_', '-')}"
                raise OutputError(f"{action} needs {flag}" if is_needed else f"{action} has no use for {flag}")


def _check_place(arguments: argparse.Namespace) -> Path:
    """Returns where to write what is learned.

    Raises:
        OutputError: where no place is given, or two; or it is in the corpus, which it would become part of.
        OptionError: where a kind of tokenizer has no vocabulary file of one token a line.
    """
    if arguments.corpus_dir is None and not arguments.corpus_files:
        raise OutputError("learning needs --corpus-dir or --corpus-files")
    vocab_file, folder, corpus_dir = arguments.vocab_file, arguments.output_dir, arguments.corpus_dir
    if (vocab_file is None) == (folder is None):
        raise OutputError("learning needs --vocab-file or --output-dir, one of them")
    if vocab_file is not None and arguments.tokenizer_type != "wordpiece":
        raise OptionError(f"--tokenizer-type {arguments.tokenizer_type} has no --vocab-file; name an --output-dir")
    if vocab_file is not None and vocab_file.is_dir():
        raise OutputError(f"--vocab-file must be a file. Received: {vocab_file}, a folder")
    flag, place = ("--vocab-file", vocab_file) if folder is None else ("--output-dir", folder)
    if corpus_dir is not None and place.resolve().is_relative_to(corpus_dir.resolve()):
        raise OutputError(f"{flag} must not be in the corpus. Received: {place}, which is in {corpus_dir}")
    return place


def unknown_rate(tokenizer: "Tokenizer", lines: Sequence[str]) -> float:
    """Returns the fraction of the lines' tokens that a vocabulary does not know."""
    ids = tokenizer.encode_flat(lines).ids
    return float((ids == tokenizer.unk_id).mean()) if len(ids) else 0.0


def write_vocabulary(path: Path, vocabulary: Sequence[str], *, overwrite: bool) -> None:
    """Writes a vocabulary, one token a line, whole or not at all.

    Raises:
        OutputError: where another vocabulary is there and overwrite is false.
    """
    content = "".join(f"{token}\n" for token in vocabulary).encode()
    _check_difference(path, content, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def write_tokenizer(tokenizer: "Tokenizer", folder: Path, *, overwrite: bool) -> None:
    """Writes all files of a tokenizer, in the published form.

    Raises:
        OutputError: where another file of one's name is there and overwrite is false.
    """
    unfinished = folder / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        tokenizer.save(unfinished)
        for file in unfinished.iterdir():
            _check_difference(folder / file.name, file.read_bytes(), overwrite=overwrite)
        for file in unfinished.iterdir():
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _check_difference(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Raises OutputError where a file is there with another content, and overwrite is false."""
    if path.exists() and not overwrite and path.read_bytes() != content:
        raise OutputError(f"{path} is there already and differs; name another place, or add --overwrite")


if __name__ == "__main__":
    command_line.run(main, make_parser)

"""The files of a byte-level BPE tokenizer: vocab.json and merges.txt, or tokenizer.json, as Hugging Face's."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tokenizers
from tokenizers import decoders

from electra_span.files import shown, write_text
from electra_span.tokenization import library_tokenizer, published
from electra_span.tokenization.library_tokenizer import LibraryTokenizer, build
from electra_span.tokenization.vocabulary import SpecialTokens, VocabularyError

VOCABULARY_FILE = "vocab.json"
MERGES_FILE = "merges.txt"
_FIRST_LINE = "#version: 0.2"
_BYTE_LEVEL = "ByteLevel"
_TYPE = "bpe"

# Fields of tokenizer.json's BPE that make another algorithm of it, and the values that do not.
_OTHER_ALGORITHMS = {
    "dropout": (None, 0.0),
    "byte_fallback": (None, False),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BpeDescription:
    """All that makes up a byte-level BPE tokenizer; objects are those of tokenizer.json."""

    vocabulary: Sequence[str]  # tokens in the order of their ids, added ones included
    merges: Sequence[tuple[str, str]]  # the first is made first
    normalizer: Mapping[str, Any] | None = None
    pre_tokenizer: Mapping[str, Any] = dataclasses.field(
        default_factory=lambda: {
            "type": _BYTE_LEVEL,
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        }
    )
    ignore_merges: bool = False  # whether a word that is a token is taken whole
    added_tokens: Sequence[Mapping[str, Any]] = ()  # found in texts as they are, before the algorithm
    other_special_tokens: Sequence[str] = ()  # in no text, as the five that every vocabulary has


def read_bpe(path: pathlib.Path, beside: published.Beside) -> BpeDescription:
    """Returns the tokenizer of a folder or one of its files.

    Args:
        path: a folder with tokenizer.json, or with vocab.json and merges.txt; or any of these files.
        beside: what stands beside it.

    Raises:
        VocabularyError: where one is missing, unreadable, or of another kind of tokenizer.
    """
    if path.is_dir():
        path = published.find_tokenizer_file(path) or path / VOCABULARY_FILE
    elif path.name == MERGES_FILE:
        path = path.with_name(VOCABULARY_FILE)
    content = published.read_json(path)
    if published.has_model(content):
        return _from_tokenizer_file(path, content, beside)
    description = _with_added(
        path,
        content,
        beside.added_tokens,
        BpeDescription(vocabulary=(), merges=_read_merges(path.with_name(MERGES_FILE))),
    )
    return _rebuilt(path, description, beside)


def _from_tokenizer_file(path: pathlib.Path, content: Mapping[str, Any], beside: published.Beside) -> BpeDescription:
    model = published.model_of(path, content)
    if model["type"] != "BPE" or not _is_byte_level(content.get("pre_tokenizer")):
        raise VocabularyError(
            f"{path}: the model must be BPE behind a byte-level pre-tokenizer. Received: {shown(str(model['type']))}; "
            "where there is a .model file of SentencePiece beside it, name that"
        )
    for name, values in _OTHER_ALGORITHMS.items():
        if model.get(name) not in values:
            raise VocabularyError(f"{path}: {name} must be {values[0]}. Received: {shown(repr(model[name]))}")
    is_rebuilt = beside.is_rebuilt(_TYPE)
    added = published.all_added(path, content, beside, is_rebuilt=is_rebuilt)
    merges = model.get("merges", [])
    if not isinstance(merges, list):
        raise VocabularyError(f"{path}: merges must be a list. Received: {shown(repr(merges))}")
    description = BpeDescription(
        vocabulary=(),
        merges=[_pair(path, merge) for merge in merges],
        normalizer=content.get("normalizer"),
        pre_tokenizer=content["pre_tokenizer"],
        ignore_merges=bool(model.get("ignore_merges", False)),
    )
    description = _with_added(path, model.get("vocab", {}), added, description)
    return _rebuilt(path, description, beside) if is_rebuilt else description


def _with_added(
    path: pathlib.Path, listed: Any, added: Mapping[str, Mapping[str, Any]], description: BpeDescription
) -> BpeDescription:
    """Returns a tokenizer with its vocabulary of listed (ids by token) and added tokens."""
    return dataclasses.replace(
        description,
        vocabulary=published.vocabulary_of(path, listed, added),
        added_tokens=[token for token in added.values() if not token["special"]],
        other_special_tokens=[name for name, token in added.items() if token["special"]],
    )


def _rebuilt(path: pathlib.Path, description: BpeDescription, beside: published.Beside) -> BpeDescription:
    """Returns the tokenizer that transformers 5 makes of vocabulary and merges; warns where the file says otherwise."""
    add_prefix_space = beside.config.get("add_prefix_space", False)
    if not isinstance(add_prefix_space, bool):
        raise VocabularyError(
            f"{path.with_name(published.CONFIG_FILE)}: add_prefix_space must be true or false. "
            f"Received: {shown(repr(add_prefix_space))}"
        )
    usual = BpeDescription(vocabulary=(), merges=())
    built = dataclasses.replace(
        description,
        normalizer=None,
        pre_tokenizer={**usual.pre_tokenizer, "add_prefix_space": add_prefix_space},
        ignore_merges=False,
    )
    parts = ("normalizer", "pre_tokenizer", "ignore_merges")
    unused = [name for name in parts if _decides(getattr(description, name)) != _decides(getattr(built, name))]
    if unused and path.name == published.TOKENIZER_FILE:
        published.warn_of_unused(path, unused, beside)
    return built


def _decides(part: Any) -> Any:
    """Returns a part without what decides about no id."""
    return {**part, "trim_offsets": None} if isinstance(part, Mapping) else part


def _is_byte_level(pre_tokenizer: Any) -> bool:
    if not isinstance(pre_tokenizer, Mapping):
        return False
    parts = pre_tokenizer.get("pretokenizers", []) if pre_tokenizer.get("type") == "Sequence" else [pre_tokenizer]
    return isinstance(parts, list) and any(
        isinstance(part, Mapping) and part.get("type") == _BYTE_LEVEL for part in parts
    )


def _read_merges(path: pathlib.Path) -> list[tuple[str, str]]:
    """Returns the pairs of a merges.txt, in its order."""
    lines = [line.rstrip("\r") for line in published.read_text(path).split("\n")]
    if lines[0].startswith("#version"):
        lines = lines[1:]
    return [_pair(path, line) for line in lines if line]


def _pair(path: pathlib.Path, merge: Any) -> tuple[str, str]:
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        raise VocabularyError(f"{path}: a merge must be two tokens. Received: {shown(repr(merge))}")
    return parts[0], parts[1]


def tokenizer_json(
    description: BpeDescription,
    *,
    unk_token: str,
    special_tokens: Sequence[str],
    post_processor: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the content of a tokenizer.json.

    Args:
        description: the tokenizer.
        unk_token: stands for bytes that are no tokens, where there are any.
        special_tokens: those to be found in texts, as transformers does.
        post_processor: what puts special tokens around texts, if anything.
    """
    ids = {token: token_id for token_id, token in enumerate(description.vocabulary)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": published.added_with_special(description.vocabulary, description.added_tokens, special_tokens),
        "normalizer": description.normalizer,
        "pre_tokenizer": description.pre_tokenizer,
        "post_processor": post_processor,
        "decoder": {"type": _BYTE_LEVEL, "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": unk_token,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": description.ignore_merges,
            "vocab": ids,
            "merges": [list(merge) for merge in description.merges],
        },
    }


def write_bpe(
    directory: pathlib.Path,
    description: BpeDescription,
    *,
    special_tokens: SpecialTokens,
    other_special_tokens: Sequence[str],
    model_max_length: int | None,
) -> None:
    """Writes vocab.json, merges.txt, tokenizer.json and tokenizer_config.json; see Tokenizer.save."""
    directory.mkdir(parents=True, exist_ok=True)
    content = tokenizer_json(
        description,
        unk_token=special_tokens.unk,
        special_tokens=[*special_tokens, *other_special_tokens],
        post_processor=published.around_texts(description.vocabulary, special_tokens),
    )
    merges = "".join(f"{left} {right}\n" for left, right in description.merges)
    write_text(directory / MERGES_FILE, f"{_FIRST_LINE}\n{merges}")
    published.write_json(directory / VOCABULARY_FILE, content["model"]["vocab"])
    published.write_json(directory / published.TOKENIZER_FILE, content)
    published.write_config(directory, published.generic_config(_TYPE), special_tokens, model_max_length)


_STARTS_WITH_BLANK = r"(?s)[\t-\r\x1c-\x1f\x{85}\p{Z}].*"  # as str.isspace


class ByteLevelBpeTokenizer(LibraryTokenizer):
    """BPE over bytes: every text has ids, and they have all of it, the spaces before words included.

    Attributes:
        description: what the tokenizer is made of.
    """

    tokenizer_type = "bpe"

    def __init__(self, description: BpeDescription, config: Mapping[str, Any] | None = None) -> None:
        """Builds the tokenizer.

        Args:
            description: vocabulary, merges and the rest.
            config: a tokenizer_config.json that may name the special tokens.

        Raises:
            VocabularyError: for an empty or repeated token, a missing special token, a merge of what are no tokens, a
                special token that a text can have, or a part before the algorithm that cannot be.
        """
        super().__init__(description.vocabulary, config)
        others = [token for token in description.other_special_tokens if token not in self.special_tokens]
        self.description = dataclasses.replace(
            description,
            added_tokens=[token for token in description.added_tokens if token["content"] not in self.special_tokens],
            other_special_tokens=others,
        )
        _check_merges(self.description)
        library_tokenizer.check_parts(
            self.description.normalizer, self.description.pre_tokenizer, self.description.added_tokens
        )
        self._backend = self._build()
        self._decoder = decoders.ByteLevel()
        self._check_special_tokens()

    @property
    def other_special_tokens(self) -> Sequence[str]:
        """Those that the vocabulary's files name beside the five."""
        return self.description.other_special_tokens

    @property
    def settings(self) -> dict[str, Any]:
        """tokenizer_type, the names of the special tokens, and what comes before the algorithm."""
        description = self.description
        merges = "\n".join(" ".join(merge) for merge in description.merges)
        return {
            "tokenizer_type": self.tokenizer_type,
            "special_tokens": list(self.special_tokens),
            "normalizer": description.normalizer,
            "pre_tokenizer": description.pre_tokenizer,
            "ignore_merges": description.ignore_merges,
            "added_tokens": sorted(token["content"] for token in description.added_tokens),
            "merges_sha256": hashlib.sha256(merges.encode()).hexdigest(),
        }

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Which ids are of text that begins with no blank, bool [vocab_size]."""
        return np.array(
            [
                token_id not in self.special_ids and not self._decoder.decode([token])[:1].isspace()
                for token_id, token in enumerate(self.vocabulary)
            ]
        )

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each word of a sentence that is already split, as after a space; see Tokenizer."""
        return super().encode_words([word if word[:1].isspace() else f" {word}" for word in words])

    def encode_words_ragged(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids (int32 [n, None]) of words (string [n]), as after a space; see Tokenizer."""
        has_blank = tf.strings.regex_full_match(words, _STARTS_WITH_BLANK)
        return super().encode_words_ragged(tf.where(has_blank, words, " " + words))

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids, special tokens by their names."""
        return self._decoder.decode(self.tokens(ids))

    def save(self, directory: str | pathlib.Path, model_max_length: int | None = None) -> None:
        """Writes vocab.json, merges.txt, tokenizer.json and tokenizer_config.json; see Tokenizer.save."""
        write_bpe(
            pathlib.Path(directory),
            self.description,
            special_tokens=self.special_tokens,
            other_special_tokens=self.description.other_special_tokens,
            model_max_length=model_max_length,
        )

    def _check_special_tokens(self) -> None:
        """Raises VocabularyError for a special token that a text can have."""
        special_tokens = [*self.special_tokens, *self.description.other_special_tokens]
        merged = {left + right for left, right in self.description.merges}
        for token in special_tokens:
            if token in merged or self._ids[token] in self._backend.encode(token, add_special_tokens=False).ids:
                raise VocabularyError(f"no text may have a special token. Received: {token}, which merges make")

    def _build(self) -> tokenizers.Tokenizer:
        """Returns the library's tokenizer, which finds no special token in a text."""
        content = tokenizer_json(self.description, unk_token=self.special_tokens.unk, special_tokens=())
        return build(content)


def _check_merges(description: BpeDescription) -> None:
    """Raises VocabularyError for a merge of what are no tokens, or to what is none."""
    tokens = set(description.vocabulary)
    for left, right in description.merges:
        for token in (left, right, left + right):
            if token not in tokens:
                raise VocabularyError(f"merges must be of tokens. Received: {left} {right}, where {token} is none")

"""What may stand in a tokenizer.json before its model, checked here: the library that reads it names no errors."""

import abc
import dataclasses
import functools
import itertools
import json
import pathlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tokenizers

from electra_span.files import shown
from electra_span.tokenization import base, wordpiece_files
from electra_span.tokenization.vocabulary import VocabularyError

# A field's rule: the type of its value, or all values it may be.
_Rule = type | tuple[str, ...] | tuple[bool | None, ...]
_Fields = Mapping[str, _Rule]

_BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_TOKEN: _Fields = {"content": str, "single_word": bool, "lstrip": bool, "rstrip": bool, "normalized": bool}
_NORMALIZERS: Mapping[str, _Fields] = {
    **{name: {} for name in ("Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents")},
    "BertNormalizer": {
        **dict.fromkeys(("clean_text", "handle_chinese_chars", "lowercase"), bool),
        "strip_accents": (True, False, None),
    },
    "Prepend": {"prepend": str},
    "Replace": {"pattern": dict, "content": str},
    "Sequence": {"normalizers": list},
    "Strip": {"strip_left": bool, "strip_right": bool},
}
_PRE_TOKENIZERS: Mapping[str, _Fields] = {
    **{name: {} for name in ("BertPreTokenizer", "UnicodeScripts", "Whitespace", "WhitespaceSplit")},
    "ByteLevel": {"add_prefix_space": bool, "trim_offsets": bool, "use_regex": bool},
    "Digits": {"individual_digits": bool},
    "Punctuation": {"behavior": _BEHAVIORS},
    "Sequence": {"pretokenizers": list},
    "Split": {"pattern": dict, "behavior": _BEHAVIORS, "invert": bool},
}
_OPTIONAL = {("ByteLevel", "use_regex"), ("Punctuation", "behavior")}
_LISTS = ("normalizers", "pretokenizers")  # of parts
_PATTERNS = ("String", "Regex")


def check_parts(
    normalizer: Mapping[str, Any] | None,
    pre_tokenizer: Mapping[str, Any] | None,
    added_tokens: Sequence[Mapping[str, Any]],
    without: Collection[str] = (),
) -> None:
    """Checks all that is left to the library but the syntax of regular expressions, which only it knows.

    Args:
        normalizer, pre_tokenizer, added_tokens: as in tokenizer.json.
        without: kinds of pre-tokenizers that the model does not go with.

    Raises:
        VocabularyError: names what is of no known type, or has a field that is missing or cannot be so.
    """
    if normalizer is not None:
        _check_part("normalizer", normalizer, _NORMALIZERS)
    known = {name: fields for name, fields in _PRE_TOKENIZERS.items() if name not in without}
    _check_part("pre_tokenizer", pre_tokenizer, known)
    for token in added_tokens:
        for field, rule in _TOKEN.items():
            _check_field(f"added token {shown(repr(token.get('content')))}", token, field, rule)


def _check_part(place: str, part: Any, known: Mapping[str, _Fields]) -> None:
    name = part.get("type") if isinstance(part, Mapping) else part
    if not isinstance(name, str) or name not in known:
        raise VocabularyError(f"{place} must be of the type {', '.join(known)}. Received: {shown(repr(name))}")
    for field, rule in known[name].items():
        if field in part or (name, field) not in _OPTIONAL:
            _check_field(f"{place} {name}", part, field, rule)
    for field in _LISTS:
        for inner in part.get(field, []):
            _check_part(place, inner, known)


def _check_field(place: str, part: Mapping[str, Any], field: str, rule: _Rule) -> None:
    value: Any = part.get(field)
    if isinstance(rule, tuple):
        allowed = type(value) in map(type, rule) and value in rule
        wanted = f"one of {', '.join(map(str, rule))}"
    else:
        allowed, wanted = isinstance(value, rule), f"a {rule.__name__}"
    if field == "pattern" and allowed:
        allowed = len(value) == 1 and all(name in _PATTERNS and isinstance(value[name], str) for name in value)
        wanted = "a String or a Regex"
    if not allowed:
        raise VocabularyError(f"{place}: {field} must be {wanted}. Received: {shown(repr(value))}")


class LibraryTokenizer(base.Tokenizer):
    """A tokenizer that the library makes of the content of a tokenizer.json."""

    is_in_graph = False
    _backend: tokenizers.Tokenizer  # which finds no special token in a text
    _ids_of_backend: np.ndarray | None = None  # int32, ids of this vocabulary by the library's, where they differ

    @property
    @abc.abstractmethod
    def other_special_tokens(self) -> Sequence[str]:
        """Tokens beside those of the five roles that no text has."""

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {token: token_id for token_id, token in enumerate(self.vocabulary)}

    @property
    def special_ids(self) -> tuple[int, ...]:
        """Ids that no text has: [PAD], [CLS], [SEP], [MASK], then others that the vocabulary's files name."""
        return (*super().special_ids, *(self._ids[token] for token in self.other_special_tokens))

    def encode_ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids (int32 [n, None]) of texts (string [n], UTF-8), by a call of Python from the graph."""

        def encode(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            flat_ids = self.encode_flat([value.decode("utf-8", "ignore") for value in values])
            return flat_ids.ids, flat_ids.row_splits

        ids, row_splits = tf.numpy_function(encode, [texts], [tf.int32, tf.int64])
        return _ragged(ids, row_splits, texts)

    def encode_ragged_with_offsets(self, texts: tf.Tensor) -> base.RaggedTokens:
        """Returns the ids of texts (string [n], UTF-8) with their places, by a call of Python from the graph."""

        def encode(values: np.ndarray) -> tuple[np.ndarray, ...]:
            ids, offsets = self.encode_with_offsets([value.decode("utf-8", "ignore") for value in values])
            flat_ids = np.array(list(itertools.chain(*ids)), np.int32)
            flat_places = np.array(list(itertools.chain(*offsets)), np.int32).reshape(-1, 2)
            return flat_ids, *flat_places.T, np.cumsum([0, *map(len, ids)], dtype=np.int64)

        *columns, row_splits = tf.numpy_function(encode, [texts], [*[tf.int32] * 3, tf.int64])
        return base.RaggedTokens(*(_ragged(column, row_splits, texts) for column in columns))

    def encode_flat(self, texts: Sequence[str]) -> base.FlatIds:
        """Returns the ids of many texts end to end."""
        base.check_texts(texts)
        texts = [base.without_surrogates(text) for text in texts]
        rows = [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]
        row_splits = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=row_splits[1:])
        ids = np.empty(row_splits[-1], np.int32)
        for row, start, end in zip(rows, row_splits[:-1], row_splits[1:], strict=True):
            ids[start:end] = row
        return base.FlatIds(ids if self._ids_of_backend is None else self._ids_of_backend[ids], row_splits)

    def encode_with_offsets(self, texts: Sequence[str]) -> base.IdsWithOffsets:
        """Returns the ids of each text, and which code points of the text each one covers.

        Byte-level BPE covers a space before a word with it; a character of several bytes can be covered by several
        tokens.
        """
        base.check_texts(texts)
        encodings = self._backend.encode_batch(
            [base.without_surrogates(text) for text in texts], add_special_tokens=False
        )
        offsets = [
            base.original_offsets(text, encoding.offsets) for text, encoding in zip(texts, encodings, strict=True)
        ]
        rows = [encoding.ids for encoding in encodings]
        if self._ids_of_backend is not None:
            rows = [self._ids_of_backend[ids].tolist() for ids in rows]
        return base.IdsWithOffsets(rows, offsets)


def build(content: Mapping[str, Any]) -> tokenizers.Tokenizer:
    """Returns the library's tokenizer for the content of a tokenizer.json.

    Raises:
        VocabularyError: the library refuses it, as for the syntax of a regular expression, which it alone knows.
    """
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the library raises no class of its own
        if type(error) is not Exception:
            raise
        raise VocabularyError(f"the tokenizers library refuses it: {shown(str(error))}") from None


def _ragged(values: tf.Tensor, row_splits: tf.Tensor, texts: tf.Tensor) -> tf.RaggedTensor:
    """Returns values [T] by rows, one for each of texts, with the shapes that Python's results have lost."""
    num_texts = texts.shape[0]
    row_splits = tf.ensure_shape(row_splits, [None if num_texts is None else num_texts + 1])
    return tf.RaggedTensor.from_row_splits(tf.ensure_shape(values, [None]), row_splits, validate=False)


_NO_WORDS = ("ByteLevel",)  # pre-tokenizers whose words are bytes


class LibraryWordPieceTokenizer(LibraryTokenizer):
    """WordPiece whose normalisation, words, prefix or added tokens are not BERT's.

    Attributes:
        description: what the tokenizer is made of.
        continuation_prefix: of tokens inside words.
    """

    tokenizer_type = "wordpiece"

    def __init__(
        self, description: wordpiece_files.WordPieceDescription, config: Mapping[str, Any] | None = None
    ) -> None:
        """Builds the tokenizer.

        Args:
            description: vocabulary and rules.
            config: a tokenizer_config.json that may name the special tokens.

        Raises:
            VocabularyError: for an empty or repeated token, a missing special token, or rules that cannot be.
        """
        super().__init__(description.vocabulary, config)
        self.description = dataclasses.replace(
            description,
            added_tokens=[token for token in description.added_tokens if token["content"] not in self.special_tokens],
            other_special_tokens=[
                token for token in description.other_special_tokens if token not in self.special_tokens
            ],
        )
        self.continuation_prefix = description.prefix
        if self.special_tokens.unk in description.unlisted:
            raise VocabularyError(
                f"the model must have the token of unknown words. Received: {self.special_tokens.unk}"
            )
        check_parts(description.normalizer, description.pre_tokenizer, self.description.added_tokens, without=_NO_WORDS)
        self._backend = self._build()
        self._ids_of_backend = self._ids_behind()

    @property
    def other_special_tokens(self) -> Sequence[str]:
        """Those that the vocabulary's files name beside the five."""
        return self.description.other_special_tokens

    @property
    def settings(self) -> dict[str, Any]:
        """tokenizer_type, the names of the special tokens, and all rules."""
        description = self.description
        return {
            "tokenizer_type": self.tokenizer_type,
            "special_tokens": list(self.special_tokens),
            "normalizer": wordpiece_files.resolved(description.normalizer),
            "pre_tokenizer": description.pre_tokenizer,
            "prefix": description.prefix,
            "max_word_length": description.max_word_length,
            "added_tokens": sorted(
                ({name: value for name, value in token.items() if name != "id"} for token in description.added_tokens),
                key=lambda token: token["content"],
            ),
            "other_special_tokens": sorted(description.other_special_tokens),
        }

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Which ids begin with the prefix, bool [vocab_size]."""
        return np.array([token.startswith(self.continuation_prefix) for token in self.vocabulary])

    @property
    def max_word_length(self) -> int:
        """The letters of the longest word that is cut into tokens."""
        return self.description.max_word_length

    def words(self, texts: Sequence[str]) -> list[list[str]]:
        """Returns the normalised words of each text, before they are cut into tokens."""
        normalizer, pre_tokenizer = self._backend.normalizer, self._backend.pre_tokenizer
        if normalizer is not None:
            texts = [normalizer.normalize_str(text) for text in texts]
        if pre_tokenizer is None:
            return [[text] for text in texts]
        return [[word for word, _ in pre_tokenizer.pre_tokenize_str(text)] for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the words of ids, with a space between them."""
        return " ".join(self.tokens(ids)).replace(" " + self.continuation_prefix, "")

    def save(self, directory: str | pathlib.Path, model_max_length: int | None = None) -> None:
        """Writes tokenizer.json and tokenizer_config.json; see Tokenizer.save."""
        wordpiece_files.write_wordpiece(
            pathlib.Path(directory), self.description, self.special_tokens, model_max_length=model_max_length
        )

    def _build(self) -> Any:
        """Returns the library's tokenizer, which finds no special token in a text.

        A word can be equal to a special token where words are not parted at punctuation. So these stand in the model
        under names that are longer than any word that is looked up.
        """
        description, names = self.description, {*self.special_tokens, *self.other_special_tokens}
        never_in_text = names - {self.special_tokens.unk} - set(description.unlisted)
        filling = "\0" * (description.max_word_length + 1)
        vocabulary = [token + filling if token in never_in_text else token for token in self.vocabulary]
        description = dataclasses.replace(description, vocabulary=vocabulary)
        return build(wordpiece_files.tokenizer_json(description, unk_token=self.special_tokens.unk))

    def _ids_behind(self) -> np.ndarray | None:
        """Returns this vocabulary's ids for the library's, int32 [n]; None where they are the same.

        The library numbers added tokens from the end of the model on, without the special ones that are left out here.

        Raises:
            VocabularyError: it gives two tokens one id.
        """
        added = {token["content"] for token in self.description.added_tokens}
        tokens = [token for token in self.vocabulary if token in added or token not in self.description.unlisted]
        known = {self._backend.token_to_id(token) if token in added else self._ids[token]: token for token in tokens}
        if set(known) != set(range(len(tokens))):
            names = shown(", ".join(sorted(added)))
            raise VocabularyError(f"ids of added tokens must follow those of the model. Received: {names}")
        ids = np.array([self._ids[known[number]] for number in range(len(tokens))], np.int32)
        return None if np.array_equal(ids, np.arange(len(ids))) else ids

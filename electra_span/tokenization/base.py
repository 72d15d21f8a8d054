"""The interface of every tokenizer, whatever its algorithm."""

import abc
import hashlib
import itertools
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from electra_span.tokenization.vocabulary import VocabularyError, check_vocabulary, find_special_tokens


class FlatIds(NamedTuple):
    """Ids of many texts laid end to end: text i has ids[row_splits[i]:row_splits[i + 1]]."""

    ids: np.ndarray  # int32 [T]
    row_splits: np.ndarray  # int64 [n + 1]

    def rows(self) -> list[np.ndarray]:
        """Returns the ids of each text, int32 [length]."""
        return [self.ids[start:end] for start, end in itertools.pairwise(self.row_splits)]


class IdsWithOffsets(NamedTuple):
    """Ids of many texts with the place of each in its text, one list a text."""

    ids: list[list[int]]
    offsets: list[list[tuple[int, int]]]  # code points [start, end) of the text as it was given


class RaggedTokens(NamedTuple):
    """Ids of many texts with the place of each in its text, as tensors.

    Attributes:
        ids: int32 [n, None].
        starts, ends: int32 [n, None], the code points [start, end) of the text that each id covers.
    """

    ids: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor

    def in_texts(self, texts: Sequence[str]) -> IdsWithOffsets:
        """Returns them as lists, with places in the texts as they are where these have lone surrogates."""
        ids, starts, ends = (
            [row.tolist() for row in FlatIds(values.flat_values.numpy(), values.row_splits.numpy()).rows()]
            for values in self
        )
        rows = zip(texts, starts, ends, strict=True)
        return IdsWithOffsets(
            ids, [original_offsets(text, zip(first, last, strict=True)) for text, first, last in rows]
        )


class Tokenizer(abc.ABC):
    """Turns text into ids of one vocabulary and back.

    No method adds special tokens: what a model puts around its segments is the business of whoever builds its inputs.

    Attributes:
        vocabulary: the tokens, in the order of their ids.
        special_tokens: the special tokens' names, by role.
        pad_id, unk_id, cls_id, sep_id, mask_id: their ids.
        continuation_prefix: what tokens inside words begin with, as WordPiece's; empty where that does not tell.
    """

    continuation_prefix: str = ""

    tokenizer_type: ClassVar[str]  # as in tokenizer_config.json
    is_in_graph: ClassVar[bool] = (
        True  # whether encode_ragged is of graph operations alone, which a SavedModel can hold
    )

    def __init__(self, vocabulary: Sequence[str], config: Mapping[str, Any] | None = None) -> None:
        """Checks and keeps the vocabulary.

        Args:
            vocabulary: tokens in the order of their ids.
            config: a tokenizer_config.json that may name the special tokens.

        Raises:
            VocabularyError: for an empty or repeated token, or a missing special token.
        """
        check_vocabulary(vocabulary)
        self.vocabulary = tuple(vocabulary)
        self.special_tokens = find_special_tokens(self.vocabulary, config)
        ids = (self.vocabulary.index(token) for token in self.special_tokens)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = ids

    @property
    def vocab_size(self) -> int:
        """The number of ids."""
        return len(self.vocabulary)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """Ids that no text has: [PAD], [CLS], [SEP], [MASK], then others; not [UNK], which stands for words."""
        return (self.pad_id, self.cls_id, self.sep_id, self.mask_id)

    @property
    @abc.abstractmethod
    def is_continuation(self) -> np.ndarray:
        """Which ids go on with the word of the token before them, bool [vocab_size]."""

    @property
    def resources(self) -> list[Any]:
        """What a SavedModel must keep beside the graph, so that `encode_ragged` works in it."""
        return []

    @property
    def fingerprint(self) -> str:
        """A sha256 in hex: tokenizers with the same one give every text the same ids."""
        content = json.dumps({"settings": self.settings, "vocabulary": self.vocabulary}, sort_keys=True)
        return hashlib.sha256(content.encode("ascii")).hexdigest()

    @property
    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that decides about ids beside the vocabulary, ready for JSON, "tokenizer_type" included."""

    @abc.abstractmethod
    def encode_ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of a batch of texts; works in a tf.function and in tf.data.

        With graph operations only, which a SavedModel can hold, where `is_in_graph`.

        Args:
            texts: string [n], UTF-8. Bytes that are not UTF-8 are dropped.

        Returns:
            int32 [n, None].
        """

    @abc.abstractmethod
    def encode_ragged_with_offsets(self, texts: tf.Tensor) -> RaggedTokens:
        """Returns the ids of a batch of texts, and which code points of its text each one covers.

        Works where `encode_ragged` does, and with graph operations only where that does.

        Args:
            texts: string [n], UTF-8. Bytes that are not UTF-8 are dropped; places are those of what is left.
        """

    def encode_words_ragged(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of words that are split already, at least one id each, as `encode_words` does.

        Works where `encode_ragged` does, and with graph operations only where that does.

        Args:
            words: string [n], UTF-8.

        Returns:
            int32 [n, None].
        """
        ids = self.encode_ragged(words)
        num_missing = tf.cast(tf.equal(ids.row_lengths(), 0), tf.int64)  # [n]
        unknown = tf.RaggedTensor.from_row_lengths(tf.fill([tf.reduce_sum(num_missing)], self.unk_id), num_missing)
        return tf.concat([ids, unknown], axis=1)

    @abc.abstractmethod
    def encode_flat(self, texts: Sequence[str]) -> FlatIds:
        """Returns the ids of many texts end to end: the fast path."""

    @abc.abstractmethod
    def encode_with_offsets(self, texts: Sequence[str]) -> IdsWithOffsets:
        """Returns the ids of each text, and which code points of the text each one covers."""

    @abc.abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids, special tokens by their names.

        Raises:
            VocabularyError: for an id outside the vocabulary.
        """

    @abc.abstractmethod
    def save(self, directory: str | pathlib.Path, model_max_length: int | None = None) -> None:
        """Writes the tokenizer's files in the published form, which transformers.AutoTokenizer reads too.

        Args:
            directory: made if it is not there; files of the same names are replaced, and removed where they would
                say something else of the tokenizer.
            model_max_length: the longest input of the model the tokenizer goes with, in tokens.
        """

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text."""
        return [row.tolist() for row in self.encode_flat(texts).rows()]

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each word of a sentence that is already split, at least one id a word.

        A word of which nothing is left (a lone control character) is unknown, so that every word has a first piece.
        """
        return [ids or [self.unk_id] for ids in self.encode(words)]

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Returns the vocabulary's tokens for ids.

        Raises:
            VocabularyError: for an id outside the vocabulary.
        """
        ids = list(ids)
        for token_id in ids:
            if not 0 <= token_id < self.vocab_size:
                raise VocabularyError(
                    f"ids must be at least 0 and below {self.vocab_size}, the vocabulary's size. Received: {token_id}"
                )
        return [self.vocabulary[token_id] for token_id in ids]


def check_texts(texts: Sequence[str]) -> None:
    """Raises TypeError for one string where a sequence of strings belongs."""
    if isinstance(texts, str):
        raise TypeError(f"texts must be a sequence of strings, not one string. Received: {texts!r}")


def without_surrogates(text: str) -> str:
    """Returns text without lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", "ignore").decode("utf-8")


def original_offsets(text: str, offsets: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns places in a text for places in `without_surrogates(text)`, as code points [start, end)."""
    if len(without_surrogates(text)) == len(text):
        return list(offsets)
    places = [place for place, character in enumerate(text) if not "\ud800" <= character <= "\udfff"]
    starts = [*places, len(text)]
    ends = [0, *(place + 1 for place in places)]
    return [(starts[start], max(starts[start], ends[end])) for start, end in offsets]

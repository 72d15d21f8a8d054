"""The interface of every tokenizer, whatever its algorithm."""

import abc
import hashlib
import itertools
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from electra_span.config import UserError

PAD_TOKEN = "[PAD]"
UNK_TOKEN = "[UNK]"
CLS_TOKEN = "[CLS]"
SEP_TOKEN = "[SEP]"
MASK_TOKEN = "[MASK]"
SPECIAL_TOKENS = (PAD_TOKEN, UNK_TOKEN, CLS_TOKEN, SEP_TOKEN, MASK_TOKEN)


class VocabularyError(UserError, ValueError):
    """A vocabulary, or a published tokenizer, that cannot be used."""


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


class Tokenizer(abc.ABC):
    """Turns text into ids of one vocabulary and back.

    No method adds special tokens: what a model puts around its segments is the business of whoever builds its inputs.

    Attributes:
        vocabulary: the tokens, in the order of their ids.
        pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special tokens, looked up by name.
    """

    tokenizer_type: ClassVar[str]  # as in tokenizer_config.json

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """Checks and keeps the vocabulary.

        Raises:
            VocabularyError: for an empty or repeated token, or a missing special token.
        """
        _check_vocabulary(vocabulary)
        self.vocabulary = tuple(vocabulary)
        self.pad_id = self.vocabulary.index(PAD_TOKEN)
        self.unk_id = self.vocabulary.index(UNK_TOKEN)
        self.cls_id = self.vocabulary.index(CLS_TOKEN)
        self.sep_id = self.vocabulary.index(SEP_TOKEN)
        self.mask_id = self.vocabulary.index(MASK_TOKEN)

    @property
    def vocab_size(self) -> int:
        """The number of ids."""
        return len(self.vocabulary)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The ids that no text has: [PAD], [CLS], [SEP] and [MASK], but not [UNK], which stands for words."""
        return (self.pad_id, self.cls_id, self.sep_id, self.mask_id)

    @property
    @abc.abstractmethod
    def is_continuation(self) -> np.ndarray:
        """Which ids go on with the word of the token before them, bool [vocab_size]."""

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
        """Returns the ids of a batch of texts, with graph operations only.

        Args:
            texts: string [n], UTF-8. Bytes that are not UTF-8 are dropped.

        Returns:
            int32 [n, None].
        """

    @abc.abstractmethod
    def encode_flat(self, texts: Sequence[str]) -> FlatIds:
        """Returns the ids of many texts end to end: the fast path, without Python objects per token."""

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
            directory: made if it is not there; files of the same names are replaced.
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


def _check_vocabulary(vocabulary: Sequence[str]) -> None:
    """Raises VocabularyError unless tokens are there, named, distinct, and the special ones among them."""
    if not vocabulary:
        raise VocabularyError("the vocabulary is empty; it must have one token a line")
    lines: dict[str, int] = {}
    for line, token in enumerate(vocabulary, start=1):
        if not token:
            raise VocabularyError(f"line {line} is empty; a vocabulary must have one token a line")
        if token in lines:
            raise VocabularyError(f"token {token!r} stands on lines {lines[token]} and {line}; tokens must be distinct")
        lines[token] = line
    for token in SPECIAL_TOKENS:
        if token not in lines:
            raise VocabularyError(f"token {token} is missing; a vocabulary must have {' '.join(SPECIAL_TOKENS)}")

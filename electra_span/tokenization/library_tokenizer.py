"""What tokenizers over the tokenizers library share: calls of Python from the graph, no special token in a text."""

import abc
import functools
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tokenizers

from electra_span.files import shown
from electra_span.tokenization import base
from electra_span.tokenization.vocabulary import VocabularyError


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

"""SentencePiece, unigram or BPE, over the library of that name and tensorflow_text."""

import functools
import hashlib
import itertools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text

from electra_span.tokenization import base, normalization, places, sentencepiece_files
from electra_span.tokenization.sentencepiece_files import SPACE, PieceType
from electra_span.tokenization.vocabulary import VocabularyError

_BLANK_BYTES = ("<0x09>", "<0x0A>", "<0x0B>", "<0x0C>", "<0x0D>", "<0x20>")


class SentencePieceTokenizer(base.Tokenizer):
    """Pieces of texts with their spaces, as a SentencePiece model has learned them.

    Attributes:
        model: the content of the .model file.
    """

    tokenizer_type = "sentencepiece"

    def __init__(self, model: bytes, config: Mapping[str, Any] | None = None) -> None:
        """Builds the tokenizer.

        Args:
            model: the content of a .model file. Its unknown piece is [UNK], whatever its name.
            config: a tokenizer_config.json that may name the other special tokens.

        Raises:
            VocabularyError: for what is no model, or one that lacks a special token.
        """
        pieces = sentencepiece_files.parse_model(model).pieces
        unknown = [piece.piece for piece in pieces if piece.type == PieceType.UNKNOWN]
        if len(unknown) != 1:
            raise VocabularyError(f"a SentencePiece model must have one unknown piece. Received: {len(unknown)}")
        super().__init__([piece.piece for piece in pieces], {**(config or {}), "unk_token": unknown[0]})
        self.model = model
        special = [token for token in self.special_tokens if token != unknown[0]]
        self._others = [
            token_id
            for token_id, piece in enumerate(pieces)
            if piece.type == PieceType.CONTROL and piece.piece not in special
        ]
        # A model may have a special token that texts can have: a user-defined [MASK].
        encoding_model = sentencepiece_files.with_control_symbols(model, special)
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=encoding_model)
        self._graph_tokenizer = tf_text.SentencepieceTokenizer(encoding_model, out_type=tf.int32)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """Ids that no text has: [PAD], [CLS], [SEP], [MASK], then the model's other control symbols."""
        return (*super().special_ids, *self._others)

    @property
    def settings(self) -> dict[str, Any]:
        """tokenizer_type, the names of the special tokens, and the model's sha256, which has all the rest."""
        return {
            "tokenizer_type": self.tokenizer_type,
            "special_tokens": list(self.special_tokens),
            "model_sha256": hashlib.sha256(self.model).hexdigest(),
        }

    @property
    def resources(self) -> list[Any]:
        """The model, which TensorFlow's operation holds."""
        return [self._graph_tokenizer]

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Which ids are of text that begins with no blank, [UNK] included, bool [vocab_size]."""
        starts = [token.startswith(SPACE) or token[0].isspace() or token in _BLANK_BYTES for token in self.vocabulary]
        is_continuation = ~np.array(starts)
        is_continuation[list(self.special_ids)] = False
        return is_continuation

    def encode_ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids (int32 [n, None]) of texts (string [n], UTF-8), with graph operations only."""
        return self._graph_tokenizer.tokenize(normalization.valid_utf8(texts))

    def encode_ragged_with_offsets(self, texts: tf.Tensor) -> base.RaggedTokens:
        """Returns the ids of texts (string [n], UTF-8) with their places, with graph operations only.

        Places are those of `encode_with_offsets`.
        """
        texts = normalization.valid_utf8(texts)
        ids, starts, ends = self._graph_tokenizer.tokenize_with_offsets(texts)
        lengths = places.utf8_lengths(tf.strings.unicode_decode(texts, "UTF-8"))
        positions = tf.stack([starts.flat_values, ends.flat_values])  # [2, T]
        places_of_ids = tf.unstack(places.characters_at(positions, ids.value_rowids(), lengths))
        return base.RaggedTokens(ids, *map(ids.with_flat_values, places_of_ids))

    def encode_flat(self, texts: Sequence[str]) -> base.FlatIds:
        """Returns the ids of many texts end to end: the fast path, without Python objects per token."""
        rows = self._encode(texts, "numpy")
        row_splits = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=row_splits[1:])
        return base.FlatIds(np.concatenate([*rows, np.empty(0, np.int32)]), row_splits)

    def encode_with_offsets(self, texts: Sequence[str]) -> base.IdsWithOffsets:
        """Returns the ids of each text, and which code points of the text each one covers.

        Blanks before a word are covered with it. Of a character that normalisation turns into several, one piece
        covers all, and others none.
        """
        encodings = self._encode(texts, "offset_mapping")
        offsets = [
            base.original_offsets(text, [(start, end) for start, end in encoding["offsets"]])
            for text, encoding in zip(texts, encodings, strict=True)
        ]
        return base.IdsWithOffsets([list(encoding["ids"]) for encoding in encodings], offsets)

    def _encode(self, texts: Sequence[str], return_type: Literal["numpy", "offset_mapping"]) -> list[Any]:
        base.check_texts(texts)
        if not texts:  # which sentencepiece 0.2.2 takes for a mistake
            return []
        return self._processor.encode([base.without_surrogates(text) for text in texts], return_type=return_type)

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids, special tokens by their names, with spaces around these."""
        ids = list(ids)
        tokens = self.tokens(ids)
        by_name = {*self.special_ids, self.unk_id}
        parts: list[str] = []
        for is_named, group in itertools.groupby(zip(ids, tokens, strict=True), lambda pair: pair[0] in by_name):
            run = list(group)
            names = [token for _, token in run]
            parts += names if is_named else [self._processor.decode([token_id for token_id, _ in run])]
        return " ".join(parts)

    def save(self, directory: str | pathlib.Path, model_max_length: int | None = None) -> None:
        """Writes spiece.model, tokenizer.json and tokenizer_config.json; see Tokenizer.save."""
        sentencepiece_files.write_sentencepiece(
            pathlib.Path(directory),
            self.model,
            special_tokens=self.special_tokens,
            never_in_text=self.tokens(self.special_ids),
            model_max_length=model_max_length,
        )

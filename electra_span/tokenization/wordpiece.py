"""WordPiece, equal to the original ELECTRA's FullTokenizer, over tensorflow_text."""

import functools
import itertools
import pathlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from electra_span.tokenization import base, normalization, published
from electra_span.tokenization.vocabulary import VocabularyError

MAX_WORD_LENGTH = 200  # code points, after normalisation; a longer word is unknown
_MAX_WORD_BYTES = 4 * MAX_WORD_LENGTH
_LONG_WORD = f"[^ ]{{{MAX_WORD_LENGTH + 1},}}"
_LONG_TEXT = f"(?s).*[^ ]{{{MAX_WORD_LENGTH + 1}}}.*"
_PRIVATE_USE = range(0xE000, 0xF900)
_CONTINUATION = "##"


class WordPieceTokenizer(base.Tokenizer):
    """BERT's tokenizer: words, then in each the longest pieces of the vocabulary from the left.

    Attributes:
        do_lower_case: whether texts are lowered.
        strip_accents: whether accents are dropped.
    """

    tokenizer_type = "wordpiece"

    def __init__(
        self,
        vocabulary: Sequence[str],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Builds the tokenizer.

        Args:
            vocabulary: tokens in the order of their ids; those inside a word begin with "##".
            do_lower_case: whether texts are lowered.
            strip_accents: whether accents are dropped; None means as do_lower_case. Texts that are not lowered keep
                their accents in any case, as in the original.
            config: a tokenizer_config.json that may name the special tokens.

        Raises:
            VocabularyError: for an empty or repeated token, or a missing special token.
        """
        super().__init__(vocabulary, config)
        self.do_lower_case = do_lower_case
        self.strip_accents = do_lower_case and strip_accents is not False
        self._long_word_mark = _unused_character(self.vocabulary)
        self._fast_wordpiece = _build_fast_wordpiece(self.vocabulary, self.special_tokens.unk)

    @property
    def settings(self) -> dict[str, Any]:
        """tokenizer_type, do_lower_case and strip_accents."""
        return {
            "tokenizer_type": self.tokenizer_type,
            "do_lower_case": self.do_lower_case,
            "strip_accents": self.strip_accents,
        }

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Which ids begin with "##", bool [vocab_size]."""
        return np.array([token.startswith(_CONTINUATION) for token in self.vocabulary])

    def encode_ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids (int32 [n, None]) of texts (string [n], UTF-8), with graph operations only."""
        return self._encode(normalization.valid_utf8(texts))

    def encode_flat(self, texts: Sequence[str]) -> base.FlatIds:
        """Returns the ids of many texts end to end: the fast path, without Python objects per token."""
        ids = self._encode(_string_tensor(texts))
        return base.FlatIds(ids.flat_values.numpy(), ids.row_splits.numpy())

    def encode_with_offsets(self, texts: Sequence[str]) -> base.IdsWithOffsets:
        """Returns the ids of each text, and which code points of the text each one covers.

        An accent that is dropped at the end of a piece is not covered; a character that normalisation turns into
        several (a Korean syllable) can be covered by several pieces.
        """
        marked_words = self._mark_long_words(self._normalize(_string_tensor(texts)))
        ids, starts, ends = self._fast_wordpiece.tokenize_with_offsets(marked_words)
        code_points = [_code_points(text) for text in texts]
        lengths = self._normalized_lengths(code_points)
        offsets = [
            self._offsets(row_words, row_starts, row_ends, lengths[row_code_points])
            for row_words, row_starts, row_ends, row_code_points in zip(
                marked_words.numpy(), _rows(starts), _rows(ends), code_points, strict=True
            )
        ]
        return base.IdsWithOffsets([row.tolist() for row in _rows(ids)], offsets)

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the words of ids, with a space between them."""
        return " ".join(self.tokens(ids)).replace(" " + _CONTINUATION, "")

    def save(self, directory: str | pathlib.Path, model_max_length: int | None = None) -> None:
        """Writes vocab.txt, tokenizer_config.json and tokenizer.json; see Tokenizer.save."""
        published.write_wordpiece(
            pathlib.Path(directory),
            self.vocabulary,
            self.special_tokens,
            self.settings,
            max_word_length=MAX_WORD_LENGTH,
            model_max_length=model_max_length,
        )

    def _encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids (int32 [n, None]) of texts (string [n], valid UTF-8)."""
        texts = self._normalize(texts)
        # Few texts can have a word that is too long: only they pay for the search.
        rows = tf.where(tf.strings.regex_full_match(texts, _LONG_TEXT))  # [rows, 1]
        marked_words = self._mark_long_words(tf.gather_nd(texts, rows))  # [rows]
        return self._fast_wordpiece.tokenize(tf.tensor_scatter_nd_update(texts, rows, marked_words))

    def _normalize(self, texts: tf.Tensor) -> tf.Tensor:
        return normalization.normalize(texts, do_lower_case=self.do_lower_case, strip_accents=self.strip_accents)

    def _mark_long_words(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the words of normalised texts (string [n]), too long ones marked so that no piece fits them.

        FastWordpieceTokenizer has a limit of its own, but in bytes.
        """
        return tf.strings.regex_replace(normalization.space_words(texts), _LONG_WORD, self._long_word_mark + r"\0")

    def _normalized_lengths(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the bytes that each code point in the texts has as a word or a part of one.

        Args:
            texts: their code points, each int32 [length].

        Returns:
            int32 [1,114,112], by code point; 0 for those that are in no text.
        """
        used = np.unique(np.concatenate([*texts, np.empty(0, np.int32)]))
        lengths = np.zeros(sys.maxunicode + 1, np.int32)
        characters = self._normalize(_string_tensor([chr(code_point) for code_point in used]))
        lengths[used] = [len(words) for words in normalization.space_words(characters).numpy()]
        return lengths

    def _offsets(
        self, marked_words: bytes, starts: np.ndarray, ends: np.ndarray, lengths: np.ndarray
    ) -> list[tuple[int, int]]:
        """Returns the code points [start, end) of one text that its pieces come from.

        Args:
            marked_words: the text's words.
            starts: int32 [T], the first byte of each piece in marked_words.
            ends: int32 [T], the byte after the last one.
            lengths: int32 [length of the text], the bytes that each code point has in the words, marks aside.
        """
        mark = self._long_word_mark.encode()
        marks = np.array([match.start() for match in re.finditer(mark, marked_words)], np.int32)

        def unmarked(positions: np.ndarray) -> np.ndarray:
            return positions - len(mark) * np.searchsorted(marks, positions)

        sources = np.repeat(np.arange(len(lengths)), lengths)  # [bytes]: the code point that each comes from
        first = sources[unmarked(starts)]
        last = sources[unmarked(ends) - 1]
        return list(zip(first.tolist(), (last + 1).tolist(), strict=True))


def _code_points(text: str) -> np.ndarray:
    """Returns the code points of text, int32 [length]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<i4")


def _rows(values: tf.RaggedTensor) -> list[np.ndarray]:
    """Returns the rows of values ([n, None]) as n arrays."""
    flat_values = values.flat_values.numpy()
    return [flat_values[start:end] for start, end in itertools.pairwise(values.row_splits.numpy())]


def _string_tensor(texts: Sequence[str]) -> tf.Tensor:
    """Returns texts as string [n], in UTF-8 without lone surrogates, which UTF-8 cannot hold.

    Raises:
        TypeError: for one string where a sequence of strings belongs.
    """
    base.check_texts(texts)
    return tf.constant([text.encode("utf-8", "ignore") for text in texts], tf.string, shape=[len(texts)])


def _build_fast_wordpiece(vocabulary: tuple[str, ...], unknown_token: str) -> tf_text.FastWordpieceTokenizer:
    """Returns what splits the words of normalised texts.

    Raises:
        VocabularyError: for a vocabulary that tensorflow_text cannot use.
    """
    try:
        return tf_text.FastWordpieceTokenizer(
            vocabulary,
            suffix_indicator=_CONTINUATION,
            max_bytes_per_word=_MAX_WORD_BYTES,
            unknown_token=unknown_token,
            token_out_type=tf.int32,
        )
    except RuntimeError as error:
        raise VocabularyError(f"no WordPiece tokenizer can be built of the vocabulary: {error}") from error


def _unused_character(vocabulary: tuple[str, ...]) -> str:
    """Returns a character that normalisation drops from every text, and that is no token."""
    tokens = set(vocabulary)
    return next(character for character in map(chr, _PRIVATE_USE) if character not in tokens)

"""WordPiece, equal to the original ELECTRA's FullTokenizer, over tensorflow_text."""

import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from electra_span.tokenization import base, normalization, wordpiece_files
from electra_span.tokenization.vocabulary import VocabularyError
from electra_span.tokenization.wordpiece_files import MAX_WORD_LENGTH

LARGEST_MAX_WORD_LENGTH = 999  # regular expressions count no further
_PRIVATE_USE = range(0xE000, 0xF900)


class WordPieceTokenizer(base.Tokenizer):
    """BERT's tokenizer: words, then in each the longest pieces of the vocabulary from the left.

    Attributes:
        do_lower_case: whether texts are lowered.
        strip_accents: whether accents are dropped.
        max_word_length: in code points, after normalisation; a longer word is unknown.
        continuation_prefix: of tokens inside words.
    """

    continuation_prefix = wordpiece_files.PREFIX
    tokenizer_type = "wordpiece"

    def __init__(
        self,
        vocabulary: Sequence[str],
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        config: Mapping[str, Any] | None = None,
        max_word_length: int = MAX_WORD_LENGTH,
    ) -> None:
        """Builds the tokenizer.

        Args:
            vocabulary: tokens in the order of their ids; those inside a word begin with "##".
            do_lower_case: whether texts are lowered.
            strip_accents: whether accents are dropped; None means as do_lower_case. Texts that are not lowered keep
                their accents in any case, as in the original.
            config: a tokenizer_config.json that may name the special tokens.
            max_word_length: from 1 to 999, in code points, after normalisation; a longer word is unknown.

        Raises:
            VocabularyError: for an empty or repeated token, or a missing special token.
        """
        super().__init__(vocabulary, config)
        self.do_lower_case = do_lower_case
        self.strip_accents = do_lower_case and strip_accents is not False
        self.max_word_length = max_word_length
        self._long_word = f"[^ ]{{{max_word_length + 1},}}"
        self._long_text = f"(?s).*[^ ]{{{max_word_length + 1}}}.*"
        self._long_word_mark = _unused_character(self.vocabulary)
        self._fast_wordpiece = _build_fast_wordpiece(self.vocabulary, self.special_tokens.unk, 4 * max_word_length)

    @property
    def settings(self) -> dict[str, Any]:
        """tokenizer_type, do_lower_case and strip_accents; and max_word_length, if it is not the usual 200."""
        longest = {} if self.max_word_length == MAX_WORD_LENGTH else {"max_word_length": self.max_word_length}
        return {"tokenizer_type": self.tokenizer_type, **self._case, **longest}

    @property
    def _case(self) -> dict[str, bool]:
        return {"do_lower_case": self.do_lower_case, "strip_accents": self.strip_accents}

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Which ids begin with "##", bool [vocab_size]."""
        return np.array([token.startswith(self.continuation_prefix) for token in self.vocabulary])

    def encode_ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids (int32 [n, None]) of texts (string [n], UTF-8), with graph operations only."""
        return self._encode(normalization.valid_utf8(texts))

    def encode_flat(self, texts: Sequence[str]) -> base.FlatIds:
        """Returns the ids of many texts end to end: the fast path, without Python objects per token."""
        ids = self._encode(_string_tensor(texts))
        return base.FlatIds(ids.flat_values.numpy(), ids.row_splits.numpy())

    def encode_ragged_with_offsets(self, texts: tf.Tensor) -> base.RaggedTokens:
        """Returns the ids of texts (string [n], UTF-8) with their places, with graph operations only.

        An accent that is dropped at the end of a piece is not covered; a character that normalisation turns into
        several (a Korean syllable) can be covered by several pieces.
        """
        return self._encode_with_places(normalization.valid_utf8(texts))

    def encode_with_offsets(self, texts: Sequence[str]) -> base.IdsWithOffsets:
        """Returns the ids of each text, and its code points that each one covers; see encode_ragged_with_offsets."""
        return self._encode_with_places(_string_tensor(texts)).in_texts(texts)

    def words(self, texts: Sequence[str]) -> list[list[str]]:
        """Returns the normalised words of each text, before they are cut into tokens."""
        words = normalization.space_words(self._normalize(_string_tensor(texts)))
        return [text.decode().split() for text in words.numpy()]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the words of ids, with a space between them."""
        return " ".join(self.tokens(ids)).replace(" " + self.continuation_prefix, "")

    def save(self, directory: str | pathlib.Path, model_max_length: int | None = None) -> None:
        """Writes vocab.txt, tokenizer_config.json and tokenizer.json; see Tokenizer.save."""
        description = wordpiece_files.WordPieceDescription(
            vocabulary=self.vocabulary,
            normalizer=wordpiece_files.bert_normalizer(**self._case),
            max_word_length=self.max_word_length,
        )
        wordpiece_files.write_wordpiece(
            pathlib.Path(directory),
            description,
            self.special_tokens,
            settings=self._case,
            model_max_length=model_max_length,
        )

    def _encode(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids (int32 [n, None]) of texts (string [n], valid UTF-8)."""
        texts = self._normalize(texts)
        # Few texts can have a word that is too long: only they pay for the search.
        rows = tf.where(tf.strings.regex_full_match(texts, self._long_text))  # [rows, 1]
        marked_words = self._mark_long_words(tf.gather_nd(texts, rows))  # [rows]
        return self._fast_wordpiece.tokenize(tf.tensor_scatter_nd_update(texts, rows, marked_words))

    def _normalize(self, texts: tf.Tensor) -> tf.Tensor:
        return normalization.normalize(texts, do_lower_case=self.do_lower_case, strip_accents=self.strip_accents)

    def _mark_long_words(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the words of normalised texts (string [n]), too long ones marked so that no piece fits them.

        FastWordpieceTokenizer has a limit of its own, but in bytes.
        """
        return tf.strings.regex_replace(normalization.space_words(texts), self._long_word, self._long_word_mark + r"\0")

    def _encode_with_places(self, texts: tf.Tensor) -> base.RaggedTokens:
        """Returns the ids of texts (string [n], valid UTF-8) with their places."""
        words = self._normalize(texts)
        long_rows = tf.where(tf.strings.regex_full_match(words, self._long_text))[:, 0]  # [rows]
        marked_words = self._mark_long_words(words)
        ids, starts, ends = self._fast_wordpiece.tokenize_with_offsets(marked_words)
        rows = ids.value_rowids()
        positions = tf.stack([starts.flat_values, ends.flat_values - 1])  # [2, T]
        mark = self._long_word_mark
        num_marks = normalization.num_up_to(positions, rows, normalization.ends_of(mark, marked_words, long_rows))
        positions -= tf.cast(len(mark.encode()) * num_marks, positions.dtype)
        lengths = self._normalized_lengths(tf.strings.unicode_decode(texts, "UTF-8"))
        first, last = tf.unstack(normalization.characters_at(positions, rows, lengths))
        return base.RaggedTokens(ids, ids.with_flat_values(first), ids.with_flat_values(last + 1))

    def _normalized_lengths(self, code_points: tf.RaggedTensor) -> tf.RaggedTensor:
        """Returns the bytes that each code point (int32 [n, None]) has as a word or a part of one, int32 [n, None]."""
        used, index = tf.unique(code_points.flat_values)
        characters = self._normalize(tf.strings.unicode_encode(used[:, tf.newaxis], "UTF-8"))
        lengths = tf.strings.length(normalization.space_words(characters))  # [used]
        return code_points.with_flat_values(tf.gather(lengths, index))


def _string_tensor(texts: Sequence[str]) -> tf.Tensor:
    """Returns texts as string [n], in UTF-8 without lone surrogates, which UTF-8 cannot hold.

    Raises:
        TypeError: for one string where a sequence of strings belongs.
    """
    base.check_texts(texts)
    return tf.constant([text.encode("utf-8", "ignore") for text in texts], tf.string, shape=[len(texts)])


def _build_fast_wordpiece(
    vocabulary: tuple[str, ...], unknown_token: str, max_word_bytes: int
) -> tf_text.FastWordpieceTokenizer:
    """Returns what splits the words of normalised texts.

    Raises:
        VocabularyError: for a vocabulary that tensorflow_text cannot use.
    """
    try:
        return tf_text.FastWordpieceTokenizer(
            vocabulary,
            suffix_indicator=wordpiece_files.PREFIX,
            max_bytes_per_word=max_word_bytes,
            unknown_token=unknown_token,
            token_out_type=tf.int32,
        )
    except RuntimeError as error:
        raise VocabularyError(f"no WordPiece tokenizer can be built of the vocabulary: {error}") from error


def _unused_character(vocabulary: tuple[str, ...]) -> str:
    """Returns a character that normalisation drops from every text, and that is no token."""
    tokens = set(vocabulary)
    return next(character for character in map(chr, _PRIVATE_USE) if character not in tokens)

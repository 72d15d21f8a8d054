"""What a model reads of raw strings, as graph operations: ids with special tokens around them, and their places.

Axis letters: n texts, L the tokens of the longest, special ones counted.
"""

from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from electra_span.tokenization import Tokenizer, normalization
from electra_span.tokenization.normalization import IDEOGRAPH, valid_utf8

NO_PLACE = -1  # at special tokens and padding
BLANKS_AT_END = r"[\s\p{Z}]+$"


class TextBatch(NamedTuple):
    """What a model reads of n texts or pairs of texts.

    Attributes:
        input_ids: int32 [n, L], [CLS] text [SEP], or [CLS] first [SEP] second [SEP]; then padding.
        input_mask: int32 [n, L], 0 at padding.
        segment_ids: int32 [n, L], 1 from the second text on.
        starts, ends: int32 [n, L], the code points [start, end) of its text that each token covers, -1 at special
            tokens and padding; None where they were not asked for.
        is_cut: bool [n], whether there was no room for all tokens.
    """

    input_ids: tf.Tensor
    input_mask: tf.Tensor
    segment_ids: tf.Tensor
    starts: tf.Tensor | None
    ends: tf.Tensor | None
    is_cut: tf.Tensor

    @property
    def inputs(self) -> dict[str, tf.Tensor]:
        """The arguments of a model."""
        return {"input_ids": self.input_ids, "input_mask": self.input_mask, "segment_ids": self.segment_ids}


class InnerTokens(NamedTuple):
    """The tokens of texts without the special ones around them: T of the longest text.

    Attributes:
        is_token: bool [n, T], false at padding.
        tokens: string [n, T], "" at padding.
        starts, ends: int32 [n, T], code points; -1 at padding.
    """

    is_token: tf.Tensor
    tokens: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor


class _Cut(NamedTuple):
    """How many tokens of texts are kept, each int [n], and whether that is not all, bool [n]."""

    first: tf.Tensor
    second: tf.Tensor
    is_cut: tf.Tensor


def read_texts(
    texts: tf.Tensor, pairs: tf.Tensor | None = None, *, tokenizer: Tokenizer, max_seq_length: int, places: bool = False
) -> TextBatch:
    """Returns what a model reads of texts, cut to fit as `finetune` cuts them: the longer of a pair first.

    A pair whose second text has no token is a single text.

    Args:
        texts: string [n], UTF-8.
        pairs: string [n], the second text of each; None where there are single texts only.
        tokenizer: of the model.
        max_seq_length: the most tokens of a row.
        places: whether the tokens' places in the texts are wanted.
    """
    first = _columns(texts, tokenizer, places)
    if pairs is None:
        return read_tokens(*first, tokenizer=tokenizer, max_seq_length=max_seq_length)
    second = _columns(pairs, tokenizer, places)
    is_pair = tf.cast(second[0].row_lengths() > 0, tf.int64)  # [n]
    cut = _cut_pairs(first[0].row_lengths(), second[0].row_lengths(), max_seq_length - 2 - is_pair)

    def joined(a: tf.RaggedTensor, b: tf.RaggedTensor, start: int, end: int) -> tf.RaggedTensor:
        last = tf.RaggedTensor.from_row_lengths(tf.fill([tf.reduce_sum(is_pair)], end), is_pair)
        return tf.concat([_enclosed(kept_of(a, cut.first), start, end), kept_of(b, cut.second), last], axis=1)

    ids = joined(first[0], second[0], tokenizer.cls_id, tokenizer.sep_id)
    starts_and_ends = [joined(a, b, NO_PLACE, NO_PLACE) for a, b in zip(first[1:], second[1:], strict=True)]
    return _padded_batch(ids, starts_and_ends, cut.first + 2, cut.is_cut, tokenizer)


def read_tokens(ids: tf.RaggedTensor, *places: tf.RaggedTensor, tokenizer: Tokenizer, max_seq_length: int) -> TextBatch:
    """Returns what a model reads of single texts whose tokens are there, the first that fit.

    Args:
        ids: int32 [n, None], without special tokens around them.
        places: starts and ends, int32 [n, None] each, or nothing.
        tokenizer: of the model.
        max_seq_length: the most tokens of a row.
    """
    lengths = ids.row_lengths()
    kept = tf.minimum(lengths, max_seq_length - 2)
    rows = _enclosed(kept_of(ids, kept), tokenizer.cls_id, tokenizer.sep_id)
    starts_and_ends = [_enclosed(kept_of(column, kept), NO_PLACE, NO_PLACE) for column in places]
    return _padded_batch(rows, starts_and_ends, kept + 2, kept < lengths, tokenizer)


def read_parts(parts: tf.RaggedTensor, *, tokenizer: Tokenizer, max_seq_length: int) -> TextBatch:
    """Returns what a model reads of texts with a mask between any two of their parts.

    The blanks before a mask are left out: they belong to the token that is looked for, as in pretraining.

    Args:
        parts: string [n, None], valid UTF-8, one or more of each text.
        tokenizer: of the model.
        max_seq_length: the most tokens of a row.
    """
    last = parts.row_splits[1:, tf.newaxis] - 1  # [n, 1]
    num_masks = tf.tensor_scatter_nd_update(tf.ones_like(parts.flat_values, tf.int64), last, tf.zeros_like(last[:, 0]))
    without_blanks = tf.strings.regex_replace(parts.flat_values, BLANKS_AT_END, "")
    pieces = tokenizer.encode_ragged(tf.where(num_masks > 0, without_blanks, parts.flat_values))  # [parts, None]
    masks = tf.fill([tf.reduce_sum(num_masks)], tokenizer.mask_id)
    pieces = tf.concat([pieces, tf.RaggedTensor.from_row_lengths(masks, num_masks)], axis=1)
    ids = tf.RaggedTensor.from_row_splits(pieces.flat_values, tf.gather(pieces.row_splits, parts.row_splits))
    return read_tokens(ids, tokenizer=tokenizer, max_seq_length=max_seq_length)


def inner_tokens(batch: TextBatch, vocabulary: tf.Tensor) -> InnerTokens:
    """Returns the tokens of single texts that were read with their places.

    Args:
        batch: its n texts.
        vocabulary: string [V], the tokens.
    """
    columns = (batch.input_mask, batch.input_ids, batch.starts, batch.ends)
    _, ids, starts, ends = [column[:, 1:-1] for column in columns if column is not None]
    is_token = tf.greater(batch.input_mask[:, 2:], 0)  # [n, T], each row's last token being [SEP]
    starts, ends = (tf.where(is_token, column, NO_PLACE) for column in (starts, ends))
    return InnerTokens(is_token, tf.where(is_token, tf.gather(vocabulary, ids), ""), starts, ends)


def _columns(texts: tf.Tensor, tokenizer: Tokenizer, places: bool) -> list[tf.RaggedTensor]:
    """Returns the ids of texts and, where they are wanted, their starts and ends."""
    return list(tokenizer.encode_ragged_with_offsets(texts)) if places else [tokenizer.encode_ragged(texts)]


def _cut_pairs(first: tf.Tensor, second: tf.Tensor, limit: tf.Tensor) -> _Cut:
    """Returns what is left of pairs when the longer text loses a token until both fit; of equals, the second does.

    Args:
        first, second: int64 [n], their tokens.
        limit: int64 [n], the most tokens of both.
    """
    kept_second = tf.minimum(second, tf.maximum(limit // 2, limit - first))
    kept_first = tf.minimum(first, limit - kept_second)
    return _Cut(kept_first, kept_second, (kept_first < first) | (kept_second < second))


def kept_of(rows: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    """Returns the first of each row [n, None], as many as lengths [n] says."""
    places = tf.ragged.range(rows.row_lengths())
    is_kept = places.flat_values < tf.gather(lengths, rows.value_rowids())
    return tf.RaggedTensor.from_row_lengths(tf.boolean_mask(rows.flat_values, is_kept), lengths, validate=False)


def _enclosed(rows: tf.RaggedTensor, start: int, end: int) -> tf.RaggedTensor:
    """Returns rows [n, None] with a number before and one behind each."""
    column = tf.ones([rows.nrows(), 1], tf.int32)
    return tf.concat([start * column, rows, end * column], axis=1)


def _padded_batch(
    ids: tf.RaggedTensor,
    starts_and_ends: list[tf.RaggedTensor],
    first_lengths: tf.Tensor,
    is_cut: tf.Tensor,
    tokenizer: Tokenizer,
) -> TextBatch:
    """Returns the batch of complete rows [n, None], of which the first segment has first_lengths [n] tokens."""
    input_ids = ids.to_tensor(tokenizer.pad_id)  # [n, L]
    places = tf.range(tf.shape(input_ids, out_type=tf.int64)[1])[tf.newaxis]  # [1, L]
    is_real = places < ids.row_lengths()[:, tf.newaxis]
    is_second = is_real & (places >= first_lengths[:, tf.newaxis])
    starts, ends = [column.to_tensor(NO_PLACE) for column in starts_and_ends] or (None, None)
    return TextBatch(input_ids, tf.cast(is_real, tf.int32), tf.cast(is_second, tf.int32), starts, ends, is_cut)


# A word is of letters, marks and digits, with single signs between them (don't, well-known, 1,000, U.S); an ideograph;
# or any other character that can be seen.
_WORD_CHARACTERS = rf"(?:[^\P{{L}}{IDEOGRAPH}]|[\p{{M}}\p{{N}}])+"
_BLANKS = r"[\p{Z}\p{Cc}\p{Cf}]+"
_NULL, _OTHER_BLANK = r"\x{00}", "\x01"  # at the first, tensorflow_text ends a text
_WORD = rf"{_WORD_CHARACTERS}(?:(?:[-.,:'’&@/_]|\p{{Cf}}+){_WORD_CHARACTERS})*|[^\p{{Z}}\p{{Cc}}\p{{Cf}}]"


class Words(NamedTuple):
    """The words of n texts, and where they are.

    Attributes:
        words: string [n, None].
        starts, ends: int32 [n, None], code points [start, end) of the text.
    """

    words: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


class WordWindows(NamedTuple):
    """What a model reads of n sentences: W windows, each as full of whole words as it can be.

    Attributes:
        batch: the W windows.
        word_windows: int64 [words], the window that each word is in.
        word_positions: int64 [words], where its first token is.
        is_cut: bool [n], whether a sentence has a word longer than a window, of which the start is read.
    """

    batch: TextBatch
    word_windows: tf.Tensor
    word_positions: tf.Tensor
    is_cut: tf.Tensor


def split_words(texts: tf.Tensor) -> Words:
    """Returns the words of texts (string [n], UTF-8), punctuation apart."""
    texts = tf.strings.regex_replace(valid_utf8(texts), _NULL, _OTHER_BLANK)
    words, first_bytes, last_bytes = tf_text.regex_split_with_offsets(texts, f"{_WORD}|{_BLANKS}", _WORD)
    sizes = tf.strings.length(tf.strings.unicode_split(texts, "UTF-8"))
    byte_places = tf.stack([first_bytes.flat_values, last_bytes.flat_values - 1])  # [2, words]
    starts, lasts = tf.unstack(normalization.characters_at(byte_places, words.value_rowids(), sizes))
    return Words(words, words.with_flat_values(starts), words.with_flat_values(lasts + 1))


def given_words(words: tf.Tensor) -> Words:
    """Returns words that are given (string [n, W], "" behind the last), with their places were a blank between them."""
    sizes = tf.strings.length(words, unit="UTF8_CHAR") + 1
    starts = tf.cumsum(sizes, axis=1, exclusive=True)
    ragged = tf.RaggedTensor.from_tensor(words, padding="")
    lengths = ragged.row_lengths()
    columns = (tf.RaggedTensor.from_tensor(column, lengths) for column in (starts, starts + sizes - 1))
    return Words(ragged.with_flat_values(valid_utf8(ragged.flat_values)), *columns)


def read_words(words: tf.RaggedTensor, *, tokenizer: Tokenizer, max_seq_length: int) -> WordWindows:
    """Returns what a model reads of sentences, as `finetune` reads them.

    Args:
        words: string [n, None].
        tokenizer: of the model.
        max_seq_length: the most tokens of a window.
    """
    room = max_seq_length - 2
    ids = tokenizer.encode_words_ragged(words.flat_values)  # [words, None]
    lengths = ids.row_lengths()
    ids = kept_of(ids, tf.minimum(lengths, room))
    starts = _window_starts(words.row_splits, ids.row_splits, room)  # [W]
    num_words = tf.size(lengths, out_type=tf.int64)
    word_windows = tf.searchsorted(starts, tf.range(num_words), side="right", out_type=tf.int64) - 1
    token_splits = tf.gather(ids.row_splits, tf.concat([starts, [num_words]], axis=0))  # [W + 1]
    rows = tf.RaggedTensor.from_row_splits(ids.flat_values, token_splits, validate=False)
    is_long = tf.RaggedTensor.from_row_splits(lengths > room, words.row_splits, validate=False)
    return WordWindows(
        read_tokens(rows, tokenizer=tokenizer, max_seq_length=max_seq_length),
        word_windows,
        1 + ids.row_splits[:-1] - tf.gather(token_splits, word_windows),
        tf.reduce_any(is_long, axis=1),
    )


def _window_starts(word_splits: tf.Tensor, token_splits: tf.Tensor, room: int) -> tf.Tensor:
    """Returns the words that windows start with, int64 [W].

    Args:
        word_splits: int64 [n + 1], where each sentence starts, in words.
        token_splits: int64 [words + 1], where each word starts, in tokens, of which it has at most `room`.
        room: for tokens in a window.
    """
    ends = word_splits[1:]

    def more(starts: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(starts < ends)

    def next_windows(starts: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns where the sentences' next windows start, and all starts until now."""
        found = tf.concat([found, tf.boolean_mask(starts, starts < ends)], axis=0)
        limits = tf.gather(token_splits, starts) + room
        behind = tf.searchsorted(token_splits, limits, side="right", out_type=tf.int64) - 1
        return tf.minimum(behind, ends), found

    shapes = (tf.TensorShape([None]), tf.TensorShape([None]))
    _, found = tf.while_loop(more, next_windows, (word_splits[:-1], tf.zeros([0], tf.int64)), shapes)
    return tf.sort(found)

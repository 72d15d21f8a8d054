"""Places in texts as graph operations: from bytes of a normalised text to code points of the text as it was given.

Ragged tensors here have int64 row splits, and a row for each text.
"""

import tensorflow as tf

_ROW_BITS = 32  # positions in one text are below 2^32


def num_not_above(values: tf.RaggedTensor, among: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns how many numbers of its row each value is not below.

    Args:
        values: integers [n, None], from 0 to 2^32.
        among: integers [n, None], ascending in every row, from 0 to 2^32.

    Returns:
        int32 [n, None], by value.
    """
    # Every row has a range of its own, so that one search over all of them does.
    found = tf.raw_ops.UpperBound(sorted_inputs=_keys(among)[tf.newaxis], values=_keys(values)[tf.newaxis])[0]
    before = tf.gather(among.row_splits, values.value_rowids())
    return values.with_flat_values(found - tf.cast(before, tf.int32))


def ends_in_bytes(lengths: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns the byte behind each character of texts, int64 [n, None].

    Args:
        lengths: integers [n, None], the bytes of each character.
    """
    totals = tf.concat([[0], tf.cumsum(tf.cast(lengths.flat_values, tf.int64))], axis=0)
    base = tf.gather(tf.gather(totals, lengths.row_starts()), lengths.value_rowids())
    return lengths.with_flat_values(totals[1:] - base)


def utf8_lengths(code_points: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns the bytes of code points (int32 [n, None]) in UTF-8, int32 [n, None]."""
    is_longer = tf.stack([code_points.flat_values >= first for first in (0x80, 0x800, 0x10000)])
    return code_points.with_flat_values(1 + tf.reduce_sum(tf.cast(is_longer, tf.int32), axis=0))


def ends_of(character: str, texts: tf.Tensor, rows: tf.Tensor) -> tf.RaggedTensor:
    """Returns the byte behind each occurrence of a character in some of the texts.

    Args:
        character: one code point.
        texts: string [n], valid UTF-8.
        rows: int64 [r], ascending; the texts that are searched.

    Returns:
        int64 [n, None]; none for the other texts.
    """
    code_points, starts = tf.strings.unicode_decode_with_offsets(tf.gather(texts, rows), "UTF-8")
    is_found = tf.equal(code_points.flat_values, ord(character))
    found_rows = tf.gather(rows, tf.boolean_mask(starts.value_rowids(), is_found))
    found = tf.boolean_mask(starts.flat_values, is_found) + len(character.encode())
    num_texts = tf.shape(texts, out_type=tf.int64)[0]
    return tf.RaggedTensor.from_value_rowids(found, found_rows, nrows=num_texts, validate=False)


def _keys(values: tf.RaggedTensor) -> tf.Tensor:
    """Returns values with the numbers of their rows before them, int64 [T]."""
    flat_values = tf.cast(values.flat_values, tf.int64)
    return tf.bitwise.left_shift(values.value_rowids(), tf.constant(_ROW_BITS, tf.int64)) + flat_values

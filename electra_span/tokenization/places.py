"""Places in texts as graph operations: from bytes of a normalised text to code points of the text as it was given.

Positions here are of several tokens at once: [K, T] of T tokens, whose texts rows (int64 [T], ascending) tell.
"""

import tensorflow as tf

_ROW_BITS = 32  # positions in one text are below 2^32


def characters_at(positions: tf.Tensor, rows: tf.Tensor, lengths: tf.RaggedTensor) -> tf.Tensor:
    """Returns the number in its text of the character that each byte is in, int32 [K, T]; behind the last, their count.

    Args:
        positions: integers [K, T], bytes in the texts.
        rows: the texts, among n.
        lengths: integers [n, None], the bytes of each character; 0 for those that no byte is in.
    """
    # All texts end to end, so that one search does.
    behind = tf.cumsum(tf.cast(lengths.flat_values, tf.int64))
    starts = lengths.row_starts()
    first_bytes = tf.gather(tf.concat([[0], behind], axis=0), starts)  # [n]
    found = _num_not_above(tf.cast(positions, tf.int64) + tf.gather(first_bytes, rows), behind)
    return found - tf.gather(tf.cast(starts, tf.int32), rows)


def num_up_to(positions: tf.Tensor, rows: tf.Tensor, among: tf.RaggedTensor) -> tf.Tensor:
    """Returns how many numbers of its text each position is not below, int32 [K, T].

    Args:
        positions: integers [K, T], from 0 to 2^32.
        rows: the texts, among n.
        among: int64 [n, None], ascending in every row, from 0 to 2^32.
    """
    # Every text has a range of its own, so that one search over all of them does.
    bases = tf.bitwise.left_shift(rows, tf.constant(_ROW_BITS, tf.int64))
    keys = tf.bitwise.left_shift(among.value_rowids(), tf.constant(_ROW_BITS, tf.int64)) + among.flat_values
    found = _num_not_above(tf.cast(positions, tf.int64) + bases, keys)
    return found - tf.cast(tf.gather(among.row_starts(), rows), tf.int32)


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


def _num_not_above(values: tf.Tensor, among: tf.Tensor) -> tf.Tensor:
    """Returns how many of among (int64 [N], ascending) are not above each of values (int64 [K, T]): int32 [K, T]."""
    flat_values = tf.reshape(values, [1, -1])
    found = tf.raw_ops.UpperBound(sorted_inputs=among[tf.newaxis], values=flat_values)
    return tf.reshape(found, tf.shape(values))

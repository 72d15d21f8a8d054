"""Where chosen positions end up: the slots of a row, ascending, each with its place in its span."""

from typing import NamedTuple

import tensorflow as tf

_MAX_KEY_BITS = 31  # of an int32 that is not negative


class ChosenPositions(NamedTuple):
    """The positions chosen in each row, ascending, and where in its span each one is. Unused slots hold 0."""

    positions: tf.Tensor  # int32 [B, N]
    is_used: tf.Tensor  # bool [B, N]
    offsets: tf.Tensor  # int32 [B, N], distance of the position from its span's first token
    sizes: tf.Tensor  # int32 [B, N], tokens of its span


def fill_slots(starts: tf.Tensor, ends: tf.Tensor, *, num_slots: int, row_length: int) -> ChosenPositions:
    """Returns the positions of spans in ascending order, laid out in slots.

    Args:
        starts: int32 [B, K], first position of each span, in any order.
        ends: int32 [B, K], positions of this span and those before it; as the span before: no span. N at most.
        num_slots: N.
        row_length: L.
    """
    begins, sizes = begins_and_sizes(ends)
    # A key holds position, offset and size: one sort orders them all, and one gather brings each slot its span's.
    bits = num_slots.bit_length()
    dtype = tf.int32 if row_length.bit_length() + 2 * bits <= _MAX_KEY_BITS else tf.int64
    starts, begins, sizes = (tf.cast(field, dtype) for field in (starts, begins, sizes))
    mirrored_starts = row_length - starts  # so that the highest keys are of the leftmost positions
    span_keys = (mirrored_starts + begins) * 4**bits - begins * 2**bits + sizes  # as of slot 0
    slot_keys = tf.range(num_slots, dtype=dtype) * (2**bits - 4**bits)
    keys = tf.gather(span_keys, span_of_slots(ends, num_slots), batch_dims=1) + slot_keys  # [B, N]
    is_used = tf.range(num_slots) < ends[:, -1:]
    keys = tf.math.top_k(tf.where(is_used, keys, 0), num_slots).values
    low, mask = tf.cast(keys & (4**bits - 1), tf.int32), 2**bits - 1
    mirrored_positions = tf.cast(tf.bitwise.right_shift(keys, tf.constant(2 * bits, dtype)), tf.int32)
    positions = tf.where(is_used, row_length - mirrored_positions, 0)
    return ChosenPositions(positions, is_used, tf.bitwise.right_shift(low, bits), low & mask)


def begins_and_sizes(ends: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what comes before each of some spans and what each one has, int32 [B, K] both, from running totals."""
    begins = tf.pad(ends, [[0, 0], [1, 0]])[:, :-1]
    return begins, ends - begins


def span_of_slots(ends: tf.Tensor, num_slots: int) -> tf.Tensor:
    """Returns which span is in each slot, int32 [B, N]; in an unused slot that of the last used one.

    Args:
        ends: int32 [B, K], slots that each span and those before it take.
        num_slots: N.
    """
    slots = tf.minimum(tf.range(num_slots), ends[:, -1:] - 1)  # [B, N]
    return tf.searchsorted(ends, slots, side="right")

"""Where chosen positions end up: the slots of a row, ascending, each with its place in its span."""

from typing import NamedTuple

import tensorflow as tf

_KEY_BITS = 16  # for a position, and for a size
_KEY_MASK = 2**_KEY_BITS - 1


class ChosenPositions(NamedTuple):
    """The positions chosen in each row, ascending, and where in its span each one is. Unused slots hold position 0."""

    positions: tf.Tensor  # int32 [B, N]
    is_used: tf.Tensor  # bool [B, N]
    offsets: tf.Tensor  # int32 [B, N], distance of the position from its span's first token
    sizes: tf.Tensor  # int32 [B, N], tokens of its span


def fill_slots(starts: tf.Tensor, sizes: tf.Tensor, num_slots: int) -> ChosenPositions:
    """Returns the positions of spans in ascending order, laid out in slots.

    Args:
        starts: int32 [B, K], first position of each span.
        sizes: int32 [B, K], its positions; 0: not a span. A row has no more than N in all.
        num_slots: N.
    """
    keys = tf.where(sizes > 0, pack_key(_KEY_MASK // 2 - starts, sizes), 0)
    keys = tf.pad(keys, [[0, 0], [0, tf.maximum(num_slots - tf.shape(keys)[1], 0)]])
    keys = tf.math.top_k(keys, num_slots).values  # [B, N], leftmost spans first
    _, sizes = unpack_key(keys)
    ends = tf.cumsum(sizes, axis=1)  # [B, N]: the slot behind each span's last
    slots = tf.broadcast_to(tf.range(num_slots), tf.shape(ends))  # [B, N]
    spans = tf.minimum(tf.searchsorted(ends, slots, side="right"), num_slots - 1)  # [B, N]: the one in each slot
    mirrored_starts, sizes = unpack_key(tf.gather(keys, spans, batch_dims=1))
    is_used = slots < ends[:, -1:]
    offsets = tf.where(is_used, slots - tf.gather(ends, spans, batch_dims=1) + sizes, 0)
    positions = tf.where(is_used, _KEY_MASK // 2 - mirrored_starts + offsets, 0)
    return ChosenPositions(positions, is_used, offsets, sizes)


def rows_of(values: tf.Tensor, rows: tf.Tensor, num_rows: tf.Tensor, fill: int = 0) -> tf.Tensor:
    """Returns values [n] of the rows of a batch, int32 [n] ascending, as [B, the most of a row], filled up."""
    return tf.RaggedTensor.from_value_rowids(values, rows, nrows=num_rows, validate=False).to_tensor(fill)


def pack_key(position: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns one int32 that sorts by the position."""
    return tf.bitwise.left_shift(position, _KEY_BITS) + size


def unpack_key(key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what `pack_key` packed."""
    return tf.bitwise.right_shift(key, _KEY_BITS), tf.bitwise.bitwise_and(key, _KEY_MASK)

"""Computing on real tokens only: between attentions, the tokens of a batch lie in one list without its padding."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from electra_span.ops import rounded_up

_SMALLEST_STEP = 32  # tokens
_Gradient = Callable[[tf.Tensor], tuple[tf.Tensor | None, ...]]


class Packing(NamedTuple):
    """Where packed tokens stand in a batch of shape [B, L].

    Attributes:
        shape: int32 [2], B and L.
        indices: int32 [T], each packed token's place in the batch read row by row; None where nothing is left out.
        inverse: int32 [B * L], each place's packed token, T where there is none; None where nothing is left out.
    """

    shape: tf.Tensor
    indices: tf.Tensor | None = None
    inverse: tf.Tensor | None = None

    def pack(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the tokens of x [B, L, ...] that are kept: [T, ...]."""
        flat = tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0))  # [B * L, ...]
        return flat if self.indices is None else _take(flat, self.indices, self.inverse)

    def unpack(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x [T, ...] at its places in the batch, with zeros where tokens were left out: [B, L, ...]."""
        flat = x if self.indices is None else _place(x, self.indices, self.inverse)
        return tf.reshape(flat, tf.concat([self.shape, tf.shape(x)[1:]], axis=0))


def keep_all(input_mask: tf.Tensor) -> Packing:
    """Returns the packing of [B, L] that leaves nothing out."""
    return Packing(tf.shape(input_mask))


def skip_padding(input_mask: tf.Tensor) -> Packing:
    """Returns the packing that leaves out padding (input_mask [B, L] is 0 there).

    T is rounded up, filled with some of the padding: compiled loops then meet few shapes. Beyond some 500 tokens these
    are the same ones for any B and L, eight to a doubling.
    """
    flat = tf.reshape(input_mask, [-1])
    size = tf.size(flat)
    at_least = tf.clip_by_value(size // 16, 1, _SMALLEST_STEP)
    num_tokens = tf.minimum(rounded_up(tf.reduce_sum(flat), per_doubling=8, at_least=at_least), size)
    real_first = tf.argsort(1 - flat, stable=True)  # [B * L]
    inverse = tf.minimum(tf.math.invert_permutation(real_first), num_tokens)
    return Packing(tf.shape(input_mask), real_first[:num_tokens], inverse)


@tf.custom_gradient
def _take(x: tf.Tensor, indices: tf.Tensor, inverse: tf.Tensor) -> tuple[tf.Tensor, _Gradient]:
    """Returns the rows of x [B * L, ...] at indices [T]. `_place` undoes it, and is its gradient."""
    return tf.gather(x, indices), lambda upstream: (_place(upstream, indices, inverse), None, None)


@tf.custom_gradient
def _place(x: tf.Tensor, indices: tf.Tensor, inverse: tf.Tensor) -> tuple[tf.Tensor, _Gradient]:
    """Returns the rows of x [T, ...] at their places and 0 elsewhere: [B * L, ...]; twice as fast as scattering."""
    nothing = tf.zeros(tf.concat([[1], tf.shape(x)[1:]], axis=0), x.dtype)  # x may have no row
    placed = tf.gather(tf.concat([x, nothing], axis=0), inverse)
    return placed, lambda upstream: (_take(upstream, indices, inverse), None, None)

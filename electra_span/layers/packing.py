"""Computing on real tokens only: between attentions, the tokens of a batch lie in one list without its padding."""

from typing import NamedTuple

import tensorflow as tf


class Packing(NamedTuple):
    """Where packed tokens stand in a batch of shape [B, L].

    Attributes:
        shape: int32 [2], B and L.
        indices: int32 [T], each packed token's place in the batch read row by row; None where nothing is left out.
    """

    shape: tf.Tensor
    indices: tf.Tensor | None

    def pack(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the tokens of x [B, L, ...] that are kept: [T, ...]."""
        flat = tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0))  # [B * L, ...]
        return flat if self.indices is None else tf.gather_nd(flat, self.indices[:, None])

    def unpack(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x [T, ...] at its places in the batch, with zeros where tokens were left out: [B, L, ...]."""
        inner = tf.shape(x)[1:]
        if self.indices is not None:
            size = tf.reduce_prod(self.shape)
            x = tf.scatter_nd(self.indices[:, None], x, tf.concat([[size], inner], axis=0))
        return tf.reshape(x, tf.concat([self.shape, inner], axis=0))


def keep_all(input_mask: tf.Tensor) -> Packing:
    """Returns the packing of [B, L] that leaves nothing out."""
    return Packing(tf.shape(input_mask), None)


def skip_padding(input_mask: tf.Tensor) -> Packing:
    """Returns the packing that leaves out padding (input_mask [B, L] is 0 there).

    T is rounded up to a sixteenth of B * L, filled with some of the padding: compiled loops then meet few shapes.
    """
    flat = tf.reshape(input_mask, [-1])
    size = tf.size(flat)
    step = tf.maximum(size // 16, 1)
    num_tokens = tf.minimum((tf.reduce_sum(flat) + step - 1) // step * step, size)
    real_first = tf.argsort(1 - flat, stable=True)
    return Packing(tf.shape(input_mask), real_first[:num_tokens])

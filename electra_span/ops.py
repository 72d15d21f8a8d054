"""Pure tensor functions shared by networks and objectives.

Axis letters: B batch, L length, N masked positions, H hidden size, V vocabulary.
"""

import math

import tensorflow as tf

from electra_span.config import LARGE_VOCABULARY

_POWERS_OF_TWO = [2**exponent for exponent in range(31)]


def split_seed(seed: tf.Tensor | None, num: int) -> list[tf.Tensor | None]:
    """Returns that many seeds int32 [2] made from one; as many times None from None."""
    if seed is None:
        return [None] * num
    return tf.unstack(tf.random.experimental.stateless_split(seed, num=num, alg="philox"), num=num)


def rounded_up(count: tf.Tensor, *, per_doubling: int, at_least: tf.Tensor | int = 1) -> tf.Tensor:
    """Returns count rounded up to one of a few numbers, int32 []: what is compiled for each size then meets few.

    Args:
        count: int32 [], at most 2^30.
        per_doubling: how many of the numbers are between one power of two and the next.
        at_least: by which they differ.
    """
    power = tf.reduce_max(tf.where(tf.constant(_POWERS_OF_TWO) <= count, _POWERS_OF_TWO, 1))
    step = tf.maximum(power // per_doubling, at_least)
    return (count + step - 1) // step * step


def gather_positions(states: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Returns the vectors of states [B, L, H] at positions [B, N]: [B, N, H]."""
    return tf.gather(states, positions, batch_dims=1)


def scatter_positions(tokens: tf.Tensor, positions: tf.Tensor, updates: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns tokens with updates written at positions.

    Deviation: where the original's masking draws a position twice, it writes the mean of both updates there, a token
    that nothing predicted; here the last of a row's slots wins.

    Args:
        tokens: int32 [B, L].
        positions: int32 [B, N].
        updates: int32 [B, N].
        weights: [B, N], 1 where a slot is used; a slot of weight 0 writes nothing, wherever it points.

    Returns:
        int32 [B, L].
    """
    num_rows, num_slots = tf.unstack(tf.shape(positions))
    rows = tf.broadcast_to(tf.range(num_rows)[:, None], tf.shape(positions))
    slots = tf.range(1, num_slots + 1) * tf.cast(weights, tf.int32)  # [B, N], 0 where unused
    writers = tf.tensor_scatter_nd_max(tf.zeros_like(tokens), tf.stack([rows, positions], axis=-1), slots)  # [B, L]
    written = tf.gather(updates, tf.maximum(writers - 1, 0), batch_dims=1)  # [B, L]
    return tf.where(writers > 0, written, tokens)


def share_of_mean(values: tf.Tensor, weights: tf.Tensor, all_weights: tf.Tensor) -> tf.Tensor:
    """Returns the part of a weighted mean that some of its values contribute; 0 where all weights are 0.

    Args:
        values: float32, any shape.
        weights: of the values' shape.
        all_weights: the weights of everything that the mean runs over, these values among it.

    Source: ELECTRA's losses add 1e-6 to the sum of weights.
    """
    total = tf.reduce_sum(tf.cast(all_weights, tf.float32))
    return tf.reduce_sum(values * tf.cast(weights, tf.float32)) / (total + 1e-6)


def sample_categorical(logits: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Returns one index a row, drawn from softmax(logits), without gradient.

    Inverts the cumulative distribution at one uniform number a row, in two levels (blocks, then inside the block
    that was hit), so that only about 2 sqrt(V) of the V probabilities are ever summed up in order. An index of
    probability 0 is never drawn. Where V is large, one row is worked on at a time: all would take twice the memory of
    the logits.

    Args:
        logits: float [..., V].
        uniforms: float32 [...], in [0, 1).

    Returns:
        int32 [...].
    """
    logits = tf.stop_gradient(logits)
    rows, of_rows = tf.reshape(logits, [-1, logits.shape[-1]]), tf.reshape(uniforms, [-1])
    if logits.shape[-1] < LARGE_VOCABULARY:
        return tf.reshape(_sample_rows(rows, of_rows), tf.shape(uniforms))
    drawn = tf.map_fn(lambda row: _sample_rows(rows[row][None], of_rows[row][None]), tf.range(tf.shape(rows)[0]))
    return tf.reshape(drawn, tf.shape(uniforms))


def _sample_rows(rows: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
    """Returns what `sample_categorical` does for logits [rows, V] and uniforms [rows]: int32 [rows]."""
    rows = tf.cast(rows, tf.float32)
    size = rows.shape[-1]
    num_blocks = math.ceil(size / math.isqrt(size))
    block_size = math.ceil(size / num_blocks)
    masses = tf.exp(rows - tf.reduce_max(rows, axis=-1, keepdims=True))
    masses = tf.pad(masses, [[0, 0], [0, num_blocks * block_size - size]])
    blocks = tf.reshape(masses, [-1, num_blocks, block_size])

    totals = tf.reduce_sum(blocks, axis=-1)  # [rows, num_blocks]
    block, rest = _invert(totals, uniforms * tf.reduce_sum(totals, axis=-1))
    inside, _ = _invert(tf.gather(blocks, block, batch_dims=1), rest)
    return block * block_size + inside


def _invert(masses: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where target falls in the running sum of masses, and how far past that element's start.

    Args:
        masses: float32 [rows, n], not negative.
        target: float32 [rows], from 0 up to the row's sum; brought below it, where rounding took it past.

    Returns:
        int32 [rows] and float32 [rows].
    """
    running = tf.cumsum(masses, axis=-1)
    target = tf.minimum(target, running[:, -1] * (1 - 1e-6))
    passed = running <= target[:, None]  # [rows, n]
    start = tf.reduce_max(tf.where(passed, running, 0.0), axis=-1)
    # Sums in another order than from left to right may grow by rounding where the mass is 0.
    found = tf.cast(tf.logical_not(passed) & (masses > 0), tf.int32)
    return tf.argmax(found, axis=-1, output_type=tf.int32), target - start

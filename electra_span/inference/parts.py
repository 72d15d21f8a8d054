"""Many rows through a function, a few at a time, in a graph."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def in_parts(
    function: Callable[..., Sequence[tf.Tensor]],
    columns: Sequence[tf.Tensor],
    *,
    part_size: int,
    outputs: Sequence[tf.TensorSpec],
) -> list[tf.Tensor]:
    """Returns what a function makes of rows, in order; its memory is that of a part.

    Args:
        function: takes the columns of a part and returns tensors with a row for each of its rows; of no row too, where
            some output has other axes of unknown size, which its results then tell.
        columns: [R, ...] each, the arguments of all R rows.
        part_size: the most rows at a time.
        outputs: what the function returns, the first axis of unknown size.
    """
    num_parts = (tf.shape(columns[0])[0] + part_size - 1) // part_size
    if not all(spec.shape[1:].is_fully_defined() for spec in outputs):
        num_parts = tf.maximum(1, num_parts)
    arrays = [tf.TensorArray(spec.dtype, num_parts, infer_shape=False, element_shape=spec.shape) for spec in outputs]

    def add_part(part: tf.Tensor, arrays: list[tf.TensorArray]) -> tuple[tf.Tensor, list[tf.TensorArray]]:
        found = function(*(column[part * part_size : (part + 1) * part_size] for column in columns))
        return part + 1, [array.write(part, value) for array, value in zip(arrays, found, strict=True)]

    start = (tf.constant(0), arrays)
    _, arrays = tf.while_loop(lambda part, _: part < num_parts, add_part, start, parallel_iterations=1)
    return [array.concat() for array in arrays]

"""One training or evaluation step on any number of devices; knows no model.

Every replica is given the whole batch and takes its own rows, so that a run reads the same data and computes the same
losses on any number of devices, and its input position is that of one plain dataset.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from electra_span.training.optimizer import AdamW

Sums = dict[str, tf.Tensor]  # of fixed shapes; those of all parts of a batch are added up
# (rows of the batch, the whole batch, dropout seed, step) -> the rows' share in the loss, and sums to report
LossFunction = Callable[[Any, Any, tf.Tensor, tf.Tensor], tuple[tf.Tensor, Sums]]


class Update(NamedTuple):
    """What a step minimises, and by what.

    Attributes:
        loss_function: see `LossFunction`; its losses add up over the parts of a batch.
        variables: what is trained.
        optimizer: made for these variables.
    """

    loss_function: LossFunction
    variables: Sequence[keras.Variable]
    optimizer: AdamW


class StepResult(NamedTuple):
    """What one update reports.

    Attributes:
        is_finite: bool [], all losses and gradients; where False, nothing was updated from the first that is not on.
        sums: what the loss functions summed up over the whole batch, "gradient_norm", before clipping, and "num_steps",
            1; all of them 0 where is_finite is False.
    """

    is_finite: tf.Tensor
    sums: Sums


class LossScale(tf.Module):
    """The factor that keeps float16 gradients from vanishing: halved when they overflow, doubled after a quiet time."""

    def __init__(self, initial: float = 2.0**15, steps_to_double: int = 2000) -> None:
        super().__init__()
        self.value = tf.Variable(initial, trainable=False, dtype=tf.float32)
        self.quiet_steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._steps_to_double = steps_to_double

    def update(self, is_finite: tf.Tensor) -> None:
        """Adapts the factor to whether the last gradients were finite."""
        quiet_steps = tf.where(is_finite, self.quiet_steps + 1, tf.zeros([], tf.int64))
        doubles = quiet_steps >= self._steps_to_double
        grown = tf.where(doubles, self.value * 2.0, self.value)
        self.value.assign(tf.where(is_finite, grown, tf.maximum(self.value / 2.0, 1.0)))
        self.quiet_steps.assign(tf.where(doubles, tf.zeros([], tf.int64), quiet_steps))


def make_train_step(
    updates: Sequence[Update],
    *,
    strategy: tf.distribute.Strategy,
    learning_rate: Callable[[tf.Tensor], tf.Tensor],
    seed: int,
    clip_norm: float = 1.0,
    num_accumulation_steps: int = 1,
    compile_step: bool = False,
    loss_scale: LossScale | None = None,
    signature: Any = None,
) -> Callable[[Any, tf.Tensor], StepResult]:
    """Returns a function of (batch, step) that makes all updates once, one after the other.

    A gradient is that of the loss over the whole batch, summed over accumulation steps and replicas, and clipped by
    its global norm after that. Where it or a reported sum is not finite, nothing is updated any more.

    Args:
        updates: what is trained; a later one sees what those before it have changed.
        strategy: the replicas; a batch has a multiple of replicas times accumulation steps rows.
        learning_rate: of a step, int64 [], the number of steps before.
        seed: from which, with the step and the part, dropout is drawn.
        clip_norm: the gradient's largest global norm.
        num_accumulation_steps: parts that each replica works through one after the other.
        compile_step: have XLA compile forward and backward pass as a whole.
        loss_scale: for float16.
        signature: the TensorSpecs of all batches, where their shapes differ; None: each shape is traced anew.
    """
    of_arguments = None if signature is None else [signature, tf.TensorSpec([], tf.int64)]
    settings = {"num_replicas": strategy.num_replicas_in_sync, "num_accumulation_steps": num_accumulation_steps}
    replica_steps = [_make_replica_step(update, seed=seed, compile_step=compile_step, **settings) for update in updates]

    @tf.function(autograph=False, input_signature=of_arguments)
    def train_step(batch: Any, step: tf.Tensor) -> StepResult:
        scale = tf.ones([]) if loss_scale is None else tf.identity(loss_scale.value)
        norms: list[tf.Tensor] = []
        all_sums: Sums = {"num_steps": tf.ones([])}
        is_finite = tf.constant(True)
        for update, replica_step in zip(updates, replica_steps, strict=True):
            gradients, norm, sums = strategy.run(replica_step, args=(batch, step, scale))
            norm, sums = tf.nest.map_structure(lambda value: _first(strategy, value), (norm, sums))
            norms.append(norm)
            all_sums |= sums
            is_finite &= _all_finite([norm, *sums.values()])
            with strategy.scope():
                factor = clip_norm / tf.maximum(norm, clip_norm) / scale
                update.optimizer.apply(gradients, learning_rate(step), factor=factor, when=is_finite)
        if loss_scale is not None:
            with strategy.scope():
                loss_scale.update(is_finite)
        all_sums["gradient_norm"] = norms[0] if len(norms) == 1 else tf.linalg.global_norm(norms)
        return StepResult(is_finite, {name: tf.where(is_finite, value, 0.0) for name, value in all_sums.items()})

    return train_step


def _make_replica_step(
    update: Update, *, seed: int, compile_step: bool, num_replicas: int, num_accumulation_steps: int
) -> Callable[[Any, tf.Tensor, tf.Tensor], tuple[list[tf.Tensor], tf.Tensor, Sums]]:
    """Returns a replica's function of (batch, step, scale): the gradients, times scale, their norm, and the sums."""
    gradients_of = _make_gradient_function(update, compile_step=compile_step)
    norm_of = tf.function(tf.linalg.global_norm, jit_compile=compile_step, autograph=False)
    num_parts = num_replicas * num_accumulation_steps

    def replica_step(batch: Any, step: tf.Tensor, scale: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor, Sums]:
        context = tf.distribute.get_replica_context()
        first = tf.cast(context.replica_id_in_sync_group, tf.int32) * num_accumulation_steps

        def part_gradients(offset: tf.Tensor | int) -> tuple[list[tf.Tensor], Sums]:
            index = first + offset
            part = take_part(batch, index, num_parts)
            return gradients_of(part, batch, _seed_of(seed, step, index), step, scale)

        gradients, sums = _accumulate(part_gradients, num_accumulation_steps)
        gradients, sums = context.all_reduce("sum", (gradients, sums))
        return gradients, norm_of(gradients) / scale, sums

    return replica_step


def _make_gradient_function(update: Update, *, compile_step: bool) -> Callable[..., tuple[list[tf.Tensor], Sums]]:
    """Returns a function of (part, whole, seed, step, scale): gradients times scale, and the reported sums."""
    trained = [variable.value for variable in update.variables]

    @tf.function(jit_compile=compile_step, autograph=False)
    def gradients_of(
        part: Any, whole: Any, part_seed: tf.Tensor, step: tf.Tensor, scale: tf.Tensor
    ) -> tuple[list[tf.Tensor], Sums]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            loss, sums = update.loss_function(part, whole, part_seed, step)
            scaled = loss * scale
        gradients = tape.gradient(scaled, trained, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(gradient) for gradient in gradients], sums

    return gradients_of


def make_evaluation_step(
    sums_function: Callable[[Any], Sums], *, strategy: tf.distribute.Strategy, compile_step: bool = False
) -> Callable[[Any], Sums]:
    """Returns a function of a batch that gives its sums, computed by all replicas on their rows.

    Args:
        sums_function: of rows of a batch.
        strategy: the replicas; a batch has a multiple of their number of rows.
        compile_step: have XLA compile it as a whole.
    """
    compiled = tf.function(sums_function, jit_compile=compile_step, autograph=False)

    def replica_step(batch: Any) -> Sums:
        context = tf.distribute.get_replica_context()
        part = take_part(batch, context.replica_id_in_sync_group, strategy.num_replicas_in_sync)
        return context.all_reduce("sum", compiled(part))

    @tf.function(autograph=False)
    def evaluation_step(batch: Any) -> Sums:
        sums = strategy.run(replica_step, args=(batch,))
        return tf.nest.map_structure(lambda value: _first(strategy, value), sums)

    return evaluation_step


def take_part(batch: Any, index: tf.Tensor | int, num_parts: int) -> Any:
    """Returns the part of that index of a batch cut into num_parts parts of equal numbers of rows."""
    if num_parts == 1:
        return batch

    def rows(tensor: tf.Tensor) -> tf.Tensor:
        size = tensor.shape[0] // num_parts
        return tf.ensure_shape(tensor[index * size : (index + 1) * size], [size, *tensor.shape[1:]])

    return tf.nest.map_structure(rows, batch)


def _accumulate(
    part_gradients: Callable[[tf.Tensor | int], tuple[list[tf.Tensor], Sums]], num_steps: int
) -> tuple[list[tf.Tensor], Sums]:
    """Returns the sums of gradients and of reported sums over num_steps parts, computed one after the other."""
    totals = part_gradients(0)
    if num_steps == 1:
        return totals

    def add(offset: tf.Tensor, totals: Any) -> tuple[tf.Tensor, Any]:
        return offset + 1, tf.nest.map_structure(tf.add, totals, part_gradients(offset))

    return tf.while_loop(lambda offset, _: offset < num_steps, add, (tf.constant(1), totals))[1]


def _seed_of(seed: int, step: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
    """Returns the stateless seed [2] of one part of one step."""
    of_run = tf.constant([seed, 0], tf.int32)
    of_step = tf.random.experimental.stateless_fold_in(of_run, step, alg="philox")
    return tf.random.experimental.stateless_fold_in(of_step, part, alg="philox")


def _all_finite(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns whether all of the values are finite: bool []."""
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in values])


def _first(strategy: tf.distribute.Strategy, value: Any) -> tf.Tensor:
    """Returns the value of the first local replica, of a value that all replicas share."""
    return strategy.experimental_local_results(value)[0]

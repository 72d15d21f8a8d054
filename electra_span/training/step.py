"""Training and evaluation steps on any number of devices. This module knows no model.

A train step runs, for each `Update`:

1. each replica: the loss and the gradients of its microbatches, one after the other (`replica_step`);
2. all replicas: the sum of gradients and metric sums (`all_reduce`);
3. clipping by the global norm, then one AdamW update, unless a loss, gradient or metric sum is not finite.

Every replica receives the global batch and takes its own rows. A run therefore reads the same batches on any number of
devices, and its input position is that of one plain, resumable dataset.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from electra_span.training.optimizer import AdamW

Sums = dict[str, tf.Tensor]  # metric sums of fixed shapes, added up over microbatches, replicas and steps
# (microbatch, global batch, dropout seed int32 [2] or None, step int64 []) -> (loss float32 [], metric sums).
# The losses of all microbatches add up to the mean over the global batch.
LossFunction = Callable[[Any, Any, tf.Tensor | None, tf.Tensor], tuple[tf.Tensor, Sums]]


class Update(NamedTuple):
    """One loss, the variables it trains and their optimizer.

    Attributes:
        loss_function: see `LossFunction`; it calls the model.
        variables: the trained variables.
        optimizer: created for these variables.
    """

    loss_function: LossFunction
    variables: Sequence[keras.Variable]
    optimizer: AdamW


class StepResult(NamedTuple):
    """Result of one train step.

    Attributes:
        is_finite: bool [], whether all losses, gradients and metric sums are finite. Where False, the first update with
            a non-finite value and all updates after it changed nothing.
        sums: metric sums of all loss functions over the global batch, "gradient_norm" before clipping, and "num_steps",
            1. All of them are 0 where is_finite is False.
    """

    is_finite: tf.Tensor
    sums: Sums


class LossScale(tf.Module):
    """Factor on the loss that keeps float16 gradients from vanishing to 0.

    The factor is halved after a non-finite gradient and doubled after 2,000 finite ones in a row. Its two variables
    belong to a checkpoint: a resumed run scales as the interrupted one did.

    Args:
        initial: the first factor.
        steps_to_double: number of consecutive finite steps after which the factor doubles.
    """

    def __init__(self, initial: float = 2.0**15, steps_to_double: int = 2000) -> None:
        super().__init__()
        self.value = tf.Variable(initial, trainable=False, dtype=tf.float32)
        self.quiet_steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._steps_to_double = steps_to_double

    def update(self, is_finite: tf.Tensor) -> None:
        """Adapts the factor after a step; is_finite: bool []."""
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
    """Returns the function of (global batch, step) that applies all updates once, in order.

    Args:
        updates: a later update sees the weights that earlier ones have changed.
        strategy: the replicas. A batch has a multiple of num_replicas * num_accumulation_steps rows.
        learning_rate: function of the number of steps made before, int64 [], to float32 [].
        seed: dropout is drawn from the seed, the step and the microbatch.
        clip_norm: largest global norm of the gradient.
        num_accumulation_steps: number of microbatches that each replica computes one after the other.
        compile_step: compile the forward and the backward pass with XLA.
        loss_scale: for float16; None for other dtypes.
        signature: TensorSpecs that match all batches; None: the step is traced once for each shape.
    """
    input_signature = None if signature is None else [signature, tf.TensorSpec([], tf.int64)]
    settings = {"num_replicas": strategy.num_replicas_in_sync, "num_accumulation_steps": num_accumulation_steps}
    replica_steps = [_make_replica_step(update, seed=seed, compile_step=compile_step, **settings) for update in updates]

    @tf.function(autograph=False, input_signature=input_signature)
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
                # Deviation: the gradient of the global batch is clipped, not each device's share. Clipping and loss
                # scaling are one factor, so that no second copy of the gradients is held.
                factor = clip_norm / tf.maximum(norm, clip_norm) / scale
                update.optimizer.apply(gradients, learning_rate(step), factor=factor, when=is_finite)
        if loss_scale is not None:
            with strategy.scope():
                loss_scale.update(is_finite)
        all_sums["gradient_norm"] = norms[0] if len(norms) == 1 else tf.linalg.global_norm(norms)
        # A NaN in the window of the log would hide all finite steps of the window.
        return StepResult(is_finite, {name: tf.where(is_finite, value, 0.0) for name, value in all_sums.items()})

    return train_step


def _make_replica_step(
    update: Update, *, seed: int, compile_step: bool, num_replicas: int, num_accumulation_steps: int
) -> Callable[[Any, tf.Tensor, tf.Tensor], tuple[list[tf.Tensor], tf.Tensor, Sums]]:
    """Returns the function of (batch, step, scale) that a replica runs.

    It returns the gradients times scale, their global norm without it, and the metric sums, all summed over all
    microbatches of all replicas.
    """
    trained = [variable.value for variable in update.variables]
    num_microbatches = num_replicas * num_accumulation_steps
    global_norm = tf.function(tf.linalg.global_norm, jit_compile=compile_step, autograph=False)

    # XLA compiles this function alone: with the update inside, compilation fails on two replicas.
    @tf.function(jit_compile=compile_step, autograph=False)
    def compute_gradients(
        microbatch: Any, batch: Any, dropout_seed: tf.Tensor, step: tf.Tensor, scale: tf.Tensor
    ) -> tuple[list[tf.Tensor], Sums]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(trained)
            loss, sums = update.loss_function(microbatch, batch, dropout_seed, step)
            scaled_loss = loss * scale
        gradients = tape.gradient(scaled_loss, trained, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(gradient) for gradient in gradients], sums  # dense: embeddings give IndexedSlices

    def replica_step(batch: Any, step: tf.Tensor, scale: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor, Sums]:
        context = tf.distribute.get_replica_context()
        first = tf.cast(context.replica_id_in_sync_group, tf.int32) * num_accumulation_steps

        def gradients_of_microbatch(offset: tf.Tensor | int) -> tuple[list[tf.Tensor], Sums]:
            index = first + offset
            microbatch = take_microbatch(batch, index, num_microbatches)
            return compute_gradients(microbatch, batch, _dropout_seed(seed, step, index), step, scale)

        totals = gradients_of_microbatch(0)
        if num_accumulation_steps > 1:
            _, totals = tf.while_loop(
                lambda offset, _: offset < num_accumulation_steps,
                lambda offset, totals: (
                    offset + 1,
                    tf.nest.map_structure(tf.add, totals, gradients_of_microbatch(offset)),
                ),
                (tf.constant(1), totals),
            )
        gradients, sums = context.all_reduce("sum", totals)
        return gradients, global_norm(gradients) / scale, sums

    return replica_step


def make_evaluation_step(
    sums_function: Callable[[Any], Sums], *, strategy: tf.distribute.Strategy, compile_step: bool = False
) -> Callable[[Any], Sums]:
    """Returns the function of a global batch that gives its metric sums, each replica computing its own rows.

    Args:
        sums_function: function of rows of a batch to their metric sums.
        strategy: the replicas. A batch has a multiple of num_replicas rows.
        compile_step: compile sums_function with XLA.
    """
    compiled = tf.function(sums_function, jit_compile=compile_step, autograph=False)

    def replica_step(batch: Any) -> Sums:
        context = tf.distribute.get_replica_context()
        rows = take_microbatch(batch, context.replica_id_in_sync_group, strategy.num_replicas_in_sync)
        return context.all_reduce("sum", compiled(rows))

    @tf.function(autograph=False)
    def evaluation_step(batch: Any) -> Sums:
        sums = strategy.run(replica_step, args=(batch,))
        return tf.nest.map_structure(lambda value: _first(strategy, value), sums)

    return evaluation_step


def take_microbatch(batch: Any, index: tf.Tensor | int, num_microbatches: int) -> Any:
    """Returns one microbatch of a batch, in static shapes.

    Args:
        batch: a structure of tensors [B, ...].
        index: which one, int32 [].
        num_microbatches: a divisor of B.
    """
    if num_microbatches == 1:
        return batch

    def rows(tensor: tf.Tensor) -> tf.Tensor:
        size = tensor.shape[0] // num_microbatches
        return tf.ensure_shape(tensor[index * size : (index + 1) * size], [size, *tensor.shape[1:]])

    return tf.nest.map_structure(rows, batch)


def _dropout_seed(seed: int, step: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns the stateless seed int32 [2] of one microbatch of one step: nothing random is left to be saved."""
    run_seed = tf.constant([seed, 0], tf.int32)
    step_seed = tf.random.experimental.stateless_fold_in(run_seed, step, alg="philox")
    return tf.random.experimental.stateless_fold_in(step_seed, index, alg="philox")


def _all_finite(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns whether all values are finite: bool []."""
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in values])


def _first(strategy: tf.distribute.Strategy, value: Any) -> tf.Tensor:
    """Returns the value of the first local replica of a value that is equal on all replicas."""
    return strategy.experimental_local_results(value)[0]

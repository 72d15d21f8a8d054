"""The training session that pretraining and fine-tuning share: state, checkpoints, logs and the loop.

A trainer creates a session, restores it, and runs it:

    session = TrainingSession(folder, model.variables, stages, strategy=strategy, ...)
    first_step = session.restore() or 0
    session.run(batches_from(first_step), first_step, summarize=summarize, evaluate=evaluate)

The folder then holds `checkpoints/`, the whole state; `train_log.jsonl` and `events/`, a line for each window of steps;
and `eval_log.jsonl`, a line for each evaluation.
"""

import contextlib
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from electra_span.config import HparamError
from electra_span.files import JsonLines
from electra_span.training.checkpoints import Checkpoints
from electra_span.training.devices import Execution, is_chief
from electra_span.training.log import TrainingLog
from electra_span.training.loop import LoopSettings, MetricAccumulator, TrainingLoop
from electra_span.training.optimizer import AdamW
from electra_span.training.step import LossFunction, LossScale, StepResult, Update, make_train_step

# Each skipped step halves the loss scale. 2^15 / 2^50 leaves no gradient to save: more skips are a diverged model.
_MAX_SKIPPED_FLOAT16_STEPS = 50


class TrainingStage(NamedTuple):
    """Consecutive steps that make the same updates by one learning rate schedule.

    Attributes:
        first_step: number of steps made before the stage.
        updates: the updates of each step, in order.
        learning_rate: function of the number of steps made since the start of training, int64 [], to float32 [].
    """

    first_step: int
    updates: Sequence[Update]
    learning_rate: Callable[[tf.Tensor], tf.Tensor]


class TrainingSession:
    """State, checkpoints and logs of one training.

    Args:
        folder: gets checkpoints and logs.
        variables: variables of the model, saved by their paths.
        stages: in order; the first one starts at step 0.
        strategy: replicas that each step runs on.
        execution: dtype and compilation.
        settings: length and intervals.
        seed: seed of dropout.
        num_accumulation_steps: number of microbatches of a replica in a step.
        state: further state of a checkpoint, by name: optimizers, input iterators.
        num_kept: number of checkpoints that are kept.
        signature: TensorSpecs that match all batches; None if all batches of a stage have one shape.
        rescue_dir: folder for a batch with a non-finite loss.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        variables: Sequence[keras.Variable],
        stages: Sequence[TrainingStage],
        *,
        strategy: tf.distribute.Strategy,
        execution: Execution,
        settings: LoopSettings,
        seed: int,
        num_accumulation_steps: int,
        state: Mapping[str, Any],
        num_kept: int = 1,
        signature: Any = None,
        rescue_dir: pathlib.Path,
    ) -> None:
        self._folder, self._stages = folder, stages
        self._is_chief = is_chief(strategy)
        self._rescue_dir = rescue_dir if self._is_chief else None
        self.evaluations = JsonLines(folder / "eval_log.jsonl")
        loss_scale = None
        # Only float16 needs a loss scale: bfloat16 has the exponents of float32, so its gradients do not vanish.
        if execution.dtype == "mixed_float16":
            settings = settings._replace(max_skipped_steps=_MAX_SKIPPED_FLOAT16_STEPS)
            with strategy.scope():
                loss_scale = LossScale()
        self._settings = settings
        self._accumulator = MetricAccumulator()
        self._checkpoints = Checkpoints(
            folder / "checkpoints",
            variables,
            num_kept=num_kept,
            is_writer=self._is_chief,
            window=self._accumulator,
            **({"loss_scale": loss_scale} if loss_scale else {}),
            **state,
        )
        self._train_steps = [
            make_train_step(
                stage.updates,
                strategy=strategy,
                learning_rate=stage.learning_rate,
                seed=seed,
                num_accumulation_steps=num_accumulation_steps,
                compile_step=execution.compile_step,
                loss_scale=loss_scale,
                signature=signature,
            )
            for stage in stages
        ]

    def restore(self) -> int | None:
        """Restores the latest whole checkpoint; returns its step, or None if there is no checkpoint.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        if self._is_chief:
            self._checkpoints.remove_unfinished()
        return self._checkpoints.restore_latest()

    def run(
        self,
        batches: Iterator[Any],
        first_step: int,
        *,
        summarize: Callable[[dict[str, np.ndarray], int], dict[str, float]],
        evaluate: Callable[[int], dict[str, float]],
    ) -> None:
        """Trains to the last step. On SIGINT or SIGTERM, saves and exits with status 128 + signal number.

        Args:
            batches: gives the batch of each step after first_step.
            first_step: number of steps made before, as restored.
            summarize: function of (metric sums of a window of steps, step at its end) to the reported numbers.
            evaluate: function of the step to the numbers of an evaluation.

        Raises:
            NonFiniteLossError: a loss or gradient is not finite.
            CheckpointError: a checkpoint cannot be written.
            TrainingLogError: a log cannot be written.
        """
        # The steps after a checkpoint are made again, and with them the lines that they had logged.
        if self._is_chief:
            self.evaluations.cut_after(first_step)
        is_evaluated = any(line["step"] == first_step for line in self.evaluations.read())
        log = TrainingLog(
            self._folder,
            first_step=first_step,
            num_train_steps=self._settings.num_train_steps,
            is_chief=self._is_chief,
        )

        def report(sums: dict[str, np.ndarray], step: int) -> dict[str, float]:
            numbers = summarize(sums, step)
            gradient_norm = float(sums["gradient_norm"]) / max(float(sums["num_steps"]), 1.0)
            rate = self._stages[self._stage_at(step - 1)].learning_rate(tf.constant(step - 1, tf.int64))
            return {**numbers, "gradient_norm": gradient_norm, "learning_rate": float(rate)}

        def evaluate_and_log(step: int) -> None:
            numbers = {"step": step, **evaluate(step)}
            if self._is_chief:
                self.evaluations.append(numbers)
            logging.info("evaluation at step %d: %s", step, json.dumps(numbers))

        loop = TrainingLoop(
            self.train_step,
            checkpoints=self._checkpoints,
            accumulator=self._accumulator,
            log=log,
            settings=self._settings,
            summarize=report,
            evaluate=evaluate_and_log,
            rescue_dir=self._rescue_dir,
        )
        with contextlib.closing(log):
            loop.run(batches, first_step, is_evaluated=is_evaluated)

    def train_step(self, batch: Any, step: tf.Tensor) -> StepResult:
        """Makes the updates of the stage that the step belongs to.

        Args:
            batch: the global batch.
            step: number of steps made before, int64 [], eager.
        """
        return self._train_steps[self._stage_at(int(step))](batch, step)

    def _stage_at(self, step: int) -> int:
        """Returns the index of the stage of the step made after `step` steps."""
        return max(index for index, stage in enumerate(self._stages) if step >= stage.first_step)


def make_update(
    loss_function: LossFunction,
    variables: Sequence[keras.Variable],
    *,
    strategy: tf.distribute.Strategy,
    execution: Execution,
    weight_decay_rate: float,
    rate_of: Callable[[str], float] = lambda path: 1.0,
) -> Update:
    """Returns an update with a new optimizer, which has a copy on each replica.

    Args:
        loss_function: the loss to minimise.
        variables: the trained variables.
        strategy: replicas of the variables.
        execution: from how many elements on an update is compiled.
        weight_decay_rate: weight decay of kernels and embeddings, see `is_decayed`.
        rate_of: function of a variable's path to a factor on the learning rate.
    """
    with strategy.scope():
        optimizer = AdamW(
            variables,
            weight_decay_rate=weight_decay_rate,
            rate_of=rate_of,
            compile_from=execution.compile_updates_from,
        )
    return Update(loss_function, variables, optimizer)


def check_batch_sizes(sizes: Mapping[str, int], *, num_replicas: int, num_accumulation_steps: int) -> None:
    """Raises HparamError if a batch cannot be divided among replicas and microbatches.

    Args:
        sizes: number of rows of a batch, by the name of its hparam; only train_batch_size is divided in microbatches.
        num_replicas: number of devices of all hosts.
        num_accumulation_steps: number of microbatches of a replica.
    """
    for name, size in sizes.items():
        multiple = num_replicas * (num_accumulation_steps if name == "train_batch_size" else 1)
        if size % multiple:
            raise HparamError(f"{name} must be a multiple of {multiple}, with {num_replicas} devices. Received: {size}")

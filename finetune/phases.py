"""The parts of a trial's training, each with its variables, optimizer and schedule."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from electra_span.config import LARGEST_COUNT, HparamError
from electra_span.models import ElectraTaskModel
from electra_span.training.optimizer import AdamW, depth_of, layerwise_rate, learning_rate_at
from electra_span.training.step import LossScale, StepResult, Update, make_train_step
from finetune.batches import BatchMaker
from finetune.features import num_train_steps
from finetune.objective import make_loss_function
from finetune.run import Run


class Phase(NamedTuple):
    """A part of training.

    Attributes:
        first_step: updates made before it.
        num_steps: updates in it.
        peak: of its learning rate.
        num_warmup_steps: over which it rises.
        update: what it trains, and by what.
    """

    first_step: int
    num_steps: int
    peak: float
    num_warmup_steps: float
    update: Update

    def learning_rate(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate after that many updates of the trial, int64 []: float32 []."""
        return learning_rate_at(
            step - self.first_step,
            peak=self.peak,
            num_train_steps=self.num_steps,
            num_warmup_steps=self.num_warmup_steps,
        )


def make_phases(run: Run, model: ElectraTaskModel, num_rows: int) -> list[Phase]:
    """Returns the parts of training: where that is asked for, first of all the heads alone.

    Args:
        run: whose configuration it is.
        model: that is trained.
        num_rows: of an epoch.
    """
    config, variables = run.config, model.trainable_variables
    heads = [variable for variable in variables if depth_of(variable.path) is None]
    lowest = -1 if config.freeze_below_layer is None else config.freeze_below_layer
    trained = [variable for variable in variables if _is_trained(variable, lowest)]
    phases: list[Phase] = []
    for chosen, epochs, peak in (
        (heads, config.frozen_encoder_epochs, config.frozen_encoder_learning_rate),
        (trained, config.num_train_epochs, config.learning_rate),
    ):
        num_steps = num_train_steps(num_rows, config.train_batch_size, epochs)
        if num_steps > LARGEST_COUNT:
            raise HparamError(
                f"num_train_epochs: at most {LARGEST_COUNT} steps can be made. Received: {epochs} epochs of {num_rows} "
                "examples"
            )
        if num_steps:
            first_step = sum(phase.num_steps for phase in phases)
            num_warmup_steps = num_steps * config.warmup_proportion
            phases.append(Phase(first_step, num_steps, peak, num_warmup_steps, _make_update(run, model, chosen)))
    return phases


def phase_at(phases: Sequence[Phase], step: int) -> Phase:
    """Returns the part that the update after that many belongs to."""
    return next(phase for phase in reversed(phases) if step >= phase.first_step)


def make_phased_step(
    run: Run, phases: Sequence[Phase], batches: BatchMaker, *, seed: int, loss_scale: LossScale | None
) -> Callable[[Any, tf.Tensor], StepResult]:
    """Returns the function of (batch, step) that makes one update, of the part of training that the step is in."""
    steps = {
        phase.first_step: make_train_step(
            [phase.update],
            strategy=run.strategy,
            learning_rate=phase.learning_rate,
            seed=seed,
            num_accumulation_steps=run.config.gradient_accumulation_steps,
            compile_step=run.execution.compile_step,
            loss_scale=loss_scale,
            signature=batches.signature(),
        )
        for phase in phases
    }
    return lambda batch, step: steps[phase_at(phases, int(step)).first_step](batch, step)


def _make_update(run: Run, model: ElectraTaskModel, variables: Sequence[keras.Variable]) -> Update:
    config = run.config
    rate_of = functools.partial(
        layerwise_rate,
        num_layers=model.config.num_hidden_layers,
        decay=config.layerwise_lr_decay,
        compat=config.layerwise_lr_decay_compat,
    )
    loss_function = make_loss_function(model, run.weighted_tasks, answerable_weight=config.answerable_weight)
    with run.strategy.scope():
        optimizer = AdamW(
            variables,
            weight_decay_rate=config.weight_decay_rate,
            rate_of=rate_of,
            compile_from=run.execution.compile_updates_from,
        )
    return Update(loss_function, variables, optimizer)


def _is_trained(variable: keras.Variable, lowest: int) -> bool:
    """Returns whether a variable belongs to a head, or to no layer below the lowest that is trained."""
    depth = depth_of(variable.path)
    return depth is None or depth >= lowest

"""The parts of a trial's training, each with its variables, optimizer and schedule."""

import contextlib
import functools
import json
import pathlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from electra_span.config import LARGEST_COUNT, HparamError
from electra_span.files import JsonLines, remove_unfinished, write_json
from electra_span.models import ElectraTaskModel
from electra_span.published.save_load import save_pretrained
from electra_span.published.tensor_files import WEIGHTS_FILE
from electra_span.training.checkpoints import Checkpoints
from electra_span.training.log import TrainingLog
from electra_span.training.loop import LoopSettings, TrainingLoop, WindowSums
from electra_span.training.optimizer import AdamW, depth_of, layerwise_rate, learning_rate_at
from electra_span.training.step import LossScale, StepResult, Update, make_train_step
from finetune.batches import BatchMaker
from finetune.evaluation import Predictor
from finetune.features import num_train_steps
from finetune.objective import make_loss_function
from finetune.results import kept_aside
from finetune.run import Run
from finetune.task_names import STAMP_FILE, read_stamp


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


_INTERRUPTED = ("checkpoints", "best")  # folders that only an interrupted trial needs
_SKIPS_OF_FLOAT16 = 50  # halvings of the loss scale in a row before a trial is given up


class Trial:
    """One trial of a run.

    Args:
        run: what all its trials have in common.
        number: from 1.
        seed: of weights, dropout and order.
    """

    def __init__(self, run: Run, number: int, seed: int) -> None:
        self.run, self.number, self.seed = run, number, seed
        self.directory = run.trial_dir(number)
        self.model = run.build_model(seed)
        self.predictor = Predictor(run, self.model)
        self._batches = run.batches(run.training_rows, run.config.train_batch_size)
        self._phases = make_phases(run, self.model, self._batches.num_rows)
        self.num_train_steps = sum(phase.num_steps for phase in self._phases)

    def train(self, fingerprint: str) -> None:
        """Trains, from where an interrupted run of the same configuration stopped, and publishes the model.

        Args:
            fingerprint: of all that decides about the trial; what was begun with another one is thrown away.
        """
        run = self.run
        if run.is_chief:
            self._begin(fingerprint)
        loss_scale = self._make_loss_scale()
        window, best = WindowSums(), self._checkpoints("best") if run.config.keep_best else None
        state = {"optimizers": [phase.update.optimizer for phase in self._phases], "window": window}
        resumable = self._checkpoints("checkpoints", **state, **({"loss_scale": loss_scale} if loss_scale else {}))
        if run.is_chief:
            resumable.remove_unfinished()
        first_step = resumable.restore_latest() or 0
        log = TrainingLog(
            self.directory, first_step=first_step, num_train_steps=self.num_train_steps, is_chief=run.is_chief
        )
        evaluations = JsonLines(self.directory / "eval_log.jsonl")
        if run.is_chief:
            evaluations.cut_after(first_step)
        loop = TrainingLoop(
            make_phased_step(run, self._phases, self._batches, seed=self.seed, loss_scale=loss_scale),
            checkpoints=resumable,
            window=window,
            log=log,
            settings=self._loop_settings(),
            summarize=self._summarize,
            evaluate=functools.partial(self._evaluate_on_the_way, evaluations=evaluations, best=best),
            rescue_dir=self.directory if run.is_chief else None,
        )
        is_evaluated = any(line["step"] == first_step for line in evaluations.read())
        batches = self._batches.training_batches(
            num_steps=self.num_train_steps, first_step=first_step, seed=self.seed, mixing=run.config.task_mixing
        )
        with contextlib.closing(log):
            loop.run(batches, first_step, is_evaluated=is_evaluated)
        if best is not None:
            logging.info("keeping the weights after step %s", best.restore_latest())
        if run.is_chief:
            self._publish()

    def _checkpoints(self, name: str, **state: Any) -> Checkpoints:
        return Checkpoints(self.directory / name, self.model.variables, is_writer=self.run.is_chief, **state)

    def _begin(self, fingerprint: str) -> None:
        """Makes the trial's folder, without what another configuration has left there."""
        stamp = self.directory / STAMP_FILE
        before = read_stamp(stamp).get("fingerprint")
        if before is None and stamp.exists():
            logging.warning("%s cannot be read: the trial begins again", stamp)
        if before != fingerprint:
            clear_place(self.directory, before, fingerprint)
            content = {"fingerprint": fingerprint, "seed": self.seed, "hparams": self.run.config.to_dict()}
            write_json(stamp, content)
        remove_unfinished(self.directory)

    def _publish(self) -> None:
        """Writes the model, and removes what only an interrupted trial needs."""
        save_pretrained(self.model, self.run.tokenizer, self.directory)
        for name in _INTERRUPTED:
            shutil.rmtree(self.directory / name, ignore_errors=True)
        logging.info("wrote %s", self.directory)

    def _evaluate_on_the_way(self, step: int, *, evaluations: JsonLines, best: Checkpoints | None) -> None:
        """Notes the scores on the first evaluation split of each task, and the weights where they are the best yet."""
        numbers: dict[str, float] = {"step": step}
        headlines = []
        for task in self.run.tasks:
            split = task.evaluation_splits[0]
            predictions = self.predictor.predict(task, split, self.run.config.eval_batch_size)
            scores = task.evaluate(split, self.run.rows(task, split), predictions).scores
            numbers |= {f"{task.slug}_{name}": value for name, value in scores.items()}
            headlines.append(task.headline(scores))
        numbers["headline"] = float(np.mean(headlines))
        others = [line["headline"] for line in evaluations.read() if 0 < line["step"] < step]
        if best is not None and step > 0 and numbers["headline"] > max(others, default=-np.inf):
            best.save(step)
        if self.run.is_chief:
            evaluations.append(numbers)
        logging.info("evaluation at step %d: %s", step, json.dumps(numbers))

    def _make_loss_scale(self) -> LossScale | None:
        with self.run.strategy.scope():
            return LossScale() if self.run.execution.dtype == "mixed_float16" else None

    def _summarize(self, sums: dict[str, np.ndarray], step: int) -> dict[str, float]:
        """Returns the reported numbers of a window of steps."""
        num_rows = {task.slug: float(sums[f"{task.slug}_rows"]) for task in self.run.tasks}
        losses = {f"{slug}_loss": float(sums[f"{slug}_loss"]) / rows for slug, rows in num_rows.items() if rows}
        rate = phase_at(self._phases, step - 1).learning_rate(tf.constant(step - 1, tf.int64))
        return {
            "total_loss": float(sums["total_loss"]) / sum(num_rows.values()),
            **(losses if len(losses) > 1 else {}),
            "gradient_norm": float(sums["gradient_norm"]) / max(float(sums["num_steps"]), 1.0),
            "learning_rate": float(rate),
        }

    def _loop_settings(self) -> LoopSettings:
        config = self.run.config
        evaluate_steps = config.eval_every_steps or (self._batches.steps_per_epoch if config.keep_best else 0)
        return LoopSettings(
            num_train_steps=self.num_train_steps,
            log_steps=config.log_steps,
            save_steps=config.save_checkpoints_steps,
            evaluate_steps=evaluate_steps,
            max_skipped_steps=_SKIPS_OF_FLOAT16 if self.run.execution.dtype == "mixed_float16" else 0,
            batch_tokens=lambda step: self._batches.mean_tokens,
        )


def clear_place(folder: pathlib.Path, before: object, fingerprint: str) -> None:
    """Removes what is in a trial's folder, but keeps a finished model of another configuration under another name.

    Args:
        folder: of the trial, which may be missing.
        before: the fingerprint of what is there; None if it is unknown.
        fingerprint: of what begins: that of the configuration, "-" and the seed.
    """
    configuration, _, _ = (before if isinstance(before, str) else "").rpartition("-")
    is_retry = configuration == fingerprint.rpartition("-")[0]  # of a trial that was stuck
    is_finished = (folder / WEIGHTS_FILE).exists() and not (folder / "checkpoints").exists()
    if is_finished and not is_retry:
        aside = kept_aside(folder, configuration)
        folder.rename(aside)
        logging.info("%s: the model of another configuration is now in %s", folder, aside.name)
    elif folder.exists():
        shutil.rmtree(folder)

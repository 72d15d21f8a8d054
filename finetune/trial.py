"""One trial of a fine-tuning run: its model, the stages of its training, its folder, and what it reports."""

import functools
import pathlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

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
from electra_span.training.loop import LoopSettings
from electra_span.training.optimizer import depth_of, layerwise_rate, learning_rate_at
from electra_span.training.session import TrainingStage, make_update
from electra_span.training.step import Update
from finetune.batches import FinetuningBatch
from finetune.config import FinetuningConfig
from finetune.config_rules import RETRY_SEED_STEP
from finetune.evaluation import Predictor
from finetune.features import num_train_steps
from finetune.objective import make_loss_function
from finetune.results import TrialResult, kept_aside
from finetune.run import Run
from finetune.task_names import STAMP_FILE, read_stamp

_INTERRUPTED = ("checkpoints", "best")  # folders that only an interrupted trial needs


class Stages(NamedTuple):
    """Stages of a trial and the number of steps of all of them."""

    stages: list[TrainingStage]
    num_train_steps: int


def make_stages(run: Run, model: ElectraTaskModel, num_rows: int) -> Stages:
    """Returns the stages of training: if frozen_encoder_epochs is set, the heads alone, then heads and encoder.

    Each stage has its own optimizer and learning rate schedule: the moments of one mean nothing to the other.

    Args:
        run: its configuration gives epochs and learning rates.
        model: the trained model.
        num_rows: number of examples of an epoch.

    Raises:
        HparamError: more steps than TensorFlow counts.
    """
    config, variables = run.config, model.trainable_variables
    heads = [variable for variable in variables if depth_of(variable.path) is None]
    lowest = -1 if config.freeze_below_layer is None else config.freeze_below_layer
    trained = [variable for variable in variables if _is_trained(variable, lowest)]
    stages: list[TrainingStage] = []
    first_step = 0
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
            num_warmup_steps = num_steps * config.warmup_proportion
            rate = _make_schedule(first_step, peak=peak, num_steps=num_steps, num_warmup_steps=num_warmup_steps)
            stages.append(TrainingStage(first_step, [_make_update(run, model, chosen)], rate))
            first_step += num_steps
    return Stages(stages, first_step)


def _make_schedule(
    first_step: int, *, peak: float, num_steps: int, num_warmup_steps: float
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the learning rate of a stage: function of the number of steps of the trial, int64 [], to float32 []."""
    return lambda step: learning_rate_at(
        step - first_step, peak=peak, num_train_steps=num_steps, num_warmup_steps=num_warmup_steps
    )


def _make_update(run: Run, model: ElectraTaskModel, variables: Sequence[keras.Variable]) -> Update:
    config = run.config
    return make_update(
        make_loss_function(model, run.weighted_tasks, answerable_weight=config.answerable_weight),
        variables,
        strategy=run.strategy,
        execution=run.execution,
        weight_decay_rate=config.weight_decay_rate,
        rate_of=functools.partial(
            layerwise_rate,
            num_layers=model.config.num_hidden_layers,
            decay=config.layerwise_lr_decay,
            compat=config.layerwise_lr_decay_compat,
        ),
    )


def _is_trained(variable: keras.Variable, lowest: int) -> bool:
    """Returns whether a variable belongs to a head, or to no layer below the lowest that is trained."""
    depth = depth_of(variable.path)
    return depth is None or depth >= lowest


class Trial:
    """One trial of a run.

    Args:
        run: shared by all trials.
        number: number of the trial, from 1.
        seed: seed of the heads' initial weights, dropout and the order of examples.
    """

    def __init__(self, run: Run, number: int, seed: int) -> None:
        self.run, self.number, self.seed = run, number, seed
        self.folder = run.trial_dir(number)
        self.model = run.build_model(seed)
        self.predictor = Predictor(run, self.model)
        self.batches = run.batches(run.training_rows, run.config.train_batch_size)
        self.stages, self.num_train_steps = make_stages(run, self.model, self.batches.num_rows)
        # The weights of the best evaluation, on disk until the end of training: a resumed trial still has them.
        self._best = None
        if run.config.keep_best:
            self._best = Checkpoints(self.folder / "best", self.model.variables, is_writer=run.is_chief)

    @property
    def loop_settings(self) -> LoopSettings:
        """Length and intervals of training; with keep_best, an evaluation after each epoch by default."""
        config = self.run.config
        return LoopSettings(
            num_train_steps=self.num_train_steps,
            log_steps=config.log_steps,
            save_steps=config.save_checkpoints_steps,
            evaluate_steps=config.eval_every_steps or (self.batches.steps_per_epoch if config.keep_best else 0),
            batch_tokens=lambda step: self.batches.mean_tokens,
        )

    def begin(self, fingerprint: str) -> None:
        """Creates the folder of the trial, without the files of a trial of another configuration.

        Args:
            fingerprint: hash of everything the trial depends on.
        """
        stamp = self.folder / STAMP_FILE
        before = read_stamp(stamp).get("fingerprint")
        if before is None and stamp.exists():
            logging.warning("%s cannot be read: the trial begins again", stamp)
        if before != fingerprint:
            clear_place(self.folder, before, fingerprint)
            content = {"fingerprint": fingerprint, "seed": self.seed, "hparams": self.run.config.to_dict()}
            write_json(stamp, content)
        remove_unfinished(self.folder)

    def training_batches(self, first_step: int) -> Iterator[FinetuningBatch]:
        """Yields the batches after a number of steps: they follow from the seed and the step, nothing is saved."""
        return self.batches.training_batches(
            num_steps=self.num_train_steps,
            first_step=first_step,
            seed=self.seed,
            mixing=self.run.config.task_mixing,
        )

    def summarize(self, sums: dict[str, np.ndarray], step: int) -> dict[str, float]:
        """Returns the mean losses of a window of steps: of all rows, and if there are several tasks, of each task.

        Args:
            sums: metric sums of the steps.
            step: number of updates made at the end of the window.
        """
        del step
        num_rows = {task.slug: float(sums[f"{task.slug}_rows"]) for task in self.run.tasks}
        losses = {f"{slug}_loss": float(sums[f"{slug}_loss"]) / rows for slug, rows in num_rows.items() if rows}
        return {
            "total_loss": float(sums["total_loss"]) / sum(num_rows.values()),
            **(losses if len(losses) > 1 else {}),
        }

    def evaluate(self, step: int, evaluations: JsonLines) -> dict[str, float]:
        """Returns the scores on the first evaluation split of each task; with keep_best, saves the best weights.

        Args:
            step: number of updates made.
            evaluations: earlier evaluations of the trial.
        """
        numbers: dict[str, float] = {}
        headlines = []
        for task in self.run.tasks:
            split = task.evaluation_splits[0]
            predictions = self.predictor.predict(task, split, self.run.config.eval_batch_size)
            scores = task.evaluate(split, self.run.rows(task, split), predictions).scores
            numbers |= {f"{task.slug}_{name}": value for name, value in scores.items()}
            headlines.append(task.headline(scores))
        numbers["headline"] = float(np.mean(headlines))
        earlier = [line["headline"] for line in evaluations.read() if 0 < line["step"] < step]
        # Saved before the evaluation is logged: a trial killed in between evaluates, and saves, again.
        if self._best is not None and step > 0 and numbers["headline"] > max(earlier, default=-np.inf):
            self._best.save(step)
        return numbers

    def publish(self) -> None:
        """Writes the model, with keep_best the best weights, and removes what only an interrupted trial needs."""
        if self._best is not None:
            logging.info("keeping the weights after step %s", self._best.restore_latest())
        if not self.run.is_chief:
            return
        save_pretrained(self.model, self.run.tokenizer, self.folder)
        for name in _INTERRUPTED:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        logging.info("wrote %s", self.folder)


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


def next_seed(config: FinetuningConfig, results: Sequence[TrialResult], number: int) -> int | None:
    """Returns the seed of the next run of a trial; None if the trial is done.

    Args:
        config: of the run.
        results: results of all runs of all trials so far.
        number: number of the trial, from 1.
    """
    runs = [result for result in results if result.trial == number]
    if not runs:
        return config.seed + number - 1
    if not runs[-1].constant_tasks or len(runs) > config.retry_failed_trials:
        return None
    return config.seed + number - 1 + len(runs) * RETRY_SEED_STEP

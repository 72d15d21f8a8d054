"""One trial: a model trained from one seed, and published."""

import contextlib
import functools
import json
import pathlib
import shutil
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from electra_span.files import JsonLines, remove_unfinished, write_json
from electra_span.published.save_load import save_pretrained
from electra_span.published.tensor_files import WEIGHTS_FILE
from electra_span.training.checkpoints import Checkpoints
from electra_span.training.log import TrainingLog
from electra_span.training.loop import LoopSettings, TrainingLoop, WindowSums
from electra_span.training.step import LossScale
from finetune.inference import Predictor
from finetune.phases import make_phased_step, make_phases, phase_at
from finetune.results import kept_aside
from finetune.run import Run
from finetune.task_names import STAMP_FILE, read_stamp

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

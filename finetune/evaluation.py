"""Predictions and scores of a model on the tasks of a run."""

import pathlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from electra_span.models import ElectraTaskModel
from electra_span.training.step import take_microbatch
from finetune.batches import BatchMaker, FinetuningBatch
from finetune.objective import make_prediction_function
from finetune.predictions import write_glue_submission, write_question_files, write_test_predictions
from finetune.qa_task import Answered
from finetune.readers.glue import GLUE_TASKS
from finetune.results import ResultsFile, TrialResult, result_lines
from finetune.run import Run
from finetune.task import Predictions, Task

PredictionStep = Callable[[FinetuningBatch], dict[str, np.ndarray]]


def make_prediction_step(
    predict: Callable[[FinetuningBatch], dict[str, tf.Tensor]],
    *,
    strategy: tf.distribute.Strategy,
    signature: FinetuningBatch,
    compile_step: bool = False,
) -> PredictionStep:
    """Returns the function of a global batch that gives the predictions of its rows, each replica computing its own.

    Args:
        predict: function of rows of a batch to their predictions.
        strategy: the replicas. A batch has a multiple of num_replicas rows.
        signature: TensorSpecs that match all batches.
        compile_step: compile predict with XLA.
    """
    compiled = tf.function(predict, jit_compile=compile_step, autograph=False)

    def replica_step(batch: FinetuningBatch) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        part = take_microbatch(batch, context.replica_id_in_sync_group, strategy.num_replicas_in_sync)
        return compiled(part)

    @tf.function(autograph=False, input_signature=[signature])
    def run(batch: FinetuningBatch) -> dict[str, tf.Tensor]:
        return strategy.run(replica_step, args=(batch,))

    def prediction_step(batch: FinetuningBatch) -> dict[str, np.ndarray]:
        return {name: _gathered(strategy, value).numpy() for name, value in run(batch).items()}

    return prediction_step


def predict_rows(step: PredictionStep, batches: BatchMaker) -> Predictions:
    """Returns the predictions for all rows of the one task of a batch maker, in the order of the rows."""
    found: dict[str, list[np.ndarray]] = {}
    for rows, batch in batches.in_order_of_length():
        for name, values in step(batch).items():
            column = found.setdefault(name, [np.zeros(0)] * batches.num_rows)
            for row, value in zip(rows.tolist(), values, strict=False):  # what follows is padding
                column[row] = value
    return found


def _gathered(strategy: tf.distribute.Strategy, value: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas."""
    return value if strategy.num_replicas_in_sync == 1 else strategy.gather(value, axis=0)


class Predictor:
    """Predicts for the tasks of a run; traces one step for each task and batch size."""

    def __init__(self, run: Run, model: ElectraTaskModel) -> None:
        self._run, self._model = run, model
        self._steps: dict[tuple[str, int], PredictionStep] = {}

    def predict(self, task: Task, split: str, batch_size: int) -> Predictions:
        """Returns the predictions for all rows of a split."""
        batches = self._run.batches({task.slug: self._run.rows(task, split)}, batch_size)
        if (task.slug, batch_size) not in self._steps:
            self._steps[task.slug, batch_size] = self._make_step(task, batches)
        return predict_rows(self._steps[task.slug, batch_size], batches)

    def _make_step(self, task: Task, batches: BatchMaker) -> PredictionStep:
        run = self._run
        weighted = next(each for each in run.weighted_tasks if each.slug == task.slug)
        return make_prediction_step(
            make_prediction_function(self._model, weighted, beam_size=run.config.beam_size),
            strategy=run.strategy,
            signature=batches.signature(),
            compile_step=run.execution.compile_step,
        )


class _TaskScores(NamedTuple):
    """Scores of a model on one task."""

    scores: dict[str, float]
    headline: float
    is_constant: bool


def evaluate_trial(run: Run, predictor: Predictor, fingerprint: str, *, number: int, seed: int) -> TrialResult:
    """Evaluates a trained model on all tasks, and writes its predictions for the test files; returns the result.

    Args:
        run: its tasks and settings.
        predictor: of the model.
        fingerprint: hash of everything a trial depends on but its seed; results with another one are kept aside.
        number: number of the trial, in the names of files.
        seed: seed of the trial.

    Raises:
        DataError: a file is missing or cannot be used.
    """
    started = time.perf_counter()
    if run.is_chief:
        ResultsFile(run.model_dir, run.slug).keep_others(fingerprint)
    found = {task.slug: _evaluate(run, predictor, task) for task in run.tasks} if run.config.do_eval else {}
    if run.config.write_test_outputs and number <= run.config.n_writes_test:
        _write_tests(run, predictor, number)
    result = TrialResult(
        trial=number,
        seed=seed,
        scores={slug: each.scores for slug, each in found.items()},
        headlines={slug: each.headline for slug, each in found.items()},
        constant_tasks=tuple(slug for slug, each in found.items() if each.is_constant),
        seconds=time.perf_counter() - started,
        is_retry=seed != run.config.seed + number - 1,
    )
    for line in result_lines([result], {}):
        logging.info("trial %d: %s", number, line)
    return result


def _evaluate(run: Run, predictor: Predictor, task: Task) -> _TaskScores:
    """Returns the scores on all evaluation splits of a task; metrics of all but the first have the split as prefix."""
    first, *others = task.evaluation_splits
    found = {
        split: task.evaluate(split, run.rows(task, split), predictor.predict(task, split, run.config.eval_batch_size))
        for split in [first, *_existing(task, others)]
    }
    if run.is_chief and isinstance(found[first].details, Answered):
        write_question_files(run.model_dir, run.slug, task.slug, *found[first].details)
    scores = {
        name if split == first else f"{split.removeprefix('dev_')}_{name}": value
        for split, evaluation in found.items()
        for name, value in evaluation.scores.items()
    }
    return _TaskScores(scores, task.headline(found[first].scores), found[first].is_constant)


def _write_tests(run: Run, predictor: Predictor, trial: int) -> None:
    """Writes the predictions for all existing test files."""
    for task in run.tasks:
        for split in _existing(task, task.test_splits):
            predictions = predictor.predict(task, split, run.config.predict_batch_size)
            of_examples = task.of_examples(split, run.rows(task, split), predictions)
            if run.is_chief:
                write_test_predictions(run.model_dir, task.slug, split, trial, of_examples)
    if run.is_chief and any(task.slug in GLUE_TASKS for task in run.tasks):
        submission = write_glue_submission(run.model_dir, trial)
        logging.info("wrote %s; the benchmark also wants %s", submission.path, submission.missing or "nothing")


def _existing(task: Task, splits: Sequence[str]) -> list[str]:
    """Returns the splits whose files exist; logs the others."""
    there = [split for split in splits if all(pathlib.Path(file).exists() for file in task.files(split))]
    for split in splits:
        if split not in there:
            logging.warning("%s: there is no %s", task.slug, ", ".join(map(str, task.files(split))))
    return there

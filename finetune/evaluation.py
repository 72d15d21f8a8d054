"""What is done with a model when it is trained: its scores on all tasks, and what it predicts for test files."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from absl import logging

from finetune.glue import GLUE_TASKS
from finetune.inference import Predictor
from finetune.predictions import write_glue_submission, write_question_files, write_test_predictions
from finetune.qa.task import Answered
from finetune.run import Run
from finetune.task import Task


class Scores(NamedTuple):
    """What a model came to on all tasks, by their slugs; the fields of a `TrialResult`."""

    scores: dict[str, dict[str, float]]
    headlines: dict[str, float]
    constant_tasks: tuple[str, ...]


class _TaskScores(NamedTuple):
    """What a model came to on one task."""

    scores: dict[str, float]
    headline: float
    is_constant: bool


def finish(run: Run, predictor: Predictor, *, trial: int) -> Scores:
    """Returns the scores of a model, and writes what is to be written of its predictions.

    Args:
        run: its tasks and settings.
        predictor: of the model.
        trial: the number in the names of files.

    Raises:
        DataError: for a file that is missing or cannot be used.
    """
    found = {task.slug: _evaluate(run, predictor, task) for task in run.tasks} if run.config.do_eval else {}
    if run.config.write_test_outputs and trial <= run.config.n_writes_test:
        _write_tests(run, predictor, trial)
    return Scores(
        {slug: each.scores for slug, each in found.items()},
        {slug: each.headline for slug, each in found.items()},
        tuple(slug for slug, each in found.items() if each.is_constant),
    )


def _evaluate(run: Run, predictor: Predictor, task: Task) -> _TaskScores:
    """Returns the scores on all evaluation splits of a task; the names of all but the first lead their metrics."""
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
    """Writes what a model predicts for all test files that there are."""
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
    """Returns the splits whose files are there; says which are not."""
    there = [split for split in splits if all(pathlib.Path(file).exists() for file in task.files(split))]
    for split in splits:
        if split not in there:
            logging.warning("%s: there is no %s", task.slug, ", ".join(map(str, task.files(split))))
    return there

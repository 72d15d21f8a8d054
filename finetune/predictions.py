"""Files of predictions: of test files, for the GLUE benchmark, and of questions. Imports no TensorFlow."""

import csv
import io
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from electra_span.files import FileError, JsonError, read_json_object, reason_of, whole_file, write_json, write_text
from electra_span.folders import lock_file
from finetune.metrics.squad import AnswerScores
from finetune.qa.decoding import DecodedQuestion
from finetune.readers.glue import GLUE_TASKS, MAX_SCORE, GlueTask, SplitPredictions, write_submission
from finetune.results import questions_folder

_FOLDER = "test_predictions"


class ExamplePredictions(NamedTuple):
    """What is predicted for the examples of one test file.

    Attributes:
        column: what a prediction is called in the table: label, score, tags or answer.
        values: by example id what the model says: a list of logits, a score, a list of tags, or a text.
        cells: by example id what stands in the table.
    """

    column: str
    values: dict[str, Any]
    cells: dict[str, str]


def class_predictions(example_ids: Iterable[int], logits: np.ndarray, labels: Sequence[str]) -> ExamplePredictions:
    """Returns predictions of classes.

    Args:
        example_ids: n of them.
        logits: [n, C].
        labels: the C classes, in the order of their ids.

    Raises:
        FileError: for an id that is there twice.
    """
    values = _by_id((number, row.tolist()) for number, row in zip(example_ids, np.asarray(logits), strict=True))
    return ExamplePredictions("label", values, {name: labels[int(np.argmax(row))] for name, row in values.items()})


def score_predictions(example_ids: Iterable[int], scores: np.ndarray) -> ExamplePredictions:
    """Returns predictions of a regression.

    Args:
        example_ids: n of them.
        scores: [n], in the unit of the file; see `finetune.text_task.restored_scores`.

    Raises:
        FileError: for an id that is there twice.
    """
    values = _by_id(zip(example_ids, np.asarray(scores, np.float64).tolist(), strict=True))
    return ExamplePredictions("score", values, {name: f"{score:.6g}" for name, score in values.items()})


def tag_predictions(example_ids: Iterable[int], tags: Iterable[Sequence[str]]) -> ExamplePredictions:
    """Returns predictions of tagged sentences, each with the tags of its words; raises FileError as the others."""
    values = _by_id((number, list(row)) for number, row in zip(example_ids, tags, strict=True))
    return ExamplePredictions("tags", values, {name: " ".join(row) for name, row in values.items()})


def answer_predictions(answers: Mapping[str, str]) -> ExamplePredictions:
    """Returns predictions of answers by the id of their question, "" for none."""
    return ExamplePredictions("answer", dict(answers), dict(answers))


def write_test_predictions(
    model_dir: str | os.PathLike[str], task: str, split: str, trial: int, predictions: ExamplePredictions
) -> list[pathlib.Path]:
    """Writes what is predicted as JSON and as a table, and returns their paths.

    `<model>/test_predictions/<task>_<split>_<trial>_predictions.json` holds the values by example id; the `.tsv` beside
    it has a row an example, quoted where a field has tabs, quotation marks or line ends in it.

    Deviation: JSON where the original pickles, and the table.

    Args:
        model_dir: folder of the model.
        task: its slug.
        split: the name of the test file.
        trial: its number.
        predictions: of the examples of the file.

    Raises:
        FileError: for a number that is not finite.
    """
    path = _path_of(model_dir, task, split, trial)
    table = io.StringIO()
    writer = csv.writer(table, delimiter="\t", lineterminator="\n")
    writer.writerow(["id", predictions.column])
    writer.writerows(predictions.cells.items())
    write_json(path, predictions.values)
    write_text(path.with_suffix(".tsv"), table.getvalue())
    return [path, path.with_suffix(".tsv")]


class GlueSubmission(NamedTuple):
    """A file that the GLUE benchmark takes."""

    path: pathlib.Path
    missing: list[str]  # names of the files in it that the benchmark wants and that are not there


def write_glue_submission(model_dir: str | os.PathLike[str], trial: int) -> GlueSubmission:
    """Writes `<model>/test_predictions/glue_<trial>.zip` of all GLUE predictions that a trial has there.

    They may come from several runs: tasks that are learned one by one are sent in together.

    Args:
        model_dir: folder of the model.
        trial: its number.

    Raises:
        FileError: where there are none, or a file of predictions cannot be read.
        DataError: where a test file was not predicted in whole.
    """
    target = pathlib.Path(model_dir, _FOLDER, f"glue_{trial}.zip")
    with lock_file(target.with_name(f".{target.name}.lock")):  # of two runs that end at once the last one writes all
        paths = {
            (task.name, name): path
            for task in GLUE_TASKS.values()
            for name, split in task.splits.items()
            if split.submission and (path := _path_of(model_dir, task.name, name, trial)).is_file()
        }
        if not paths:
            raise FileError(f"{target}: trial {trial} has no predictions of GLUE's test files in {target.parent}")
        predictions = [_split_predictions(GLUE_TASKS[task], split, path) for (task, split), path in paths.items()]
        with whole_file(target) as partial:
            missing = write_submission(partial, predictions)
    return GlueSubmission(target, missing)


def write_question_files(
    model_dir: str | os.PathLike[str],
    tasks_slug: str,
    task: str,
    decoded: Iterable[DecodedQuestion],
    scores: AnswerScores,
) -> pathlib.Path:
    """Writes what was answered to questions, and returns the folder, `<model>/results/<tasks>_qa`.

    `<task>_preds.json` has the best text that is not empty, by question id; `_null_odds.json` those of the questions
    that have any; `_nbest.json` lists; `_eval.json` the metrics, and under `missing` the questions without prediction.

    Args:
        model_dir: folder of the model.
        tasks_slug: of all tasks of the run.
        task: slug of the questions' task.
        decoded: one for each question that was answered.
        scores: what was measured.

    Raises:
        FileError: for a number that is not finite.
    """
    folder = questions_folder(model_dir, tasks_slug)
    rows = list(decoded)
    contents: dict[str, Any] = {
        "preds": {row.id: row.text for row in rows},
        "null_odds": {row.id: row.null_odds for row in rows if row.null_odds is not None},
        "nbest": {row.id: [answer._asdict() for answer in row.nbest] for row in rows},
        "eval": {**scores.metrics, "missing": scores.missing},
    }
    for name, content in contents.items():
        write_json(folder / f"{task}_{name}.json", content)
    return folder


def _path_of(model_dir: str | os.PathLike[str], task: str, split: str, trial: int) -> pathlib.Path:
    return pathlib.Path(model_dir, _FOLDER, f"{task}_{split}_{trial}_predictions.json")


def _by_id(pairs: Iterable[tuple[int, Any]]) -> dict[str, Any]:
    """Returns predictions by their ids, as JSON has them; raises FileError for an id that is there twice."""
    values: dict[str, Any] = {}
    for number, value in pairs:
        if str(number) in values:
            raise FileError(f"predictions: every example must have one. Received: two for example {number}")
        values[str(number)] = value
    return values


def _split_predictions(task: GlueTask, split: str, path: pathlib.Path) -> SplitPredictions:
    """Returns the predictions in a file as the benchmark's files are made of them."""
    try:
        values = {int(name): value for name, value in read_json_object(path).items()}
        if task.labels is None:
            return SplitPredictions(
                task.name, split, {name: float(value) / MAX_SCORE for name, value in values.items()}
            )
        return SplitPredictions(task.name, split, {name: int(np.argmax(row)) for name, row in values.items()})
    except JsonError as error:
        raise FileError(f"{error}; predict {task.name} again") from None
    except (ValueError, TypeError) as error:
        raise FileError(f"{path}: cannot be read as predictions of {task.name}: {reason_of(error)}") from error

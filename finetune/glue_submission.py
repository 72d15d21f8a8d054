"""The zip file that the GLUE benchmark takes predictions in. Imports no TensorFlow."""

import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from finetune.glue import GLUE_TASKS, MAX_SCORE, GlueTask
from finetune.reading import DataError

_HEADER = "index\tprediction\n"
_DATE = (1980, 1, 1, 0, 0, 0)  # so that equal predictions make equal files


class SplitPredictions(NamedTuple):
    """What is predicted for one test file.

    Attributes:
        task: a name in GLUE_TASKS.
        split: one of its test files.
        values: by example id: the id of a class, or a score from 0 to 1, as the model has learned it.
    """

    task: str
    split: str
    values: Mapping[int, int | float]


def write_submission(path: str | os.PathLike[str], predictions: Sequence[SplitPredictions]) -> list[str]:
    """Writes the zip file.

    Args:
        path: of the file, which is replaced where it is there.
        predictions: one for each test file, of which any may be missing.

    Returns:
        The names of the files that the benchmark wants and that are not among them.

    Raises:
        DataError: for a split that is no test file, one that is there twice, ids that do not go from 0 on, or a
            prediction that is no class of the task.
    """
    contents: dict[str, str] = {}
    for prediction in predictions:
        task = GLUE_TASKS[prediction.task]
        name = task.splits[prediction.split].submission
        if name is None or name in contents:
            rule = "has labels and is not sent in" if name is None else "is there twice"
            raise DataError(f"GLUE submission: {prediction.split!r} of {task.name} {rule}")
        contents[name] = _HEADER + "".join(_rows(task, prediction))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            archive.writestr(zipfile.ZipInfo(name, _DATE), contents[name], zipfile.ZIP_DEFLATED)
    wanted = {split.submission for task in GLUE_TASKS.values() for split in task.splits.values() if split.submission}
    return sorted(wanted - contents.keys())


def _rows(task: GlueTask, prediction: SplitPredictions) -> list[str]:
    """Returns the lines of one test file's predictions, in the order of their ids."""
    ids = sorted(prediction.values)
    if ids != list(range(len(ids))):
        strange = next((wanted for wanted, there in enumerate(ids) if wanted != there), 0)
        raise DataError(
            f"GLUE submission: {prediction.split!r} of {task.name} must have a prediction for every row from 0 on. "
            f"Received: {len(ids)}, none for row {strange}"
        )
    return [f"{number}\t{_written(task, prediction.values[number])}\n" for number in ids]


def _written(task: GlueTask, value: int | float) -> str:
    """Returns a prediction as the benchmark wants it: a class by its name, a score from 0 to MAX_SCORE."""
    if task.labels is None:
        return f"{min(max(float(value), 0.0), 1.0) * MAX_SCORE:.3f}"
    if value not in range(len(task.labels)):
        raise DataError(f"GLUE submission: {task.name} has {len(task.labels)} classes. Received: {value!r}")
    return task.labels[int(value)]

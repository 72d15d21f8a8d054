"""The tasks of GLUE: their files in the original layouts, their labels, what is sent in. Imports no TensorFlow.

Wang et al. 2019 (GLUE). Layouts as the benchmark distributes them; WNLI and the diagnostic set included.
"""

import os
import pathlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from finetune.readers.reading import BadRowLimit, DataError, Example, RowTally, is_text, read_lines

MAX_SCORE = 5.0  # of STS-B, whose scores go from 0 to this
_BINARY = ("0", "1")
_INFERENCE = ("entailment", "not_entailment")
_BAD_ENCODING = "not UTF-8"


class Layout(NamedTuple):
    """Columns of a file, counted from 0, or from -1 at the end."""

    text_a: int
    text_b: int | None
    label: int | None  # None: of a test file
    names: tuple[str, ...] = ()  # in the header, of the columns above that there are; none: no header
    num_columns: int | None = None  # where there is no header to tell it

    def columns(self) -> list[int]:
        """Returns the columns that are read, in the order of `names`."""
        return [column for column in (self.text_a, self.text_b, self.label) if column is not None]


class Split(NamedTuple):
    """One file of a task."""

    file: str
    layout: Layout
    submission: str | None = None  # the file that predictions are sent in as, of a test file


class GlueTask(NamedTuple):
    """One task.

    Attributes:
        name: as in `task_names`.
        labels: the classes, in the order of their ids; None for scores.
        splits: the files, by the names of the splits.
        is_symmetric: whether the pairs have no order, so that they may be swapped.
    """

    name: str
    labels: tuple[str, ...] | None
    splits: Mapping[str, Split]
    is_symmetric: bool = False


def _splits(train: Layout, test: Layout, submission: str) -> dict[str, Split]:
    return {
        "train": Split("train.tsv", train),
        "dev": Split("dev.tsv", train),
        "test": Split("test.tsv", test, submission),
    }


def _inference_splits(names: tuple[str, str], submission: str) -> dict[str, Split]:
    return _splits(Layout(1, 2, 3, (*names, "label")), Layout(1, 2, None, names), submission)


_SENTENCES = ("sentence1", "sentence2")
_STRINGS = ("#1 String", "#2 String")
_MNLI = Layout(8, 9, -1, (*_SENTENCES, "gold_label"))
_MNLI_TEST = Layout(8, 9, None, _SENTENCES)

GLUE_TASKS: Mapping[str, GlueTask] = {
    task.name: task
    for task in (
        GlueTask(
            "cola",
            _BINARY,
            _splits(Layout(3, None, 1, num_columns=4), Layout(1, None, None, ("sentence",)), "CoLA.tsv"),
        ),
        GlueTask(
            "sst",
            _BINARY,
            _splits(Layout(0, None, 1, ("sentence", "label")), Layout(1, None, None, ("sentence",)), "SST-2.tsv"),
        ),
        GlueTask(
            "mrpc",
            _BINARY,
            _splits(Layout(3, 4, 0, (*_STRINGS, "Quality")), Layout(3, 4, None, _STRINGS), "MRPC.tsv"),
            is_symmetric=True,
        ),
        GlueTask(
            "sts",
            None,
            _splits(Layout(-3, -2, -1, (*_SENTENCES, "score")), Layout(-2, -1, None, _SENTENCES), "STS-B.tsv"),
            is_symmetric=True,
        ),
        GlueTask(
            "qqp",
            _BINARY,
            _splits(
                Layout(3, 4, 5, ("question1", "question2", "is_duplicate")),
                Layout(1, 2, None, ("question1", "question2")),
                "QQP.tsv",
            ),
        ),
        GlueTask(
            "mnli",
            ("contradiction", "entailment", "neutral"),
            {
                "train": Split("train.tsv", _MNLI),
                "dev": Split("dev_matched.tsv", _MNLI),
                "dev_mismatched": Split("dev_mismatched.tsv", _MNLI),
                "test_matched": Split("test_matched.tsv", _MNLI_TEST, "MNLI-m.tsv"),
                "test_mismatched": Split("test_mismatched.tsv", _MNLI_TEST, "MNLI-mm.tsv"),
                "diagnostic": Split("diagnostic.tsv", Layout(1, 2, None, _SENTENCES), "AX.tsv"),
            },
        ),
        GlueTask("qnli", _INFERENCE, _inference_splits(("question", "sentence"), "QNLI.tsv")),
        GlueTask("rte", _INFERENCE, _inference_splits(_SENTENCES, "RTE.tsv")),
        GlueTask("wnli", _BINARY, _inference_splits(_SENTENCES, "WNLI.tsv")),
    )
}


class GlueExamples(NamedTuple):
    """The examples of a split, and what was counted as they were read."""

    examples: list[Example]
    tally: RowTally


def read_glue(
    task: GlueTask, split: str, directory: str | os.PathLike[str], limit: BadRowLimit | None = None
) -> GlueExamples:
    """Returns the examples of one file of a task.

    Their ids are the numbers of their rows, from 0, or, in a test file, what its first column says.

    Args:
        task: a value of GLUE_TASKS.
        split: a name in task.splits.
        directory: where the task's files are.
        limit: how many rows may be bad: broken, of an unknown label (both are left out), or without text (kept). In a
            test file no row may be left out.

    Raises:
        DataError: names file and line of a file that cannot be read, a wrong header, or one bad row too many.
    """
    file, layout, _ = task.splits[split]
    path = pathlib.Path(directory, file)
    tally = RowTally(path, limit, may_leave_out=layout.label is not None)
    rows = _numbered_rows(path, layout, tally)
    examples: list[Example] = []
    for line_number, fields in rows:
        text_b = None if layout.text_b is None else fields[layout.text_b]
        example = Example(tally.num_rows - 1, fields[layout.text_a], text_b, None)
        if layout.label is None:
            row_id = _row_id(fields[0], line_number, tally)
            examples.append(example._replace(example_id=row_id))
        elif (label := _label(task, fields[layout.label], line_number, tally)) is not None:
            examples.append(example._replace(label=label))
        else:
            continue
        if not example.text_a.strip() or (text_b is not None and not text_b.strip()):
            tally.keep(line_number, "empty text")
    if not examples:
        raise DataError(f"{path}: there are no examples in it")
    tally.report()
    return GlueExamples(examples, tally)


def read_tsv(path: str | os.PathLike[str]) -> Iterator[list[str]]:
    """Yields the fields of each line: quotation marks are text, and a blank line has no fields.

    Raises:
        DataError: where the file cannot be read.
    """
    for line in read_lines(path):
        yield line.split("\t") if line else []


def with_swapped_pairs(examples: Sequence[Example]) -> list[Example]:
    """Returns examples of pairs, then all of them with the texts swapped and ids that go on after the largest.

    Deviation: the original counts on from the number of examples, so that ids collide where a row was left out.

    Args:
        examples: of a task whose pairs have no order.
    """
    offset = 1 + max((example.example_id for example in examples), default=-1)
    swapped = [
        Example(offset + number, example.text_b or "", example.text_a, example.label)
        for number, example in enumerate(examples)
    ]
    return [*examples, *swapped]


def _numbered_rows(path: pathlib.Path, layout: Layout, tally: RowTally) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of the right number of fields, each with the number of its line."""
    lines = enumerate(read_tsv(path), start=1)
    num_columns = layout.num_columns
    if num_columns is None:
        num_columns = len(_checked_header(next(lines, (1, []))[1], layout, path))
    for line_number, fields in lines:
        tally.num_rows += 1
        if len(fields) != num_columns:
            tally.leave_out(line_number, f"not {num_columns} fields", f". Received: {len(fields)}")
        elif not is_text("".join(fields)):
            tally.leave_out(line_number, _BAD_ENCODING)
        else:
            yield line_number, fields


def _checked_header(header: list[str], layout: Layout, path: pathlib.Path) -> list[str]:
    """Returns the header; raises DataError where a column that is read has another name in it."""
    for column, name in zip(layout.columns(), layout.names, strict=True):
        there = -len(header) <= column < len(header)
        if not there or header[column] != name:
            received = repr(header[column]) if there else f"{len(header)} columns"
            where = f"column {column + 1}" if column >= 0 else f"column {-column} from the end"
            raise DataError(
                f"{path}: line 1: {where} must be {name!r}, as GLUE distributes the file. Received: {received}"
            )
    return header


def _label(task: GlueTask, field: str, line_number: int, tally: RowTally) -> str | float | None:
    """Returns a row's label, None where it is none of the task's and the row is left out."""
    if task.labels is not None:
        if field in task.labels:
            return field
        tally.leave_out(line_number, f"the label is none of {', '.join(task.labels)}", f". Received: {field!r}")
        return None
    try:
        score = float(field)
    except ValueError:
        score = float("nan")
    if 0 <= score <= MAX_SCORE:
        return score
    tally.leave_out(line_number, f"the score is no number from 0 to {MAX_SCORE:g}", f". Received: {field!r}")
    return None


def _row_id(field: str, line_number: int, tally: RowTally) -> int:
    """Returns the number that a row of a test file has in its first column."""
    if not (field.isascii() and field.isdigit()):
        tally.leave_out(line_number, "the first column of a test file is no number", f". Received: {field!r}")
    return int(field)


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

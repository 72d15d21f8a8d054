"""Examples in the rows of tables, CSV or TSV. Imports no TensorFlow."""

import csv
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from absl import logging

from electra_span.containers import check_plain_text
from electra_span.files import check_delimiter, check_encoding, reason_of
from finetune.readers.reading import BadRowLimit, DataError, Example, RowTally, is_text

_MAX_FIELD = 1 << 24  # characters


@dataclasses.dataclass(frozen=True, kw_only=True)
class CsvSettings:
    """Where the texts and labels of a table are, and how it is written."""

    text_column: str = "text"
    text_pair_column: str | None = None
    label_column: str = "label"
    is_regression: bool = False
    delimiter: str | None = None  # one character; None: a tab in .tsv, a comma in all else
    has_quotes: bool = True  # false: quotation marks are text
    encoding: str = "utf-8-sig"  # UTF-8, with a byte order mark or without

    def __post_init__(self) -> None:
        check_delimiter("csv_delimiter", self.delimiter)
        check_encoding("encoding", self.encoding)


class UnclosedQuotationError(ValueError):
    """A quotation mark that none closes, and that hides the rest of its table."""


class CsvExamples(NamedTuple):
    """The examples of a table, and what was counted as they were read."""

    examples: list[Example]
    tally: RowTally


class _Columns(NamedTuple):
    """Numbers of columns."""

    text: int
    text_pair: int | None
    label: int | None


def read_csv(
    path: str | os.PathLike[str],
    settings: CsvSettings,
    *,
    labels: Sequence[str] | None = None,
    is_labelled: bool = True,
    limit: BadRowLimit | None = None,
) -> CsvExamples:
    """Returns the examples of a table whose first row names its columns; their ids are the numbers of the rows, from 0.

    Blank lines are passed over. White space around labels is no part of them.

    Args:
        path: of the table.
        settings: where texts and labels are.
        labels: the classes there may be; None: any.
        is_labelled: whether there must be labels; if not, the column of labels is not read.
        limit: how many rows may be bad: broken, with a label that cannot be used (both are left out), or without text
            (kept). Without labels no row may be left out.

    Raises:
        DataError: names file and line of a table that cannot be read, a column that is not there, or one bad row too
            many.
    """
    rows = _rows(pathlib.Path(path), settings)
    _, header = next(rows, (1, []))
    if isinstance(header, csv.Error):
        raise DataError(f"{os.fspath(path)}: line 1: malformed CSV: {header}")
    columns = _columns(header, settings, path, is_labelled)
    tally = RowTally(path, limit, may_leave_out=columns.label is not None)
    examples: list[Example] = []
    for line_number, fields in rows:
        tally.num_rows += 1
        if isinstance(fields, csv.Error):
            tally.leave_out(line_number, "malformed CSV", f": {fields}")
        elif len(fields) != len(header):
            tally.leave_out(line_number, f"not {len(header)} fields", f". Received: {len(fields)}")
        elif not is_text("".join(fields)):
            tally.leave_out(line_number, f"not {settings.encoding}")
        elif (example := _example(fields, columns, settings, labels, line_number, tally)) is not None:
            examples.append(example)
    if not examples:
        raise DataError(f"{tally.file}: there are no examples in it")
    tally.report()
    return CsvExamples(examples, tally)


def has_known_labels(
    path: str | os.PathLike[str],
    settings: CsvSettings,
    labels: Sequence[str] | None,
    score_range: tuple[float, float] | None,
) -> bool:
    """Returns whether a row of a table has a label; logs if there is a column of labels without any that is known.

    Tables for tests often have a column without labels, or with -1 everywhere, as exports of GLUE have.

    Args:
        path, settings: as for read_csv.
        labels: the classes; None for scores.
        score_range: the lowest and highest score of the training examples. One score that all rows have, outside of it,
            is not a label.
    """
    rows = _rows(pathlib.Path(path), settings)
    _, header = next(rows, (1, []))
    if isinstance(header, csv.Error) or header.count(settings.label_column) != 1:
        return not isinstance(header, csv.Error) and settings.label_column in header
    column = header.index(settings.label_column)
    received = {
        fields[column].strip() for _, fields in rows if not isinstance(fields, csv.Error) and column < len(fields)
    }
    if labels is not None:
        is_known = not received.isdisjoint(labels)
    else:
        lowest, highest = score_range or (0.0, 0.0)
        scores = {score for score in map(_score, received) if score is not None}
        is_known = len(scores) > 1 or any(lowest <= score <= highest for score in scores)
    if not is_known:
        logging.warning(
            "%s: no row has a known label in the column %r; the table is taken as one without labels",
            os.fspath(path), settings.label_column,
        )  # fmt: skip
    return is_known


def _rows(path: pathlib.Path, settings: CsvSettings) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yields the rows of a table; see numbered_rows.

    Raises:
        DataError: where the file cannot be read, or a quotation mark is never closed.
    """
    check_plain_text(path)
    delimiter = settings.delimiter or ("\t" if path.suffix == ".tsv" else ",")
    try:
        with open(path, encoding=settings.encoding, errors="surrogateescape", newline="") as file:
            yield from numbered_rows(file, delimiter=delimiter, has_quotes=settings.has_quotes)
    except UnclosedQuotationError as error:
        raise DataError(f"{path}: {error}; where they are text, set csv_quotes to false") from error
    except (OSError, UnicodeError) as error:
        raise DataError(f"{path}: cannot be read: {reason_of(error)}") from error


def numbered_rows(
    file: Iterable[str], *, delimiter: str = ",", has_quotes: bool = True
) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yields the rows that are not blank, or what is wrong with them, with the number of the line they start in.

    Args:
        file: opened with newline="".
        delimiter: between the fields.
        has_quotes: false: quotation marks are text.

    Raises:
        UnclosedQuotationError: where a quotation mark is never closed.
    """
    csv.field_size_limit(_MAX_FIELD)
    quoting: Any = csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE
    reader = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        line_number = reader.line_num + 1
        try:
            row: list[str] | csv.Error = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise UnclosedQuotationError(
                    f"line {line_number}: a quotation mark opens a field and none closes it"
                ) from error
            row = error
        if row:
            yield line_number, row


def _columns(header: list[str], settings: CsvSettings, path: str | os.PathLike[str], is_labelled: bool) -> _Columns:
    """Returns the columns that are read; raises DataError where one is missing, or there twice."""

    def place(name: str, hparam: str) -> int:
        if header.count(name) == 1:
            return header.index(name)
        there = ", ".join(map(repr, header)) or "none"
        remedy = "; another delimiter?" if len(header) == 1 and settings.delimiter is None else ""
        raise DataError(
            f"{os.fspath(path)}: line 1: there must be one column {name!r} ({hparam}). Received: {there}{remedy}"
        )

    return _Columns(
        place(settings.text_column, "text_column"),
        None if settings.text_pair_column is None else place(settings.text_pair_column, "text_pair_column"),
        place(settings.label_column, "label_column") if is_labelled else None,
    )


def _example(
    fields: list[str],
    columns: _Columns,
    settings: CsvSettings,
    labels: Sequence[str] | None,
    line_number: int,
    tally: RowTally,
) -> Example | None:
    """Returns the example of a row, None where its label cannot be used and the row is left out."""
    label: str | float | None = None
    if columns.label is not None:
        label = _label(fields[columns.label].strip(), settings, labels, line_number, tally)
        if label is None:
            return None
    text_b = None if columns.text_pair is None else fields[columns.text_pair]
    if not fields[columns.text].strip() or (text_b is not None and not text_b.strip()):
        tally.keep(line_number, "empty text")
    return Example(tally.num_rows - 1, fields[columns.text], text_b, label)


def _label(
    field: str, settings: CsvSettings, labels: Sequence[str] | None, line_number: int, tally: RowTally
) -> str | float | None:
    """Returns a row's class or score, None where it cannot be used and the row is left out."""
    if settings.is_regression:
        score = _score(field)
        if score is not None:
            return score
        tally.leave_out(line_number, "the score is no number", f". Received: {field!r}")
    elif not field:
        tally.leave_out(line_number, "no label")
    elif labels is not None and field not in labels:
        tally.leave_out(line_number, f"the label is none of {', '.join(labels)}", f". Received: {field!r}")
    else:
        return field
    return None


def _score(field: str) -> float | None:
    """Returns the finite number that a field has, None for any other."""
    try:
        score = float(field)
    except ValueError:
        return None
    return score if math.isfinite(score) else None

"""Rows of tables: CSV, TSV and Parquet."""

import csv
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain.sources.lines import MAX_LINE_BYTES, read_lines
from pretrain.sources.rows import line_place, quoted_names
from pretrain.sources.settings import CorpusError, Tally
from pretrain.sources.streams import Stream

_PARQUET_ROWS = 1 << 10
_DELIMITERS = {",": "','", ";": "';'", "\t": r"'\t'", "|": "'|'"}  # the usual ones, as one tells them to a shell
_QUOTES_REMEDY = "where quotation marks are text, say --csv-quotes=false"


def csv_texts(stream: Stream, tally: Tally, delimiter: str) -> Iterator[str | None]:
    """Yields the text of each row of a table whose first row names its columns.

    Args:
        stream: the table.
        tally: counts the rows, and decides about those that cannot be read.
        delimiter: between fields, where the settings name none.

    Raises:
        CorpusError: names file and line of a row that breaks the rules of quoting, or is too long or short, and of a
            header without the column.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    delimiter = tally.settings.csv_delimiter or delimiter
    lines = (f"{line}\n" for line in read_lines(stream, tally))
    quoting: Any = csv.QUOTE_MINIMAL if tally.settings.csv_quotes else csv.QUOTE_NONE
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    header = _csv_header(reader, delimiter, stream.name)
    if header is None:
        return
    column = _column(header, tally.settings.col_name, stream.name)
    for line_number, row in _csv_rows(reader, tally, stream.name):
        place = functools.partial(line_place, stream.name, line_number)
        tally.counts.num_rows += 1
        if not row:
            yield None
        elif len(row) != len(header):
            tally.skip(place, f"{len(row)} fields, where the header has {len(header)}")
        elif (text := tally.readable(row[column], place)) is not None:
            yield text


def _csv_header(reader: Any, delimiter: str, name: str) -> list[str] | None:
    """Returns the names of the columns, None where there is nothing to read.

    Raises:
        CorpusError: where they cannot be parsed.
    """
    try:
        header: list[str] | None = next(reader, None)
    except csv.Error as error:
        remedy = f"where another character than {delimiter!r} is between fields, name it by --csv-delimiter"
        raise CorpusError(f"{line_place(name, 1)}: malformed CSV: {error}; {remedy}; {_QUOTES_REMEDY}") from error
    return header


def _csv_rows(reader: Any, tally: Tally, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows that can be parsed, each with the number of the line it starts in."""
    while True:
        line_number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            tally.counts.num_rows += 1
            tally.skip(functools.partial(line_place, name, line_number), f"malformed CSV: {error}; {_QUOTES_REMEDY}")
            continue
        yield line_number, row


def _column(names: list[str], wanted: str, place: str) -> int:
    """Returns the number of a column.

    Raises:
        CorpusError: where there is none of that name; with a remedy for a single one that looks like several.
    """
    if wanted in names:
        return names.index(wanted)
    there = "there is only" if len(names) == 1 else "there are"
    message = f"{place}: no column {wanted!r} (--col-name); {there} {quoted_names(names)}"
    found = [spelled for delimiter, spelled in _DELIMITERS.items() if len(names) == 1 and delimiter in names[0]]
    raise CorpusError(message + (f"; it looks like several: try --csv-delimiter {found[0]}" if found else ""))


def _is_text(column_type: Any) -> bool:
    """Returns whether an Arrow type is text in any of its forms, such as that of categories in pandas and polars."""
    import pyarrow.types as types

    if types.is_dictionary(column_type):
        column_type = column_type.value_type
    if types.is_null(column_type):  # in a file none of whose rows has a text
        return True
    return types.is_string(column_type) or types.is_large_string(column_type) or types.is_string_view(column_type)


def parquet_texts(path: Path, tally: Tally) -> Iterator[str | None]:
    """Yields the text of each row of a Parquet file, a part of a column in memory at a time.

    Raises:
        CorpusError: where pyarrow is missing, cannot read the file, or there is no such column of strings.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CorpusError(f"{path}: to read Parquet install pyarrow: pip install 'electra-span[parquet]'") from None
    name = tally.settings.col_name
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            column_type = schema.field(_column(schema.names, name, str(path))).type
            if not _is_text(column_type):
                raise CorpusError(f"{path}: the column {name!r} must be one of strings. Received: {column_type}")
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=[name]):
                # `columns` also selects the field "b" of a struct "a" for a column "a.b".
                for text in batch.column(batch.schema.names.index(name)).to_pylist():
                    tally.counts.num_rows += 1
                    yield None if text is None else text.replace("\r\n", "\n")
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise CorpusError(f"{path}: cannot read Parquet, after row {tally.counts.num_rows}: {reason}") from error

"""Rows of JSON, and what rows of every kind have in common: the text of each is a document."""

import csv
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from electra_span.files import json_reason
from pretrain.sources.lines import MAX_LINE_BYTES, Passage, read_lines
from pretrain.sources.settings import CorpusError, Tally
from pretrain.sources.streams import BLOCK_BYTES, Stream, decoded

_WHITE_SPACE = "\ufeff \t\n\r"  # a byte order mark is passed over
_MAX_NAMES = 12


def row_passages(texts: Iterable[str | None], tally: Tally) -> Iterator[Passage]:
    """Yields each row's text as a document, its lines without white space around them; blank ones are left out."""
    for text in texts:
        lines = [] if text is None else [line for line in map(str.strip, text.split("\n")) if line]
        if lines:
            yield Passage(lines, [len(lines)])
        else:
            tally.counts.rows_without_text += 1


def json_line_texts(lines: Iterable[str], tally: Tally, place: Callable[[int], str]) -> Iterator[str | None]:
    """Yields the text of each JSON object, one a line; blank lines are passed over.

    Args:
        lines: the JSON.
        tally: counts the objects, and decides about those that cannot be read.
        place: returns where the line of a number, counted from 0, is.
    """
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        tally.counts.num_rows += 1
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            tally.skip(functools.partial(place, number), json_reason(error, is_line=True))
            continue
        yield from _text_of_object(value, tally, functools.partial(place, number))


def line_place(name: str, line_number: int) -> str:
    """Returns where a line of a source is."""
    return f"{name}: line {line_number}"


def quoted_names(names: Iterable[str]) -> str:
    """Returns the first of some names, in quotation marks."""
    some = [repr(name) for name in itertools.islice(names, _MAX_NAMES + 1)]
    return ", ".join(some[:_MAX_NAMES]) + (" and more" if len(some) > _MAX_NAMES else "")


def _text_of_object(value: Any, tally: Tally, place: Callable[[], str]) -> Iterator[str | None]:
    """Yields the text of a JSON object, None where there is none, or nothing where it cannot be read."""
    field = tally.settings.text_field
    if not isinstance(value, dict):
        tally.skip(place, f"a row must be a JSON object. Received: {type(value).__name__}")
    elif field not in value:
        tally.skip(place, f"no field {field!r} (--text-field); there are {quoted_names(value)}")
    elif value[field] is None:
        yield None
    elif not isinstance(value[field], str):
        tally.skip(place, f"the field {field!r} must be a string. Received: {type(value[field]).__name__}")
    elif (text := tally.readable(value[field].replace("\r\n", "\n"), place)) is not None:
        yield text


def json_array_texts(stream: Stream, tally: Tally) -> Iterator[str | None]:
    """Yields the text of each object of a JSON array, of which only some are in memory.

    Raises:
        CorpusError: names file and line of malformed JSON, which cannot be skipped: where the next object starts is
            unknown.
    """
    values = _JsonValues(stream, tally)
    values.take("[")
    is_first = True
    while not values.take_if("]"):
        if not is_first:
            values.take(",")
        is_first = False
        place = functools.partial(line_place, stream.name, values.line_number())
        tally.counts.num_rows += 1
        yield from _text_of_object(values.take_value(), tally, place)
    values.check_end()


class _JsonValues:
    """Takes JSON from a stream, value by value."""

    def __init__(self, stream: Stream, tally: Tally):
        self._name = stream.name
        self._blocks = decoded(
            stream, "utf-8", "strict" if tally.settings.on_bad_text == "error" else "surrogateescape"
        )
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._position = 0
        self._line_number = 1
        self._counted = 0  # where the line of that number is, at or before the position

    def _read(self) -> bool:
        """Returns whether there was more to read, after reading about as much as there is."""
        size = max(BLOCK_BYTES, len(self._text) - self._position)
        more: list[str] = []
        while size > 0 and (block := next(self._blocks, None)) is not None:
            more.append(block)
            size -= len(block)
        self._count_lines(self._position)
        self._text = self._text[self._position :] + "".join(more)
        self._position = self._counted = 0
        return bool(more)

    def _next_character(self) -> str:
        """Returns the next character that is not white space, which stays there, or nothing at the end."""
        while True:
            for position in range(self._position, len(self._text)):
                if self._text[position] not in _WHITE_SPACE:
                    self._position = position
                    return self._text[position]
            self._position = len(self._text)
            if not self._read():
                return ""

    def line_number(self) -> int:
        """Returns the number of the line that the next value starts in."""
        self._next_character()
        return self._count_lines(self._position)

    def _count_lines(self, position: int) -> int:
        """Returns the number of the line at a position, from which counting goes on."""
        self._line_number += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line_number

    def take_if(self, character: str) -> bool:
        """Returns whether a character comes next, and takes it."""
        if self._next_character() != character:
            return False
        self._position += 1
        return True

    def take(self, character: str) -> None:
        """Takes a character that must come next."""
        if not self.take_if(character):
            found = self._next_character()
            raise CorpusError(
                f"{self._name}: line {self.line_number()}: malformed JSON: expected {character!r}, found "
                f"{repr(found) if found else 'the end of the file'}"
            )

    def take_value(self) -> Any:
        """Returns the next value."""
        self._next_character()
        while True:
            try:
                value, self._position = self._decoder.raw_decode(self._text, self._position)
                return value
            except json.JSONDecodeError as error:
                offset = error.pos - self._position
                if len(self._text) - self._position <= MAX_LINE_BYTES and self._read():
                    continue
                line_number, reason = self._count_lines(self._position + offset), f"malformed JSON: {error.msg}"
            except (ValueError, RecursionError) as error:
                line_number, reason = self._count_lines(self._position), json_reason(error)
            raise CorpusError(f"{self._name}: line {line_number}: {reason}")

    def check_end(self) -> None:
        """Raises CorpusError where anything is left."""
        if found := self._next_character():
            raise CorpusError(
                f"{self._name}: line {self.line_number()}: malformed JSON: expected the end, found {found!r}"
            )


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

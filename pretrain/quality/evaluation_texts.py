"""The texts of evaluation files, of any layout: every string in them."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from electra_span.files import json_reason, parse_json
from pretrain.quality.settings import QualityError
from pretrain.sources.streams import BLOCK_BYTES, inner_suffix, open_stream, unpacked

_MAX_FIELD_CHARACTERS = 1 << 26


def evaluation_texts(path: Path) -> Iterator[str]:
    """Yields every string of an evaluation file: values of JSON, fields of CSV and TSV, lines of anything else.

    JSON may be one value, as SQuAD's, or one a line. The file may be packed (.gz .xz .bz2 .zst); it is UTF-8, and
    fits the memory.

    Raises:
        UserError: names a file that cannot be read, and where it is malformed.
    """
    with open_stream(path) as packed:
        stream = unpacked(packed)
        content = b"".join(iter(lambda: stream.read(BLOCK_BYTES), b""))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QualityError(f"{path}: not UTF-8 at byte {error.start} ({error.reason})") from error
    reader = _READERS.get(inner_suffix(path.name), _lines)
    yield from reader(text, path)


def _json(text: str, path: Path) -> Iterator[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if "Extra data" not in str(error):
            raise QualityError(f"{path}: {json_reason(error)}") from None
        yield from _json_lines(text, path)
    else:
        yield from _strings(value)


def _json_lines(text: str, path: Path) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield from _strings(parse_json(line, f"{path}: line {number}", is_line=True))


def _strings(value: Any) -> Iterator[str]:
    """Yields the strings in a value of JSON, in any depth; names of fields are none."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += reversed(value.values())
        elif isinstance(value, list):
            waiting += reversed(value)


def _csv(text: str, path: Path) -> Iterator[str]:
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in rows:
            yield from row
    except csv.Error as error:
        raise QualityError(f"{path}: line {rows.line_num}: {error}") from error


def _tsv(text: str, path: Path) -> Iterator[str]:
    for line in _lines(text, path):
        yield from line.split("\t")  # quotation marks are text, as in GLUE's files


def _lines(text: str, path: Path) -> Iterator[str]:
    yield from text.splitlines()


_READERS: dict[str, Callable[[str, Path], Iterator[str]]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".tsv": _tsv,
    ".tab": _tsv,
}

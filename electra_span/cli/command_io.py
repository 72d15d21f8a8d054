"""Texts for a command, from its arguments, a file or standard input. Imports no TensorFlow."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from electra_span.config import UserError
from electra_span.files import JsonError, parse_json, without_controls
from electra_span.inference.requests import shown
from electra_span.inference.results import ReplacedToken

Row = Mapping[str, Any]  # what one text comes with, the text itself by the name of its field

_BATCH_SIZE = 1024  # texts that are asked at a time
_BOM = "\ufeff"


def read_batches(
    texts: Sequence[str], file: str | None, fields: Sequence[str], *, are_objects: bool
) -> Iterator[list[Row]]:
    """Yields rows for a model, many at a time; one at a time where somebody types them.

    Args:
        texts: the arguments; where there are none, the file is read.
        file: a path, or None or "-" for standard input; a text a line.
        fields: names of what a row has, the first of them that of a text which comes alone.
        are_objects: whether each text is a JSON object with these fields, and perhaps others.

    Raises:
        UserError: names the file and line that cannot be read; or there is no text at all.
    """
    if texts and file is not None:
        raise UserError("texts come as arguments or from --file, not both")
    numbered = enumerate(texts, start=1) if texts else _read_lines(file)
    source = "argument" if texts else f"{_name_of(file)}, line"
    batch: list[Row] = []
    size = 1 if not texts and file in (None, "-") and sys.stdin.isatty() else _BATCH_SIZE
    is_empty = True
    for number, text in numbered:
        is_empty = False
        batch.append(_object(text, fields, f"{source} {number}") if are_objects else {fields[0]: text})
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
    if is_empty:
        raise UserError(f"{_name_of(file)}: has no text. Give texts as arguments, in --file, or one a line")


def read_text(path: str) -> str:
    """Returns the content of a file.

    Raises:
        UserError: it cannot be read.
    """
    return "\n".join(line for _, line in _read_lines(path))


def _name_of(file: str | None) -> str:
    return "standard input" if file in (None, "-") else str(file)


def _read_lines(file: str | None) -> Iterator[tuple[int, str]]:
    """Yields the lines of a file, without their ends, with their numbers."""
    if file is None or file == "-":
        yield from _decoded(sys.stdin.buffer, _name_of(file))
        return
    try:
        with open(file, "rb") as opened:
            yield from _decoded(opened, file)
    except OSError as error:
        raise UserError(f"cannot read the file {file!r}: {error.strerror}") from None


def _decoded(lines: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, start=1):
        try:
            text = line.removesuffix(b"\n").removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{name}, line {number}: is not UTF-8 text: byte {error.start + 1} of it") from None
        yield number, text.removeprefix(_BOM) if number == 1 else text


def _object(text: str, fields: Sequence[str], place: str) -> Row:
    """Returns the JSON object that a text is."""
    wanted = " and ".join(f'"{field}"' for field in fields)
    try:
        row = parse_json(text, place)
    except JsonError as error:
        raise UserError(f"{error}. It must be a JSON object with {wanted}") from None
    if not isinstance(row, dict) or not all(isinstance(row.get(field), str) for field in fields):
        raise UserError(f"{place}: must be a JSON object with the strings {wanted}. Received: {shown(text)}")
    return row


# From which probability on, and the colour: SGR sequences of ECMA-48.
_COLOURS = ((0.9, "\x1b[1;31m"), (0.5, "\x1b[33m"))
_PLAIN = "\x1b[0m"


def coloured(text: str, tokens: Sequence[ReplacedToken]) -> str:
    """Returns a text whose tokens are red where they seem replaced, and yellow where that is likelier than not.

    Characters that a terminal obeys are shown as U+FFFD.

    Args:
        text: as it was given.
        tokens: its tokens, in order.
    """
    parts, end = [], 0
    for _, start, token_end, probability in tokens:
        colour = next((colour for lowest, colour in _COLOURS if probability >= lowest), "")
        start = max(start, end)  # of a character that several tokens share, the first has it
        if colour and start < token_end:
            parts += [without_controls(text[end:start]), colour, without_controls(text[start:token_end]), _PLAIN]
            end = token_end
    return "".join([*parts, without_controls(text[end:])])

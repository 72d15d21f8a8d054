"""Files of results, each there whole or not at all. Imports no TensorFlow."""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

from electra_span.config import UserError


class OutputError(UserError):
    """Results that cannot be written, or files of results that cannot be read."""


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file in UTF-8; what is no Unicode text in it is written as its escape."""
    write_whole(path, lambda partial: partial.write_bytes(text.encode("utf-8", "backslashreplace")))


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file.

    Raises:
        OutputError: for a number that is not finite, which JSON does not have; the file stays as it was.
    """
    try:
        text = json.dumps(value, indent=2, allow_nan=False)
    except ValueError as error:
        raise OutputError(f"{path}: all numbers written there must be finite. Received: {error}") from error
    write_text(path, text + "\n")


def write_whole(path: pathlib.Path, write: Callable[[pathlib.Path], object]) -> None:
    """Has a file written beside its place, then puts it there; its folder is made where it is missing.

    Args:
        path: of the file.
        write: gets the path to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".unfinished")
    try:
        write(partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)

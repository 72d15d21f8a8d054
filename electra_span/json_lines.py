"""Files of one JSON object a line that a run adds to, and that may end in a line a crash cut. No TensorFlow."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from electra_span.config import UserError
from electra_span.files import JsonError, parse_json, reason_of, write_text

_TOO_LARGE = 2**63  # JSON has integers of any size, which floating-point numbers have not


class TrainingLogError(UserError):
    """A log that cannot be read or written."""


class JsonLines:
    """A file of one JSON object a line, each with its step, that a resumed run continues without repetition."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def append(self, numbers: Mapping[str, float | int]) -> None:
        """Adds a line.

        Raises:
            TrainingLogError: it could not be written, for example to a full disk.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(numbers) + "\n")
                file.flush()
                os.fsync(file.fileno())  # before the checkpoint: a crash of the machine could lose the line otherwise
        except OSError as error:
            raise TrainingLogError(f"cannot write {self.path}: {reason_of(error)}") from error

    def read(self) -> list[dict[str, float]]:
        """Returns all whole lines; what a crash left of others is passed over.

        Raises:
            TrainingLogError: the file cannot be read.
        """
        if not self.path.exists():
            return []
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        except OSError as error:
            raise TrainingLogError(f"cannot read {self.path}: {reason_of(error)}") from error
        return [line for line in map(_parsed, lines) if line is not None]

    def cut_after(self, step: int) -> None:
        """Drops the lines of later steps, which a resumed run writes again."""
        if not self.path.exists():
            return
        kept = [json.dumps(line) + "\n" for line in self.read() if line["step"] <= step]
        try:
            write_text(self.path, "".join(kept))
        except OSError as error:
            raise TrainingLogError(f"cannot write {self.path}: {reason_of(error)}") from error


def _parsed(line: str) -> dict[str, float] | None:
    """Returns the object of numbers in a line, or None where there is none with a step."""
    try:
        numbers = parse_json(line, "line")
    except JsonError:
        return None
    return numbers if has_step_and_numbers(numbers) else None


def has_step_and_numbers(value: Any) -> bool:
    """Returns whether a value is an object of numbers with the step that they were taken at, as runs report."""
    return (
        isinstance(value, dict)
        and type(value.get("step")) is int
        and value["step"] >= 0
        and all(type(each) is float or (type(each) is int and abs(each) < _TOO_LARGE) for each in value.values())
    )

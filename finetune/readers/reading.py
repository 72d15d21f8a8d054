"""Lines of files of examples, and the rows among them that are bad. Imports no TensorFlow."""

import collections
import dataclasses
import os
from collections.abc import Iterator
from typing import NamedTuple

from absl import logging

from electra_span.config import UserError
from electra_span.containers import check_plain_text
from electra_span.files import reason_of

_MAX_NAMED = 5


class DataError(UserError):
    """A file of examples that is missing, of another layout, or has too many bad rows."""


class Example(NamedTuple):
    """A text, or a pair of texts, and what is to be told about it."""

    example_id: int
    text_a: str
    text_b: str | None
    label: str | float | None  # the name of a class, a score in the file's unit, or None where it is not known


@dataclasses.dataclass(frozen=True, kw_only=True)
class BadRowLimit:
    """How many rows of a file may be bad: as many as the larger of the two allows."""

    num_rows: int = 10
    rate: float = 0.01

    def __post_init__(self) -> None:
        if self.num_rows < 0 or not 0 <= self.rate <= 1:
            raise DataError(f"bad rows: their number must be at least 0, their rate from 0 to 1. Received: {self}")


class RowTally:
    """Counts the rows of one file, and those among them that are bad, of which the first are named in the log.

    Attributes:
        file: its path.
        num_rows: that were read, bad ones among them.
        left_out: numbers of rows that could not be used, by what was wrong.
        kept: numbers of rows that were used although something was wrong.
        passed_over: numbers of rows that their file itself says are not to be used, which are not bad.
        noted: numbers of places with something that is said, but is not bad.
        first_places: of the first rows counted for each of these reasons.
    """

    def __init__(
        self, file: str | os.PathLike[str], limit: BadRowLimit | None = None, *, may_leave_out: bool = True
    ) -> None:
        """Starts at no rows.

        Args:
            file: its path.
            limit: how many rows may be bad.
            may_leave_out: whether rows may be left out at all, which they may not where every row needs an answer.
        """
        self.file = os.fspath(file)
        self.num_rows = 0
        self.left_out: collections.Counter[str] = collections.Counter()
        self.kept: collections.Counter[str] = collections.Counter()
        self.passed_over: collections.Counter[str] = collections.Counter()
        self.noted: collections.Counter[str] = collections.Counter()
        self.first_places: collections.defaultdict[str, list[str]] = collections.defaultdict(list)
        self._limit = limit or BadRowLimit()
        self._may_leave_out = may_leave_out

    @property
    def num_bad(self) -> int:
        """The number of bad rows, left out or not."""
        return self.left_out.total() + self.kept.total()

    def leave_out(self, line_number: int | str, rule: str, detail: str = "") -> None:
        """Counts a row that cannot be used.

        Args:
            line_number: of the row's first line, from 1; or another name of its place in the file.
            rule: what was wrong, equal for rows with the same mistake.
            detail: what else there is to say of this row.

        Raises:
            DataError: where no row may be left out, or too many are bad.
        """
        if not self._may_leave_out:
            raise DataError(f"{self._place(line_number)}: {rule}{detail}; every row of this file needs an answer")
        self.left_out[rule] += 1
        self._note_place(line_number, rule)
        self._count(line_number, rule + detail, "left out")

    def keep(self, line_number: int | str, rule: str) -> None:
        """Counts a row that is used although something is wrong with it; see `leave_out`."""
        self.kept[rule] += 1
        self._note_place(line_number, rule)
        self._count(line_number, rule, "used all the same")

    def pass_over(self, line_number: int | str, reason: str) -> None:
        """Counts a row that is not to be used, and not bad either; see `leave_out`."""
        self.passed_over[reason] += 1
        self._note_place(line_number, reason)

    def note(self, line_number: int | str, reason: str) -> None:
        """Counts something that is said about a place, but is not bad; see `leave_out`."""
        self.noted[reason] += 1
        self._note_place(line_number, reason)

    def summary(self) -> str:
        """Returns a line about the rows that were read."""
        counts = [f"{count} left out ({rule})" for rule, count in sorted(self.left_out.items())]
        counts += [f"{count} used although of {rule}" for rule, count in sorted(self.kept.items())]
        counts += [f"{count} passed over ({reason})" for reason, count in sorted(self.passed_over.items())]
        counts += [f"{count} with a note ({reason})" for reason, count in sorted(self.noted.items())]
        return f"{self.file}: {self.num_rows} rows" + "".join(f", {count}" for count in counts)

    def report(self) -> None:
        """Logs the summary where a row was bad or passed over, or something was noted."""
        if self.num_bad or self.passed_over or self.noted:
            logging.warning("%s", self.summary())

    def _place(self, line_number: int | str) -> str:
        return f"{self.file}: {_place_in_file(line_number)}"

    def _note_place(self, line_number: int | str, reason: str) -> None:
        if len(self.first_places[reason]) < _MAX_NAMED:
            self.first_places[reason].append(_place_in_file(line_number))

    def _count(self, line_number: int | str, mistake: str, what_became: str) -> None:
        message = f"{self._place(line_number)}: {mistake}"
        if self.num_bad <= _MAX_NAMED:
            logging.warning("%s; the row is %s", message, what_became)
        if self.num_bad > max(self._limit.num_rows, self._limit.rate * self.num_rows):
            raise DataError(
                f"{self.num_bad} of the first {self.num_rows} rows are bad, more than {self._limit.num_rows} and more "
                f"than {self._limit.rate:.1%}; the last: {message}"
            )


def _place_in_file(line_number: int | str) -> str:
    return line_number if isinstance(line_number, str) else f"line {line_number}"


def read_lines(file: str | os.PathLike[str], encoding: str = "utf-8-sig") -> Iterator[str]:
    r"""Yields the lines of a file without their ends, which are "\n" or "\r\n" and no other character.

    A byte order mark is passed over. What cannot be decoded becomes surrogates; see `is_text`.

    Raises:
        DataError: where the file cannot be read.
    """
    check_plain_text(file)
    try:
        with open(file, encoding=encoding, errors="surrogateescape", newline="\n") as stream:
            for line in stream:
                yield line.removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise DataError(f"{os.fspath(file)}: cannot be read: {reason_of(error)}") from error


def is_text(text: str) -> bool:
    """Returns whether all of a text could be decoded."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

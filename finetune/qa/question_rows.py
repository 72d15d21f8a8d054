"""What every layout of files of questions is turned into before it is checked. Imports no TensorFlow."""

import io
from collections.abc import Iterator
from typing import NamedTuple


class LayoutError(ValueError):
    """A file that is not of its format at all."""


class QuestionFile(NamedTuple):
    """A file of questions that is being read."""

    stream: io.BufferedIOBase  # decompressed
    name: str  # for errors
    history_turns: int = 0  # how many questions and answers before it a question of QuAC begins with


class QuestionRow(NamedTuple):
    """A question as its file has it: nothing is checked but the types of its fields."""

    id: str
    text: str
    context: str
    answers: list[tuple[str, int | None]]  # texts, and the code points at which they are said to begin
    gold_texts: list[str]
    is_impossible: bool
    oddities: tuple[str, ...] = ()  # what is wrong with it although it can be used
    notes: tuple[str, ...] = ()  # what was left out of it, although nothing is wrong


class PassedOver(NamedTuple):
    """A question that its file itself says is not to be used."""

    reason: str


class Note(NamedTuple):
    """A part of a file without questions, in which nothing is wrong."""

    reason: str


# A place in the file, and the question there, or why there is none: a string tells what is wrong with it.
Rows = Iterator[tuple[str, QuestionRow | PassedOver | Note | str]]

"""What every layout of files of questions is turned into before it is checked. Imports no TensorFlow."""

from collections.abc import Iterator
from typing import Any, NamedTuple


class LayoutError(ValueError):
    """A file that is not of its format at all."""


class QuestionRow(NamedTuple):
    """A question as its file has it: nothing is checked but that the fields are there."""

    id: Any
    text: Any
    context: Any
    answers: list[tuple[Any, Any]]  # texts, and the code points at which they are said to begin
    gold_texts: list[Any]
    is_impossible: bool
    oddities: tuple[str, ...] = ()  # what is wrong with it although it can be used


class PassedOver(NamedTuple):
    """A question that its file itself says is not to be used."""

    reason: str


# A place in the file, and the question there, or why there is none: a string tells what is wrong with it.
Rows = Iterator[tuple[str, QuestionRow | PassedOver | str]]

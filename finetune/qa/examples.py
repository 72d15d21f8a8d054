"""What every layout of files of questions is turned into before it is checked. Imports no TensorFlow."""

import io
import re
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


class Answer(NamedTuple):
    """A part of a context: `context[start : start + len(text)]` is its text."""

    text: str
    start: int  # in code points

    @property
    def end(self) -> int:
        """The code point behind its last."""
        return self.start + len(self.text)


class Question(NamedTuple):
    """A question, the text its answer is in, and the right answers.

    Attributes:
        id: by which predictions and gold answers are found; no other question of its file has it.
        text: what is asked; it can be empty.
        context: where the answer is.
        answers: those found in the context, the first of which is trained on; they may be fewer than gold_texts, as in
            files for evaluation.
        gold_texts: what a prediction is compared with, none for an impossible question.
        is_impossible: whether the context has no answer.
    """

    id: str
    text: str
    context: str
    answers: tuple[Answer, ...]
    gold_texts: tuple[str, ...]
    is_impossible: bool


def trimmed(answer: Answer) -> Answer:
    """Returns an answer without the white space around it, which has some text between."""
    return Answer(answer.text.strip(), answer.start + len(answer.text) - len(answer.text.lstrip()))


def locate_answer(context: str, text: str, start: int) -> Answer | None:
    """Returns the answer with its true text and offset, or None where it is not there.

    An answer that differs from the context in case or in white space is taken as the context has it, and found
    wherever it begins within the words that the given place touches: `locate_answer(c, t, s) == (t, s)` tells whether
    it was right as given.

    Args:
        context: the text.
        text: the answer.
        start: the code point at which it begins.
    """
    if not text.strip() or not 0 <= start < len(context):
        return None
    if context.startswith(text, start):
        return Answer(text, start)
    first, last = start, start + len(text)
    while first > 0 and not context[first - 1].isspace():
        first -= 1
    while last < len(context) and not context[last].isspace():
        last += 1
    pattern = r"\s+".join(map(re.escape, text.split()))
    found = re.search(pattern, context[first:last], re.IGNORECASE)
    return Answer(found.group(), first + found.start()) if found else None


def unit_of_offset(context: str, text: str, start: int) -> str | None:
    """Returns in which unit other than code points an offset is right; None if in code points, or in no unit.

    Args:
        context: the text.
        text: the answer.
        start: its offset as given.
    """
    if start < 0 or not text or context.isascii() or context.startswith(text, start):
        return None
    units = {"UTF-16 code units": ("utf-16-le", 2), "bytes of UTF-8": ("utf-8", 1)}
    for unit, (encoding, size) in units.items():
        encoded, answer = (value.encode(encoding, "surrogatepass") for value in (context, text))
        if encoded.startswith(answer, start * size):
            return unit
    return None

"""The part of a context in which an answer, and the one that should have been given, are. Imports no TensorFlow."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from finetune.qa.examples import Answer, Question

GOLD, PREDICTED, BOTH, NEITHER = "gold", "predicted", "both", ""
_MARGIN = 140  # code points around what is marked


class Piece(NamedTuple):
    """A piece of an excerpt."""

    text: str
    mark: str  # GOLD, PREDICTED, BOTH or NEITHER


def excerpt(question: Question, gold_text: str, predictions: Sequence[str]) -> list[Piece]:
    """Returns pieces of a question's context, with "…" for what is left out.

    Args:
        question: whose context it is.
        gold_text: the right answer to mark, if it is there; "" for none.
        predictions: the answers to mark, where they are closest to the right one.
    """
    context = question.context
    gold = _gold_place(question, gold_text)
    answers = [_closest(context, text, gold.start if gold else 0) for text in predictions if text.strip()]
    predicted = [answer for answer in answers if answer is not None]
    marked = [*([gold] if gold else []), *predicted] or [Answer("", 0)]
    kinds = [NEITHER] * len(context)
    for answer in predicted:
        kinds[answer.start : answer.end] = [PREDICTED] * len(answer.text)
    for place in range(*((gold.start, gold.end) if gold else (0, 0))):
        kinds[place] = BOTH if kinds[place] == PREDICTED else GOLD
    return list(_pieces(context, kinds, _windows(context, marked)))


def _gold_place(question: Question, text: str) -> Answer | None:
    """Returns where a gold answer is, by its offset if the file tells it."""
    known = (answer for answer in question.answers if answer.text == text)
    return next(known, None) or (_closest(question.context, text, 0) if text.strip() else None)


def _closest(context: str, text: str, place: int) -> Answer | None:
    """Returns the occurrence of a text that begins closest to a place, None where it is nowhere."""
    starts = [start for start in (context.rfind(text, 0, place + len(text)), context.find(text, place)) if start >= 0]
    return Answer(text, min(starts, key=lambda start: abs(start - place))) if starts else None


def _windows(context: str, marked: Sequence[Answer]) -> list[tuple[int, int]]:
    """Returns the parts of the context around what is marked, in order and apart from each other."""
    windows: list[tuple[int, int]] = []
    for answer in sorted(marked, key=lambda answer: answer.start):
        start, end = _from_word_to_word(context, answer)
        if windows and start <= windows[-1][1]:
            windows[-1] = windows[-1][0], max(windows[-1][1], end)
        else:
            windows.append((start, end))
    return windows


def _from_word_to_word(context: str, answer: Answer) -> tuple[int, int]:
    """Returns where a margin around an answer begins and ends, which is between words if there are any."""
    start, end = max(0, answer.start - _MARGIN), min(len(context), answer.end + _MARGIN)
    if start > 0:
        start = context.find(" ", start, answer.start) + 1 or start
    if end < len(context):
        last = context.rfind(" ", answer.end, end)
        end = last if last >= 0 else end
    return start, end


def _pieces(context: str, kinds: Sequence[str], windows: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    end = 0
    for start, end in windows:
        if start > 0:
            yield Piece(" … ", NEITHER)
        for mark, places in itertools.groupby(range(start, end), key=lambda place: kinds[place]):
            text = "".join(context[place] for place in places)
            yield Piece(text, mark)
    if end < len(context):
        yield Piece(" … ", NEITHER)

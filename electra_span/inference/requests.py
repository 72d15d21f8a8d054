"""What may be asked of a model, checked before it is run. Imports no TensorFlow."""

import math
from collections.abc import Sequence
from typing import Any

from electra_span.config import UserError
from electra_span.head_config import HeadConfig

MOST_ANSWERS = 20  # that probabilities are shared out among, as in the evaluation of fine-tuned models
NO_ANSWER_THRESHOLD = -2.75  # the original's `qa_na_threshold`, for heads that classify whether there is an answer
OWN_THRESHOLD = math.nan  # of the head: the one above, or infinity where it has no such classifier
POOLINGS = ("first", "mean", "none")  # of states to a vector
_SHOWN_CHARACTERS = 60


class InferenceError(UserError, ValueError):
    """What a model cannot be asked, and what to do instead."""


class TextCutWarning(UserWarning):
    """Texts have more tokens than a model reads; the rest was left out."""


def checked_texts(name: str, texts: Any) -> list[str]:
    """Returns texts as a list.

    Args:
        name: of the argument.
        texts: a sequence of strings.

    Raises:
        InferenceError: for anything else, one string above all.
    """
    if not is_list(texts):
        raise InferenceError(f"{name} must be a list of strings, also for one: [text]. Received: {shown(texts)}")
    texts = list(texts)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InferenceError(f"{name} must be a list of strings. Received: {shown(text)} at {index}")
    return texts


def is_list(value: Any) -> bool:
    """Returns whether a value can be a list of texts."""
    return hasattr(value, "__iter__") and not isinstance(value, (str, bytes))


def checked_words(sentences: Any) -> list[list[str]]:
    """Returns sentences that are split into words as lists.

    Raises:
        InferenceError: for a sentence that is none, or an empty word.
    """
    rows = [checked_texts(f"texts[{index}]", sentence) for index, sentence in enumerate(sentences)]
    for index, row in enumerate(rows):
        if "" in row:
            raise InferenceError(f"words must not be empty. Received: '' at texts[{index}][{row.index('')}]")
    return rows


def check_equal_numbers(**columns: Sequence[str]) -> None:
    """Raises InferenceError unless two lists are as long as each other."""
    (first, ones), (second, others) = columns.items()
    if len(ones) != len(others):
        raise InferenceError(
            f"{first} and {second} must be of the same number. Received: {len(ones)} {first}, {len(others)} {second}"
        )


def check_between(name: str, value: int, lowest: int, highest: int | None = None) -> None:
    """Raises InferenceError for a number that is too small or too large, or no whole one."""
    if type(value) is not int or value < lowest or (highest is not None and value > highest):
        limits = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest}"
        raise InferenceError(f"{name} must be a whole number {limits}. Received: {value!r}")


def find_head(heads: Sequence[HeadConfig], command: str, kinds: Sequence[str], task: str | None) -> HeadConfig:
    """Returns the head that a request is for.

    Args:
        heads: of the model.
        command: the request's name.
        kinds: of the heads that can do it.
        task: its task; None where there is one such head only.

    Raises:
        InferenceError: there is none, or none of that task, or there are several.
    """
    able = [head for head in heads if head.kind in kinds]
    names = ", ".join(repr(head.task) for head in able)
    if not able:
        has = ", ".join(f"{head.task!r} ({head.kind})" for head in heads)
        raise InferenceError(
            f"{command} needs a head for {' or '.join(kinds)}, and this model has {has}. "
            "Load a model that was fine-tuned on such a task"
        )
    if task is None and len(able) > 1:
        raise InferenceError(f"{command} needs task=, for this model has several: {names}")
    found = next((head for head in able if task in (None, head.task)), None)
    if found is None:
        raise InferenceError(f"task must be one that this model can {command}: {names}. Received: {task!r}")
    return found


def shown(value: Any) -> str:
    """Returns a value for an error's one line."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."

"""What the fields of a question mean, by the type that a JSON writer gave them. Imports no TensorFlow.

Writers disagree: ids are numbers, offsets are text, answers are lists of objects or objects of lists, and what is not
known is null, absent or empty. docs/finetuning.md has the table; every function here reads one kind of field.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from electra_span.files import JsonError, shown

_WHOLE_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,18})(?:\.0*)?\s*")
_LARGEST_WHOLE_FLOAT = 2**53  # above, a float stands for several whole numbers
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class FieldError(ValueError):
    """A field that cannot be read: the rule, a colon, and what was received."""


class GivenAnswer(NamedTuple):
    """An answer as a file has it."""

    text: str  # not blank
    start: int | None  # the code point at which it is said to begin; None if the file gives no number


class GivenAnswers(NamedTuple):
    """The answers of a question, those without text apart."""

    with_text: list[GivenAnswer]
    num_without_text: int
    are_given: bool  # false if the field is null or absent, as in a file without answers


def malformed_json(error: JsonError, source: str) -> str:
    """Returns a mistake in JSON as a rule, a colon, and the reason; `source` is what `parse_json` was given."""
    return f"malformed JSON: {str(error).removeprefix(f'{source}: ').removeprefix('malformed JSON at ')}"


def whole_number(value: Any) -> int | None:
    """Returns the whole number that a JSON value is, as a number or as text; None for any other."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _LARGEST_WHOLE_FLOAT else None
    if isinstance(value, str):
        match = _WHOLE_NUMBER.fullmatch(value)
        return int(match[1]) if match else None
    return value if isinstance(value, int) else None


def id_of(value: Any) -> str:
    """Returns an id as text, by which predictions are found; a whole number is its digits.

    Raises:
        FieldError: it is missing, or of another type.
    """
    if value is None or value == "":
        raise FieldError("the id is missing")
    number = None if isinstance(value, str) else whole_number(value)
    if number is None and not isinstance(value, str):
        raise FieldError(f"the id must be text or a whole number: {_received(value)}")
    return value if number is None else str(number)


def text_of(value: Any, name: str) -> str:
    """Returns a question, a context or the text of an answer; a whole number, such as a year, is its digits.

    Args:
        value: of the field.
        name: of the field, for the error.

    Raises:
        FieldError: it is of another type.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None:
        raise FieldError(f"{name!r} is missing")
    raise FieldError(f"question, context and answers must be text: {name} is {_received(value)}")


def boolean_of(value: Any, name: str) -> bool | None:
    """Returns a truth value, also of the numbers 0 and 1 and of text; None if the field says nothing.

    Args:
        value: of the field.
        name: of the field, for the error.

    Raises:
        FieldError: it is something else.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _BOOLEANS:
        return _BOOLEANS[value.strip().lower()]
    raise FieldError(f"{name} must be true or false: {_received(value)}")


def list_of(value: Any, name: str) -> list[Any]:
    """Returns the items of a list, none if it is null or absent; raises FieldError for another type."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise FieldError(f"{name!r} must be a list: {_received(value)}")
    return value


def texts_of(value: Any, name: str) -> list[str]:
    """Returns the texts of a list, but for null and blank ones; see `list_of` and `text_of`."""
    texts = [text_of(item, f"an item of {name}") for item in list_of(value, name) if item is not None]
    return [text for text in texts if text.strip()]


def answers_of(value: Any, name: str = "answers") -> GivenAnswers:
    """Returns the answers of a question, from a list of objects or from an object of two lists.

    Args:
        value: `[{"text": ..., "answer_start": ...}, ...]`, or `{"text": [...], "answer_start": [...]}` as tables of
            Hugging Face's datasets have it, where one answer may come without the lists.
        name: of the field, for errors.

    Raises:
        FieldError: it is of another type or layout, or a text is none.
    """
    items = _rows_of_columns(value, name) if isinstance(value, Mapping) else list_of(value, name)
    given = [answer for answer in (_answer_of(item, name) for item in items) if answer is not None]
    return GivenAnswers(given, len(items) - len(given), are_given=value is not None)


def _answer_of(item: Any, name: str) -> GivenAnswer | None:
    """Returns an answer; None for one without text, which is how files say that nobody answered."""
    if item is None:
        return None
    if not isinstance(item, Mapping):
        raise FieldError(f"each of {name!r} must be an object with text and answer_start: {_received(item)}")
    if item.get("text") is None:
        return None
    text = text_of(item["text"], "the text of an answer")
    return GivenAnswer(text, whole_number(item.get("answer_start"))) if text.strip() else None


def _rows_of_columns(value: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Returns the rows of an object of columns."""
    texts, starts = value.get("text"), value.get("answer_start")
    if not isinstance(texts, list) and not isinstance(starts, list):
        return [{"text": texts, "answer_start": starts}]
    if texts is None or (isinstance(texts, list) and starts is None):
        return [{"text": text} for text in texts or []]
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        raise FieldError(f"{name!r} must have as many texts as offsets: {_received(value)}")
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def _received(value: Any) -> str:
    if isinstance(value, list | Mapping):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return shown(repr(value), 80)

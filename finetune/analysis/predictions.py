"""Files of predictions and null odds by question id, as evaluators read them. Imports no TensorFlow."""

import math
import os
from typing import Any

from electra_span.files import JsonError, read_json_object, shown
from finetune.qa.fields import FieldError, text_of
from finetune.reading import DataError


def read_predictions(file: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the answers by question id, "" for none; an integer, such as a year, is its digits.

    Raises:
        DataError: for a file that cannot be read, is no JSON object, has an id twice, or a value that is no text.
    """
    return {name: _text(value, file, name) for name, value in _json_object(file).items()}


def read_null_odds(file: str | os.PathLike[str]) -> dict[str, float]:
    """Returns how likely each question has no answer, by its id; a number may be written as text.

    Raises:
        DataError: as read_predictions, and for a value that is no finite number.
    """
    return {name: _number(value, file, name) for name, value in _json_object(file).items()}


def _text(value: Any, file: str | os.PathLike[str], name: str) -> str:
    try:
        return text_of(value, "a prediction")
    except FieldError:
        raise _error(file, name, "a prediction must be a string", value) from None


def _number(value: Any, file: str | os.PathLike[str], name: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _error(file, name, "null odds must be a finite number", value)
    return number


def _error(file: str | os.PathLike[str], name: str, rule: str, value: Any) -> DataError:
    return DataError(f"{os.fspath(file)}: id {shown(repr(name), 80)}: {rule}. Received: {shown(repr(value), 80)}")


def _json_object(file: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return read_json_object(file, unique_keys=True)
    except JsonError as error:
        raise DataError(str(error)) from None

"""Files of predictions and null odds by question id, as evaluators read them. Imports no TensorFlow."""

import collections
import json
import math
import os
from typing import Any

from electra_span.files import reason_of
from finetune.reading import DataError


def read_predictions(file: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the answers by question id, "" for none.

    Raises:
        DataError: for a file that cannot be read, is no JSON object, has an id twice, or a value that is no text.
    """
    values = _json_object(file)
    for name, value in values.items():
        if not isinstance(value, str):
            raise DataError(f"{os.fspath(file)}: id {name!r}: a prediction must be a string. Received: {value!r}")
    return values


def read_null_odds(file: str | os.PathLike[str]) -> dict[str, float]:
    """Returns how likely each question has no answer, by its id.

    Raises:
        DataError: as read_predictions, and for a value that is no finite number.
    """
    values = _json_object(file)
    for name, value in values.items():
        if not isinstance(value, float) or not math.isfinite(value):
            raise DataError(f"{os.fspath(file)}: id {name!r}: null odds must be a finite number. Received: {value!r}")
    return values


def _json_object(file: str | os.PathLike[str]) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            (name, count), *_ = collections.Counter(name for name, _ in pairs).most_common(1)
            raise DataError(f"{os.fspath(file)}: id {name!r} is there {count} times")
        return values

    try:
        with open(file, encoding="utf-8-sig") as stream:
            values = json.load(stream, object_pairs_hook=unique, parse_int=float)
    except OSError as error:
        raise DataError(f"{os.fspath(file)}: cannot be read: {reason_of(error)}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{os.fspath(file)}: malformed JSON: {error}") from error
    if not isinstance(values, dict):
        raise DataError(f"{os.fspath(file)} must be a JSON object by question id")
    return values

"""The answers that MRQA detected in a context, as its lines and as tables of them have them. Imports no TensorFlow."""

from collections.abc import Mapping
from typing import Any

from finetune.qa.fields import FieldError, list_of, text_of, whole_number


def detected_answers(value: Any) -> list[tuple[str, int | None]]:
    """Returns the texts of detected answers with the code points at which they begin; those without text left out.

    Args:
        value: `[{"text": ..., "char_spans": [[first, last], ...]}, ...]`, whose last is inclusive and not needed; or an
            object of the lists `text` and `char_spans`, whose spans are objects of `start` and `end`.

    Raises:
        FieldError: it is of another type or layout.
    """
    if isinstance(value, Mapping):
        texts, spans = (list_of(value.get(name), name) for name in ("text", "char_spans"))
        if len(texts) != len(spans):
            raise FieldError("'detected_answers' must have as many texts as char_spans")
        value = [{"text": text, "char_spans": span} for text, span in zip(texts, spans, strict=True)]
    found: list[tuple[str, int | None]] = []
    for answer in list_of(value, "detected_answers"):
        if not isinstance(answer, Mapping):
            raise FieldError("each of 'detected_answers' must be an object with text and char_spans")
        text = "" if answer.get("text") is None else text_of(answer["text"], "the text of an answer")
        if text.strip():
            found += [(text, start) for start in _starts(answer.get("char_spans"))]
    return found


def _starts(spans: Any) -> list[int | None]:
    """Returns the first code point of each span."""
    if isinstance(spans, Mapping):
        starts = spans.get("start")
        return [whole_number(start) for start in (starts if isinstance(starts, list) else [starts])]
    return [
        start
        for span in list_of(spans, "char_spans")
        for start in (_starts(span) if isinstance(span, Mapping) else [_first(span)])
    ]


def _first(span: Any) -> int | None:
    if not isinstance(span, list) or len(span) != 2:
        raise FieldError("each of 'char_spans' must be the first and the last code point")
    return whole_number(span[0])

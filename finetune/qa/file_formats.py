"""The answers that MRQA detected in a context, as its lines and as tables of them have them. Imports no TensorFlow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from electra_span.files import JsonError, MalformedJsonError, parse_json, shown
from finetune.qa.examples import LayoutError, Note, QuestionFile, QuestionRow, Rows
from finetune.qa.fields import (
    FieldError,
    GivenAnswers,
    answers_of,
    boolean_of,
    id_of,
    list_of,
    malformed_json,
    text_of,
    texts_of,
    whole_number,
)
from finetune.qa.newsqa import newsqa_rows


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


CANNOT_ANSWER = "CANNOTANSWER"  # QuAC's answer to what the text does not answer, and its contexts' last word
WITHOUT_TEXT = "an answer without text among others"

_NOT_OF_FORMAT = "not of this format"
_PARTS = ("paragraphs", "qas", "question")  # of an article, a paragraph, and a question in a row with its context

Object = Mapping[str, Any]


def _squad_rows(file: QuestionFile) -> Rows:
    """Yields the questions of SQuAD 1.1 and 2.0, and of layouts with the same fields.

    Articles, paragraphs or single questions with their contexts, in a list `data`, in a list alone, or one a line.
    """
    for place, item in _squad_items(file):
        if isinstance(item, str):
            yield place, item
        elif isinstance(item, Mapping) and "question" in item and "qas" not in item and "paragraphs" not in item:
            yield _named(place, item, "id"), _row_or_mistake(_squad_row, item, item)
        else:
            for place_of_paragraph, paragraph in _paragraphs_of(item, place):
                if not isinstance(paragraph, Mapping):
                    yield place_of_paragraph, paragraph
                    continue
                for place_of_question, qa in _items(paragraph, "qas", place_of_paragraph, "a paragraph"):
                    yield _named(place_of_question, qa, "id"), _row_or_mistake(_squad_row, paragraph, qa)


def _squad_row(paragraph: Object, qa: Object) -> QuestionRow:
    """Returns a question of SQuAD; where nothing tells whether it is impossible, it is if no answer has text."""
    answers = answers_of(qa.get("answers"))
    says = boolean_of(qa.get("is_impossible"), "is_impossible")
    is_impossible = answers.are_given and not answers.with_text if says is None else says
    return QuestionRow(
        id=id_of(qa.get("id")),
        text=text_of(qa.get("question"), "question"),
        context=text_of(paragraph.get("context"), "context"),
        answers=[*answers.with_text],
        gold_texts=[answer.text for answer in answers.with_text],
        is_impossible=is_impossible,
        notes=_notes(answers),
    )


def _mrqa_rows(file: QuestionFile) -> Rows:
    """Yields the questions of MRQA: one JSON object of a context a line, which a header can precede."""
    is_first = True
    for place, paragraph in _lines(file.stream):
        is_header = is_first and isinstance(paragraph, Mapping) and "header" in paragraph
        is_first = False
        if isinstance(paragraph, Mapping) and "question" in paragraph and "qas" not in paragraph:
            yield _named(place, paragraph, "qid"), _row_or_mistake(_mrqa_row, paragraph, paragraph)
        elif isinstance(paragraph, Mapping) and not is_header:
            for place_of_question, qa in _items(paragraph, "qas", place, "a paragraph"):
                yield _named(place_of_question, qa, "qid"), _row_or_mistake(_mrqa_row, paragraph, qa)
        elif not is_header:
            yield place, paragraph if isinstance(paragraph, str) else _NOT_OF_FORMAT


def _mrqa_row(paragraph: Object, qa: Object) -> QuestionRow:
    """Returns a question of MRQA, with all places where an answer was detected."""
    spans = detected_answers(qa.get("detected_answers"))
    texts = qa.get("answers")
    return QuestionRow(
        id=id_of(qa.get("qid")),
        text=text_of(qa.get("question"), "question"),
        context=text_of(paragraph.get("context"), "context"),
        answers=spans,
        gold_texts=[text for text, _ in spans] if texts is None else texts_of(texts, "answers"),
        is_impossible=bool(boolean_of(qa.get("is_impossible"), "is_impossible")),
    )


def _quac_rows(file: QuestionFile) -> Rows:
    """Yields the questions of QuAC: SQuAD's layout, where a paragraph is a dialogue of turns."""
    for place_of_item, item in _squad_items(file):
        for place, paragraph in _paragraphs_of(item, place_of_item):
            if not isinstance(paragraph, Mapping):
                yield place, paragraph
                continue
            turns = list(_items(paragraph, "qas", place, "a paragraph"))
            for number, (place_of_question, qa) in enumerate(turns):
                earlier = [turn for _, turn in turns[max(0, number - file.history_turns) : number]]
                yield _named(place_of_question, qa, "id"), _row_or_mistake(_quac_row, paragraph, qa, earlier)


def _quac_row(paragraph: Object, qa: Object, earlier: Sequence[Any]) -> QuestionRow:
    """Returns a question of QuAC, with the answers of all annotators who gave one.

    Args:
        paragraph: its dialogue.
        qa: its turn.
        earlier: turns whose questions and answers come before the question.
    """
    original = _original_answer(qa)
    answers = answers_of([qa.get("orig_answer"), *list_of(qa.get("answers"), "answers")])
    is_impossible = original.are_given and [answer.text for answer in original.with_text] in ([], [CANNOT_ANSWER])
    given = [] if is_impossible else [answer for answer in answers.with_text if answer.text != CANNOT_ANSWER]
    return QuestionRow(
        id=id_of(qa.get("id")),
        text=" ".join([*_history(earlier), text_of(qa.get("question"), "question")]),
        context=text_of(paragraph.get("context"), "context").removesuffix(f" {CANNOT_ANSWER}"),
        answers=[*given],
        gold_texts=[answer.text for answer in given],
        is_impossible=is_impossible,
    )


def _original_answer(qa: Object) -> GivenAnswers:
    answer = qa.get("orig_answer")
    return answers_of(None if answer is None else [answer], "orig_answer")


def _history(turns: Sequence[Any]) -> Iterator[str]:
    """Yields the questions and answers of turns; raises FieldError for one that is no turn."""
    for turn in turns:
        if not isinstance(turn, Mapping):
            raise FieldError("a turn before it is not of this format")
        yield text_of(turn.get("question"), "question")
        yield from (answer.text for answer in _original_answer(turn).with_text)


def _notes(answers: GivenAnswers) -> tuple[str, ...]:
    return (WITHOUT_TEXT,) if answers.with_text and answers.num_without_text else ()


def _squad_items(file: QuestionFile) -> Iterator[tuple[str, Any]]:
    """Yields the place and the value of each item of a file; a string tells what is wrong with a line.

    Raises:
        LayoutError: the file is JSON of another layout.
        JsonError: it is not JSON.
    """
    content = file.stream.read()
    try:
        value = parse_json(content, file.name)
    except MalformedJsonError:
        if not is_squad_line(next((line for line in content.split(b"\n") if line.strip()), b"")):
            raise
        yield from _lines(content.split(b"\n"))
        return
    if isinstance(value, Mapping) and not isinstance(value.get("data"), list) and any(name in value for name in _PARTS):
        value = [value]
    items, name = (value.get("data"), "data") if isinstance(value, Mapping) else (value, "")
    if not isinstance(items, list):
        raise LayoutError("must be a JSON object with a list of articles or questions, 'data', or such a list")
    yield from (
        (f"{name}[{number}]", _NOT_OF_FORMAT if isinstance(item, str) else item) for number, item in enumerate(items)
    )


def is_squad_line(line: bytes) -> bool:
    """Returns whether a line is JSON of an article, a paragraph or a question with SQuAD's fields, not with MRQA's."""
    try:
        value = parse_json(line, "line")
    except JsonError:
        return False
    questions = value.get("qas", [value]) if isinstance(value, Mapping) else None
    first = questions[0] if isinstance(questions, list) and questions else None
    return (
        any(name in value for name in _PARTS) and not (isinstance(first, Mapping) and "qid" in first)
        if first
        else False
    )


def _lines(lines: Any) -> Iterator[tuple[str, Any]]:
    """Yields the place and the value of each line that is not blank; a string tells what is wrong with it."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            value = parse_json(line.rstrip(), place)
        except JsonError as error:
            value = malformed_json(error, place)
        else:
            value = _NOT_OF_FORMAT if isinstance(value, str) else value
        yield place, value


def _paragraphs_of(item: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yields the place and the object of each paragraph of an article, or of a paragraph alone; or what is wrong."""
    if isinstance(item, Mapping) and "qas" in item and "paragraphs" not in item:
        yield place, item
        return
    for place_of_paragraph, paragraph in _items(item, "paragraphs", place, "an article"):
        is_row = isinstance(paragraph, Mapping | Note | str)
        yield place_of_paragraph, paragraph if is_row else _NOT_OF_FORMAT


def _items(parent: Any, name: str, place: str, kind: str) -> Iterator[tuple[str, Any]]:
    """Yields the place and the value of each item of a list in a JSON object, or why there is none.

    Args:
        parent: the object.
        name: of the list.
        place: of the object in the file.
        kind: what the object is, for the note that it has no such list.
    """
    if not isinstance(parent, Mapping):
        yield place, parent if isinstance(parent, str) else _NOT_OF_FORMAT
        return
    items = parent.get(name)
    if items is None:
        yield f"{place}.{name}", Note(f"{kind} without {name}")
    elif isinstance(items, list):
        for number, item in enumerate(items):
            yield f"{place}.{name}[{number}]", _NOT_OF_FORMAT if isinstance(item, str) else item
    else:
        yield f"{place}.{name}", f"{name!r} must be a list"


def _named(place: str, qa: Any, id_field: str) -> str:
    """Returns a question's place with its id, if it has one."""
    value = qa.get(id_field) if isinstance(qa, Mapping) else None
    return f"{place}, id {shown(repr(value), 80)}" if isinstance(value, str | int | float) else place


def _row_or_mistake(row: Callable[..., QuestionRow], paragraph: Object, qa: Any, *values: Any) -> Any:
    """Returns the row of a question, or what is wrong with it."""
    if isinstance(qa, Note | str):
        return qa
    if not isinstance(qa, Mapping):
        return _NOT_OF_FORMAT
    try:
        return row(paragraph, qa, *values)
    except FieldError as error:
        return str(error)


# By name: what yields the rows of a file.
FILE_FORMATS: dict[str, Callable[[QuestionFile], Rows]] = {
    "squad": _squad_rows,
    "mrqa": _mrqa_rows,
    "quac": _quac_rows,
    "newsqa": newsqa_rows,
}

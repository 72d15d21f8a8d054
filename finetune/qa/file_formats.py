"""The layouts of files of questions, each turned into rows of one shape. Imports no TensorFlow."""

import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from finetune.qa.newsqa import newsqa_rows
from finetune.qa.question_rows import LayoutError, QuestionRow, Rows

CANNOT_ANSWER = "CANNOTANSWER"  # QuAC's answer to what the text does not answer, and its contexts' last word


def _squad_rows(stream: io.BufferedIOBase, history_turns: int) -> Rows:
    """Yields the questions of SQuAD 1.1 and 2.0: one JSON object of articles, paragraphs and questions."""
    del history_turns
    for place, paragraph in _paragraphs(stream):
        for place_of_question, qa in _items(paragraph, "qas", place):
            yield _named(place_of_question, qa, "id"), _row_or_mistake(_squad_row, paragraph, qa)


def _squad_row(paragraph: Mapping[str, Any], qa: Mapping[str, Any]) -> QuestionRow:
    """Returns a question of SQuAD; where nothing tells whether it is impossible, it is if its answers are none."""
    answers = qa.get("answers", [])
    return QuestionRow(
        id=qa["id"],
        text=qa["question"],
        context=paragraph["context"],
        answers=[(answer["text"], answer["answer_start"]) for answer in answers],
        gold_texts=[answer["text"] for answer in answers],
        is_impossible=bool(qa.get("is_impossible", "answers" in qa and not answers)),
    )


def _mrqa_rows(stream: io.BufferedIOBase, history_turns: int) -> Rows:
    """Yields the questions of MRQA: one JSON object of a context a line, which a header can precede."""
    del history_turns
    is_first = True
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            paragraph = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            yield place, f"malformed JSON: {error}"
            continue
        is_header = is_first and isinstance(paragraph, dict) and "header" in paragraph
        is_first = False
        if not is_header:
            for place_of_question, qa in _items(paragraph, "qas", place):
                yield _named(place_of_question, qa, "qid"), _row_or_mistake(_mrqa_row, paragraph, qa)


def _mrqa_row(paragraph: Mapping[str, Any], qa: Mapping[str, Any]) -> QuestionRow:
    """Returns a question of MRQA, with all places where an answer was detected; their last code point is inclusive."""
    spans = [(answer["text"], start) for answer in qa.get("detected_answers", []) for start, _ in answer["char_spans"]]
    return QuestionRow(
        id=qa["qid"],
        text=qa["question"],
        context=paragraph["context"],
        answers=spans,
        gold_texts=[*qa.get("answers", [])],
        is_impossible=bool(qa.get("is_impossible", False)),
    )


def _quac_rows(stream: io.BufferedIOBase, history_turns: int) -> Rows:
    """Yields the questions of QuAC: SQuAD's layout, where a paragraph is a dialogue of turns."""
    for place, paragraph in _paragraphs(stream):
        turns = list(_items(paragraph, "qas", place))
        for number, (place_of_question, qa) in enumerate(turns):
            earlier = [turn for _, turn in turns[max(0, number - history_turns) : number]]
            yield _named(place_of_question, qa, "id"), _row_or_mistake(_quac_row, paragraph, qa, earlier)


def _quac_row(paragraph: Mapping[str, Any], qa: Mapping[str, Any], earlier: list[Mapping[str, Any]]) -> QuestionRow:
    """Returns a question of QuAC, with the answers of all annotators who gave one.

    Args:
        paragraph: its dialogue.
        qa: its turn.
        earlier: turns whose questions and answers come before the question.
    """
    history = [text for turn in earlier for text in (turn["question"], turn["orig_answer"]["text"])]
    is_impossible = qa["orig_answer"]["text"] == CANNOT_ANSWER
    answers = [qa["orig_answer"], *qa["answers"]]
    given = [] if is_impossible else [answer for answer in answers if answer["text"] != CANNOT_ANSWER]
    return QuestionRow(
        id=qa["id"],
        text=" ".join([*history, qa["question"]]),
        context=paragraph["context"].removesuffix(f" {CANNOT_ANSWER}"),
        answers=[(answer["text"], answer["answer_start"]) for answer in given],
        gold_texts=[answer["text"] for answer in given],
        is_impossible=is_impossible,
    )


def _paragraphs(stream: io.BufferedIOBase) -> Iterator[tuple[str, Any]]:
    """Yields the place and the value of each paragraph of a file in SQuAD's layout.

    Raises:
        LayoutError: for a file that is no such JSON.
    """
    try:
        data = json.loads(stream.read().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"malformed JSON: {error}") from error
    articles = data.get("data") if isinstance(data, dict) else None
    if not isinstance(articles, list):
        raise LayoutError("must be a JSON object with a list of articles, 'data'")
    yield from itertools.chain.from_iterable(
        _items(article, "paragraphs", f"data[{number}]") for number, article in enumerate(articles)
    )


def _items(parent: Any, name: str, place: str) -> Iterator[tuple[str, Any]]:
    """Yields the place and the value of each item of a list in a JSON object, the list's own place if it is none."""
    items = parent.get(name) if isinstance(parent, dict) else None
    if isinstance(items, list):
        for number, item in enumerate(items):
            yield f"{place}.{name}[{number}]", item
    else:
        yield f"{place}.{name}", None


def _named(place: str, qa: Any, id_field: str) -> str:
    """Returns a question's place with its id, if it has one."""
    return f"{place}, id {qa[id_field]!r}" if isinstance(qa, dict) and id_field in qa else place


def _row_or_mistake(row: Callable[..., QuestionRow], *values: Any) -> QuestionRow | str:
    """Returns row(*values), or what is wrong with the values."""
    try:
        return row(*values)
    except KeyError as error:
        return f"{error} is missing"
    except (TypeError, ValueError, AttributeError):
        return "not of this format"


# By name: what yields the rows of a file, with so many turns of history before a question.
FILE_FORMATS: dict[str, Callable[[io.BufferedIOBase, int], Rows]] = {
    "squad": _squad_rows,
    "mrqa": _mrqa_rows,
    "quac": _quac_rows,
    "newsqa": newsqa_rows,
}

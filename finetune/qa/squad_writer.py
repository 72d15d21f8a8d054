"""Files in the layout of SQuAD 2.0, written paragraph by paragraph. Imports no TensorFlow."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from finetune.qa.examples import Question


class Paragraph(NamedTuple):
    """A context and what is asked about it."""

    context: str
    questions: list[Question]


def write_squad(file: str | os.PathLike[str], title: str, paragraphs: Iterable[Paragraph]) -> None:
    r"""Writes a file of one article, a paragraph a line, everything beyond ASCII as \u escapes.

    Args:
        file: its path.
        title: of the article.
        paragraphs: the answers of each question are at their offsets.
    """
    with open(file, "w", encoding="ascii", newline="\n") as stream:
        stream.writelines(_pieces(title, paragraphs))


def _pieces(title: str, paragraphs: Iterable[Paragraph]) -> Iterator[str]:
    yield f'{{"version": "v2.0", "data": [{{"title": {json.dumps(title)}, "paragraphs": ['
    separator = "\n"
    for paragraph in paragraphs:
        yield separator
        yield json.dumps({"context": paragraph.context, "qas": [_entry(row) for row in paragraph.questions]})
        separator = ",\n"
    yield "\n]}]}\n"


def _entry(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "question": question.text,
        "answers": [{"text": answer.text, "answer_start": answer.start} for answer in question.answers],
        "is_impossible": question.is_impossible,
    }

"""Files in the layout of SQuAD 2.0, written paragraph by paragraph. Imports no TensorFlow."""

import collections
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from electra_span.files import reason_of, whole_file
from finetune.metrics.squad import normalize_answer
from finetune.qa.examples import Question, QuestionRow, trimmed
from finetune.qa.readers import iterate_questions, no_question_error, read_rows
from finetune.readers.reading import BadRowLimit, DataError, RowTally


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


@dataclasses.dataclass(kw_only=True)
class ConversionReport:
    """What became of the questions of a file."""

    input: str
    output: str
    tally: RowTally  # of the questions that were read
    num_written: int = 0
    num_impossible: int = 0  # of those written
    num_paragraphs: int = 0
    num_answers: int = 0
    num_texts_without_place: int = 0  # right answers that are nowhere in their contexts, as far as the file tells

    def line(self) -> str:
        """Returns the report in one line."""
        not_written = self.tally.left_out + self.tally.passed_over
        reasons = ", ".join(f"{count} {reason}" for reason, count in not_written.most_common())
        return (
            f"{self.output}: {self.num_written} of {self.tally.num_rows} questions written ({self.num_impossible} "
            f"impossible) in {self.num_paragraphs} paragraphs with {self.num_answers} answers; not converted: "
            f"{not_written.total()}{f' ({reasons})' if reasons else ''}"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the report with the places of the first questions for each reason."""

        def by_reason(counts: collections.Counter[str]) -> dict[str, Any]:
            places = self.tally.first_places
            return {reason: {"count": count, "first": places[reason]} for reason, count in counts.most_common()}

        return {
            "input": self.input,
            "output": self.output,
            "read": self.tally.num_rows,
            "written": self.num_written,
            "impossible": self.num_impossible,
            "paragraphs": self.num_paragraphs,
            "answers": self.num_answers,
            "not_converted": by_reason(self.tally.left_out + self.tally.passed_over),
            "converted_although": by_reason(self.tally.kept),
            "noted": by_reason(self.tally.noted),
            "answer_texts_without_place": self.num_texts_without_place,
        }


def convert_to_squad(
    file: pathlib.Path,
    file_format: str,
    output: pathlib.Path,
    *,
    history_turns: int = 0,
    limit: BadRowLimit | None = None,
) -> ConversionReport:
    """Writes the questions of a file in the layout of SQuAD 2.0, those with equal contexts in one paragraph.

    A question that is not impossible needs an answer at its offset, or it is left out and counted. The file is read
    twice, so that no more than the paragraphs that are not yet complete must be kept.

    Args:
        file: its path; it may be compressed by gzip.
        file_format: of finetune.qa.file_formats.
        output: the file to write, there whole or, after an error, as it was.
        history_turns: how many questions and answers before it a question of QuAC begins with.
        limit: how many questions may be bad.

    Raises:
        DataError: for a file that cannot be read, that is not of this format, none of whose questions can be used, or
            too many of which are bad; and for an output that cannot be written, or is the file itself.
    """
    if output.exists() and file.exists() and output.samefile(file):
        raise DataError(f"the output must be another file than the input. Received: {output}")
    tally = RowTally(file, limit)
    report = ConversionReport(input=str(file), output=str(output), tally=tally)
    awaited = collections.Counter(
        _digest(row.context) for _, row in read_rows(file, file_format, history_turns) if isinstance(row, QuestionRow)
    )
    questions = iterate_questions(file, file_format, tally, for_training=True, history_turns=history_turns)
    paragraphs = _counted(_grouped(map(_with_trimmed_answers, questions), awaited), report)

    def write(partial: pathlib.Path) -> None:
        write_squad(partial, file_format, paragraphs)
        if not report.num_written:
            raise no_question_error(file, file_format)

    try:
        with whole_file(output) as partial:
            write(partial)
    except OSError as error:
        raise DataError(f"{output}: cannot be written: {reason_of(error)}") from error
    tally.report()
    return report


def _with_trimmed_answers(question: Question) -> Question:
    return question._replace(answers=tuple(dict.fromkeys(map(trimmed, question.answers))))


def _grouped(questions: Iterable[Question], awaited: collections.Counter[bytes]) -> Iterator[Paragraph]:
    """Yields the questions by context, a context when the last of its questions is there.

    Args:
        questions: in the order of their file.
        awaited: how many questions each context has at most, by its digest; counted down.
    """
    paragraphs: dict[bytes, Paragraph] = {}
    for question in questions:
        digest = _digest(question.context)
        paragraphs.setdefault(digest, Paragraph(question.context, [])).questions.append(question)
        awaited[digest] -= 1
        if not awaited[digest]:
            yield paragraphs.pop(digest)
    yield from paragraphs.values()  # which wait for questions that were left out


def _counted(paragraphs: Iterable[Paragraph], report: ConversionReport) -> Iterator[Paragraph]:
    """Yields the paragraphs and counts what is in them."""
    for paragraph in paragraphs:
        report.num_paragraphs += 1
        report.num_written += len(paragraph.questions)
        for question in paragraph.questions:
            report.num_impossible += question.is_impossible
            report.num_answers += len(question.answers)
            placed = {normalize_answer(answer.text) for answer in question.answers}
            report.num_texts_without_place += sum(normalize_answer(text) not in placed for text in question.gold_texts)
        yield paragraph


def _digest(context: str) -> bytes:
    return hashlib.blake2b(context.encode("utf-8", "surrogatepass"), digest_size=16).digest()

"""Files of questions: SQuAD 1.1 and 2.0, the JSON lines of MRQA, QuAC, tables of NewsQA. Imports no TensorFlow.

`file_formats` turns each into rows of one shape, which are checked here by the same rules.
"""

import argparse
import gzip
import io
import os
import zlib
from collections.abc import Container, Iterator
from typing import NamedTuple

from electra_span import command_line
from electra_span.files import JsonError, reason_of, shown
from finetune.qa.examples import (
    Answer,
    LayoutError,
    Note,
    PassedOver,
    Question,
    QuestionFile,
    QuestionRow,
    Rows,
    locate_answer,
    unit_of_offset,
)
from finetune.qa.file_formats import FILE_FORMATS, is_squad_line
from finetune.readers.reading import BadRowLimit, DataError, RowTally

_NOT_THERE = "an answer that is not at its offset"
_GZIP_MAGIC = b"\x1f\x8b"


class ReadQuestions(NamedTuple):
    """What a file holds."""

    questions: list[Question]
    tally: RowTally  # questions that were left out, and others with something wrong


def read_questions(
    file: str | os.PathLike[str],
    file_format: str,
    *,
    for_training: bool,
    has_answers: bool = True,
    limit: BadRowLimit | None = None,
    history_turns: int = 0,
) -> ReadQuestions:
    """Returns the questions of a file, which may be compressed by gzip.

    A question for evaluation is kept whatever is wrong with its answers or its text, so that its prediction is asked
    for and counted; one for training is left out where it has no answer at its offset. Both are counted and named.

    Args:
        file: its path.
        file_format: squad, mrqa, quac or newsqa.
        for_training: whether every question needs a place to train on.
        has_answers: whether a question without an answer, and not called impossible, is a mistake.
        limit: how many questions may be bad.
        history_turns: how many questions and answers before it a question of QuAC begins with.

    Raises:
        DataError: for a file that is missing, not of this format, without questions, or with too many bad ones.
    """
    tally = RowTally(file, limit)
    questions = list(
        iterate_questions(
            file, file_format, tally, for_training=for_training, has_answers=has_answers, history_turns=history_turns
        )
    )
    tally.report()
    if not questions:
        raise no_question_error(file, file_format)
    return ReadQuestions(questions, tally)


def iterate_questions(
    file: str | os.PathLike[str],
    file_format: str,
    tally: RowTally,
    *,
    for_training: bool,
    has_answers: bool = True,
    history_turns: int = 0,
) -> Iterator[Question]:
    """Yields the questions of a file as they are read, and counts them.

    Args:
        file, file_format, for_training, has_answers, history_turns: as for read_questions.
        tally: of the file.

    Raises:
        DataError: as read_questions, but for a file without questions.
    """
    known: set[str] = set()
    for place, row in read_rows(file, file_format, history_turns):
        if isinstance(row, Note):
            tally.note(place, row.reason)
            continue
        tally.num_rows += 1
        if isinstance(row, PassedOver):
            tally.pass_over(place, row.reason)
            continue
        question = _question_of(place, row, tally, known, for_training, has_answers)
        if question is not None:
            known.add(question.id)
            yield question


def read_rows(file: str | os.PathLike[str], file_format: str, history_turns: int = 0) -> Rows:
    """Yields the rows of a file before they are checked, each with its place.

    Args:
        file, file_format, history_turns: as for read_questions.

    Raises:
        DataError: for a file that is missing or not of this format.
    """
    if file_format not in FILE_FORMATS:
        raise DataError(f"the format of questions must be one of {', '.join(FILE_FORMATS)}. Received: {file_format!r}")
    if history_turns < 0 or (history_turns and file_format != "quac"):
        raise DataError(
            "history_turns are for quac, whose questions follow each other, and at least 0. "
            f"Received: {history_turns} for {file_format!r}"
        )
    name = shown(os.fspath(file))
    try:
        with _opened(file) as stream:
            yield from FILE_FORMATS[file_format](QuestionFile(stream, name, history_turns))
    except LayoutError as error:
        raise DataError(f"{name}: {error}") from error
    except JsonError as error:
        raise DataError(str(error)) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: cannot be read: {reason_of(error)}") from error


def has_mrqa_lines(file: str | os.PathLike[str]) -> bool:
    """Returns whether the lines of a file have other fields than SQuAD's, by the first one; see `read_rows`."""
    name = shown(os.fspath(file))
    try:
        with _opened(file) as stream:
            return not is_squad_line(next((line for line in stream if line.strip()), b""))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: cannot be read: {reason_of(error)}") from error


def no_question_error(file: str | os.PathLike[str], file_format: str) -> DataError:
    """Returns the error of a file in which no question can be used."""
    return DataError(f"{os.fspath(file)}: no question can be used; is it in the format {file_format}?")


def _opened(file: str | os.PathLike[str]) -> io.BufferedIOBase:
    """Returns a file opened for reading, decompressed."""
    with open(file, "rb") as stream:
        is_compressed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return gzip.open(file) if is_compressed else open(file, "rb")


def _question_of(
    place: str, row: QuestionRow | str, tally: RowTally, known: Container[str], for_training: bool, has_answers: bool
) -> Question | None:
    """Returns the question of a row, or of what is wrong with it; None where it cannot be used."""
    if isinstance(row, str):
        rule, colon, detail = row.partition(": ")
        tally.leave_out(place, rule, colon + detail)
        return None
    mistake = _mistake_in(row, known)
    if mistake:
        tally.leave_out(place, mistake)
        return None
    gold_texts = tuple(dict.fromkeys(row.gold_texts))
    located = [_located(row.context, text, start) for text, start in row.answers]
    answers = tuple(dict.fromkeys(answer for answer in located if isinstance(answer, Answer)))
    if not row.is_impossible and not answers and for_training:
        rules = [rule for rule in located if isinstance(rule, str)]
        tally.leave_out(place, rules[0].replace(_NOT_THERE, "no answer is at its offset") if rules else "no answer")
        return None
    for rule in _oddities(row, located, has_answers):
        tally.keep(place, rule)
    for note in row.notes:
        tally.note(place, note)
    return Question(row.id, row.text, row.context, answers, gold_texts, row.is_impossible)


def _mistake_in(row: QuestionRow, known: Container[str]) -> str | None:
    """Returns why a row is no question, None where it is one."""
    if not row.id:
        return "the id is missing"
    if row.id in known:
        return "the id of another question"
    if row.is_impossible and (row.gold_texts or row.answers):
        return "an answer to a question that is called impossible"
    return None


def _located(context: str, text: str, start: int | None) -> Answer | str:
    """Returns an answer where it is in a context, or why it is not found."""
    if start is None:
        return "an answer whose offset is no whole number"
    unit = unit_of_offset(context, text, start)
    if unit:
        return f"an answer whose offset counts {unit}, not code points"
    return locate_answer(context, text, start) or _NOT_THERE


def _oddities(row: QuestionRow, located: list[Answer | str], has_answers: bool) -> list[str]:
    """Returns what is wrong with a question that is used all the same."""
    rules = {
        "no text of the question": not row.text.strip(),
        "no text of the context": not row.context.strip(),
        "no answer": has_answers and not row.is_impossible and not row.gold_texts,
    }
    wrong = dict.fromkeys(answer for answer in located if isinstance(answer, str))
    return [*row.oddities, *(rule for rule, is_so in rules.items() if is_so), *wrong]


def add_limit_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that tell how many questions may be bad."""
    default = BadRowLimit()
    parser.add_argument(
        "--max-bad-rows",
        type=command_line.whole_number(0),
        default=default.num_rows,
        metavar="N",
        help="bad questions at which it goes on, however few there are",
    )
    parser.add_argument(
        "--max-bad-rate",
        type=command_line.number(0, 1),
        default=default.rate,
        metavar="SHARE",
        help="share of bad questions at which it goes on; the larger of both counts",
    )


def limit_of(arguments: argparse.Namespace) -> BadRowLimit:
    """Returns how many questions may be bad."""
    return BadRowLimit(num_rows=arguments.max_bad_rows, rate=arguments.max_bad_rate)

"""NewsQA in the tables that its authors' tools write: stories, questions, and the ranges that annotators marked.

Two layouts, told apart by their headers: `combined-newsqa-data-v1.csv` (ranges of characters of the story, and the
votes of those who validated them) and its tokenized variant (ranges of the story's words between white space). Imports
no TensorFlow.

Source: Trischler et al. 2017, and the description that comes with the data set.
"""

import collections
import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple, cast

from electra_span.files import JsonError, parse_json, shown
from finetune.qa.examples import Answer, LayoutError, PassedOver, QuestionFile, QuestionRow, Rows, trimmed
from finetune.qa.fields import malformed_json, whole_number
from finetune.readers.csv_tables import UnclosedQuotationError, numbered_rows
from finetune.readers.reading import is_text

BAD_QUESTION = "a question that annotators called bad"
BEYOND_STORY = "an answer range that ends beyond its story"
WITHOUT_TEXT = "an answer range without text"

_TEXT_COLUMNS = ("story_id", "question", "story_text")
# The tokenized variant may keep the ranges of characters too, which are of the story before it was tokenized.
_RANGE_COLUMNS = ("answer_token_ranges", "answer_char_ranges")
_BAD_VOTE = "bad_question"
_NOT_KNOWN = ("", "?", "nan", "none", "null")  # as tables write what nobody was asked
_NO_RANGES = ("nan", "null", "", "none", _BAD_VOTE, "-1:-1")
_RANGE = re.compile(r"(\d{1,18}):(\d{1,18})", re.ASCII)
_WORD = re.compile(r"\S+")


class _Mistake(ValueError):
    """What keeps a row from being a question: the rule, a colon, and what else there is to say."""


class _Ranges(NamedTuple):
    """The parts of a story that annotators marked: (first, behind the last) in code points."""

    spans: list[tuple[int, int]]
    reach_beyond: bool  # whether one ended beyond the story


def newsqa_rows(file: QuestionFile) -> Rows:
    """Yields the questions of a table of NewsQA."""
    occurrences: collections.Counter[tuple[str, str]] = collections.Counter()
    for number, row in _table(file.stream):
        place = f"line {number}"
        if isinstance(row, str):
            yield place, row
            continue
        name = row["story_id"], row["question"]
        try:
            yield f"{place}, story {name[0]!r}", _question_row(row, occurrences[name])
        except _Mistake as mistake:
            yield place, str(mistake)
        occurrences[name] += 1


def _table(stream: io.BufferedIOBase) -> Iterator[tuple[int, dict[str, str] | str]]:
    """Yields the fields of each row by column, or what is wrong with it, and the line it starts in.

    Raises:
        LayoutError: for another header, or a quotation mark that none closes.
    """
    text = io.TextIOWrapper(cast(BinaryIO, stream), "utf-8-sig", "surrogateescape", newline="")
    rows = numbered_rows(text)
    try:
        header = _checked_header(next(rows, (1, []))[1])
        for number, fields in rows:
            if isinstance(fields, csv.Error):
                yield number, f"malformed CSV: {fields}"
            elif len(fields) != len(header):
                yield number, f"not {len(header)} fields: {len(fields)}"
            elif not is_text("".join(fields)):
                yield number, "not UTF-8"
            else:
                yield number, dict(zip(header, fields, strict=True))
    except UnclosedQuotationError as error:
        raise LayoutError(str(error)) from error
    finally:
        text.detach()  # the caller closes the stream


def _checked_header(header: list[str] | csv.Error) -> list[str]:
    names = [] if isinstance(header, csv.Error) else header
    missing = [name for name in _TEXT_COLUMNS if name not in names]
    if missing or not set(_RANGE_COLUMNS) & set(names) or len(set(names)) < len(names):
        raise LayoutError(
            f"line 1: a table of NewsQA must have, once each, the columns {', '.join(_TEXT_COLUMNS)} and "
            f"{' or '.join(_RANGE_COLUMNS)}. Received: {', '.join(map(repr, names)) or 'none'}"
        )
    return names


def _question_row(row: Mapping[str, str], occurrence: int) -> QuestionRow | PassedOver:
    """Returns the question of a row, with the ranges that validators voted for before those of the annotators.

    Args:
        row: its fields by column.
        occurrence: how many times this question was asked of this story before, in the rows above.

    Raises:
        _Mistake: for fields that cannot be read.
    """
    story = row["story_text"].replace("\r\n", "\n")  # which the ranges count as one character
    if "answer_token_ranges" in row:
        votes: dict[str, int] = {}
        marked = _token_ranges(row["answer_token_ranges"], story)
    else:
        votes = _votes(row.get("validated_answers", ""))
        ranked = sorted(votes, key=lambda name: -votes[name])
        marked = _char_ranges([*ranked, *re.split(r"[|,]", row["answer_char_ranges"])], story)
    if _share_of_bad(row.get("is_question_bad", ""), votes) >= 0.5:
        return PassedOver(BAD_QUESTION)
    answers = [trimmed(Answer(story[start:end], start)) for start, end in marked.spans if story[start:end].strip()]
    oddities = {BEYOND_STORY: marked.reach_beyond, WITHOUT_TEXT: len(answers) < len(marked.spans)}
    return QuestionRow(
        id=_id(row["story_id"], row["question"], occurrence),
        text=row["question"],
        context=story,
        answers=[*answers],
        gold_texts=[answer.text for answer in answers],
        is_impossible=not marked.spans,
        oddities=tuple(rule for rule, is_so in oddities.items() if is_so),
    )


def _id(story_id: str, question: str, occurrence: int) -> str:
    """Returns the same id for the same question in every file; none without a story's id."""
    name = "\0".join((story_id, question, str(occurrence)))
    return "newsqa-" + hashlib.sha256(name.encode()).hexdigest()[:24] if story_id else ""


def _char_ranges(parts: list[str], story: str) -> _Ranges:
    """Returns the different ranges of characters; the story's end is where they end at the latest."""
    spans = _parsed(parts)
    clipped = [(start, min(end, len(story))) for start, end in spans]
    return _Ranges(list(dict.fromkeys(clipped)), reach_beyond=clipped != spans)


def _token_ranges(text: str, story: str) -> _Ranges:
    """Returns the different ranges of words, in characters."""
    words = [match.span() for match in _WORD.finditer(story)]
    spans = list(dict.fromkeys(_parsed(re.split(r"[|,]", text))))
    covered = [words[start:end] or [(0, 0)] for start, end in spans]
    return _Ranges([(cover[0][0], cover[-1][1]) for cover in covered], any(end > len(words) for _, end in spans))


def _parsed(parts: list[str]) -> list[tuple[int, int]]:
    spans = []
    for part in map(str.strip, parts):
        if part.lower() in _NO_RANGES:
            continue
        match = _RANGE.fullmatch(part)
        if match is None:
            raise _Mistake(f"an answer range that is not START:END: {shown(repr(part), 80)}")
        spans.append((int(match[1]), int(match[2])))
    return spans


def _votes(text: str) -> dict[str, int]:
    """Returns how many validators chose each range, none, or that the question is bad; nothing if there were none."""
    if text.strip().lower() in _NOT_KNOWN:
        return {}
    try:
        votes: Any = parse_json(text, "votes")
    except JsonError as error:
        raise _Mistake(f"validated_answers is {malformed_json(error, 'votes')}") from error
    counts = {name: whole_number(count) for name, count in votes.items()} if isinstance(votes, dict) else {"": None}
    known = {name: count for name, count in counts.items() if count is not None and count >= 0}
    if len(known) < len(counts):
        raise _Mistake(f"validated_answers must be a JSON object of votes by range: {shown(text, 80)}")
    return known


def _share_of_bad(text: str, votes: Mapping[str, int]) -> float:
    """Returns the share of those who called the question bad, as told or else of the votes."""
    if text.strip().lower() in _NOT_KNOWN:
        return votes.get(_BAD_VOTE, 0) / max(1, sum(votes.values()))
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise _Mistake(f"is_question_bad must be a share, or '?' where nobody was asked: {shown(repr(text), 80)}")
    return share

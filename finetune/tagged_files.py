"""Files of sentences with a tag a word, in columns as of CoNLL. Imports no TensorFlow."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from electra_span.tags import bio_tags, bioes_tags, is_tag, spans_of
from finetune.reading import BadRowLimit, DataError, RowTally, is_text, read_lines

_DOCUMENT_START = "-DOCSTART-"
_BETWEEN_COLUMNS = re.compile("[ \t]+")


class TaggedSentence(NamedTuple):
    """A sentence that is already split into words."""

    example_id: int
    words: tuple[str, ...]
    tags: tuple[str, ...]  # in BIOES, one a word


class TaggedSentences(NamedTuple):
    """The sentences of a file, and what was counted as they were read."""

    sentences: list[TaggedSentence]
    tally: RowTally  # of sentences
    num_repaired: int  # sentences whose tags followed neither BIO nor BIOES


class _Mistake(NamedTuple):
    """What is wrong with a sentence."""

    offset: int  # of the line, from the sentence's first
    rule: str
    detail: str = ""


class _Lines(NamedTuple):
    """The lines of one sentence."""

    line_number: int  # of the first
    rows: list[list[str]]


def read_tagged(
    path: str | os.PathLike[str],
    *,
    word_column: int = 0,
    tag_column: int = -1,
    encoding: str = "utf-8-sig",
    reading: str = "conlleval",
    labels: Collection[str] | None = None,
    limit: BadRowLimit | None = None,
) -> TaggedSentences:
    """Returns the sentences of a file with a word a line, and a blank line after each sentence.

    Columns are parted by blanks or tabs. Lines that start with -DOCSTART- are passed over. Tags may be BIO or BIOES.
    Deviation: the original loses a last sentence without a blank line.

    Args:
        path: of the file.
        word_column: the column of the word, from 0, or from -1 at the end.
        tag_column: that of its tag.
        encoding: of the file.
        reading: of tags that follow neither scheme; see `spans_of`.
        labels: the tags that the model knows; None: any.
        limit: how many sentences may be bad: with a broken line (left out), or a tag the model does not know (kept).

    Raises:
        DataError: names file and line of a file that cannot be read, or one bad sentence too many.
    """
    tally = RowTally(path, limit)
    sentences: list[TaggedSentence] = []
    num_repaired = 0
    width = None
    for lines in _grouped(read_lines(path, encoding)):
        tally.num_rows += 1
        width = width or len(lines.rows[0])
        if (mistake := _mistake(lines.rows, width, word_column, tag_column)) is not None:
            tally.leave_out(lines.line_number + mistake.offset, mistake.rule, mistake.detail)
            continue
        given = [row[tag_column] for row in lines.rows]
        spans = spans_of(given, reading)
        tags = bioes_tags(spans, len(given))
        num_repaired += given not in (tags, bio_tags(spans, len(given)))
        if labels is not None and not set(tags) <= set(labels):
            tally.keep(lines.line_number, "a tag that the model does not know")
        words = tuple(row[word_column] for row in lines.rows)
        sentences.append(TaggedSentence(tally.num_rows - 1, words, tuple(tags)))
    if not sentences:
        raise DataError(f"{tally.file}: there are no sentences in it")
    tally.report()
    return TaggedSentences(sentences, tally, num_repaired)


def labels_of(sentences: Iterable[TaggedSentence]) -> tuple[str, ...]:
    """Returns the tags that occur, in the order of their ids."""
    return tuple(sorted({tag for sentence in sentences for tag in sentence.tags}))


def _grouped(lines: Iterable[str]) -> Iterator[_Lines]:
    """Yields the lines of each sentence, parted into columns."""
    sentence = _Lines(0, [])
    for line_number, line in enumerate(lines, start=1):
        line = line.strip(" \t")
        if line and not line.startswith(_DOCUMENT_START):
            if not sentence.rows:
                sentence = _Lines(line_number, [])
            sentence.rows.append(_BETWEEN_COLUMNS.split(line))
        elif sentence.rows:
            yield sentence
            sentence = _Lines(0, [])
    if sentence.rows:
        yield sentence


def _mistake(rows: Sequence[Sequence[str]], width: int, word_column: int, tag_column: int) -> _Mistake | None:
    """Returns the first thing that is wrong with a sentence."""
    if not all(-width <= column < width for column in (word_column, tag_column)):
        return _Mistake(0, f"no column {word_column} or {tag_column}", f". Received: {width} columns")
    for offset, row in enumerate(rows):
        if len(row) != width:
            return _Mistake(offset, f"not {width} columns as in the first line", f". Received: {len(row)}")
        if not is_text("".join(row)):
            return _Mistake(offset, "not of the file's encoding")
        if not is_tag(row[tag_column]):
            rule = "the tag is neither O nor B, I, E or S with a kind"
            return _Mistake(offset, rule, f". Received: {row[tag_column]!r}")
    return None

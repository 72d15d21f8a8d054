"""Files of sentences with a tag a word, in columns as of CoNLL. Imports no TensorFlow."""

import collections
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from absl import logging

from electra_span.files import shown
from electra_span.tags import (
    BIOES,
    PLAIN,
    LabelWriter,
    Scheme,
    bio_tags,
    bioes_tags,
    iob1_tags,
    scheme_of_file,
    spans_of,
)
from finetune.readers.reading import BadRowLimit, DataError, RowTally, is_text, read_lines

_DOCUMENT_START = "-DOCSTART-"
_COMMENT = "#"
_BETWEEN_COLUMNS = re.compile("[ \t]+")
_CONLLU_WIDTH = 10
_MOST_PLAIN_TAGS = 100  # in a small file; in others one for ten words
_NO_WORD_OF_CONLLU = re.compile(r"\d+[-.]\d+")  # the id of a line for several words, or of an empty one


class TaggedSentence(NamedTuple):
    """A sentence that is already split into words."""

    example_id: int
    words: tuple[str, ...]
    tags: tuple[str, ...]  # one a word: in BIOES, or as they are where they have no positions


class TaggedSentences(NamedTuple):
    """The sentences of a file, and what was counted as they were read."""

    sentences: list[TaggedSentence]
    tally: RowTally  # of sentences
    num_repaired: int  # sentences whose tags follow no scheme
    file_tags: tuple[str, ...]  # as they are in the file, sorted


class _Mistake(NamedTuple):
    """What is wrong with a sentence."""

    line_number: int
    rule: str
    detail: str = ""


class _Row(NamedTuple):
    """A line, parted into columns."""

    line_number: int
    columns: list[str]


class _Layout(NamedTuple):
    """How the rows of a file are read.

    Attributes:
        width: the number of columns.
        word_column, tag_column: those that are read.
        tags: the number of words by tag, of rows that cannot be comments.
        scheme: of the tags.
    """

    width: int
    word_column: int
    tag_column: int
    tags: Mapping[str, int]
    scheme: Scheme


def read_tagged(
    path: str | os.PathLike[str],
    *,
    word_column: int = 0,
    tag_column: int = -1,
    encoding: str = "utf-8-sig",
    reading: str = "conlleval",
    labels: Sequence[str] | None = None,
    limit: BadRowLimit | None = None,
) -> TaggedSentences:
    """Returns the sentences of a file with a word a line, and a blank line after each sentence.

    If most lines have a tab, tabs part columns, else tabs and blanks. Lines that start with -DOCSTART- are passed over,
    as are comments before a sentence (#), and lines of CoNLL-U for several words or none. Tags may be in any scheme of
    `electra_span.tags`, or without positions, as parts of speech are.
    Deviation: the original loses a last sentence without a blank line, and knows BIO and BIOES alone.

    Args:
        path: of the file.
        word_column: the column of the word, from 0, or from -1 at the end.
        tag_column: that of its tag.
        encoding: of the file.
        reading: of tags that follow no scheme; see `spans_of`.
        labels: of the model, in its scheme; None: any.
        limit: how many sentences may be bad: with a broken line (left out), or a tag the model does not know (kept).

    Raises:
        DataError: names file and line of a file that cannot be read, or one bad sentence too many.
    """
    tally = RowTally(path, limit)
    groups = list(_grouped(read_lines(path, encoding)))
    writer = None if labels is None else LabelWriter(labels)
    layout = _layout(groups, word_column, tag_column, None if writer is None else writer.scheme)
    sentences: list[TaggedSentence] = []
    num_repaired = 0
    for group in groups:
        rows = _words(group, layout, tally)
        if not rows:
            continue
        tally.num_rows += 1
        if (mistake := _mistake(rows, layout)) is not None:
            tally.leave_out(*mistake)
            continue
        given = layout.scheme.canonical(row.columns[tag_column] for row in rows)
        tags, is_repaired = (given, False) if layout.scheme.is_plain else _as_bioes(given, reading)
        num_repaired += is_repaired
        if writer is not None and labels is not None and not set(writer.written(tags)) <= set(labels):
            tally.keep(rows[0].line_number, "a tag that the model does not know")
        words = tuple(row.columns[word_column] for row in rows)
        sentences.append(TaggedSentence(tally.num_rows - 1, words, tuple(tags)))
    if not sentences:
        raise DataError(f"{tally.file}: there are no sentences in it")
    tally.report()
    if num_repaired:
        logging.warning("%s: tags of %d sentences follow no scheme; read as by %s", path, num_repaired, reading)
    _check_plain_tags(layout, tally.file)
    _check_words(sentences, layout, tally.file)
    return TaggedSentences(sentences, tally, num_repaired, tuple(sorted(layout.tags)))


def _as_bioes(tags: list[str], reading: str) -> tuple[list[str], bool]:
    """Returns canonical tags as BIOES, and whether they followed no scheme and were repaired."""
    spans = spans_of(tags, reading)
    written = bioes_tags(spans, len(tags))
    return written, tags not in (written, bio_tags(spans, len(tags)), iob1_tags(spans, len(tags)))


def labels_of(sentences: Iterable[TaggedSentence], scheme: str = "bioes") -> tuple[str, ...]:
    """Returns the tags that occur, in the order of their ids; of "bio", with B and I in place of S and E."""
    tags = {tag for sentence in sentences for tag in sentence.tags}
    if scheme == "bio" and not scheme_of_file(dict.fromkeys(tags, 1)).is_plain:
        tags = {{"S": "B", "E": "I"}.get(tag[0], tag[0]) + tag[1:] for tag in tags}
    return tuple(sorted(tags))


def _check_plain_tags(layout: _Layout, file: str) -> None:
    """Raises DataError for so many different tags that they are those of another column."""
    if layout.scheme.is_plain and len(layout.tags) > max(_MOST_PLAIN_TAGS, sum(layout.tags.values()) // 10):
        raise DataError(
            f"{file}: tag_column must be the column of tags. Received: {layout.tag_column}, with {len(layout.tags)} "
            f"different values for {sum(layout.tags.values())} words, such as {shown(repr(min(layout.tags)), 80)}"
        )


def _check_words(sentences: Sequence[TaggedSentence], layout: _Layout, file: str) -> None:
    """Raises DataError if the words of every sentence are 1, 2, 3 ...: the first column of CoNLL-U."""
    lengths = [len(sentence.words) for sentence in sentences]
    if max(lengths) > 1 and all(
        sentence.words == tuple(map(str, range(1, length + 1)))
        for sentence, length in zip(sentences, lengths, strict=True)
    ):
        raise DataError(
            f"{file}: word_column must be the column of words. Received: {layout.word_column}, which numbers them; in "
            "CoNLL-U the words are in column 1, and parts of speech in column 3 (tag_column)"
        )


def _grouped(lines: Iterable[str]) -> Iterator[list[_Row]]:
    """Yields the lines between blank ones, each as one column."""
    group: list[_Row] = []
    for line_number, line in enumerate(lines, start=1):
        if line.strip(" \t") and not line.startswith(_DOCUMENT_START):
            group.append(_Row(line_number, [line]))
        elif group:
            yield group
            group = []
    if group:
        yield group


def _layout(groups: list[list[_Row]], word_column: int, tag_column: int, of_model: Scheme | None) -> _Layout:
    """Parts the rows of a file into columns, in place, and returns how to read them."""
    sure = [row for group in groups for row in itertools.dropwhile(_may_be_comment, group)]
    is_tabbed = 2 * sum("\t" in row.columns[0] for row in sure) > len(sure)
    part = _parted_by_tabs if is_tabbed else _parted_by_blanks
    for row in (row for group in groups for row in group):
        row.columns[:] = part(row.columns[0])
    if sure and all(len(row.columns) > 1 and not row.columns[-1] for row in sure):  # a tab at the end of every line
        for row in (row for group in groups for row in group):
            row.columns[:] = row.columns[:-1] or row.columns
    width = len(sure[0].columns) if sure else 0
    has_tag = [row for row in sure if len(row.columns) == width and -width <= tag_column < width]
    counts = collections.Counter(row.columns[tag_column] for row in has_tag)
    scheme = scheme_of_file(counts)
    if of_model is not None and of_model.is_plain:
        scheme = PLAIN
    elif of_model is not None and scheme.is_plain:
        scheme = BIOES  # none of these tags is, which is a mistake of each
    return _Layout(width, word_column, tag_column, counts, scheme)


def _may_be_comment(row: _Row) -> bool:
    return row.columns[0].startswith(_COMMENT)


def _parted_by_tabs(line: str) -> list[str]:
    return [column.strip(" ") for column in line.split("\t")]


def _parted_by_blanks(line: str) -> list[str]:
    return _BETWEEN_COLUMNS.split(line.strip(" \t"))


def _words(group: Sequence[_Row], layout: _Layout, tally: RowTally) -> list[_Row]:
    """Returns the rows of words: without comments before them, and CoNLL-U's lines that are none."""
    words: list[_Row] = []
    for row in group:
        if not words and _may_be_comment(row) and not _is_word(row.columns, layout):
            tally.pass_over(row.line_number, "comment lines")
        elif layout.width == len(row.columns) == _CONLLU_WIDTH and _NO_WORD_OF_CONLLU.fullmatch(row.columns[0]):
            tally.pass_over(row.line_number, "lines of CoNLL-U for several words or none")
        else:
            words.append(row)
    return words


def _is_word(columns: Sequence[str], layout: _Layout) -> bool:
    """Returns whether a row that begins as a comment does is one of a word: it has a tag as others are."""
    if len(columns) != layout.width or not -layout.width <= layout.tag_column < layout.width:
        return False
    tag = columns[layout.tag_column]
    return tag in layout.tags or layout.scheme.parsed(tag) is not None


def _mistake(rows: Sequence[_Row], layout: _Layout) -> _Mistake | None:
    """Returns the first thing that is wrong with a sentence."""
    width, columns = layout.width, (layout.word_column, layout.tag_column)
    if not all(-width <= column < width for column in columns):
        rule = f"no column {layout.word_column} or {layout.tag_column}"
        return _Mistake(rows[0].line_number, rule, f". Received: {width} columns")
    if len({column % width for column in columns}) == 1:
        return _Mistake(rows[0].line_number, "word_column and tag_column must differ", f". Received: {width} columns")
    for line_number, row in rows:
        if len(row) != width:
            return _Mistake(line_number, f"not {width} columns as in the first line", f". Received: {len(row)}")
        if not is_text("".join(row)):
            return _Mistake(line_number, "not of the file's encoding")
        word, tag = (row[column] for column in columns)
        if not word or not tag:
            return _Mistake(line_number, f"the {'tag' if word else 'word'} is empty")
        if not layout.scheme.is_plain and layout.scheme.parsed(tag) is None:
            rule = "the tag is neither O nor one with a position (B, I, E, S or M, L, U) and a kind, as others are"
            return _Mistake(line_number, rule, f". Received: {shown(repr(tag), 80)}")
    return None

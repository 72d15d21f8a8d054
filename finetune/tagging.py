"""Sentences with a tag a word: files in columns as of CoNLL, and features."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from electra_span.tokenization.base import Tokenizer
from finetune.features import TextFeatures, ranges
from finetune.reading import BadRowLimit, DataError, RowTally, is_text, read_lines
from finetune.tags import bio_tags, bioes_tags, is_tag, spans_of

_DOCUMENT_START = "-DOCSTART-"


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
            offset, rule, detail = mistake
            tally.leave_out(lines.line_number + offset, rule, detail)
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
            sentence.rows.append(re.split("[ \t]+", line))
        elif sentence.rows:
            yield sentence
            sentence = _Lines(0, [])
    if sentence.rows:
        yield sentence


def _mistake(
    rows: Sequence[Sequence[str]], width: int, word_column: int, tag_column: int
) -> tuple[int, str, str] | None:
    """Returns what is wrong with a sentence: after how many lines, the rule, and what is there."""
    for offset, row in enumerate(rows):
        if len(row) != width:
            return offset, f"not {width} columns as in the first line", f". Received: {len(row)}"
        if not all(-width <= column < width for column in (word_column, tag_column)):
            return offset, f"no column {word_column} or {tag_column}", f". Received: {width} columns"
        if not is_text("".join(row)):
            return offset, "not of the file's encoding", ""
        if not is_tag(row[tag_column]):
            return offset, "the tag is neither O nor B, I, E or S with a kind", f". Received: {row[tag_column]!r}"
    return None


class TaggingFeatures(NamedTuple):
    """Features of n windows: a sentence is one, or, where it is too long, several, each of whole words.

    Window i has the words word_splits[i] to word_splits[i + 1].
    """

    text: TextFeatures
    example_ids: np.ndarray  # int64 [n], of the sentences
    first_words: np.ndarray  # int64 [n], the number of the window's first word in its sentence
    word_splits: np.ndarray  # int64 [n + 1]
    positions: np.ndarray  # int32 [W], of each word's first token in its window
    labels: np.ndarray  # int32 [W], 0 where the tag is unknown
    is_known: np.ndarray  # bool [W], whether it is not


def tagging_features(
    sentences: Sequence[TaggedSentence],
    tokenizer: Tokenizer,
    max_seq_length: int,
    *,
    labels: Sequence[str],
    segment_id: int = 0,
) -> TaggingFeatures:
    """Returns the features of sentences.

    Deviation: the original cuts long sentences too early and does not score the words it lost; here they go on in
    another window. It moves tags by a word after a word that leaves no token, which is [UNK] here, and takes the words
    [CLS] and [SEP] for special tokens.

    Args:
        sentences: of one word or more.
        tokenizer: of the model.
        max_seq_length: the most tokens of a window, special ones counted. Of a longer word the start is kept.
        labels: the known tags, in the order of their ids.
        segment_id: of all tokens; the original has 1.

    Raises:
        DataError: where there is no room for a token.
    """
    room = max_seq_length - 2
    if room < 1:
        raise DataError(f"max_seq_length must be at least 3 for sentences. Received: {max_seq_length}")
    words = [word for sentence in sentences for word in sentence.words]
    token_ids, lengths = _tokens_of(words, tokenizer, room)
    sentence_splits = np.cumsum([0] + [len(sentence.words) for sentence in sentences])
    starts = _window_starts(sentence_splits, lengths, room)
    owners = np.searchsorted(sentence_splits, starts, side="right") - 1
    word_splits = np.append(starts, len(words))
    token_splits = np.concatenate([[0], np.cumsum(lengths)])
    num_tokens = np.diff(token_splits[word_splits])
    row_splits = np.concatenate([[0], np.cumsum(num_tokens + 2)])
    input_ids = np.full(row_splits[-1], tokenizer.sep_id, np.int32)
    input_ids[row_splits[:-1]] = tokenizer.cls_id
    input_ids[ranges(row_splits[:-1] + 1, num_tokens)] = token_ids
    ids = {label: number for number, label in enumerate(labels)}
    label_ids = np.array([ids.get(tag, -1) for sentence in sentences for tag in sentence.tags], np.int32)
    return TaggingFeatures(
        TextFeatures(input_ids, np.full_like(input_ids, segment_id), row_splits),
        np.array([sentences[owner].example_id for owner in owners], np.int64),
        starts - sentence_splits[owners],
        word_splits,
        (1 + token_splits[:-1] - np.repeat(token_splits[starts], np.diff(word_splits))).astype(np.int32),
        np.maximum(label_ids, 0),
        label_ids >= 0,
    )


def _tokens_of(words: Sequence[str], tokenizer: Tokenizer, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids of words end to end, int32 [T], and how many each has, int64 [W], at most `most`."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    rows = [row[:most] for row in tokenizer.encode_words(list(numbers))] if numbers else []
    places = np.array([numbers[word] for word in words], np.int64)
    lengths = np.array([len(row) for row in rows], np.int64)
    flat_ids = np.array([token for row in rows for token in row], np.int32)
    starts = np.cumsum(lengths) - lengths
    return flat_ids[ranges(starts[places], lengths[places])], lengths[places]


def _window_starts(sentence_splits: np.ndarray, lengths: np.ndarray, room: int) -> np.ndarray:
    """Returns the words that windows start with, each window as full of words as it can be, int64 [n].

    Args:
        sentence_splits: int64 [sentences + 1], in words.
        lengths: int64 [W], tokens of each word.
        room: for tokens in a window.
    """
    ends = np.concatenate([[0], np.cumsum(lengths)])
    starts = list(sentence_splits[:-1])
    for sentence in np.flatnonzero(np.diff(ends[sentence_splits]) > room):
        word, last = sentence_splits[sentence], sentence_splits[sentence + 1]
        while ends[last] - ends[word] > room:
            word = np.searchsorted(ends, ends[word] + room, side="right") - 1
            starts.append(word)
    return np.sort(np.array(starts, np.int64))


def joined_windows(features: TaggingFeatures, predictions: Sequence[str]) -> dict[int, list[str]]:
    """Returns the tags of each sentence, by its id, from those of all words of its windows.

    Args:
        features: of the sentences.
        predictions: W tags, in the order of the words.
    """
    joined: dict[int, list[str]] = {}
    for number, example_id in enumerate(features.example_ids.tolist()):
        window = predictions[features.word_splits[number] : features.word_splits[number + 1]]
        joined.setdefault(example_id, []).extend(window)
    return joined

"""What text is like, in numbers that can be added: of a batch, a task, a corpus."""

import dataclasses
import heapq
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from pretrain.quality.duplicates import Fingerprints
from pretrain.quality.filters import is_repeated, near_duplicates
from pretrain.quality.words import NUM_CLASSES, Words, bigrams_of, chunks, code_points
from pretrain.sources.corpus import Documents

NUM_SHOWN = 10

_NUM_CODE_POINTS = 0x110000
_NUM_BINS = 32  # of powers of two


class Span(NamedTuple):
    """Some lines of a task."""

    task: int
    start: int
    end: int


class RankedLine(NamedTuple):
    """A line, and what it is ranked by."""

    value: float
    span: Span


@dataclasses.dataclass
class TextStatistics:
    """Sums over documents, lines and characters of some text."""

    num_documents: int = 0
    num_lines: int = 0
    num_characters: int = 0
    num_words: int = 0
    characters: Counter[int] = dataclasses.field(default_factory=Counter)  # how often, by code point
    bigrams: np.ndarray = dataclasses.field(  # int64 [C C], how often each class of characters follows each
        default_factory=lambda: np.zeros(NUM_CLASSES * NUM_CLASSES, np.int64)
    )
    line_characters: np.ndarray = dataclasses.field(  # int64 [32], lines of 2^n to 2^(n + 1) - 1 characters
        default_factory=lambda: np.zeros(_NUM_BINS, np.int64)
    )
    document_words: np.ndarray = dataclasses.field(  # int64 [32], documents of 2^n to 2^(n + 1) - 1 words
        default_factory=lambda: np.zeros(_NUM_BINS, np.int64)
    )
    longest_lines: list[RankedLine] = dataclasses.field(default_factory=list)  # by characters, the longest first

    def __add__(self, other: Self) -> Self:
        names = [field.name for field in dataclasses.fields(self)]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return type(self)(**{**sums, "longest_lines": highest(sums["longest_lines"])})


def text_statistics(documents: Documents, words: Words, *, task: int, first_line: int) -> TextStatistics:
    """Returns the statistics of a batch of text.

    Args:
        documents: the text.
        words: of its lines.
        task: the number of the task that it is of.
        first_line: the number of its first line in the task.
    """
    lines, document_ends = documents
    code_counts = np.zeros(_NUM_CODE_POINTS, np.int64)
    bigrams = np.zeros(NUM_CLASSES * NUM_CLASSES, np.int64)
    for chunk in chunks(lines):
        codes = code_points("\n".join(("", *chunk, "")))
        code_counts += np.bincount(codes, minlength=_NUM_CODE_POINTS)
        bigrams += np.bincount(bigrams_of(codes), minlength=len(bigrams))
    code_counts[ord("\n")] = 0  # lines have none
    present = np.flatnonzero(code_counts)
    words_of_documents = np.diff(words.line_ends[np.asarray(document_ends, np.int64) - 1], prepend=0)
    return TextStatistics(
        num_documents=len(document_ends),
        num_lines=len(lines),
        num_characters=int(code_counts.sum()),
        num_words=len(words.hashes),
        characters=Counter(dict(zip(present.tolist(), code_counts[present].tolist(), strict=True))),
        bigrams=bigrams,
        line_characters=_bins(np.fromiter(map(len, lines), np.int64, len(lines))),
        document_words=_bins(words_of_documents),
        longest_lines=_longest(lines, task, first_line),
    )


def _bins(sizes: np.ndarray) -> np.ndarray:
    """Returns how many sizes there are from each power of two to the next, int64 [32]; 0 counts as 1."""
    powers = np.log2(np.maximum(sizes, 1)).astype(np.int64)
    return np.bincount(np.minimum(powers, _NUM_BINS - 1), minlength=_NUM_BINS)


def _longest(lines: Sequence[str], task: int, first_line: int) -> list[RankedLine]:
    longest = heapq.nlargest(NUM_SHOWN, enumerate(lines, start=first_line), key=lambda numbered: len(numbered[1]))
    return [RankedLine(len(line), Span(task, number, number + 1)) for number, line in longest]


def highest(lines: Sequence[RankedLine]) -> list[RankedLine]:
    """Returns the first few lines by their values, the highest first; of equal ones, the first of the corpus."""
    return sorted(lines, key=lambda line: (-line.value, line.span))[:NUM_SHOWN]


class Group(NamedTuple):
    """A document and its near-duplicates."""

    original: Span
    num_duplicates: int
    duplicate: Span  # the first of them
    similarity: float  # of that one, estimated


class RepeatedLine(NamedTuple):
    """A line that occurs several times."""

    num_times: int
    span: Span  # of the first one


class Repetitions(NamedTuple):
    """How much of a corpus occurs again, and the largest examples."""

    num_near_duplicates: int  # documents that are near-duplicates of an earlier one
    num_alike: int  # those of them whose signatures are equal
    groups: list[Group]
    num_repeated_lines: int  # lines that are equal to an earlier one
    num_repeated_long_lines: int  # those of them that are long enough to be left out by a build
    lines: list[RepeatedLine]


def find_repetitions(corpus: Fingerprints, task_lines: Sequence[int], threshold: float) -> Repetitions:
    """Returns what occurs again.

    Args:
        corpus: the fingerprints of all documents and lines.
        task_lines: the number of lines of each task.
        threshold: the least similarity of near-duplicate documents.
    """
    near = near_duplicates(corpus, threshold)
    starts = np.concatenate([[0], corpus.document_ends[:-1]])
    task_ends = np.cumsum(task_lines)

    def span(start: int, end: int) -> Span:
        task = int(np.searchsorted(task_ends, start, side="right"))
        first = int(task_ends[task]) - task_lines[task]
        return Span(task, int(start) - first, int(end) - first)

    def document(number: int) -> Span:
        return span(starts[number], corpus.document_ends[number])

    originals, firsts, counts = np.unique(near.originals, return_index=True, return_counts=True)
    groups = [
        Group(
            document(originals[place]),
            int(counts[place]),
            document(near.documents[firsts[place]]),
            float(near.similarities[firsts[place]]),
        )
        for place in _largest(counts)
    ]
    _, first_lines, times = np.unique(corpus.line_hashes, return_index=True, return_counts=True)
    by_place = np.argsort(first_lines)
    first_lines, times = first_lines[by_place], times[by_place]
    lines = [
        RepeatedLine(int(times[place]), span(first_lines[place], first_lines[place] + 1))
        for place in _largest(times)
        if times[place] > 1
    ]
    return Repetitions(
        len(near.documents),
        int(np.count_nonzero(near.similarities == 1)),
        groups,
        len(corpus.line_hashes) - len(times),
        int(np.count_nonzero(is_repeated(corpus.line_hashes[corpus.is_long]))),
        lines,
    )


def _largest(counts: np.ndarray) -> list[int]:
    """Returns the places of the largest few counts, the first of equal ones first."""
    return np.argsort(-counts, kind="stable")[:NUM_SHOWN].tolist()

"""What text is like, in numbers that can be added: of a batch, a task, a corpus."""

import dataclasses
import heapq
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from pretrain.corpus import Documents
from pretrain.quality.bigrams import NUM_CLASSES, bigrams_of
from pretrain.quality.words import Words, chunks, code_points

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

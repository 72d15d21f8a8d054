"""What of a corpus occurs again: near-duplicate documents in groups, and the most repeated lines."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pretrain.quality.filters import is_repeated, near_duplicates
from pretrain.quality.fingerprints import Fingerprints
from pretrain.quality.statistics import NUM_SHOWN, Span


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

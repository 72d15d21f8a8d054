"""Packs tokenised lines into examples of one or two segments, as the original's ExampleBuilder does.

Python handles whole lines, with one draw or two an example; array operations then move the tokens of all lines at once.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

# The original draws short target lengths from 5 on, the length of [CLS] a [SEP] b [SEP].
MIN_SEQ_LENGTH = 5

_ONE_SEGMENT_PROB = 0.1
_SHORT_TARGET_PROB = 0.05
_UNREACHED_LENGTH = 100_000


class Draws(Protocol):
    """A source of random numbers, such as random.Random."""

    def random(self) -> float:
        """Returns a number drawn uniformly from [0, 1)."""

    def randint(self, a: int, b: int, /) -> int:
        """Returns an integer drawn uniformly from a to b, both included."""


class LineAssignment(NamedTuple):
    """Which example and which of its segments each line goes to."""

    example_ends: list[int]  # of each example, the number of the line after its last one
    segments: list[int]  # 0 or 1 of each line before the last example's end


class PackedExamples(NamedTuple):
    """Examples `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`; those of one segment may have [SEP]s in it."""

    input_ids: np.ndarray  # int32 [num_examples, L], padded with [PAD]
    first_lengths: np.ndarray  # int32 [num_examples], positions of segment 0, its [CLS] and [SEP] included
    lengths: np.ndarray  # int32 [num_examples], positions that are not padding


class DroppedTokens(NamedTuple):
    """Numbers of tokens that did not fit in their examples."""

    first_segments: int
    second_segments: int


def assign_lines(
    line_lengths: Sequence[int], document_ends: Sequence[int], *, max_seq_length: int, draws: Draws
) -> LineAssignment:
    """Returns the example and segment of each line, drawn as the original draws.

    Lines are gathered until they reach a target number of tokens or their document ends. The target is max_seq_length,
    or after 5 % of the examples a random shorter length.

    Args:
        line_lengths: the number of tokens of each line.
        document_ends: of each document, the number of the line after its last one; the last is len(line_lengths).
        max_seq_length: positions of an example, at least MIN_SEQ_LENGTH.
        draws: the source of random numbers.
    """
    example_ends: list[int] = []
    segments: list[int] = []
    target_length = max_seq_length
    first_line = document_start = 0
    for document_end in document_ends:
        num_tokens = 0
        last_line = document_end - 1
        for line in range(document_start, document_end):
            num_tokens += line_lengths[line]
            if num_tokens >= target_length or (line == last_line and num_tokens):
                segments += _split_lines(line_lengths[first_line : line + 1], target_length, draws)
                target_length = _next_target_length(max_seq_length, draws)
                num_tokens = 0
                first_line = line + 1
                example_ends.append(first_line)
        document_start = document_end
    return LineAssignment(example_ends, segments)


def _split_lines(line_lengths: Sequence[int], target_length: int, draws: Draws) -> list[int]:
    """Returns the segment, 0 or 1, of each line of one example.

    A line goes to the first segment while it fits there. One that would overflow it does too in half of the cases, as
    long as the second segment is empty. So a short line may join the first segment after a longer one went to the
    second, as in the original.
    """
    first_target = _UNREACHED_LENGTH if draws.random() < _ONE_SEGMENT_PROB else (target_length - 3) // 2
    segment_lengths = [0, 0]
    segments = []
    for length in line_lengths:
        first_length, second_length = segment_lengths
        joins_first = (
            first_length == 0
            or first_length + length < first_target
            or (second_length == 0 and first_length < first_target and draws.random() < 0.5)
        )
        segment = 0 if joins_first else 1
        segment_lengths[segment] += length
        segments.append(segment)
    return segments


def _next_target_length(max_seq_length: int, draws: Draws) -> int:
    if draws.random() < _SHORT_TARGET_PROB:
        return draws.randint(MIN_SEQ_LENGTH, max_seq_length)
    return max_seq_length


def pack_examples(
    ids: np.ndarray,
    row_splits: np.ndarray,
    assignment: LineAssignment,
    *,
    max_seq_length: int,
    cls_id: int,
    sep_id: int,
    pad_id: int,
) -> tuple[PackedExamples, DroppedTokens]:
    """Returns the examples, each segment cut to the room there is, and what was cut off.

    The first segment has room for L - 2 tokens, the second for what the first leaves: a second segment without room
    is left out, with its [SEP].

    Args:
        ids: int32 [T], the tokens of all lines.
        row_splits: int64 [num_lines + 1], where each line starts in ids, and the end.
        assignment: the lines' examples and segments.
        max_seq_length: L.
        cls_id: the id of [CLS].
        sep_id: the id of [SEP].
        pad_id: the id of [PAD].
    """
    num_examples, num_lines = len(assignment.example_ends), len(assignment.segments)
    line_lengths = np.diff(row_splits)[:num_lines]
    lines_of_example = np.diff(np.asarray([0, *assignment.example_ends]))  # [num_examples]
    example_of_line = np.repeat(np.arange(num_examples), lines_of_example)  # [num_lines]
    segment_of_line = 2 * example_of_line + np.asarray(assignment.segments, np.int64)  # counts over all examples

    wanted = np.bincount(segment_of_line, line_lengths, minlength=2 * num_examples).astype(np.int64)
    kept = _kept_tokens(wanted.reshape(num_examples, 2), max_seq_length)  # [num_examples, 2]
    examples, segment_starts = _empty_examples(kept, max_seq_length, cls_id, sep_id, pad_id)
    offsets = _offsets_in_segments(segment_of_line, line_lengths)
    copy_runs(
        ids,
        row_splits[:num_lines],
        examples.input_ids.reshape(-1),
        segment_starts.ravel()[segment_of_line] + offsets,
        np.clip(kept.ravel()[segment_of_line] - offsets, 0, line_lengths),
    )
    dropped = wanted.reshape(num_examples, 2).sum(axis=0) - kept.sum(axis=0)
    return examples, DroppedTokens(*dropped.tolist())


def _kept_tokens(wanted: np.ndarray, max_seq_length: int) -> np.ndarray:
    """Returns how many of the wanted tokens of both segments there is room for, int64 [num_examples, 2]."""
    first = np.minimum(wanted[:, 0], max_seq_length - 2)
    return np.stack([first, np.clip(max_seq_length - first - 3, 0, wanted[:, 1])], axis=1)


def _empty_examples(
    kept: np.ndarray, max_seq_length: int, cls_id: int, sep_id: int, pad_id: int
) -> tuple[PackedExamples, np.ndarray]:
    """Returns examples with special tokens only, and where the segments' text goes, int64 [num_examples, 2].

    Args:
        kept: int64 [num_examples, 2], the number of tokens of each segment.
        max_seq_length: L.
        cls_id: the id of [CLS].
        sep_id: the id of [SEP].
        pad_id: the id of [PAD].
    """
    num_examples = len(kept)
    first_lengths = kept[:, 0] + 2
    lengths = first_lengths + kept[:, 1] + (kept[:, 1] > 0)
    rows = np.arange(num_examples)
    # Deviation: the original pads with 0, whatever that is in the vocabulary.
    input_ids = np.full((num_examples, max_seq_length), pad_id, np.int32)
    input_ids[:, 0] = cls_id
    input_ids[rows, first_lengths - 1] = sep_id
    input_ids[rows, lengths - 1] = sep_id
    segment_starts = rows[:, None] * max_seq_length + np.stack([np.ones_like(rows), first_lengths], axis=1)
    return PackedExamples(input_ids, first_lengths.astype(np.int32), lengths.astype(np.int32)), segment_starts


def _offsets_in_segments(segment_of_line: np.ndarray, line_lengths: np.ndarray) -> np.ndarray:
    """Returns of each line how many tokens its segment holds before it, int64 [num_lines]."""
    order = np.argsort(segment_of_line, kind="stable")
    sorted_segments, sorted_lengths = segment_of_line[order], line_lengths[order]
    starts = np.cumsum(sorted_lengths) - sorted_lengths
    is_first = np.diff(sorted_segments, prepend=-1) > 0
    starts -= np.repeat(starts[is_first], np.diff(np.flatnonzero(is_first), append=len(order)))
    offsets = np.empty_like(starts)
    offsets[order] = starts
    return offsets


def copy_runs(
    source: np.ndarray, source_starts: np.ndarray, target: np.ndarray, target_starts: np.ndarray, counts: np.ndarray
) -> None:
    """Copies counts[i] values from source_starts[i] on to target_starts[i] on, for all i at once."""
    before = np.cumsum(counts) - counts
    steps = np.arange(counts.sum())
    places = np.repeat(source_starts - before, counts) + steps
    target[np.repeat(target_starts - before, counts) + steps] = source[places]

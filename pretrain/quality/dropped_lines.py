"""Lines that are left out of a corpus, and what is left of their documents."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

REASONS = ("duplicate_documents", "duplicate_lines", "overlap")


class DroppedLines(NamedTuple):
    """The lines of a task that are left out."""

    lines: np.ndarray  # int64 [n], ascending, numbers of lines counted over the whole task
    reasons: np.ndarray  # uint8 [n], indices into REASONS


class Kept(NamedTuple):
    """What is left of some tokenized lines."""

    ids: np.ndarray  # int32 [num_ids]
    row_splits: np.ndarray  # int64 [num_lines + 1]
    document_ends: list[int]  # of the documents of which something is left
    dropped: dict[str, int]  # numbers of tokens left out, by reason


def keep_rest(
    ids: np.ndarray, row_splits: np.ndarray, document_ends: Sequence[int], dropped: DroppedLines | None, first_line: int
) -> Kept:
    """Returns what is left of a batch of tokenized lines.

    Args:
        ids: int32 [num_ids], the tokens of all lines.
        row_splits: int64 [num_lines + 1], where each line starts in ids, and the end.
        document_ends: of each document, the number of the line after its last one.
        dropped: the lines of the task that are left out.
        first_line: the number of the batch's first line in the task.
    """
    if dropped is None:
        return Kept(ids, row_splits, list(document_ends), {})
    lengths = np.diff(row_splits)
    first, last = np.searchsorted(dropped.lines, (first_line, first_line + len(lengths)))
    lines, reasons = dropped.lines[first:last] - first_line, dropped.reasons[first:last]
    is_kept = np.ones(len(lengths), np.bool_)
    is_kept[lines] = False
    num_kept = np.concatenate([[0], np.cumsum(is_kept)])  # [num_lines + 1], lines before each
    ends = np.unique(num_kept[np.asarray(document_ends, np.int64)])
    num_tokens = np.bincount(reasons, lengths[lines], minlength=len(REASONS)).astype(np.int64).tolist()
    return Kept(
        ids[np.repeat(is_kept, lengths)],
        np.concatenate([[0], np.cumsum(lengths[is_kept])]),
        ends[ends > 0].tolist(),
        {reason: number for reason, number in zip(REASONS, num_tokens, strict=True) if number},
    )

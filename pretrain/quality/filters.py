"""Lines that are left out of a corpus, and what is left of their documents."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pretrain.dataset.workspace import whole_part
from pretrain.quality.duplicates import (
    Compared,
    Fingerprints,
    NearDuplicates,
    find_near_duplicates,
    fingerprints_of,
    joined,
)
from pretrain.quality.overlap import Overlap, load_ngrams
from pretrain.quality.settings import QualityFilters, require
from pretrain.quality.words import words_of
from pretrain.sources.corpus import TextRange, read_batches
from pretrain.sources.settings import SourceSettings

if TYPE_CHECKING:
    from pretrain.builder.settings import BuildSettings

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


_DUPLICATE_DOCUMENTS, _DUPLICATE_LINES, _OVERLAP = range(len(REASONS))
_KEPT = len(REASONS)


def check_filters(filters: QualityFilters) -> None:
    """Raises UserError where a package is missing or an evaluation file cannot be read, before any work is done."""
    if "documents" in filters.dedup:
        require("datasketch")
    load_ngrams(filters.drop_overlap)


def read_task(
    ranges: Sequence[TextRange],
    filters: QualityFilters,
    *,
    blanks_separate_docs: bool,
    source_settings: SourceSettings | None = None,
) -> Fingerprints:
    """Returns what the documents and lines of a task are compared by.

    Args:
        ranges: the text.
        filters: what is left out.
        blanks_separate_docs: whether a blank line ends a document.
        source_settings: how the ranges' files are read.
    """
    compared = Compared("documents" in filters.dedup, "lines" in filters.dedup, filters.drop_overlap)
    batches = read_batches(ranges, blanks_separate_docs=blanks_separate_docs, settings=source_settings)
    return joined([fingerprints_of(documents, words_of(documents.lines), compared) for documents in batches])


def find_dropped_lines(tasks: Sequence[Fingerprints], threshold: float) -> list[DroppedLines]:
    """Returns of each task the lines to leave out.

    The first of several duplicates, in the order of the corpus, stays. What overlaps with evaluation files is left out
    first, then documents, then lines of what remains.

    Args:
        tasks: what is compared of each, in the order of the corpus.
        threshold: the least similarity of near-duplicate documents.
    """
    reasons = decide(joined(tasks), threshold)
    ends = np.cumsum([task.num_lines for task in tasks])
    return [_dropped(each) for each in np.split(reasons, ends[:-1])]


def decide(corpus: Fingerprints, threshold: float) -> np.ndarray:
    """Returns why each line of a corpus is left out, uint8 [num_lines]: len(REASONS) where it is not.

    Args:
        corpus: what was compared.
        threshold: the least similarity of near-duplicate documents.
    """
    fates = np.full(len(corpus.document_ends), _KEPT, np.uint8)  # of documents
    is_out = corpus.overlap.is_contaminated
    fates[is_out] = _OVERLAP
    fates[near_duplicates(corpus, threshold, is_out).documents] = _DUPLICATE_DOCUMENTS
    reasons = np.repeat(fates, np.diff(corpus.document_ends, prepend=0))  # [num_lines]
    if len(corpus.line_hashes):
        candidates = np.flatnonzero((reasons == _KEPT) & corpus.is_long)
        reasons[candidates[is_repeated(corpus.line_hashes[candidates])]] = _DUPLICATE_LINES
    return reasons


def near_duplicates(corpus: Fingerprints, threshold: float, is_out: np.ndarray | None = None) -> NearDuplicates:
    """Returns the documents that are near-duplicates of an earlier one; none, where they are not compared.

    Args:
        corpus: what was compared.
        threshold: the least similarity.
        is_out: bool [num_documents], documents that are not looked at.
    """
    if not len(corpus.signatures):
        empty = np.zeros(0, np.int64)
        return NearDuplicates(empty, empty, empty.astype(np.float64))
    return find_near_duplicates(corpus.signatures, threshold, is_out)


def is_repeated(numbers: np.ndarray) -> np.ndarray:
    """Returns which of some numbers are equal to an earlier one, bool [n]."""
    _, firsts = np.unique(numbers, return_index=True)
    repeated = np.ones(len(numbers), np.bool_)
    repeated[firsts] = False
    return repeated


def _dropped(reasons: np.ndarray) -> DroppedLines:
    lines = np.flatnonzero(reasons != _KEPT)
    return DroppedLines(lines, reasons[lines])


def compare_task(settings: "BuildSettings", workspace: Path, task: tuple[int, list[TextRange]]) -> None:
    """Writes what the documents and lines of a task are compared by, unless that is there."""
    number, ranges = task
    file = _compared_file(workspace, number)
    if not file.exists():
        found = read_task(
            ranges,
            settings.filters,
            blanks_separate_docs=settings.blanks_separate_docs,
            source_settings=settings.source_settings,
        )
        arrays = found._asdict() | {"overlap": found.overlap.is_contaminated}
        _write_arrays(file, arrays)


def is_decided(workspace: Path, num_tasks: int) -> bool:
    """Returns whether the lines to leave out are known of every task."""
    return all(_dropped_file(workspace, number).exists() for number in range(num_tasks))


def decide_tasks(settings: "BuildSettings", workspace: Path, num_tasks: int) -> None:
    """Writes of each task which lines to leave out, when all have been compared."""
    compared = [_compared_file(workspace, number) for number in range(num_tasks)]
    dropped = find_dropped_lines([_read_compared(file) for file in compared], settings.duplicate_threshold)
    for number, lines in enumerate(dropped):
        _write_arrays(_dropped_file(workspace, number), lines._asdict())
    for file in compared:
        file.unlink()


def read_dropped_lines(settings: "BuildSettings", workspace: Path, number: int) -> DroppedLines | None:
    """Returns which lines of a task to leave out."""
    if not settings.filters:
        return None
    with np.load(_dropped_file(workspace, number)) as arrays:
        return DroppedLines(**arrays)


def _compared_file(workspace: Path, number: int) -> Path:
    return workspace / f"compared-{number}.npz"


def _dropped_file(workspace: Path, number: int) -> Path:
    return workspace / f"dropped-{number}.npz"


def _write_arrays(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with whole_part(file) as partial, partial.open("wb") as opened:
        np.savez(opened, **arrays)  # type: ignore[arg-type]


def _read_compared(file: Path) -> Fingerprints:
    with np.load(file) as arrays:
        overlap = Overlap(arrays["overlap"], np.zeros(0, np.int64), [])
        return Fingerprints(**{**arrays, "overlap": overlap})

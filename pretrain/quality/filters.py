"""The lines that a build leaves out: what is compared of each task, and what the whole corpus decides about it."""

from collections.abc import Sequence

import numpy as np

from pretrain.corpus import TextRange, read_batches
from pretrain.quality.dropped_lines import REASONS, DroppedLines
from pretrain.quality.fingerprints import Compared, Fingerprints, fingerprints_of, joined
from pretrain.quality.minhash import NearDuplicates, find_near_duplicates
from pretrain.quality.overlap import load_ngrams
from pretrain.quality.settings import QualityFilters, require
from pretrain.quality.words import words_of
from pretrain.sources.settings import SourceSettings

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

"""Near-duplicate documents, by MinHash signatures and locality-sensitive hashing (datasketch).

Documents are compared by their sets of five words in a row; those whose sets have an estimated Jaccard similarity of at
least a threshold are near-duplicates. Source: Broder, "On the resemblance and containment of documents", 1997; the
candidates by bands of the signature: Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pretrain.quality.settings import check_threshold, require
from pretrain.quality.words import mixed, ngram_hashes

SHINGLE_WORDS = 5
NUM_PERMUTATIONS = 128

_SCHEME = "affine32"
_EMPTY = np.uint32(0xFFFFFFFF)
_CHUNK_SHINGLES = 1 << 8  # whose 128 permutations stay in the processor's cache

# Candidates are verified, so that a false one costs a comparison only.
_WEIGHTS = (0.1, 0.9)  # of false positives, of false negatives


class NearDuplicates(NamedTuple):
    """Documents that are near-duplicates of an earlier one that is none."""

    documents: np.ndarray  # int64 [n], ascending
    originals: np.ndarray  # int64 [n], of each the document that it is most like
    similarities: np.ndarray  # float64 [n], estimated


def signatures(hashes: np.ndarray, document_ends: Sequence[int]) -> np.ndarray:
    """Returns the MinHash signature of each document, uint32 [num_documents, 128].

    A document of fewer than five words has one shingle, of all its words; one without words has none.

    Args:
        hashes: uint64 [num_words], of single words.
        document_ends: of each document, the number of the word after its last one.
    """
    shingles = dict(ngram_hashes(hashes, (SHINGLE_WORDS,)))[SHINGLE_WORDS]
    rows = np.empty((len(document_ends), NUM_PERMUTATIONS), np.uint32)
    start = 0
    for number, end in enumerate(document_ends):
        length = min(SHINGLE_WORDS, end - start)
        if length == SHINGLE_WORDS:
            values = shingles[start : end - SHINGLE_WORDS + 1]
        else:
            values = next(ngram_hashes(hashes[start:end], (length,)))[1] if length else shingles[:0]
        rows[number] = _minima(values.astype(np.uint32))
        start = end
    return rows


def _minima(shingles: np.ndarray) -> np.ndarray:
    """Returns the signature of the numbers of a document's shingles, uint32 [128]."""
    signature = _minhash()
    for start in range(0, len(shingles), _CHUNK_SHINGLES):
        signature.update_batch([shingles[start : start + _CHUNK_SHINGLES]])
    return signature.hashvalues


def _minhash(hashvalues: np.ndarray | None = None) -> Any:
    """Returns a signature: an empty one, to be updated with arrays of numbers, or the one of some values."""
    return require("datasketch").MinHash(
        num_perm=NUM_PERMUTATIONS,
        permutations=_permutations(),
        scheme=_SCHEME,
        hashfunc=_as_they_are,
        hashvalues=hashvalues,
    )


@functools.cache
def _permutations() -> np.ndarray:
    return require("datasketch").MinHash(num_perm=NUM_PERMUTATIONS, scheme=_SCHEME).permutations


def _as_they_are(numbers: np.ndarray) -> np.ndarray:
    return numbers


def find_near_duplicates(rows: np.ndarray, threshold: float, is_out: np.ndarray | None = None) -> NearDuplicates:
    """Returns the near-duplicates among documents: the first of several stays.

    Args:
        rows: uint32 [num_documents, 128], the documents' signatures.
        threshold: the least Jaccard similarity, as estimated.
        is_out: bool [num_documents], documents that are not looked at.
    """
    check_threshold(threshold)
    index = require("datasketch").MinHashLSH(threshold=threshold, num_perm=NUM_PERMUTATIONS, weights=_WEIGHTS)
    is_in = (rows != _EMPTY).any(axis=1)
    if is_out is not None:
        is_in &= ~is_out
    documents, originals, similarities = [], [], []
    for document in _with_company(rows, np.flatnonzero(is_in), index.hashranges).tolist():
        signature = _minhash(rows[document])
        candidates = sorted(index.query(signature))
        estimates = (rows[candidates] == rows[document]).mean(axis=1)
        if len(candidates) and estimates.max() >= threshold:
            best = int(estimates.argmax())
            documents.append(document)
            originals.append(candidates[best])
            similarities.append(float(estimates[best]))
        else:
            index.insert(document, signature, check_duplication=False)
    return NearDuplicates(np.array(documents, np.int64), np.array(originals, np.int64), np.array(similarities))


def _with_company(rows: np.ndarray, documents: np.ndarray, bands: Sequence[tuple[int, int]]) -> np.ndarray:
    """Returns those of some documents that share a band with another one, ascending.

    The others can be nobody's candidates: the index, of some 5 KB a document, does without them.
    """
    has_company = np.zeros(len(documents), np.bool_)
    for first, last in bands:
        keys = np.zeros(len(documents), np.uint64)
        for column in range(first, last):
            keys = mixed(keys + rows[documents, column])
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        has_company |= counts[inverse] > 1
    return documents[has_company]

"""Near-duplicate documents, by MinHash signatures and locality-sensitive hashing (datasketch).

Documents are compared by their sets of five words in a row; those whose sets have an estimated Jaccard similarity of at
least a threshold are near-duplicates. Source: Broder, "On the resemblance and containment of documents", 1997; the
candidates by bands of the signature: Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.
"""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pretrain.quality.overlap import Overlap, find_overlap, load_ngrams
from pretrain.quality.settings import check_threshold, require
from pretrain.quality.words import Words, mixed, ngram_hashes
from pretrain.sources.corpus import Documents

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


# Shorter lines may be repeated: headings, refrains, answers.
MIN_REPEATED_WORDS = 10

_HASH_BYTES = 8


class Compared(NamedTuple):
    """What is compared."""

    has_documents: bool  # with each other
    has_lines: bool
    evaluation_files: tuple[Path, ...] = ()


class Fingerprints(NamedTuple):
    """Some documents and lines, in the order of the text: 520 bytes a document, 9 a line."""

    document_ends: np.ndarray  # int64 [num_documents], of each the number of the line after its last one
    signatures: np.ndarray  # uint32 [num_documents, 128]; [0, 128] where documents are not compared
    line_hashes: np.ndarray  # uint64 [num_lines]; [0] where lines are not compared
    is_long: np.ndarray  # bool [num_lines], of MIN_REPEATED_WORDS words or more
    overlap: Overlap

    @property
    def num_lines(self) -> int:
        """The number of lines."""
        return int(self.document_ends[-1]) if len(self.document_ends) else 0


def fingerprints_of(documents: Documents, words: Words, compared: Compared) -> Fingerprints:
    """Returns the fingerprints of some text.

    Args:
        documents: the text.
        words: of its lines.
        compared: what is wanted; the rest is empty.
    """
    lines, document_ends = documents
    ends = np.asarray(document_ends, np.int64)
    rows = np.zeros((0, NUM_PERMUTATIONS), np.uint32)
    if compared.has_documents:
        rows = signatures(words.hashes, words.line_ends[ends - 1].tolist())
    num_words = np.diff(words.line_ends, prepend=0)
    overlap = Overlap(np.zeros(len(ends), np.bool_), np.zeros(0, np.int64), [])
    if compared.evaluation_files:
        overlap = find_overlap(words, lines, document_ends, load_ngrams(compared.evaluation_files))
    hashes = line_hashes(lines) if compared.has_lines else np.zeros(0, np.uint64)
    return Fingerprints(ends, rows, hashes, num_words[: len(hashes)] >= MIN_REPEATED_WORDS, overlap)


def line_hashes(lines: Sequence[str]) -> np.ndarray:
    """Returns a number for each line, uint64 [num_lines]; different lines have different ones.

    Among ten million lines, two of the same number have a chance of 3 in a million.
    """
    blake2b = hashlib.blake2b
    digests = (blake2b(line.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest() for line in lines)
    return np.frombuffer(b"".join(digests), np.uint64)


def joined(parts: Sequence[Fingerprints]) -> Fingerprints:
    """Returns the fingerprints of texts that follow each other, of at least one."""
    if len(parts) == 1:
        return parts[0]
    ends, rows, hashes, is_long, overlaps = zip(*parts, strict=True)
    first_lines = np.cumsum([0, *(part.num_lines for part in parts)])
    first_documents = np.cumsum([0, *map(len, ends)])
    is_contaminated, ngrams, examples = zip(*overlaps, strict=True)
    return Fingerprints(
        np.concatenate([each + first for each, first in zip(ends, first_lines, strict=False)]),
        np.concatenate(rows),
        np.concatenate(hashes),
        np.concatenate(is_long),
        Overlap(
            np.concatenate(is_contaminated),
            np.unique(np.concatenate(ngrams)),
            [
                (int(first) + document, text)
                for first, some in zip(first_documents, examples, strict=False)
                for document, text in some
            ],
        ),
    )

"""What a task's documents and lines are compared by, with each other and with evaluation files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pretrain.corpus import Documents
from pretrain.quality.minhash import NUM_PERMUTATIONS, signatures
from pretrain.quality.overlap import Overlap, find_overlap, load_ngrams
from pretrain.quality.words import Words

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

"""Pairs of neighbouring characters: a line of improbable ones is strange to its corpus.

Markup, tables, code, other languages, keys and text in a wrong encoding come out first.
"""

from collections.abc import Sequence

import numpy as np

from pretrain.quality.words import chunks, code_points

# Characters are told apart in ASCII; others by their number modulo 384, which tells those of one script apart.
NUM_CLASSES = 512
_NUM_ASCII = 128

# Of shorter lines the mean says little.
MIN_CHARACTERS = 20

_SMOOTHING = 0.5  # added to each count


def bigrams_of(codes: np.ndarray) -> np.ndarray:
    """Returns the pair of classes of each character and the one after it, int32 [num_characters - 1].

    Args:
        codes: uint32 [num_characters].
    """
    classes = np.where(codes < _NUM_ASCII, codes, _NUM_ASCII + codes % (NUM_CLASSES - _NUM_ASCII)).astype(np.int32)
    return classes[:-1] * NUM_CLASSES + classes[1:]


def log_probabilities(counts: np.ndarray) -> np.ndarray:
    """Returns the logarithm (base 2) of each class's probability after each, float32 [C C].

    Args:
        counts: int64 [C C], how often it follows there.
    """
    smoothed = counts.reshape(NUM_CLASSES, NUM_CLASSES) + _SMOOTHING
    return np.log2(smoothed / smoothed.sum(axis=1, keepdims=True)).astype(np.float32).ravel()


def strangeness(lines: Sequence[str], log_probs: np.ndarray) -> np.ndarray:
    """Returns how strange each line is: mean bits a character, its end included, float64 [num_lines].

    Lines of fewer than 20 characters are 0.

    Args:
        lines: the text.
        log_probs: float32 [C C], as from log_probabilities of the corpus.
    """
    means = [np.zeros(0)]
    for chunk in chunks(lines):
        codes = code_points("\n".join(("", *chunk, "")))
        sums = np.concatenate([[0.0], np.cumsum(-log_probs[bigrams_of(codes)], dtype=np.float64)])
        ends = np.flatnonzero(codes == ord("\n"))
        sizes = np.diff(ends)
        means.append(np.where(sizes > MIN_CHARACTERS, np.diff(sums[ends]) / sizes, 0.0))
    return np.concatenate(means)

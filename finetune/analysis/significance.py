"""Whether one model answers the same questions better than another, or by chance. Imports no TensorFlow."""

from typing import NamedTuple

import numpy as np

NUM_RESAMPLES = 10_000
_CHUNK = 1_000  # resamples at a time
_PERCENTILES = (2.5, 97.5)


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval, by the percentiles of bootstrap means."""

    mean: float
    low: float
    high: float


class Difference(NamedTuple):
    """The difference of two models' means over the same questions."""

    interval: Interval
    p_value: float  # two-sided: twice the share of resamples in which the difference is not on its own side of 0


class McNemar(NamedTuple):
    """McNemar's exact test of right and wrong answers of two models to the same questions."""

    num_first_only: int  # questions that the first has right and the second wrong
    num_second_only: int
    p_value: float  # two-sided


def bootstrap_intervals(scores: np.ndarray, seed: int) -> list[Interval]:
    """Returns the mean and its interval of each of several scores, all resampled alike.

    Args:
        scores: float64 [Q, M], of at least one question.
        seed: of the resampling.
    """
    lows, highs = np.percentile(_resampled_means(scores, seed), _PERCENTILES, axis=0)
    return [Interval(*map(float, row)) for row in zip(scores.mean(axis=0), lows, highs, strict=True)]


def paired_bootstrap(first: np.ndarray, second: np.ndarray, seed: int) -> list[Difference]:
    """Returns how much larger the first model's means are than the second's, for each of several scores.

    Source: Efron and Tibshirani 1993, chapters 13 and 16; Koehn 2004 for two systems on one test set.

    Args:
        first, second: float64 [Q, M], the scores of two models in the same order of questions, at least one.
        seed: of the resampling.
    """
    differences = first - second
    means = _resampled_means(differences, seed)
    observed = differences.mean(axis=0)
    lows, highs = np.percentile(means, _PERCENTILES, axis=0)
    is_other_side = np.where(observed > 0, means <= 0, means >= 0)
    p_values = np.minimum(1.0, 2 * (is_other_side.sum(axis=0) + 1) / (len(means) + 1))
    rows = zip(observed, lows, highs, strict=True)
    return [Difference(Interval(*map(float, row)), float(p)) for row, p in zip(rows, p_values, strict=True)]


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Returns McNemar's exact test (McNemar 1947): whether one model is right alone more often than the other.

    Args:
        first, second: bool [Q], whether each model's answers are right, in the same order of questions.
    """
    from scipy.stats import binomtest  # which takes a second, and is not always asked

    num_first, num_second = int((first & ~second).sum()), int((second & ~first).sum())
    num_different = num_first + num_second
    p_value = float(binomtest(num_first, num_different).pvalue) if num_different else 1.0
    return McNemar(num_first, num_second, p_value)


def _resampled_means(scores: np.ndarray, seed: int) -> np.ndarray:
    """Returns the means [NUM_RESAMPLES, M] of as many questions, drawn with replacement.

    Questions with equal scores are as good as each other, so that only how many of each kind are drawn is drawn.

    Args:
        scores: float64 [Q, M].
        seed: of the draws.
    """
    kinds, counts = np.unique(scores, axis=0, return_counts=True)  # [K, M], [K]
    generator = np.random.default_rng(seed)
    sizes = [_CHUNK] * (NUM_RESAMPLES // _CHUNK)
    drawn = (generator.multinomial(len(scores), counts / len(scores), size) for size in sizes)  # [size, K]
    return np.concatenate([chunk @ kinds for chunk in drawn]) / len(scores)

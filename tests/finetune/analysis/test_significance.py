"""Differences are found where they are, and not where they are not."""

import numpy as np
import pytest

from finetune.analysis.analysis import bootstrap_intervals, mcnemar, paired_bootstrap


def _bits(*counts):
    """Returns columns of 0 and 1, rows (0, 0), (0, 1), (1, 0), (1, 1) so many times each."""
    return np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], counts, axis=0).astype(float)


def test_intervals_are_those_of_a_binomial_mean():
    scores = np.repeat([[0.0], [1.0]], [240, 160], axis=0)
    (interval,) = bootstrap_intervals(scores, seed=0)
    half = 1.96 * np.sqrt(0.4 * 0.6 / 400)
    assert interval.mean == pytest.approx(0.4)
    assert (interval.low, interval.high) == pytest.approx((0.4 - half, 0.4 + half), abs=0.004)


def test_resampled_means_are_those_of_drawing_questions():
    generator = np.random.default_rng(3)
    scores = np.column_stack((generator.integers(0, 2, 300), generator.choice([0, 0.4, 1], 300))).astype(float)
    drawn = scores[generator.integers(0, 300, (10_000, 300))].mean(axis=1)
    expected = np.percentile(drawn, (2.5, 97.5), axis=0).T
    found = [(interval.low, interval.high) for interval in bootstrap_intervals(scores, seed=0)]
    assert np.array(found) == pytest.approx(expected, abs=0.004)


def test_models_that_differ_as_chance_would_are_not_told_apart():
    first, second = _bits(300, 50, 48, 602).T
    (difference,) = paired_bootstrap(first[:, None], second[:, None], seed=0)
    assert difference.interval.mean == pytest.approx(-0.002)
    assert difference.interval.low < 0 < difference.interval.high
    assert difference.p_value > 0.5
    assert mcnemar(first == 1, second == 1).p_value > 0.5


def test_pairs_tell_more_than_the_means():
    first, second = _bits(300, 20, 60, 620).T
    f, s = first[:, None], second[:, None]
    (difference,) = paired_bootstrap(f, s, seed=0)
    assert difference.interval.low > 0
    assert difference.p_value < 0.001
    unpaired = [bootstrap_intervals(column, seed=0)[0] for column in (f, s)]
    assert unpaired[0].low < unpaired[1].high  # either one's own interval holds the other's mean, or near it
    (turned,) = paired_bootstrap(s, f, seed=0)
    assert turned.interval.mean == -difference.interval.mean
    assert turned.p_value < 0.001


def test_equal_models_have_no_difference():
    scores = _bits(3, 4, 5, 6)
    for difference in paired_bootstrap(scores, scores, seed=0):
        assert difference.interval == (0, 0, 0)
        assert difference.p_value == 1
    assert mcnemar(scores[:, 0] == 1, scores[:, 0] == 1) == (0, 0, 1)


def test_mcnemar_is_the_sign_test_of_what_differs():
    first, second = (_bits(7, 1, 9, 30) == 1).T
    test = mcnemar(first, second)
    assert (test.num_first_only, test.num_second_only) == (9, 1)
    assert test.p_value == pytest.approx(2 * (1 + 10) / 2**10)


def test_the_same_seed_gives_the_same_numbers():
    scores = np.random.default_rng(0).random((50, 1))
    assert bootstrap_intervals(scores, seed=1) == bootstrap_intervals(scores, seed=1)
    assert bootstrap_intervals(scores, seed=1) != bootstrap_intervals(scores, seed=2)

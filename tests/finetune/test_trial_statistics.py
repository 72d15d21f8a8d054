import math

import numpy as np
import pytest

from finetune.results import MetricSummary, summarize_trials


def summary(values: list[float], seed: int = 3) -> MetricSummary:
    return summarize_trials([{"f1": value} for value in values], seed=seed)["f1"]


def test_mean_median_and_sample_deviation_are_those_of_the_trials():
    row = summary([80.0, 90.0, 82.0, 100.0])
    assert row[:3] == (4, 88.0, 86.0)
    assert row.standard_deviation == pytest.approx(math.sqrt((64 + 4 + 36 + 144) / 3))


def test_one_trial_has_no_deviation_and_no_interval():
    assert summary([81.5]) == MetricSummary(1, 81.5, 81.5, 0.0, None, None)


def test_interval_is_that_of_the_mean_over_all_resamples():
    row = summary([0.0, 12.0])
    # Two trials have four resamples with means 0, 6, 6 and 12: a quarter lies at each end.
    assert (row.low, row.high) == (0.0, 12.0)
    values = np.random.default_rng(1).normal(70, 2, size=40)
    row = summary(list(values))
    half_width = 1.96 * np.std(values) / math.sqrt(40)
    assert row.low == pytest.approx(values.mean() - half_width, abs=0.1)
    assert row.high == pytest.approx(values.mean() + half_width, abs=0.1)


def test_equal_trials_have_an_interval_of_no_width():
    assert summary([5.0, 5.0, 5.0]) == MetricSummary(3, 5.0, 5.0, 0.0, 5.0, 5.0)


def test_interval_depends_on_values_and_seed_alone():
    values = [1.0, 2.5, 4.0, 9.0]
    assert summary(values) == summary(values)
    assert summary(values, seed=3)[:4] == summary(values, seed=4)[:4]
    other = summarize_trials([{"em": 0.0, "f1": value} for value in values], seed=3)
    assert other["f1"] == summary(values)


def test_metrics_some_trials_lack_or_have_no_number_for_count_the_others():
    rows = summarize_trials([{"f1": 1.0, "em": math.nan}, {"f1": 3.0, "best": 7.0}, {"em": math.inf}], seed=0)
    assert list(rows) == ["f1", "best"]
    assert rows["f1"][:2] == (2, 2.0)
    assert rows["best"] == MetricSummary(1, 7.0, 7.0, 0.0, None, None)


def test_no_trials_have_no_summary():
    assert summarize_trials([], seed=0) == {}

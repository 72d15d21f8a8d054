import json
import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.metrics.glue import (
    GLUE_METRICS,
    accuracy,
    accuracy_and_f1,
    accuracy_and_macro_f1,
    f1_of_positives,
    headline_score,
    is_constant,
    matthews_correlation,
    mean_loss,
    regression_scores,
)
from finetune.readers.glue import GLUE_TASKS


@pytest.fixture(scope="module")
def recorded(golden):
    return json.loads(golden("glue/classification_metrics.json").read_text())


def test_accuracy_and_matthews_correlation_are_the_recorded_ones(recorded):
    cases = {name: case for name, case in recorded.items() if "AccuracyScorer" in case}
    assert cases.keys() >= {"binary", "ternary", "all_wrong", "constant_0", "constant_1", "imbalanced"}
    for case in cases.values():
        labels, predictions = case["label_ids"], case["predictions"]
        scores = {**accuracy(labels, predictions), **matthews_correlation(labels, predictions)}
        expected = {"accuracy": case["AccuracyScorer"]["accuracy"], "mcc": case["MCCScorer"]["mcc"]}
        assert scores == pytest.approx(expected, abs=1e-9)
        assert mean_loss(case["loss"]) == pytest.approx(case["AccuracyScorer"]["loss"], abs=1e-12)


def test_f1_is_the_correct_one_that_was_recorded_and_not_the_original(recorded):
    cases = [case for case in recorded.values() if "true_f1_sklearn" in case]
    assert len(cases) == 6
    for case in cases:
        scores = f1_of_positives(case["label_ids"], case["predictions"])
        assert scores == pytest.approx(case["true_f1_sklearn"], abs=1e-9)
        assert scores["precision"] == pytest.approx(case["F1Scorer"]["precision"], abs=1e-9)
    assert recorded["binary"]["F1Scorer"]["recall"] == recorded["binary"]["F1Scorer"]["precision"]


def test_regression_scores_are_the_recorded_ones_and_0_where_the_original_has_none(recorded):
    cases = {name: case for name, case in recorded.items() if "RegressionScorer" in case}
    assert len(cases) == 5
    for case in cases.values():
        expected = {**case["RegressionScorer"]}
        assert mean_loss(case["loss"]) == pytest.approx(expected.pop("loss"), abs=1e-12)
        expected = {name: value or 0.0 for name, value in expected.items()}
        assert regression_scores(case["targets"], case["predictions"]) == pytest.approx(expected, abs=1e-9)
    assert cases["constant_prediction"]["RegressionScorer"]["pearson"] is None


def test_loss_of_tagging_is_a_mean_over_words(golden):
    metrics = json.loads(golden("glue/tagging.json").read_text())["metrics"]
    loss = mean_loss(metrics["loss"], [len(labels) for labels in metrics["labels"]])
    assert loss == pytest.approx(metrics["sum_loss_over_words"], abs=1e-12)
    assert metrics["AccuracyScorer"]["loss"] == pytest.approx(2 * loss, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_scores_of_classes_are_always_those_of_sklearn_and_never_nan(pairs):
    labels, predictions = (list(values) for values in zip(*pairs, strict=True))
    scores = accuracy_and_macro_f1(labels, predictions) | matthews_correlation(labels, predictions)
    assert all(map(math.isfinite, scores.values()))
    assert scores["accuracy"] == pytest.approx(100 * np.mean(np.equal(labels, predictions)))
    if len(set(labels)) > 1 and len(set(predictions)) > 1:
        assert scores["mcc"] == pytest.approx(100 * sklearn.metrics.matthews_corrcoef(labels, predictions))
    else:
        assert scores["mcc"] == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-9, 9, width=16)), min_size=2, max_size=30))
def test_correlations_are_those_of_scipy_or_0_where_nothing_varies(pairs):
    targets, predictions = (np.array(values, np.float64) for values in zip(*pairs, strict=True))
    scores = regression_scores(targets, predictions)
    if is_constant(targets) or is_constant(predictions):
        assert (scores["pearson"], scores["spearman"]) == (0, 0)
    else:
        assert scores["pearson"] == pytest.approx(100 * scipy.stats.pearsonr(targets, predictions)[0])
        assert scores["spearman"] == pytest.approx(100 * scipy.stats.spearmanr(targets, predictions)[0])


def test_every_task_has_its_official_metrics():
    assert GLUE_METRICS.keys() == GLUE_TASKS.keys()
    names = {name: metrics.headline for name, metrics in GLUE_METRICS.items() if metrics.headline != ("accuracy",)}
    assert names == {
        "cola": ("mcc",), "mrpc": ("accuracy", "f1"), "qqp": ("accuracy", "f1"), "sts": ("pearson", "spearman"),
    }  # fmt: skip
    for metrics in GLUE_METRICS.values():
        assert set(metrics.headline) <= metrics.scores([0, 1, 1], [0, 1, 0]).keys()


def test_the_headline_is_the_mean_of_the_official_scores():
    scores = accuracy_and_f1([1, 1, 0, 0], [1, 0, 0, 0])
    assert scores == pytest.approx({"accuracy": 75, "f1": 200 / 3})
    assert headline_score(GLUE_METRICS["mrpc"], scores) == pytest.approx((75 + 200 / 3) / 2)


def test_macro_f1_is_the_mean_over_classes():
    assert accuracy_and_macro_f1([0, 1, 2, 2], [0, 1, 1, 2])["macro_f1"] == pytest.approx(100 * (1 + 2 / 3 + 2 / 3) / 3)


def test_a_run_stuck_on_one_class_is_told():
    assert is_constant([1, 1, 1])
    assert is_constant([])
    assert not is_constant([1, 1, 0])


@pytest.mark.parametrize(
    "module", ["metrics.glue", "metrics.tagging", "readers.glue", "readers.csv_task", "readers.tagged_files"]
)
def test_metrics_and_readers_import_no_tensorflow(module):
    code = f"import sys, finetune.{module}; assert not {{'tensorflow', 'keras', 'torch'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

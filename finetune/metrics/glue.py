"""The metrics of GLUE, in percent but for squared errors. Imports no TensorFlow.

Where predictions or labels are constant, correlations are not defined: they are 0 here, as nothing is told apart, and
`is_constant` says so. Deviation: the original has NaN for scores, which JSON cannot hold.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats
import sklearn.metrics

Values = Sequence[int] | Sequence[float] | np.ndarray


def accuracy(labels: Values, predictions: Values) -> dict[str, float]:
    """Returns how many classes are right."""
    return {"accuracy": 100 * float(sklearn.metrics.accuracy_score(labels, predictions))}


def matthews_correlation(labels: Values, predictions: Values) -> dict[str, float]:
    """Returns Matthews' correlation coefficient of classes, of two or more."""
    if is_constant(labels) or is_constant(predictions):
        return {"mcc": 0.0}
    return {"mcc": 100 * float(sklearn.metrics.matthews_corrcoef(labels, predictions))}


def f1_of_positives(labels: Values, predictions: Values) -> dict[str, float]:
    """Returns precision, recall and f1 of class 1, 0 where there is nothing to divide by.

    Deviation: the original counts the positives among the labels in the predictions, so that recall is precision.
    """
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
        labels, predictions, labels=[1], average=None, zero_division=0
    )
    return {"precision": 100 * float(precision[0]), "recall": 100 * float(recall[0]), "f1": 100 * float(f1[0])}


def accuracy_and_f1(labels: Values, predictions: Values) -> dict[str, float]:
    """Returns accuracy, and f1 of class 1."""
    return {**accuracy(labels, predictions), "f1": f1_of_positives(labels, predictions)["f1"]}


def accuracy_and_macro_f1(labels: Values, predictions: Values) -> dict[str, float]:
    """Returns accuracy, and the mean of the f1 of all classes that occur."""
    f1 = sklearn.metrics.f1_score(labels, predictions, average="macro", zero_division=0)
    return {**accuracy(labels, predictions), "macro_f1": 100 * float(f1)}


def regression_scores(targets: Values, predictions: Values) -> dict[str, float]:
    """Returns Pearson's and Spearman's correlation, and the mean squared error in the targets' unit."""
    targets, predictions = np.asarray(targets, np.float64), np.asarray(predictions, np.float64)
    error = float(np.mean((targets - predictions) ** 2))
    if is_constant(targets) or is_constant(predictions):
        return {"pearson": 0.0, "spearman": 0.0, "mse": error}
    return {
        "pearson": 100 * float(scipy.stats.pearsonr(targets, predictions).statistic),
        "spearman": 100 * float(scipy.stats.spearmanr(targets, predictions).statistic),
        "mse": error,
    }


def is_constant(predictions: Values) -> bool:
    """Returns whether all predictions are equal, as of a run that is stuck on one class."""
    return len(np.unique(np.asarray(predictions))) <= 1


def mean_loss(losses: Values, num_labels: Values | None = None) -> float:
    """Returns the loss a label.

    Deviation: the original counts the loss of a tagged sentence twice.

    Args:
        losses: the sum of the loss of each example.
        num_labels: the labels of each example; None: one.
    """
    return float(np.sum(losses) / (len(losses) if num_labels is None else np.sum(num_labels)))


class GlueMetrics(NamedTuple):
    """How a task is scored."""

    scores: Callable[[Values, Values], dict[str, float]]  # of labels and predictions
    headline: tuple[str, ...]  # the scores whose mean the benchmark counts


_ACCURACY = GlueMetrics(accuracy, ("accuracy",))
_PARAPHRASE = GlueMetrics(accuracy_and_f1, ("accuracy", "f1"))

GLUE_METRICS: Mapping[str, GlueMetrics] = {
    "cola": GlueMetrics(matthews_correlation, ("mcc",)),
    "sst": _ACCURACY,
    "mrpc": _PARAPHRASE,
    "sts": GlueMetrics(regression_scores, ("pearson", "spearman")),
    "qqp": _PARAPHRASE,
    "mnli": _ACCURACY,
    "qnli": _ACCURACY,
    "rte": _ACCURACY,
    "wnli": _ACCURACY,
}


def headline_score(metrics: GlueMetrics, scores: Mapping[str, float]) -> float:
    """Returns the one number that the benchmark counts of a task's scores."""
    return sum(scores[name] for name in metrics.headline) / len(metrics.headline)

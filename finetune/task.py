"""What every task is: rows to learn from, a head that predicts, and what the predictions are worth."""

import abc
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from electra_span.head_config import HeadConfig
from electra_span.tokenization import Tokenizer
from finetune.features import Rows
from finetune.predictions import ExamplePredictions
from finetune.task_names import TaskName

Predictions = Mapping[str, Sequence[np.ndarray]]  # what a head says of each row, in order; by name


class Evaluation(NamedTuple):
    """What the predictions for a split are worth.

    Attributes:
        scores: by metric.
        is_constant: whether all rows have the same prediction, as of a run that is stuck on one class.
        details: what a kind of task has beside, such as decoded questions.
    """

    scores: dict[str, float]
    is_constant: bool = False
    details: Any = None


class Task(abc.ABC):
    """A task with its files.

    Attributes:
        name: as in hparams.
        head: what predicts; its labels are those of the training examples.
        evaluation_splits: the splits that are evaluated, the one that counts first.
        test_splits: those that predictions are written for.
    """

    evaluation_splits: Sequence[str] = ("dev",)
    test_splits: Sequence[str] = ("test",)

    def __init__(self, name: TaskName, head: HeadConfig) -> None:
        self.name, self.head = name, head

    @property
    def slug(self) -> str:
        """The task in names of files and layers."""
        return self.name.slug

    @abc.abstractmethod
    def files(self, split: str) -> Sequence[str | os.PathLike[str]]:
        """Returns the files that the rows of a split are made of."""

    @property
    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """All that decides about rows beside files and tokenizer, ready for JSON."""

    @abc.abstractmethod
    def make_rows(self, split: str, tokenizer: Tokenizer) -> Rows:
        """Returns the rows of a split.

        Raises:
            DataError: for a file that cannot be used.
        """

    @abc.abstractmethod
    def evaluate(self, split: str, rows: Rows, predictions: Predictions) -> Evaluation:
        """Returns what predictions for the rows of a split are worth."""

    @abc.abstractmethod
    def headline(self, scores: Mapping[str, float]) -> float:
        """Returns the one number, larger for better, that stands for the scores of a split."""

    @abc.abstractmethod
    def of_examples(self, split: str, rows: Rows, predictions: Predictions) -> ExamplePredictions:
        """Returns what is predicted for each example of a split, as it is written out."""


_UNNAMED_LABEL = re.compile(r"LABEL_\d+")  # transformers' names of classes that were given none


def are_unnamed(labels: Sequence[str]) -> bool:
    """Returns whether labels are the names that transformers gives to classes without a name."""
    return bool(labels) and all(map(_UNNAMED_LABEL.fullmatch, labels))


def matched_labels(
    trained: Sequence[str], labels: Sequence[str], *, has_fixed_order: bool = False
) -> tuple[str, ...] | None:
    """Returns the labels of a task in the order of a trained head's classes; None if they do not match.

    The head's order holds for equal labels. As many unnamed ones take the names of the task: whole numbers in the order
    of the numbers, as `LABEL_10` comes after `LABEL_2`, others in the task's order.

    Args:
        trained: labels of the head.
        labels: of the task, in its order.
        has_fixed_order: whether the task's predictions need its order, as those of GLUE.
    """
    if tuple(trained) == tuple(labels) or (sorted(trained) == sorted(labels) and not has_fixed_order):
        return tuple(trained)
    if len(trained) != len(labels) or not are_unnamed(trained):
        return None
    are_numbers = all(label.isascii() and label.isdigit() for label in labels)
    return tuple(sorted(labels, key=int)) if are_numbers and not has_fixed_order else tuple(labels)

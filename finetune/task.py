"""What every task is: rows to learn from, a head that predicts, and what the predictions are worth."""

import abc
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from electra_span.head_config import HeadConfig
from electra_span.tokenization import Tokenizer
from finetune.predictions import ExamplePredictions
from finetune.rows import Rows
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

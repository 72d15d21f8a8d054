"""What a head for a task is: its kind, its labels, and how it predicts. Imports no TensorFlow."""

import collections
import dataclasses
import math
import re
from collections.abc import Sequence

from electra_span.config import HparamError, check_choice

KINDS = ("classification", "regression", "tagging", "questions")
CLASSIFIERS = ("linear", "dense")
HEAD_SUFFIX = "_head"  # of the names of layers
QUESTION_HIDDEN_SIZE = 512  # of the hidden layers of a head for questions, whatever the encoder's


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """A head for one task.

    Attributes:
        task: a name of letters, digits and underscores, which no other head of the model has.
        kind: of what a row has: one label ("classification"), one number ("regression"), a label for each word
            ("tagging"), or an answer in it to a question ("questions").
        labels: of classification and tagging, in the order of the logits.
        score_range: of regression, the numbers that 0 and 1 stand for; None where the head predicts them themselves.
        classifier: of classification and regression, one layer on the first token's state ("linear", the original's),
            or two with a GELU between them ("dense", transformers').
        joint_prediction: of questions, whether ends are scored given a start; else without regard to it.
        answerable_classifier: of questions, whether it is scored that there is no answer.
        answerable_uses_start_logits: of that score, whether it reads the state of the expected start; else of the
            first token alone.
    """

    task: str
    kind: str
    labels: tuple[str, ...] = ()
    score_range: tuple[float, float] | None = None
    classifier: str = "linear"
    joint_prediction: bool = True
    answerable_classifier: bool = True
    answerable_uses_start_logits: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch("[A-Za-z0-9_]+", self.task):
            raise HparamError(f"task must be made of letters, digits and underscores. Received: {self.task!r}")
        check_choice("kind", self.kind, KINDS)
        check_choice("classifier", self.classifier, CLASSIFIERS)
        self._check_labels()
        if self.score_range is not None:
            self._check_range(self.score_range)

    @property
    def layer_name(self) -> str:
        """The name of its layer, with which its variables' paths start."""
        return self.task + HEAD_SUFFIX

    @property
    def has_hidden_layer(self) -> bool:
        """Whether it is of the kind "dense" of a classifier."""
        return self.kind in ("classification", "regression") and self.classifier == "dense"

    @property
    def num_outputs(self) -> int:
        """Logits of a row, or of a word: one for each label, or one number; of questions, starts' and ends'."""
        return {"regression": 1, "questions": 2}.get(self.kind, len(self.labels))

    def _check_labels(self) -> None:
        """Raises HparamError where there are too few labels for the kind, or too many, or two are equal."""
        if not all(isinstance(label, str) for label in self.labels):
            raise HparamError(f"labels of task {self.task!r} must be strings. Received: {self.labels!r}")
        fewest = {"classification": 2, "tagging": 1}.get(self.kind)
        if fewest is None and self.labels:
            raise HparamError(f"labels of task {self.task!r}: {self.kind} has none. Received: {self.labels!r}")
        if fewest is not None and len(self.labels) < fewest:
            raise HparamError(
                f"labels of task {self.task!r}: {self.kind} needs at least {fewest}. Received: {self.labels!r}"
            )
        twice = next((label for label in self.labels if self.labels.count(label) > 1), None)
        if twice is not None:
            raise HparamError(f"labels of task {self.task!r} must differ. Received: {twice!r} twice")

    def _check_range(self, score_range: tuple[float, float]) -> None:
        """Raises HparamError where the range is of another kind than regression, or is none."""
        if self.kind != "regression":
            raise HparamError(f"score_range of task {self.task!r}: {self.kind} has none. Received: {score_range!r}")
        is_pair = len(score_range) == 2 and all(type(bound) in (int, float) for bound in score_range)
        if not (is_pair and all(map(math.isfinite, score_range)) and score_range[0] < score_range[1]):
            raise HparamError(
                f"score_range of task {self.task!r} must be two numbers, the first one smaller. "
                f"Received: {score_range!r}"
            )


def has_transformers_layout(heads: Sequence[HeadConfig]) -> bool:
    """Returns whether a model with these heads is one of transformers' own."""
    if len(heads) != 1:
        return False
    head = heads[0]
    if head.kind == "questions":
        return not (head.joint_prediction or head.answerable_classifier)
    return head.kind == "tagging" or head.has_hidden_layer


def check_tasks(heads: Sequence[HeadConfig]) -> None:
    """Raises HparamError where there is no head, or two have one name."""
    if not heads:
        raise HparamError("heads: a model needs one at least. Received: none")
    task, count = collections.Counter(head.task for head in heads).most_common(1)[0]
    if count > 1:
        raise HparamError(f"heads must be of different tasks. Received: {task!r} {count} times")

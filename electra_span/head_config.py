"""Heads for tasks: kind, labels and prediction, and how config.json stores them. Imports no TensorFlow."""

import collections
import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from electra_span.config import HparamError, check_choice, from_hparams

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


OWN_ARCHITECTURE = "ElectraTaskModel"  # of heads that transformers has not, or of several
_TRANSFORMERS_ARCHITECTURES = {
    "classification": "ElectraForSequenceClassification",
    "regression": "ElectraForSequenceClassification",
    "tagging": "ElectraForTokenClassification",
    "questions": "ElectraForQuestionAnswering",
}
TASK_ARCHITECTURES = (OWN_ARCHITECTURE, *sorted(set(_TRANSFORMERS_ARCHITECTURES.values())))
_PROBLEM_TYPES = {"classification": "single_label_classification", "regression": "regression"}
_MOST_LABELS = 10**6
_DEFAULT_NUM_LABELS = 2  # transformers', where a config.json does not say


def architecture_of(heads: Sequence[HeadConfig]) -> str:
    """Returns the name of a model with these heads: transformers' where it has such, else our own."""
    return _TRANSFORMERS_ARCHITECTURES[heads[0].kind] if has_transformers_layout(heads) else OWN_ARCHITECTURE


def head_settings(heads: Sequence[HeadConfig]) -> dict[str, Any]:
    """Returns what a config.json holds about heads: all of it for us, and for transformers what it looks for."""
    settings: dict[str, Any] = {"heads": [dataclasses.asdict(head) for head in heads]}
    if not has_transformers_layout(heads) or heads[0].kind == "questions":
        return settings
    labels = heads[0].labels or ("LABEL_0",)  # of a number, as transformers calls it
    settings["id2label"] = {str(index): label for index, label in enumerate(labels)}
    settings["label2id"] = {label: index for index, label in enumerate(labels)}
    if heads[0].kind in _PROBLEM_TYPES:
        settings["problem_type"] = _PROBLEM_TYPES[heads[0].kind]
    return settings


def read_heads(settings: Mapping[str, Any], architecture: str) -> tuple[HeadConfig, ...]:
    """Returns the heads that a config.json describes: in our words where it has them, else in transformers'.

    Transformers keeps our words when it gives a model another head or other labels, and writes its own beside them:
    where the two disagree, its own count.

    Args:
        settings: the contents of config.json.
        architecture: one of `TASK_ARCHITECTURES`.

    Raises:
        HparamError: it describes none, or such that cannot be.
    """
    if architecture != OWN_ARCHITECTURE:
        theirs = _transformers_head(settings, architecture)
        ours = (theirs,) if settings.get("heads") is None else _own_heads(settings)
        agrees = has_transformers_layout(ours) and (ours[0].kind, ours[0].labels) == (theirs.kind, theirs.labels)
        return ours if agrees else (theirs,)
    heads = _own_heads(settings)
    if has_transformers_layout(heads):
        raise HparamError(f"architectures must be {[architecture_of(heads)]} for these heads. Received: {architecture}")
    return heads


def _own_heads(settings: Mapping[str, Any]) -> tuple[HeadConfig, ...]:
    """Returns the heads that a config.json describes in our words."""
    described = settings.get("heads")
    if not isinstance(described, list) or not described:
        raise HparamError(f"heads must be a list of one object for each task. Received: {described!r}")
    heads = tuple(map(read_head, described))
    check_tasks(heads)
    return heads


def read_head(described: Any) -> HeadConfig:
    """Returns the head that an object of the list describes, as `head_settings` wrote it."""
    if not isinstance(described, dict):
        raise HparamError(f"heads must be a list of objects. Received: {described!r} in it")
    for name in ("task", "kind"):
        if name not in described:
            raise HparamError(f"heads must each have a {name}. Received: {described!r}")
    # JSON knows no tuples.
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in described.items()}
    return from_hparams(HeadConfig, values)


def _transformers_head(settings: Mapping[str, Any], architecture: str) -> HeadConfig:
    """Returns the head of a model that transformers wrote; its task is called by the kind."""
    if architecture == _TRANSFORMERS_ARCHITECTURES["questions"]:
        return HeadConfig(task="questions", kind="questions", joint_prediction=False, answerable_classifier=False)
    labels = _labels(settings)
    if architecture == _TRANSFORMERS_ARCHITECTURES["tagging"]:
        return HeadConfig(task="tagging", kind="tagging", labels=labels)
    problem = settings.get("problem_type")
    if problem is None:  # which transformers then finds out in training
        problem = _PROBLEM_TYPES["regression" if len(labels) == 1 else "classification"]
    if problem == _PROBLEM_TYPES["regression"] and len(labels) == 1:
        return HeadConfig(task="regression", kind="regression", classifier="dense")
    if problem != _PROBLEM_TYPES["classification"]:
        raise HparamError(
            f"problem_type must be {_PROBLEM_TYPES['classification']!r}, or 'regression' of one number. "
            f"Received: {problem!r} with {len(labels)} labels"
        )
    return HeadConfig(task="classification", kind="classification", labels=labels, classifier="dense")


def _labels(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the labels in the order of their numbers, which are the keys of an object, from "0" on.

    Where there are none, labels have transformers' names, as many as num_labels says.
    """
    id2label = settings.get("id2label")
    if id2label is None:
        num_labels = settings.get("num_labels", _DEFAULT_NUM_LABELS)
        if type(num_labels) is not int or not 1 <= num_labels <= _MOST_LABELS:
            raise HparamError(f"num_labels must be from 1 to {_MOST_LABELS}. Received: {num_labels!r}")
        return tuple(f"LABEL_{index}" for index in range(num_labels))
    if not isinstance(id2label, dict) or set(id2label) != {str(index) for index in range(len(id2label))}:
        raise HparamError(f'id2label must be an object with the keys "0", "1", ... Received: {id2label!r}')
    return tuple(id2label[str(index)] for index in range(len(id2label)))

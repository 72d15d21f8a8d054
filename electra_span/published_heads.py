"""What the config.json of a published model says of its heads for tasks. Imports no TensorFlow."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from electra_span.config import HparamError, from_hparams
from electra_span.head_config import HeadConfig, check_tasks, has_transformers_layout

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

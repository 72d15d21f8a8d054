"""The names of tasks, what kind each is of, and where its files are. Imports no TensorFlow."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from electra_span.config import HparamError, check_choice
from finetune.glue import GLUE_TASKS

_QA_TASKS = ("squad", "squadv1", "newsqa", "naturalqs", "triviaqa", "searchqa", "hotpotqa", "quac")
_PREFIXES = {"csv": "csv", "tag": "tagging", "qa": "qa"}
_MORE_EPOCHS = ("rte", "sts")

# The kind of each task that has a name of its own. A prefix with the path of files names any other: csv:PATH, ...
KIND_OF_TASK: Mapping[str, str] = {
    **dict.fromkeys(GLUE_TASKS, "glue"),
    **dict.fromkeys(_QA_TASKS, "qa"),
    "chunk": "tagging",
}

# What the original sets by task (Clark et al. 2020, table 7), here for every task of a kind.
_LENGTHS = {"glue": 128, "csv": 128, "tagging": 256, "qa": 512}
_EPOCHS = {"glue": 3.0, "csv": 3.0, "tagging": 3.0, "qa": 2.0}


class TaskName(NamedTuple):
    """A task as it is named in hparams.

    Attributes:
        name: as given.
        kind: glue, csv, tagging or qa.
        path: of its files; None for a task that has its folder in the data folder.
    """

    name: str
    kind: str
    path: str | None

    @property
    def slug(self) -> str:
        """The task in names of files and layers: its name, or its prefix and the last part of its path."""
        if self.path is None:
            return self.name
        stem = os.path.basename(os.path.normpath(self.path)).partition(".")[0]
        return re.sub(r"\W+", "_", f"{self.name.partition(':')[0]}_{stem}", flags=re.ASCII)


def parse_task_name(name: str) -> TaskName:
    """Returns what a name says.

    Raises:
        HparamError: for a name that is no task's, with the nearest one.
    """
    prefix, colon, path = name.partition(":")
    if colon and prefix in _PREFIXES:
        if not path:
            raise HparamError(f"task_names: {prefix}: must be followed by the path of files. Received: {name!r}")
        return TaskName(name, _PREFIXES[prefix], path)
    check_choice("task in task_names", name, [*KIND_OF_TASK, *(f"{known}:PATH" for known in _PREFIXES)])
    return TaskName(name, KIND_OF_TASK[name], None)


def parse_task_names(names: Sequence[str]) -> tuple[TaskName, ...]:
    """Returns what the names of a run's tasks say; raises HparamError for none, or one that is there twice."""
    if not names or len(set(names)) < len(names):
        raise HparamError(f"task_names must be one task or more, each once. Received: {list(names)}")
    tasks = tuple(map(parse_task_name, names))
    if len({task.slug for task in tasks}) < len(tasks):
        raise HparamError(f"task_names: the last parts of paths must differ. Received: {list(names)}")
    return tasks


def directory_of(task: TaskName, data_dir: str) -> str:
    """Returns where the files of a task are: its own path, or its folder in the data folder."""
    return task.path or os.path.join(data_dir, "finetuning_data", task.name)


def defaults_of(tasks: Sequence[TaskName]) -> dict[str, Any]:
    """Returns max_seq_length and num_train_epochs for tasks that are learned together: the longest, the fewest.

    Deviation: the original looks for "qa" in the name of a single task, which naturalqs does not have.
    """
    epochs = [10.0 if task.name in _MORE_EPOCHS else _EPOCHS[task.kind] for task in tasks]
    return {"max_seq_length": max(_LENGTHS[task.kind] for task in tasks), "num_train_epochs": min(epochs)}

"""The names of tasks, what kind each is of, and where its files are. Imports no TensorFlow."""

import collections
import contextlib
import hashlib
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from electra_span.config import HparamError, check_choice
from electra_span.files import JsonError, read_json_object
from finetune.readers.glue import GLUE_TASKS

_QA_TASKS = ("squad", "squadv1", "newsqa", "naturalqs", "triviaqa", "searchqa", "hotpotqa", "quac")
_PREFIXES = {"csv": "csv", "tag": "tagging", "qa": "qa"}
_MORE_EPOCHS = ("rte", "sts")
_EXTENSIONS = (".csv", ".tsv", ".txt", ".json", ".jsonl")
_LONGEST_SLUG = 60  # bytes of the readable part; file systems take 255 for a name, of several tasks together
_LONGEST_TASKS_SLUG = 150  # bytes
MODELS_FOLDER = "finetuning_models"  # in a model's folder
STAMP_FILE = "trial.json"  # in a trial's folder: what it was begun with

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
        slug: the task in names of files and in results; tasks that differ have slugs that differ.
        head: the task in a model, of ASCII letters, digits and underscores; different from that of the other tasks of
            a run.
    """

    name: str
    kind: str
    path: str | None
    slug: str
    head: str

    @property
    def heads(self) -> tuple[str, str]:
        """The names that its head may have in a trained model, which may have learned it with other tasks."""
        return self.head, self.unique_head

    @property
    def unique_head(self) -> str:
        """The name of its head if another task of the run has the short one; without folders, as models are shared."""
        return self.name if self.path is None else f"{self.short_slug.strip('_')}_{_digest(self.path)}"

    @property
    def short_slug(self) -> str:
        """The prefix and the last part of the path: what slugs were before two tasks could have one."""
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
        task = TaskName(name, _PREFIXES[prefix], path, _slug(prefix, path), "")
        is_short = os.path.basename(os.path.normpath(path)).isascii() and task.short_slug.strip("_") != prefix
        return task._replace(head=task.short_slug if is_short else task.unique_head)
    check_choice("task in task_names", name, [*KIND_OF_TASK, *(f"{known}:PATH" for known in _PREFIXES)])
    return TaskName(name, KIND_OF_TASK[name], None, name, name)


def _slug(prefix: str, path: str) -> str:
    """Returns a prefix, the last two parts of a path without its extension, in any script, and a hash of the path."""
    normal = os.path.normpath(path)
    root, extension = os.path.splitext(normal)
    end = "/".join(pathlib.PurePath(root if extension.lower() in _EXTENSIONS else normal).parts[-2:])
    letters = unicodedata.normalize("NFC", end)
    words = "".join(letter if unicodedata.category(letter)[0] in "LMN" else "_" for letter in letters)
    words = re.sub("_+", "_", words).strip("_")
    while len(words.encode()) > _LONGEST_SLUG:
        words = words[1:]  # the last part says more
    return "_".join(part for part in (prefix, words.strip("_"), _digest(path)) if part)


def _digest(path: str) -> str:
    return hashlib.sha256(os.path.normpath(path).encode("utf-8", "surrogatepass")).hexdigest()[:6]


def _shortened(slug: str) -> str:
    start = slug.encode()[:_LONGEST_TASKS_SLUG].decode("utf-8", "ignore")
    return f"{start}_{hashlib.sha256(slug.encode()).hexdigest()[:8]}"


def parse_task_names(names: Sequence[str]) -> tuple[TaskName, ...]:
    """Returns what the names of a run's tasks say; raises HparamError for none, or one that is there twice."""
    tasks = tuple(map(parse_task_name, names))
    if not tasks or len({task.slug for task in tasks}) < len(tasks):
        raise HparamError(f"task_names must be one task or more, each once. Received: {list(names)}")
    counts = collections.Counter(task.head for task in tasks)
    return tuple(task if counts[task.head] == 1 else task._replace(head=task.unique_head) for task in tasks)


def tasks_slug(slugs: Iterable[str]) -> str:
    """Returns the name of a run's files: its tasks' slugs in alphabetical order, joined; a long one ends in a hash."""
    slug = "_".join(sorted(slugs))
    return slug if len(slug.encode()) <= _LONGEST_TASKS_SLUG else _shortened(slug)


def with_earlier_slugs(tasks: Sequence[TaskName], model_dir: str | os.PathLike[str]) -> tuple[TaskName, ...]:
    """Returns a run's tasks, with their short slugs if a model folder has trials of exactly these tasks under them.

    Args:
        tasks: of a run.
        model_dir: folder of the model, which may be missing.
    """
    earlier = tuple(task._replace(slug=task.short_slug, head=task.short_slug) for task in tasks)
    if len({task.slug for task in earlier}) < len(tasks):
        return tuple(tasks)
    pattern = f"{tasks_slug(task.slug for task in earlier)}_model_*/{STAMP_FILE}"
    names = [task.name for task in tasks]
    with contextlib.suppress(OSError):
        for stamp in pathlib.Path(model_dir, MODELS_FOLDER).glob(pattern):
            if read_stamp(stamp).get("hparams", {}).get("task_names") == names:
                return earlier
    return tuple(tasks)


def read_stamp(path: pathlib.Path) -> dict[str, Any]:
    """Returns what a trial was begun with; an empty object if the file is missing, or was not written whole."""
    with contextlib.suppress(JsonError):
        content = read_json_object(path)
        if isinstance(content.get("hparams", {}), dict):
            return content
    return {}


def directory_of(task: TaskName, data_dir: str) -> str:
    """Returns where the files of a task are: its own path, or its folder in the data folder."""
    return task.path or os.path.join(data_dir, "finetuning_data", task.name)


def defaults_of(tasks: Sequence[TaskName]) -> dict[str, Any]:
    """Returns max_seq_length and num_train_epochs for tasks that are learned together: the longest, the fewest.

    Deviation: the original looks for "qa" in the name of a single task, which naturalqs does not have.
    """
    epochs = [10.0 if task.name in _MORE_EPOCHS else _EPOCHS[task.kind] for task in tasks]
    return {"max_seq_length": max(_LENGTHS[task.kind] for task in tasks), "num_train_epochs": min(epochs)}

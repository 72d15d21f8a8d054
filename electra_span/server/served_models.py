"""The models of a server: their names, what each can do, and how they are asked."""

import pathlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from electra_span.config import UserError
from electra_span.inference.requests import TextCutWarning
from electra_span.server import schemas

_HALVES = ("discriminator", "generator")  # folders whose names do not tell whose they are
_KINDS = {
    "ElectraDiscriminator": "discriminator",
    "ElectraGenerator": "generator",
    "TwoTowerGenerator": "two-tower generator",
    "ElectraTaskModel": "model for tasks",
}
_Result = TypeVar("_Result")


class ServedModel(NamedTuple):
    """A model under its name.

    Attributes:
        description: as /api/models has it.
        model: with the methods of `electra_span.inference.methods.TextMethods`.
    """

    description: schemas.Model
    model: Any


def find_folders(paths: Sequence[str]) -> dict[str, pathlib.Path]:
    """Returns published folders by names that differ: as many of the last parts of their paths as that takes.

    Args:
        paths: of published folders, or of folders with discriminator/ and generator/ in them.

    Raises:
        UserError: one of them is no folder, or two are the same.
    """
    folders = [folder for path in paths for folder in _published_folders(pathlib.Path(path))]
    resolved = [folder.resolve() for folder in folders]
    for index, folder in enumerate(resolved):
        if folder in resolved[:index]:
            raise UserError(f"each model is to be named once. Received twice: {folders[index]}")
    num_parts = [2 if folder.name in _HALVES else 1 for folder in resolved]
    names = _last_parts(resolved, num_parts)
    while len(set(names)) < len(names):
        num_parts = [number + (names.count(name) > 1) for number, name in zip(num_parts, names, strict=True)]
        names = _last_parts(resolved, num_parts)
    return dict(zip(names, folders, strict=True))


def load_models(folders: Mapping[str, pathlib.Path]) -> list[ServedModel]:
    """Returns the models of published folders, loaded.

    Raises:
        UserError: a folder holds no model, or one that can do nothing here.
    """
    from electra_span.pretrained import load_pretrained

    return [describe_model(name, load_pretrained(folder)) for name, folder in folders.items()]


def describe_model(name: str, model: Any) -> ServedModel:
    """Returns a model with its description.

    Args:
        name: of the model.
        model: as `load_pretrained` returns it.

    Raises:
        UserError: it has no tokenizer.
    """
    from electra_span.inference.signatures import tasks_by_command

    if model.tokenizer is None:
        raise UserError(f"{name}: has no vocabulary, and so cannot read texts. Add it to the folder")
    available = tasks_by_command(model)
    description = {
        "name": name,
        "kind": _KINDS[type(model).__name__],
        "commands": list(available),
        "tasks": [
            {"name": head.task, "command": command, "labels": list(head.labels)}
            for command, heads in available.items()
            for head in heads
        ],
        "mask_token": model.tokenizer.special_tokens.mask,
        "max_tokens": model.config.max_position_embeddings,
    }
    return ServedModel(schemas.Model.model_validate(description), model)


def find_model(models: Sequence[ServedModel], name: str | None, command: str) -> ServedModel | None:
    """Returns the model of that name, None where there is none.

    Args:
        models: those that are served, at least one.
        name: None for the first that knows the command, or for the first of all.
        command: that it is asked for.
    """
    if name is None:
        return next((served for served in models if command in served.description.commands), models[0])
    return next((served for served in models if served.description.name == name), None)


def call_with_warnings(function: Callable[[], _Result]) -> tuple[_Result, list[str]]:
    """Returns what a function returns, and the warnings about texts that it gave.

    Python's warnings belong to the process: call it in one thread at a time.
    """
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always", TextCutWarning)
        result = function()
    return result, [str(warning.message) for warning in given if issubclass(warning.category, TextCutWarning)]


def _published_folders(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns a folder, or the two halves in it."""
    if not path.is_dir():
        raise UserError(
            f"a model is a folder, as pretraining, fine-tuning and convert_checkpoint.py write it. Received: {path}"
        )
    return [path / half for half in _HALVES if (path / half / "config.json").is_file()] or [path]


def _last_parts(folders: Sequence[pathlib.Path], numbers: Sequence[int]) -> list[str]:
    """Returns so many of the last parts of each folder's path."""
    return ["/".join(folder.parts[-number:]) for folder, number in zip(folders, numbers, strict=True)]

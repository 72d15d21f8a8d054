"""One call of a model at a time, in a thread of its own, while a bounded number of others wait."""

import asyncio
import concurrent.futures
import math
import pathlib
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from electra_span.config import UserError
from electra_span.inference.requests import TextCutWarning
from electra_span.server import schemas

_Reply = TypeVar("_Reply")


class BusyError(Exception):
    """As many calls wait as may.

    Attributes:
        retry_seconds: after which there may be room.
    """

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(retry_seconds)
        self.retry_seconds = retry_seconds


class GoneError(Exception):
    """Nobody waits for the result any more."""


class Turns:
    """Calls take turns, in the order in which they came.

    Args:
        max_waiting: how many wait beside the one that runs.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting, self._num_calls, self._last_seconds = max_waiting, 0, 1.0
        self._turn = asyncio.Lock()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="model")

    async def call(self, function: Callable[[], _Reply], is_gone: Callable[[], Awaitable[bool]]) -> _Reply:
        """Returns what a function returns, called in the thread.

        Args:
            function: is not called where the client has gone by its turn; once it runs, it runs to its end.
            is_gone: tells whether the client has.

        Raises:
            BusyError: too many wait.
            GoneError: the client has gone.
        """
        if self._num_calls > self._max_waiting:
            raise BusyError(max(1, math.ceil(self._num_calls * self._last_seconds)))
        self._num_calls += 1
        try:
            async with self._turn:
                if await is_gone():
                    raise GoneError
                start = time.monotonic()
                result = await asyncio.get_running_loop().run_in_executor(self._thread, function)
                self._last_seconds = time.monotonic() - start
                return result
        finally:
            self._num_calls -= 1

    def close(self) -> None:
        """Ends the thread when its call has ended."""
        self._thread.shutdown(wait=False, cancel_futures=True)


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
    from electra_span.published.save_load import load_pretrained

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

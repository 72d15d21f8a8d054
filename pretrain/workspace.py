"""The hidden folder in which the finished parts of a build wait for the rest: kept when the build ends before its time.

Files appear in it under their names only when they are whole, so a part that is there need not be made again.
"""

import contextlib
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from absl import logging

from electra_span.config import UserError

WORKSPACE_NAME = ".partial"
_LOCK_NAME = ".lock"
_IDENTITY_NAME = "build.json"
_PUBLISHED_NAME = "published.json"
_UNFINISHED = ".unfinished"
_LAYOUT = 1  # of what is in the folder; parts of another layout are of no use


class WorkspaceError(UserError):
    """An output folder that another build is writing to."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields the path to write a file to, which gets its name when it is whole, and is removed after an error."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_UNFINISHED}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes a file that is there whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value), encoding="utf-8")


@contextlib.contextmanager
def only_build(output_dir: Path) -> Iterator[None]:
    """Keeps other builds out of a folder meanwhile.

    Raises:
        WorkspaceError: where one is at work there.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    path = output_dir / _LOCK_NAME
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(path.open("w", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise WorkspaceError(
                    f"Another build is writing to {output_dir}; wait until it has ended, or choose another folder"
                ) from None
            if _is_file_of(path, file):  # and not the one that another build has just removed
                break
        stack.callback(path.unlink)
        yield


def _is_file_of(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def workspace(output_dir: Path, identity: Mapping[str, Any]) -> Iterator[Path]:
    """Yields the folder for the parts of a build, with those that are finished already; removed when the build is done.

    Where it ends with an error, finished parts are kept for the next build of the same identity.

    Args:
        output_dir: where the result shall be; only_build must hold it.
        identity: all that the parts depend on, as JSON.
    """
    folder = output_dir / WORKSPACE_NAME
    identity = json.loads(json.dumps({"layout": _LAYOUT, **identity}))
    if folder.exists() and read_json(folder / _IDENTITY_NAME) != identity:
        shutil.rmtree(folder)
    if not folder.exists():
        folder.mkdir()
        write_json(folder / _IDENTITY_NAME, identity)
    for path in folder.glob(f"*{_UNFINISHED}"):  # of processes that were killed
        path.unlink()
    try:
        yield folder
    except BaseException:
        if _holds_parts(folder):
            logging.info("what is finished stays in %s; the same build goes on from there", folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)


def publish(folder: Path, output_dir: Path, names: Sequence[str]) -> None:
    """Moves files out of a workspace; all are there afterwards, or, after an error, none.

    The last of the names is moved last.
    """
    write_json(folder / _PUBLISHED_NAME, list(names))
    try:
        for name in names:
            (folder / name).rename(output_dir / name)
    except OSError:
        _take_back(folder, output_dir, names)
        raise


def was_publishing(output_dir: Path) -> bool:
    """Returns whether a build was killed while it published its files there."""
    return (output_dir / WORKSPACE_NAME / _PUBLISHED_NAME).exists()


def end_publication(output_dir: Path) -> None:
    """Ends what a build was doing that was killed while it published: all its files are there afterwards, or none."""
    folder = output_dir / WORKSPACE_NAME
    names = read_json(folder / _PUBLISHED_NAME)
    if names is None:
        return
    if (output_dir / names[-1]).exists():
        shutil.rmtree(folder)
    else:
        _take_back(folder, output_dir, names)


def _take_back(folder: Path, output_dir: Path, names: Sequence[str]) -> None:
    for name in reversed(names):
        if (output_dir / name).exists():
            (output_dir / name).rename(folder / name)
    (folder / _PUBLISHED_NAME).unlink()


def _holds_parts(folder: Path) -> bool:
    return any(path.suffix != ".json" and path.stat().st_size for path in folder.iterdir())


def read_json(path: Path) -> Any:
    """Returns what a file holds, or None where it is not there or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

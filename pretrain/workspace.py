"""The hidden folder in which the finished parts of a build wait for the rest: kept when the build ends before its time.

Files appear in it under their names only when they are whole, so a part that is there need not be made again.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from electra_span.files import JsonError, read_json, remove_unfinished, whole_file
from electra_span.folders import lock_folder

WORKSPACE_NAME = ".partial"
_IDENTITY_NAME = "build.json"
_PUBLISHED_NAME = "published.json"
_LAYOUT = 1  # of what is in the folder; parts of another layout are of no use


def whole_part(path: Path) -> contextlib.AbstractContextManager[Path]:
    """Returns the context of `whole_file` for a file in a workspace, which is cleaned when a build begins."""
    return whole_file(path, removes_stale=False)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file of a workspace, whole or not at all."""
    with whole_part(path) as partial:
        partial.write_text(json.dumps(value), encoding="utf-8")


def read_json_if_whole(path: Path) -> Any:
    """Returns what a JSON file of a workspace holds, or None if it is missing or damaged."""
    try:
        return read_json(path)
    except JsonError:
        return None


def only_build(output_dir: Path) -> contextlib.AbstractContextManager[None]:
    """Keeps other builds out of a folder meanwhile; see `lock_folder`."""
    return lock_folder(output_dir, "build")


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
    if folder.exists() and read_json_if_whole(folder / _IDENTITY_NAME) != identity:
        shutil.rmtree(folder)
    if not folder.exists():
        folder.mkdir()
        write_json(folder / _IDENTITY_NAME, identity)
    remove_unfinished(folder)
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
    names = read_json_if_whole(folder / _PUBLISHED_NAME)
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

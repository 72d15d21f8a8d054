"""Checks of the places that a command reads from and writes to, before any work. Standard library only."""

import errno
import os
import pathlib
import stat
from collections.abc import Mapping

from electra_span.files import FileError, Path, reason_of, shown

_KINDS = ("is a file; a folder is needed", "is a folder; a file is needed")


def check_output_file(name: str, path: Path) -> None:
    """Checks, before any work, that a file can be written; nothing is created.

    Args:
        name: of the flag or hparam that gives the path, for errors.
        path: of the file, whose folders may be missing.

    Raises:
        FileError: the path is empty or too long, is a folder, leads through a file or a loop of links, or may not be
            written to.
    """
    _check_output(name, path, expects_folder=False)


def check_output_folder(name: str, path: Path) -> None:
    """Checks, before any work, that files can be written into a folder; see `check_output_file`."""
    _check_output(name, path, expects_folder=True)


def check_input(name: str, path: Path, *, expects_folder: bool | None = None) -> None:
    """Checks, before any work, that a file or a folder can be read.

    Args:
        name: of the flag or hparam that gives the path, for errors.
        path: of the file or folder.
        expects_folder: False for a file, True for a folder, None for either.

    Raises:
        FileError: the path is empty, leads nowhere or to the other kind, or may not be read.
    """
    if not str(path) or "\0" in str(path):
        raise FileError(f"{name} must be a path. Received: {str(path)!r}")
    where = f"{name}: {shown(str(path))}"
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise FileError(f"{where}: {_place_reason(error, pathlib.Path(os.path.abspath(path)))}") from None
    if expects_folder not in (None, is_folder):
        raise FileError(f"{where} {_KINDS[is_folder]}")
    if not os.access(path, os.R_OK):
        raise FileError(f"{where}: no permission to read it")


def check_distinct(written: Mapping[str, Path | None], read: Mapping[str, Path | None] | None = None) -> None:
    """Checks that a command writes no file over another one that it reads or writes.

    Args:
        written: the paths by the names of their flags or hparams; None for one that is not given.
        read: those that are only read, which may be the same file as one another.

    Raises:
        FileError: two of them are the same file.
    """
    names = {os.path.realpath(place): name for name, place in (read or {}).items() if place is not None}
    for name, place in written.items():
        if place is None or (os.path.exists(place) and not os.path.isfile(place) and not os.path.isdir(place)):
            continue  # devices and pipes, such as /dev/null, may be named twice
        other = names.setdefault(os.path.realpath(place), name)
        if other != name:
            raise FileError(f"{other} and {name} must be different files. Received: {shown(str(place))} for both")


def check_outside(name: str, path: Path, folder_name: str, folder: Path) -> None:
    """Checks that a command writes nothing into a folder that has another purpose.

    Args:
        name: of the flag or hparam that gives the path, for errors.
        path: of what is written.
        folder_name: of the folder, for errors.
        folder: which `path` must not be, nor be in.

    Raises:
        FileError: it is.
    """
    place, taken = os.path.realpath(path), os.path.realpath(folder)
    if place == taken or place.startswith(os.path.join(taken, "")):
        raise FileError(
            f"{name} must not be in {folder_name}. Received: {shown(str(path))}, which is in {shown(str(folder))}"
        )


def _check_output(name: str, path: Path, *, expects_folder: bool) -> None:
    where = f"{name}: {shown(str(path))}"
    if not str(path) or "\0" in str(path):
        raise FileError(f"{name} must be the path of a {'folder' if expects_folder else 'file'}. Received: {path!r}")
    place = pathlib.Path(os.path.abspath(path))
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise FileError(f"{where}: {_place_reason(error, place)}") from None
    if mode is not None and stat.S_ISDIR(mode) != expects_folder:
        raise FileError(f"{where} {_KINDS[stat.S_ISDIR(mode)]}")
    existing = place if mode is not None else _existing_parent(place)
    if not existing.is_dir() and mode is None:
        raise FileError(f"{where}: {shown(str(existing))} is not a folder")
    for part in place.parts[len(existing.parts) :]:
        if len(os.fsencode(part)) > os.pathconf(existing, "PC_NAME_MAX"):
            raise FileError(f"{where}: {os.strerror(errno.ENAMETOOLONG)}")
    if not os.access(existing, os.W_OK):
        raise FileError(f"{where}: no permission to write to {shown(str(existing))}")


def _existing_parent(place: pathlib.Path) -> pathlib.Path:
    """Returns the nearest folder (or file) above a path that exists; a dangling link counts as what it points to."""
    if place.is_symlink():
        place = pathlib.Path(os.path.realpath(place))
    return next(parent for parent in place.parents if os.path.lexists(parent))


def _place_reason(error: OSError, place: pathlib.Path) -> str:
    """Returns why a path cannot be looked up, naming the file that stands where a folder should be."""
    if error.errno == errno.ENOTDIR:
        file = next(parent for parent in place.parents if os.path.lexists(parent) and not parent.is_dir())
        return f"{shown(str(file))} is not a folder"
    return reason_of(error)

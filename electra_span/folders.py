"""Folders of several files that belong together: written whole or not at all, and read from one writing.

Standard library only.
"""

import contextlib
import errno
import fcntl
import glob
import logging
import os
import pathlib
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

from electra_span.config import UserError
from electra_span.files import UNFINISHED, FileError, Path, reason_of, shown

Result = TypeVar("Result")

REPLACING_LOCK = ".replacing.lock"  # in a folder whose files are being replaced
_LOCK = "lock"  # in a temporary folder
_YOUNG_SECONDS = 60
_READ_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")  # of a published model's files
_PAUSES_SECONDS = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0)  # after a reading that met a replacement

# What files tell of themselves: name, inode, time of change and size.
Stamps = list[tuple[str, int, int, int]]


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[pathlib.Path]:
    """Yields a folder to write to, whose content gets its place at the end, and is removed after an error.

    A new folder appears when it is whole. One that is there, which may be a mount point, gets its files one after
    another. Writers of the same folder wait for each other; the second one is refused.

    Args:
        path: of a folder that is new or empty.

    Raises:
        FileError: the folder cannot be written, or another process has written it meanwhile.
    """
    target = pathlib.Path(os.path.realpath(path))
    is_new = not target.exists()
    place, prefix = (target.parent, f".{target.name[:40]}.") if is_new else (target, ".")
    partial = place / f"{prefix}{uuid.uuid4().hex}{UNFINISHED}"
    with lock_file(place / f"{prefix}{REPLACING_LOCK[1:]}"), _cleaned(partial, path):
        _remove_killed(place, prefix)
        partial.mkdir()
        yield partial
        sync_files(partial)
        if is_new:
            os.rename(partial, target)  # which is an error if another process has filled it
            return
        if not all(name.startswith(".") for name in os.listdir(target)):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        for name in sorted(os.listdir(partial)):
            os.rename(partial / name, target / name)


@contextlib.contextmanager
def replaced_files(path: Path, old_names: Iterable[str], *, last: str) -> Iterator[pathlib.Path]:
    """Yields a folder to write to, whose files replace some of another folder's at the end, but not after an error.

    Writers of the same folder wait for each other. What killed ones left is removed. One of the files is the first to
    be removed and the last to come back: at no moment does the folder hold a mixture that can be loaded.

    Args:
        path: of the folder whose files are replaced; created if necessary.
        old_names: of files there that go even if nothing takes their place.
        last: the name of that one file.

    Raises:
        OSError: the folder cannot be written; it may name a file in the folder that is yielded.
    """
    folder = pathlib.Path(path)
    partial = folder / f".{uuid.uuid4().hex}{UNFINISHED}"
    with lock_file(folder / REPLACING_LOCK):
        _remove_killed(folder, ".")
        try:
            partial.mkdir()
            yield partial
            sync_files(partial)
            for name in (last, *old_names):
                (folder / name).unlink(missing_ok=True)
            for name in sorted(os.listdir(partial), key=lambda name: name == last):
                os.replace(partial / name, folder / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _cleaned(partial: pathlib.Path, path: Path) -> Iterator[None]:
    """Removes an unfinished folder at the end; its errors are those of the path that it stands for."""
    try:
        yield
    except UserError as error:
        if str(partial) not in str(error):
            raise
        raise FileError(str(error).replace(str(partial), shown(str(path)))) from error
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(partial)):
            raise
        raise FileError(f"cannot write {shown(str(path))}: {reason_of(error)}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_killed(place: pathlib.Path, prefix: str) -> None:
    """Removes the unfinished folders that killed processes left; the lock is held."""
    for killed in place.glob(f"{glob.escape(prefix)}{'[0-9a-f]' * 32}{UNFINISHED}"):  # and not temporary folders
        if killed.is_dir() and not killed.is_symlink():
            shutil.rmtree(killed, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder(place: Path, prefix: str) -> Iterator[pathlib.Path]:
    """Yields a folder that is removed at the end; those that killed processes left of this kind are removed first.

    Args:
        place: the folder that it is made in, which is created if necessary.
        prefix: how its name begins.

    Raises:
        FileError: it cannot be made.
    """
    for left in pathlib.Path(place).glob(f"{glob.escape(prefix)}*{UNFINISHED}"):
        with contextlib.suppress(OSError):  # its process may be removing it
            is_young = time.time() - left.stat().st_mtime < _YOUNG_SECONDS  # it may not have its lock yet
            if not is_young and not is_locked(left / _LOCK):
                shutil.rmtree(left, ignore_errors=True)
    folder = pathlib.Path(place, f"{prefix}{uuid.uuid4().hex}{UNFINISHED}")
    try:
        with lock_file(folder / _LOCK):
            files = folder / "files"
            files.mkdir()
            yield files
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sync_files(folder: pathlib.Path) -> None:
    """Writes a folder's files to the disk, so that a power cut leaves no name without content."""
    for file in (file for file in folder.rglob("*") if file.is_file()):
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())


def read_unchanged(folder: Path, read: Callable[[], Result]) -> Result:
    """Returns what a function reads of a folder, all of it from one writing.

    A process that replaces the folder's files takes a moment for it; what was read meanwhile is read again.

    Args:
        folder: of the files; of a path that is no folder nothing is checked.
        read: reads them.

    Raises:
        FileError: the files are replaced again and again.
        UserError: as `read` raises it for files that nobody is replacing.
    """
    for pause in _PAUSES_SECONDS:
        time.sleep(pause)
        before = stamps_of(folder)
        try:
            result = read()
        except (UserError, OSError):
            is_last = pause == _PAUSES_SECONDS[-1]
            if is_last or (stamps_of(folder) == before and not is_locked(pathlib.Path(folder, REPLACING_LOCK))):
                raise
        else:
            if stamps_of(folder) == before:
                return result
    raise changed(folder)


def changed(folder: Path) -> FileError:
    """Returns the error of a folder that was written to while it was read."""
    return FileError(f"{shown(str(folder))}: another process replaced its files while they were read; try again")


def stamps_of(folder: Path) -> Stamps:
    """Returns what changes when a file of a published model in a folder is replaced, removed or written to."""
    try:
        with os.scandir(folder) as entries:
            files = [entry for entry in entries if entry.name.endswith(_READ_SUFFIXES) and entry.name[0] != "."]
            stamps = []
            for entry in files:
                with contextlib.suppress(OSError):
                    stat = os.stat(entry.path)
                    stamps.append((entry.name, stat.st_ino, stat.st_mtime_ns, stat.st_size))
            return sorted(stamps)
    except OSError:
        return []


LOCK_NAME = ".lock"

_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)  # what flock says on some network file systems


@contextlib.contextmanager
def lock_folder(folder: Path, user: str) -> Iterator[None]:
    """Keeps a folder for one process, which creates it if necessary; the lock ends with the process.

    Args:
        folder: to be kept; removed at the end if it was created and is empty.
        user: what uses it, such as "build", for the error.

    Raises:
        FileError: another process holds the folder, or it cannot be created.
    """
    busy = f"Another {user} is writing to {shown(str(folder))}; wait until it has ended, or choose another folder"
    with lock_file(pathlib.Path(folder, LOCK_NAME), busy):
        yield


@contextlib.contextmanager
def lock_file(path: Path, busy: str | None = None) -> Iterator[None]:
    """Holds a lock, which ends with the process, however that ends.

    Where the file system has no locks, a warning says so and nothing is locked.

    Args:
        path: of the lock's file, which is removed at the end, with its folders if they were created and are empty.
        busy: the error if another process holds the lock; None to wait for it.

    Raises:
        FileError: another process holds the lock, or the file cannot be created.
    """
    path = pathlib.Path(os.path.abspath(path))
    created = [folder for folder in path.parents if not folder.exists()]
    try:
        file = _locked_file(path, busy)
    except OSError as error:
        raise FileError(f"cannot lock {shown(str(path))}: {reason_of(error)}") from None
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # of the first one that is not empty
                for folder in created:
                    folder.rmdir()


def _locked_file(path: pathlib.Path, busy: str | None) -> TextIO:
    """Returns a lock's file, opened and locked, which is the one that has the name."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("w", encoding="utf-8")
        except FileNotFoundError:  # another process has just removed the folder
            if path.parent.is_dir():
                raise
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            file.close()
            raise FileError(busy or "") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            logging.getLogger("absl").warning("%s: this file system has no locks; use the folder once only", path)
            return file
        if _is_file_of(path, file):  # and not the one that another process has just removed
            return file
        file.close()


def is_locked(path: Path) -> bool:
    """Returns whether another process holds a lock; see `lock_file`. Needs no permission to write."""
    try:
        with open(path, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _is_file_of(path: pathlib.Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False

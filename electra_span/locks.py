"""Locks of files and folders, which end with the process that holds them. Standard library only."""

import contextlib
import errno
import fcntl
import logging
import os
import pathlib
from collections.abc import Iterator
from typing import TextIO

from electra_span.files import FileError, Path, reason_of, shown

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

"""Folders of several files that belong together: written whole or not at all, and read from one writing.

Standard library only.
"""

import contextlib
import glob
import os
import pathlib
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

from electra_span.config import UserError
from electra_span.files import UNFINISHED, FileError, Path, is_locked, lock_file, reason_of, shown

Result = TypeVar("Result")

REPLACING_LOCK = ".replacing.lock"  # in a folder whose files are being replaced
_READ_SUFFIXES = (".json", ".txt", ".model", ".safetensors", ".bin")  # of a published model's files
_PAUSES_SECONDS = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0)  # after a reading that met a replacement

# What files tell of themselves: name, inode, time of change and size.
Stamps = list[tuple[str, int, int, int]]


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[pathlib.Path]:
    """Yields a folder to write to, which gets its name at the end, and is removed after an error.

    Writers of the same folder wait for each other; the second one is refused.

    Args:
        path: of a folder that is new or empty.

    Raises:
        FileError: the folder cannot be written, or another process has written it meanwhile.
    """
    target = pathlib.Path(os.path.realpath(path))
    prefix = f".{target.name[:40]}."
    with lock_file(target.with_name(f"{prefix}lock")):
        for killed in target.parent.glob(f"{glob.escape(prefix)}*{UNFINISHED}"):
            shutil.rmtree(killed, ignore_errors=True)
        partial = target.with_name(f"{prefix}{uuid.uuid4().hex}{UNFINISHED}")
        try:
            partial.mkdir()
            yield partial
            sync_files(partial)
            os.rename(partial, target)  # of an existing folder only if it is empty
        except OSError as error:
            if error.filename is not None and not str(error.filename).startswith(str(partial)):
                raise
            raise FileError(f"cannot write {shown(str(path))}: {reason_of(error)}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


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

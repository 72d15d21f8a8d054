"""Files that are written whole or not at all, JSON of unknown origin, checks of places, and text that is safe to show.

Standard library only: command lines and configuration errors never wait for TensorFlow.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import pathlib
import re
import stat
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from electra_span.config import UserError

Path = str | os.PathLike[str]

LOCK_NAME = ".lock"
UNFINISHED = ".unfinished"  # how the names of files end that are not whole yet

_STALE_SECONDS = 3600  # an unfinished file that nobody has written to for so long belongs to a killed process
_LONGEST_SHOWN = 200
_KINDS = ("is a file; a folder is needed", "is a folder; a file is needed")
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)  # what flock says on some network file systems

# TensorFlow's names of functions, nodes and operations, in which its messages are wrapped.
_INTERNALS = re.compile(r"\{\{.*?\}\}\s*|\s*\[\[.*|\s*\[Op:.*")
# Control characters, those that turn the direction of text around, and halves of characters.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class FileError(UserError):
    """A file that cannot be read, or a place that cannot be written to."""


class JsonError(FileError, ValueError):
    """Text that is not the JSON it should be."""


class MalformedJsonError(JsonError):
    """Text that does not follow the grammar of JSON."""


def parse_json(text: str | bytes, source: str, *, unique_keys: bool = False, is_line: bool = False) -> Any:
    """Returns the value of a JSON text.

    Args:
        text: JSON, as UTF-8 where it is bytes; it may begin with a byte order mark.
        source: where the text comes from, for errors.
        unique_keys: refuse objects that have a key twice, of which the last one would win.
        is_line: the text is a line of a file, whose number `source` gives.

    Raises:
        MalformedJsonError: the text is not JSON; the message has the source and the position.
        JsonError: the text has bytes that are not UTF-8, an integer of more digits than Python converts (4,300), or
            objects nested too deeply; the message names the source.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_unique if unique_keys else None)
    except UnicodeDecodeError as error:
        raise JsonError(f"{source}: not UTF-8 at byte {error.start} ({error.reason})") from None
    except (ValueError, RecursionError) as error:
        kind = MalformedJsonError if isinstance(error, json.JSONDecodeError) else JsonError
        raise kind(
            f"{source}: {json_reason(error, is_line=is_line)}. Received: {shown(repr(text[:200]), 80)}"
        ) from None


def json_reason(error: ValueError | RecursionError, *, is_line: bool = False) -> str:
    """Returns what an error of Python's JSON decoder says, in words for one line.

    Args:
        error: a JSONDecodeError; the ValueError of an integer that is too long; or a RecursionError.
        is_line: the text was one line.
    """
    if isinstance(error, RecursionError):
        return "JSON is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        place = f"column {error.colno}" if is_line else f"line {error.lineno}, column {error.colno}"
        return f"malformed JSON at {place}: {error.msg}"
    if "integer string conversion" in str(error):
        return f"an integer in the JSON has more than {sys.get_int_max_str_digits():,} digits"
    return str(error)


def read_json(path: Path, *, unique_keys: bool = False) -> Any:
    """Returns the value in a JSON file; see `parse_json`.

    Raises:
        JsonError: the file cannot be read, or is not JSON.
    """
    try:
        content = pathlib.Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise JsonError(f"{shown(str(path))}: cannot be read ({reason_of(error)})") from None
    return parse_json(content, shown(str(path)), unique_keys=unique_keys)


def read_json_object(path: Path, *, unique_keys: bool = False) -> dict[str, Any]:
    """Returns the object in a JSON file; see `read_json`.

    Raises:
        JsonError: the file cannot be read, is not JSON, or holds another value.
    """
    content = read_json(path, unique_keys=unique_keys)
    if not isinstance(content, dict):
        raise JsonError(f"{shown(str(path))}: must be a JSON object. Received: {shown(repr(content), 80)}")
    return content


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Returns an object from its pairs; raises ValueError where a key is there twice."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"the key {shown(repr(key), 80)} is there twice")
        content[key] = value
    return content


@contextlib.contextmanager
def whole_file(path: Path, *, removes_stale: bool = True) -> Iterator[pathlib.Path]:
    """Yields a path to write to; what was written there is renamed to `path` at the end, and removed after an error.

    Other processes see the old content or the new one, after a crash of the machine too. Each writer has a temporary
    name of its own. The folder is created if necessary; links are followed; devices and pipes are written directly.

    Args:
        path: the file to write.
        removes_stale: look for what killed writers of the file left in its folder; False for folders of many files
            that `remove_unfinished` cleans.

    Raises:
        OSError: the file cannot be written; the error names `path`.
    """
    target = pathlib.Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # such as /dev/stdout, which a rename would replace
        yield target
        return
    prefix = f".{target.name[:40]}."
    partial = target.with_name(f"{prefix}{uuid.uuid4().hex}{UNFINISHED}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if removes_stale:
            _remove_stale(target.parent, prefix)
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())  # before the rename, or a power cut could leave the name without the content
        os.replace(partial, target)
    except OSError as error:
        if error.filename not in (None, str(partial)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file in UTF-8; lone surrogates in the text are written as their escapes."""
    with whole_file(path) as partial:
        partial.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Writes a whole JSON file.

    Raises:
        FileError: a number is not finite, which JSON cannot express; the file stays as it was.
    """
    try:
        text = json.dumps(value, indent=indent, allow_nan=False)
    except ValueError as error:
        raise FileError(f"{path}: all numbers written there must be finite. Received: {error}") from error
    write_text(path, text + "\n")


def remove_unfinished(folder: Path) -> None:
    """Removes what killed processes left in a folder that no other process is writing to."""
    for path in pathlib.Path(folder).glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


def _remove_stale(folder: pathlib.Path, prefix: str) -> None:
    """Removes unfinished files that killed processes left under a prefix."""
    now = time.time()
    for entry in os.scandir(folder):
        if entry.name.startswith(prefix) and entry.name.endswith(UNFINISHED):
            with contextlib.suppress(OSError):  # another process may be removing it
                if now - entry.stat().st_mtime > _STALE_SECONDS:
                    os.unlink(entry.path)


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
        if place is None:
            continue
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


def check_encoding(name: str, encoding: str) -> None:
    """Checks that text can be read and written in an encoding.

    Args:
        name: of the flag or hparam that gives it, for errors.
        encoding: as Python names it.

    Raises:
        FileError: it is unknown, or does not encode text.
    """
    try:
        is_usable = "a".encode(encoding).decode(encoding) == "a"
    except (LookupError, ValueError):  # ValueError: Python's "undefined", and names with a null character
        is_usable = False
    if not is_usable:
        raise FileError(
            f"{name} must be the name of a text encoding, such as utf-8 or cp1252. Received: {shown(repr(encoding))}"
        )


def check_delimiter(name: str, delimiter: str | None) -> None:
    """Checks that a character can be between the fields of a table; None stands for the format's own.

    Raises:
        FileError: it is not one character, or one that ends a line or quotes.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '\0\r\n"'):
        raise FileError(
            f"{name} must be one character, and neither a line end nor a quotation mark. "
            f"Received: {shown(repr(delimiter))}"
        )


def reason_of(error: Exception) -> str:
    """Returns the first line of an error's message, without the library's internals.

    Args:
        error: of TensorFlow, or an OSError, whose file is left out.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _INTERNALS.sub("", str(error).partition("\n")[0]).strip()


def without_controls(text: str) -> str:
    """Returns a text with U+FFFD for the characters that a terminal or a browser obeys or refuses."""
    return _UNSHOWN.sub("\ufffd", text)


def shown(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Returns a text of unknown origin for a message: without control characters, its middle left out if it is long.

    Args:
        text: for example a file's name, or a value received.
        longest: how many characters to show.
    """
    if len(text) > longest:
        half = (longest - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return without_controls(text)

"""Files that are written whole or not at all, JSON of unknown origin, and text that is safe to show.

Standard library only: command lines and configuration errors never wait for TensorFlow.
"""

import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from electra_span.config import UserError

Path = str | os.PathLike[str]

UNFINISHED = ".unfinished"  # how the names of files end that are not whole yet

_STALE_SECONDS = 3600  # an unfinished file that nobody has written to for so long belongs to a killed process
_LONGEST_SHOWN = 200

# The shell may have redirected these to files, which must neither be replaced nor truncated.
_STANDARD_STREAMS = {"/dev/stdout": "/dev/fd/1", "/dev/stderr": "/dev/fd/2"}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")

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
    name of its own. The folder is created if necessary; links are followed; devices and pipes are written directly,
    and so is what cannot be renamed onto: a file that is a mount point, or in a folder that may not be changed.

    Args:
        path: the file to write; /dev/stdout and the like are this process' own.
        removes_stale: look for what killed writers of the file left in its folder; False for folders of many files
            that `remove_unfinished` cleans.

    Raises:
        OSError: the file cannot be written; the error names `path`.
    """
    descriptor = _descriptor_of(path)
    target = pathlib.Path(os.path.realpath(path))
    if descriptor is None and os.path.exists(path) and not os.path.isfile(path):  # which a rename would replace
        yield pathlib.Path(path)
        return
    prefix = f".{target.name[:40]}."
    in_place = descriptor is not None or (target.exists() and not os.access(target.parent, os.W_OK))
    folder = pathlib.Path(tempfile.gettempdir()) if in_place else target.parent
    partial = folder / f"{prefix}{uuid.uuid4().hex}{UNFINISHED}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if removes_stale:
            _remove_stale(folder, prefix)
        yield partial
        _put(partial, target if descriptor is None else descriptor, in_place=in_place)
    except OSError as error:
        if error.filename not in (None, str(partial)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def _put(partial: pathlib.Path, target: pathlib.Path | int, *, in_place: bool) -> None:
    """Gives a finished file its place, by its name or, if that is impossible, by its content."""
    if isinstance(target, int):
        sys.stdout.flush()
        with open(partial, "rb") as source, open(os.dup(target), "wb") as stream:
            shutil.copyfileobj(source, stream)
        return
    with open(partial, "rb") as file:
        os.fsync(file.fileno())  # before the rename, or a power cut could leave the name without the content
    if target.exists():
        shutil.copymode(target, partial)
    if not in_place:
        try:
            os.replace(partial, target)
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EXDEV):  # of a mount point
                raise
        else:
            return
    shutil.copyfile(partial, target)


def _descriptor_of(path: Path) -> int | None:
    """Returns the descriptor that a path such as /dev/stdout or /dev/fd/3 stands for; None for any other."""
    name = _STANDARD_STREAMS.get(os.fspath(path), os.fspath(path))
    match = _DESCRIPTOR.fullmatch(name)
    return int(match[1]) if match else None


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


_TOO_LARGE = 2**63  # JSON has integers of any size, which floating-point numbers have not


class TrainingLogError(UserError):
    """A log that cannot be read or written."""


class JsonLines:
    """A file of one JSON object a line, each with its step, that a resumed run continues without repetition."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def append(self, numbers: Mapping[str, float | int]) -> None:
        """Adds a line.

        Raises:
            TrainingLogError: it could not be written, for example to a full disk.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(numbers) + "\n")
                file.flush()
                os.fsync(file.fileno())  # before the checkpoint: a crash of the machine could lose the line otherwise
        except OSError as error:
            raise TrainingLogError(f"cannot write {self.path}: {reason_of(error)}") from error

    def read(self) -> list[dict[str, float]]:
        """Returns all whole lines; what a crash left of others is passed over.

        Raises:
            TrainingLogError: the file cannot be read.
        """
        if not self.path.exists():
            return []
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        except OSError as error:
            raise TrainingLogError(f"cannot read {self.path}: {reason_of(error)}") from error
        return [line for line in map(_parsed, lines) if line is not None]

    def cut_after(self, step: int) -> None:
        """Drops the lines of later steps, which a resumed run writes again."""
        if not self.path.exists():
            return
        kept = [json.dumps(line) + "\n" for line in self.read() if line["step"] <= step]
        try:
            write_text(self.path, "".join(kept))
        except OSError as error:
            raise TrainingLogError(f"cannot write {self.path}: {reason_of(error)}") from error


def _parsed(line: str) -> dict[str, float] | None:
    """Returns the object of numbers in a line, or None where there is none with a step."""
    try:
        numbers = parse_json(line, "line")
    except JsonError:
        return None
    return numbers if has_step_and_numbers(numbers) else None


def has_step_and_numbers(value: Any) -> bool:
    """Returns whether a value is an object of numbers with the step that they were taken at, as runs report."""
    return (
        isinstance(value, dict)
        and type(value.get("step")) is int
        and value["step"] >= 0
        and all(type(each) is float or (type(each) is int and abs(each) < _TOO_LARGE) for each in value.values())
    )

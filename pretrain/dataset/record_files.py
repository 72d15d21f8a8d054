"""Files of records as files: which ones some patterns choose, and whether they are what their manifest.json says.

Imports no TensorFlow. A record is framed by 16 bytes: its length in 8, their checksum in 4, and 4 after the record.
"""

import fnmatch
import glob
import hashlib
import os
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

from electra_span.config import UserError
from electra_span.files import shown
from pretrain.dataset.manifest import MANIFEST_NAME, read_manifest
from pretrain.dataset.workspace import was_publishing

FRAME_BYTES = 16

_SHARD_NUMBER = re.compile(r"-(\d+)-of-\d+$")
_BLOCK_BYTES = 1 << 22
_END_BYTES = 1 << 16
_LARGE_BYTES = 1 << 32  # counting takes seconds from here on
_LENGTH = struct.Struct("<Q")
_REMEDY = "copy it again or build the records again, or name other files by pretrain_tfrecords or eval_tfrecords"


class RecordError(UserError):
    """Files of records that are missing, damaged, or built for other settings."""


class Extent(NamedTuple):
    """What a file holds by the lengths of its records.

    Attributes:
        num_records: whole ones.
        num_bytes: that they take; the file's size, unless it is cut inside a record or holds something else.
    """

    num_records: int
    num_bytes: int


def input_files(patterns: str) -> list[str]:
    """Returns the files that match comma-separated glob patterns, each once, in the order of their shard numbers.

    A manifest.json that matches is left out.

    Raises:
        RecordError: a pattern matches no file, or a folder, or a file that cannot be read.
    """
    files: set[str] = set()
    for pattern in _each(patterns):
        matches = [file for file in glob.glob(pattern) if Path(file).name != MANIFEST_NAME]
        if not matches:
            raise RecordError(
                f"Every pattern must match a file of records. Received: {shown(repr(pattern))}, which matches none; "
                "build them with scripts/build_pretraining_dataset.py"
            )
        for file in matches:
            if not os.path.isfile(file) or not os.access(file, os.R_OK):
                raise RecordError(
                    f"Every pattern must match files that can be read. Received: {shown(repr(pattern))}, which matches "
                    f"{shown(file)}"
                )
        files.update(matches)
    return sorted(files, key=_shard_order)


def check_files(all_patterns: Iterable[str]) -> None:
    """Compares the files that some patterns choose with the manifests in their folders, where there are any.

    A pattern chooses every file of a manifest whose name it matches, so none of those may be missing; files of the
    manifest that no pattern matches are left out, which is logged. Sizes and ends of files are compared; where a
    manifest has none, the lengths of all records are read, which takes about a second for a GB.

    Args:
        all_patterns: each as for `input_files`.

    Raises:
        RecordError: names the file that is missing, or not among those of the manifest, or holds other records; or the
            folder of a build that is about to end.
    """
    chosen: dict[Path, set[str]] = {}
    for pattern in dict.fromkeys(pattern for patterns in all_patterns for pattern in _each(patterns)):
        where, name_pattern = os.path.split(pattern)
        for folder in map(Path, glob.glob(where or ".")):
            found = map(Path, glob.glob(os.path.join(glob.escape(str(folder)), name_pattern)))
            names = {file.name for file in found if file.is_file()}
            manifest = read_manifest(folder) or {}
            wanted = {name for name in manifest.get("files", {}) if fnmatch.fnmatchcase(name, name_pattern)}
            if names or wanted:
                chosen.setdefault(folder, set()).update(names | wanted)
    for folder, names in chosen.items():
        _check_chosen(folder, names - {MANIFEST_NAME})


def check_folder(folder: Path) -> None:
    """Compares all files of a manifest with it; see `check_files`."""
    manifest = read_manifest(folder) or {}
    _check_chosen(folder, set(manifest.get("files", {})))


def _check_chosen(folder: Path, names: set[str]) -> None:
    manifest = read_manifest(folder)
    if manifest is None:
        if was_publishing(folder):
            raise RecordError(
                f"{shown(str(folder))}: a build has not finished putting its files there; wait for it, or run it again"
            )
        return
    if "files" not in manifest:
        return
    files = sorted((str(folder / name) for name in names), key=_shard_order)
    num_left = len(manifest["files"]) - len(names & manifest["files"].keys())
    if num_left:
        logging.info("%s: %d of the %d files of its manifest are not used", folder, num_left, len(manifest["files"]))
    if "file_bytes" not in manifest and sum(map(_size, files)) > _LARGE_BYTES:
        logging.info("%s: counting records, as the manifest has no sizes of files", folder)
    for file in files:
        _check_file(file, manifest)


def _check_file(file: str, manifest: Mapping[str, Any]) -> None:
    """Raises RecordError where a file does not hold what its manifest says."""
    name, path = os.path.basename(file), shown(file)
    expected = manifest["files"].get(name)
    if not os.path.exists(file):
        raise RecordError(f"{path}: missing; {MANIFEST_NAME} says {expected} records, and none are there; {_REMEDY}")
    if expected is None:
        raise RecordError(
            f"{path}: holds {extent_of(file).num_records} records, and {MANIFEST_NAME} has none under this name; move "
            "it out of the folder, or name the files to use by pretrain_tfrecords or eval_tfrecords"
        )
    size, ends = (manifest.get(entry, {}).get(name) for entry in ("file_bytes", "file_ends"))
    if size == _size(file) and ends in (None, digest_of_ends(file)):
        return
    extent = extent_of(file)
    if size is None and extent == (expected, _size(file)):
        return
    if extent.num_records != expected or extent.num_bytes != _size(file):
        found = f"{extent.num_records} whole records in {_size(file)} bytes are there"
    else:
        found = f"{extent.num_records} other records are there"
    in_bytes = "" if size is None else f" in {size} bytes"
    raise RecordError(f"{path}: {MANIFEST_NAME} says {expected} records{in_bytes}, and {found}; {_REMEDY}")


def extent_of(file: str | Path) -> Extent:
    """Returns how many whole records a file holds, by their lengths alone; no checksum is compared."""
    num_records = offset = 0
    size = _size(file)
    with open(file, "rb", buffering=0) as opened:
        while offset < size:
            opened.seek(offset)
            block = opened.read(_BLOCK_BYTES)
            num_found, num_bytes = _records_in(block, size - offset)
            num_records, offset = num_records + num_found, offset + num_bytes
            if not num_found:
                break
    return Extent(num_records, offset)


def _records_in(block: bytes, num_left: int) -> Extent:
    """Returns the records that begin in a block, as far as they end in what is left of the file, of num_left bytes."""
    position = num_records = 0
    last, unpack = len(block) - _LENGTH.size, _LENGTH.unpack_from
    while position <= last:
        end = position + unpack(block, position)[0] + FRAME_BYTES
        if end > num_left:
            break
        position = end
        num_records += 1
    return Extent(num_records, position)


def first_record(file: str | Path) -> bytes | None:
    """Returns the first record of a file, None where it is empty.

    Raises:
        RecordError: the file ends inside it.
    """
    with open(file, "rb") as opened:
        head = opened.read(FRAME_BYTES - 4)
        if not head:
            return None
        length = _LENGTH.unpack_from(head.ljust(_LENGTH.size))[0]
        if length + FRAME_BYTES > _size(file):
            raise RecordError(f"{shown(str(file))}: corrupt record at byte 0; {_REMEDY}")
        return opened.read(length)


def digest_of_ends(file: str | Path) -> str:
    """Returns a hash of a file's first and last 64 KiB, by which files of one size are told apart."""
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        digest.update(opened.read(_END_BYTES))
        opened.seek(max(0, _size(file) - _END_BYTES))
        digest.update(opened.read(_END_BYTES))
    return digest.hexdigest()[:16]


def file_entries(folder: Path, names: Sequence[str], counts: Sequence[int]) -> dict[str, dict[str, int | str]]:
    """Returns what a manifest keeps of files of records, in their order: counts, sizes and hashes of their ends."""
    return {
        "files": dict(zip(names, counts, strict=True)),
        "file_bytes": {name: _size(folder / name) for name in names},
        "file_ends": {name: digest_of_ends(folder / name) for name in names},
    }


def _each(patterns: str) -> list[str]:
    return [pattern.strip() for pattern in patterns.split(",")]


def _size(file: str | Path) -> int:
    return os.stat(file).st_size if os.path.exists(file) else 0


def _shard_order(file: str) -> tuple[str, int, str]:
    number = _SHARD_NUMBER.search(file)
    return (file[: number.start()], int(number[1]), file) if number else (file, 0, file)

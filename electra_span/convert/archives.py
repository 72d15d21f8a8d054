"""Unpacking a zip of a checkpoint, as Google released them, without trusting it."""

import contextlib
import pathlib
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence

from electra_span.config import UserError
from electra_span.convert.tf1 import ConversionError
from electra_span.folders import temporary_folder

_MOST_MEMBERS = 1000
_MOST_EXPANSION = 100  # weights hardly compress
_SLACK_BYTES = 2**20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@contextlib.contextmanager
def unpacked(path: pathlib.Path, beside: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary folder with the files of a zip, which is removed afterwards.

    Args:
        path: the zip.
        beside: the temporary folder is made in this one's.

    Raises:
        ConversionError: it is no zip, is broken, or holds what an archive of a checkpoint has no reason to.
        UserError: as raised inside, with the zip in place of the folder.
    """
    with temporary_folder(beside.parent, f".{beside.name[:40]}.unpacked-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                _check_members(path, members, shutil.disk_usage(folder).free)
                for member in members:
                    _extract(archive, member, folder)
        except _BROKEN as error:
            raise ConversionError(f"{path}: is not a zip that can be unpacked: {error}") from error
        except OSError as error:
            raise ConversionError(f"{path}: cannot be unpacked beside {beside}: {error.strerror}") from error
        try:
            yield folder
        except UserError as error:  # whose user knows the zip, and not the temporary folder
            error.args = tuple(str(part).replace(str(folder), str(path)) for part in error.args)
            raise


def _check_members(path: pathlib.Path, members: Sequence[zipfile.ZipInfo], free_bytes: int) -> None:
    """Raises ConversionError, before anything is written, where the directory of a zip asks for harm."""
    for member in members:
        problem = _problem(member)
        if problem:
            raise ConversionError(f"{path}: {problem} in the archive: {member.filename!r}. Nothing was unpacked")
    names = [member.filename for member in members]
    if len(names) > _MOST_MEMBERS or len(set(names)) < len(names):
        raise ConversionError(f"{path}: must have up to {_MOST_MEMBERS} files, each once. Received: {len(names)}")
    total = sum(member.file_size for member in members)
    packed = path.stat().st_size
    if total > _MOST_EXPANSION * packed + _SLACK_BYTES:
        raise ConversionError(f"{path}: its {packed:,} bytes claim to hold {total:,}, which no weights do")
    if total > free_bytes:
        raise ConversionError(f"{path}: unpacks to {total:,} bytes, but {free_bytes:,} are free on the target's disk")


def _problem(member: zipfile.ZipInfo) -> str:
    """Returns what is wrong with a member's name or type; "" if nothing is."""
    name, kind = member.filename.replace("\\", "/"), stat.S_IFMT(member.external_attr >> 16)
    if name.startswith("/") or ":" in name.split("/")[0]:
        return "an absolute path"
    if ".." in name.split("/"):
        return "a path that leaves the folder"
    if kind not in (0, stat.S_IFREG):
        return "a link or a device"
    return "an encrypted file" if member.flag_bits & 1 else ""


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: pathlib.Path) -> None:
    """Writes a member's bytes, never more than its declared size, which zipfile sees to."""
    file = folder / member.filename.replace("\\", "/")
    file.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, open(file, "xb") as out:
        shutil.copyfileobj(packed, out, length=2**20)

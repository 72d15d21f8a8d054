"""Members of tar archives, read as streams: nothing of an archive is written anywhere, nor trusted."""

import tarfile
from collections.abc import Callable, Iterator
from typing import Any, Self

from pretrain.sources.settings import CorpusError
from pretrain.sources.streams import Stream

_MAX_NAME_BYTES = 1 << 16
_MAX_READS_AT_END = 8
_MAX_SHOWN_CHARACTERS = 200
_NAME_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_DAMAGES = (tarfile.TarError, RecursionError, ValueError, OverflowError)


class _CheckedTarInfo(tarfile.TarInfo):
    """A member's header; one that claims an impossible size, or a long name that would fill the memory, is an error."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Returns the header in a block of an archive."""
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the end of the archive
            raise tarfile.ReadError(str(error) if buf else "it has no end") from error  # else taken for the end
        if member.size < 0 or (member.type in _NAME_TYPES and member.size > _MAX_NAME_BYTES):
            raise tarfile.ReadError(f"a header claims {member.size} bytes")
        return member


def members(stream: Stream) -> Iterator[Stream]:
    """Yields the regular files of an archive that are not hidden, to be read before the next one is taken.

    Links, devices and other things that are no files are passed over: nothing is opened but the archive.

    Raises:
        CorpusError: for an archive that is damaged or cut off.
    """
    archive_name = stream.name
    try:
        file: Any = _Ending(stream)
        with tarfile.open(fileobj=file, mode="r|", tarinfo=_CheckedTarInfo) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # else all headers stay in memory
                if member.size < 0:
                    raise tarfile.ReadError(f"a header claims {member.size} bytes")
                if member.isreg() and not _is_hidden(member.name):
                    content = archive.extractfile(member)
                    read = _checked_read(archive_name, content.read)  # type: ignore[union-attr]
                    yield Stream(f"{archive_name}: {_shown(member.name)}", read, member.name)
    except _DAMAGES as error:
        raise _damage(archive_name, error) from error


def _checked_read(archive_name: str, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def checked(size: int) -> bytes:
        try:
            return read(size)
        except _DAMAGES as error:
            raise _damage(archive_name, error) from error

    return checked


def _damage(archive_name: str, error: Exception) -> CorpusError:
    return CorpusError(f"{archive_name}: damaged or cut off archive: {error}")


class _Ending:
    """A stream that cannot be read on and on at its end, as a member that claims to be endless would."""

    def __init__(self, stream: Stream):
        self._stream = stream
        self._num_reads_at_end = 0

    def read(self, size: int) -> bytes:
        """Returns the next bytes."""
        block = self._stream.read(size)
        if not block:
            self._num_reads_at_end += 1
            if self._num_reads_at_end > _MAX_READS_AT_END:
                raise tarfile.ReadError("unexpected end of data")
        return block


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def _shown(name: str) -> str:
    """Returns a member's name for messages, on one line and without characters that a terminal obeys."""
    shown = "".join(character if character.isprintable() else "?" for character in name)
    return shown[-_MAX_SHOWN_CHARACTERS:]

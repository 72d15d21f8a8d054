"""Bytes that are read once, in order, from files that may be packed: never more than a block of them in memory."""

import bz2
import codecs
import contextlib
import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Self

from pretrain.sources.settings import CorpusError, SourceSettings

BLOCK_BYTES = 1 << 20

# A kilobyte of zstd may unpack to 32 MB, never to more.
_ZSTD_BLOCK_BYTES = 1 << 10
_MARK = "electra_span_mark"


class Stream:
    """Bytes with the name of what they come from."""

    def __init__(self, name: str, read: Callable[[int], bytes], file_name: str | None = None):
        self.name = name  # for messages
        self.file_name = name if file_name is None else file_name  # of a member of an archive, for its suffix
        self._read = read
        self._head = b""

    def peek(self, size: int) -> bytes:
        """Returns the next bytes without taking them: fewer than size only at the end."""
        while len(self._head) < size and (block := self._read(size - len(self._head))):
            self._head += block
        return self._head[:size]

    def read(self, size: int) -> bytes:
        """Returns the next bytes, size or fewer, none only at the end."""
        if not self._head:
            return self._read(size)
        block, self._head = self._head[:size], self._head[size:]
        return block


@contextlib.contextmanager
def open_stream(path: Path, start: int = 0) -> Iterator[Stream]:
    """Yields the bytes of a file from the byte start on.

    Raises:
        CorpusError: where the file cannot be read, also while it is.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            yield Stream(str(path), file.read)
    except OSError as error:
        raise CorpusError(f"Cannot read {path}: {error.strerror or error}") from error


class _Packing(NamedTuple):
    name: str
    magic: bytes
    suffixes: tuple[str, ...]
    reader: Callable[[Stream], Callable[[int], bytes]]


def _read_gzip(stream: Stream) -> Callable[[int], bytes]:
    return gzip.GzipFile(fileobj=stream, mode="rb").read  # type: ignore[call-overload, no-any-return]


def _read_xz(stream: Stream) -> Callable[[int], bytes]:
    return lzma.LZMAFile(stream).read  # type: ignore[arg-type]


def _read_bzip2(stream: Stream) -> Callable[[int], bytes]:
    return bz2.BZ2File(stream).read  # type: ignore[call-overload, no-any-return]


def _read_zstd(stream: Stream) -> Callable[[int], bytes]:
    try:
        import zstandard
    except ImportError:
        raise CorpusError(f"{stream.name}: to read zstd install zstandard: pip install 'electra-span[zstd]'") from None
    blocks = _zstd_blocks(stream, zstandard.ZstdDecompressor(), zstandard.ZstdError)
    rest = Stream(stream.name, lambda _size: next(blocks, b""))

    def read(size: int) -> bytes:
        rest.peek(1)  # the next block, of any size, to be given out in parts
        return rest.read(size)

    return read


def _zstd_blocks(stream: Stream, decompressor: object, error_type: type[Exception]) -> Iterator[bytes]:
    """Yields what all frames of a stream hold; unlike zstandard's own reader it knows a frame that is cut off."""
    frame = None
    try:
        while packed := stream.read(_ZSTD_BLOCK_BYTES):
            while packed:
                if frame is None or frame.eof:
                    frame = decompressor.decompressobj()  # type: ignore[attr-defined]
                if block := frame.decompress(packed):
                    yield block
                packed = frame.unused_data if frame.eof else b""
    except error_type as error:
        raise ValueError(str(error)) from error
    if frame is not None and not frame.eof:
        raise EOFError("the last frame has no end")


_PACKINGS = (
    _Packing("gzip", b"\x1f\x8b", (".gz", ".tgz"), _read_gzip),
    _Packing("xz", b"\xfd7zXZ\x00", (".xz", ".txz"), _read_xz),
    _Packing("bzip2", b"BZh", (".bz2", ".tbz2", ".tbz"), _read_bzip2),
    _Packing("zstd", b"\x28\xb5\x2f\xfd", (".zst", ".tzst"), _read_zstd),
)
_DAMAGES = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error)


def packing_of(stream: Stream) -> str | None:
    """Returns how a stream is packed, by its first bytes.

    Raises:
        CorpusError: where its name says that it is, and its bytes do not.
    """
    packing = _packing(stream)
    return packing.name if packing else None


def _packing(stream: Stream) -> _Packing | None:
    head = stream.peek(max(len(packing.magic) for packing in _PACKINGS))
    suffix = PurePath(stream.file_name).suffix.lower()
    for packing in _PACKINGS:
        if head.startswith(packing.magic):
            return packing
        if suffix in packing.suffixes:
            raise CorpusError(f"{stream.name}: not {packing.name}, as its name says; it is damaged or misnamed")
    return None


def unpacked(stream: Stream) -> Stream:
    """Returns what a packed stream holds, or the stream itself where it is not packed.

    Raises:
        CorpusError: while it is read, names a stream that is damaged or cut off.
    """
    packing = _packing(stream)
    if packing is None:
        return stream
    read_packed = packing.reader(stream)

    def read(size: int) -> bytes:
        try:
            return read_packed(size)
        except _DAMAGES as error:
            if isinstance(error, OSError) and error.errno:
                raise  # of the file, not of what it holds
            reason = str(error).rstrip(".")
            raise CorpusError(f"{stream.name}: cannot unpack {packing.name}, damaged or cut off: {reason}") from error

    return Stream(stream.name, read, stream.file_name)


def inner_suffix(name: str) -> str:
    """Returns the suffix of a name without that of a packing: `.csv` of a.CSV.gz, `.tar` of a.tgz."""
    stem, suffix = os.path.splitext(PurePath(name).name.lower())
    if any(suffix in packing.suffixes for packing in _PACKINGS):
        return ".tar" if suffix.startswith(".t") else os.path.splitext(stem)[1]
    return suffix


def as_utf8(stream: Stream, settings: SourceSettings) -> Stream:
    """Returns a stream of another encoding as one of UTF-8, with a byte 255 for what could not be decoded.

    Raises:
        CorpusError: while it is read, names the byte of what cannot be decoded, unless that is to be passed over.
    """
    codecs.register_error(_MARK, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]
    texts = decoded(stream, settings.encoding, "strict" if settings.on_bad_text == "error" else _MARK)
    blocks = (text.encode("utf-8", "surrogateescape") for text in texts)
    rest = Stream(stream.name, lambda _size: next(blocks, b""))

    def read(size: int) -> bytes:
        rest.peek(1)
        return rest.read(size)

    return Stream(stream.name, read, stream.file_name)


def decoded(stream: Stream, encoding: str, errors: str) -> Iterator[str]:
    """Yields the text of a stream, a block of it in memory at a time, as long as its lines may be.

    Args:
        stream: the bytes, from their start on.
        encoding: how they are written.
        errors: Python's name of what becomes of bytes that cannot be decoded.

    Raises:
        CorpusError: names the byte that cannot be decoded, where errors is strict.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    position = 0
    is_end = False
    while not is_end:
        block = stream.read(BLOCK_BYTES)
        is_end = not block
        waiting = decoder.getstate()[0]
        try:
            text = decoder.decode(block, is_end)
        except UnicodeDecodeError as error:
            offset = position - len(waiting) + error.start
            raise CorpusError(f"{stream.name}: {undecodable(encoding, offset, error)}") from error
        position += len(block)
        if text:
            yield text


def undecodable(encoding: str, offset: int, error: UnicodeDecodeError) -> str:
    """Returns what to say of bytes that are not text."""
    return (
        f"not {encoding.upper()} at byte {offset} ({error.reason}); name the file's encoding with --encoding, or pass "
        "over such text with --on-bad-text replace or skip"
    )


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
_ARCHIVE_DAMAGES = (tarfile.TarError, RecursionError, ValueError, OverflowError)


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
    except _ARCHIVE_DAMAGES as error:
        raise _damage(archive_name, error) from error


def _checked_read(archive_name: str, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def checked(size: int) -> bytes:
        try:
            return read(size)
        except _ARCHIVE_DAMAGES as error:
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

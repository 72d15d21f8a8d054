"""Reads the text files of a corpus, in ranges small enough for one task, as lines and ends of documents."""

import html
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from electra_span.config import UserError

# A longer line is no text: reading it would cost memory that nothing bounds.
MAX_LINE_BYTES = 1 << 26

_BLOCK_BYTES = 1 << 20
_BOUNDARY_SEARCH_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"
_WIKI_TAG = re.compile(r'<doc id=.*?(?: title="(?P<title>.*)")?>$|</doc>$')


class CorpusError(UserError):
    """A corpus that is missing, empty or not text."""


class TextRange(NamedTuple):
    """Whole lines of one file."""

    path: Path
    start: int  # in bytes
    end: int  # in bytes


class Documents(NamedTuple):
    """Lines of text without their ends, and where documents end among them."""

    lines: list[str]
    document_ends: list[int]  # of each document, the number of the line after its last one


def corpus_files(folder: Path) -> list[Path]:
    """Returns all files under a folder, sorted; hidden files and folders are left out.

    Raises:
        CorpusError: where folder is no folder or holds no file.
    """
    if not folder.is_dir():
        raise CorpusError(f"The corpus must be a folder of text files. Received: {folder}, which is none")
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    files = sorted(path for path in files if path.is_file())
    if not files:
        raise CorpusError(f"The corpus must hold at least one text file. Received: {folder}, which holds none")
    return files


def read_lines(path: Path, start: int = 0, end: int | None = None) -> Iterator[str]:
    """Yields the lines of a UTF-8 file without line ends (LF or CR LF), a block of the file in memory at a time.

    Args:
        path: the file; a byte order mark at its start is skipped.
        start: the first byte to read, the first of a line.
        end: the byte to stop before, the first of a line; None for the end of the file.

    Raises:
        CorpusError: names the file and the byte of text that is not UTF-8, or of a line over MAX_LINE_BYTES.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            for offset, block in _whole_lines(file, start, end):
                yield from _decoded(path, offset, block)
    except OSError as error:
        raise CorpusError(f"Cannot read {path}: {error.strerror}") from error


def _whole_lines(file: BinaryIO, start: int, end: int | None) -> Iterator[tuple[int, bytes]]:
    """Yields blocks of whole lines, each with its offset in the file."""
    pieces: list[bytes] = []
    position = offset = start
    while block := file.read(_BLOCK_BYTES if end is None else min(_BLOCK_BYTES, end - position)):
        position += len(block)
        cut = block.rfind(b"\n") + 1
        if cut:
            whole = b"".join([*pieces, block[:cut]])
            yield offset, whole
            offset += len(whole)
            pieces = [block[cut:]]
        else:
            pieces.append(block)
            if position - offset > MAX_LINE_BYTES:
                raise CorpusError(
                    f"{file.name}: the line at byte {offset} is longer than {MAX_LINE_BYTES >> 20} MB; write one "
                    "sentence or paragraph a line"
                )
    if position > offset:
        yield offset, b"".join(pieces)


def _decoded(path: Path, offset: int, block: bytes) -> list[str]:
    """Returns the lines of a block of whole lines that starts at a byte offset of its file."""
    if offset == 0 and block.startswith(_BOM):
        offset, block = len(_BOM), block[len(_BOM) :]
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: not UTF-8 at byte {offset + error.start} ({error.reason}); convert the file to UTF-8 or move it "
            "out of the corpus"
        ) from error
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def plan_tasks(paths: Iterable[Path], *, task_bytes: int, blanks_separate_docs: bool) -> list[list[TextRange]]:
    """Returns the corpus in tasks of about task_bytes each: many small files, or a part of a large one.

    A large file is cut where a document ends. A document that does not end within 64 KB of the place is cut there
    after a line, and counts as two.
    """
    tasks: list[list[TextRange]] = []
    waiting: list[TextRange] = []
    waiting_bytes = 0
    for path in paths:
        for text_range in _ranges(path, task_bytes, blanks_separate_docs):
            waiting.append(text_range)
            waiting_bytes += text_range.end - text_range.start
            if waiting_bytes >= task_bytes // 2:
                tasks.append(waiting)
                waiting, waiting_bytes = [], 0
    return [*tasks, waiting] if waiting else tasks


def _ranges(path: Path, range_bytes: int, blanks_separate_docs: bool) -> list[TextRange]:
    """Returns a file in ranges of about range_bytes."""
    size = path.stat().st_size
    cuts = {0, size}
    if size > range_bytes:
        with path.open("rb") as file:
            cuts |= {_boundary(file, start, blanks_separate_docs) for start in range(range_bytes, size, range_bytes)}
    offsets = sorted(cuts)
    return [TextRange(path, start, end) for start, end in itertools.pairwise(offsets)]


def _boundary(file: BinaryIO, offset: int, blanks_separate_docs: bool) -> int:
    """Returns where the first document starts after a byte offset or, where none does soon, a line."""
    file.seek(offset)
    file.readline(MAX_LINE_BYTES)  # the rest of the line that offset is in
    line_start = None
    position = file.tell()
    while position < offset + _BOUNDARY_SEARCH_BYTES and (line := file.readline(MAX_LINE_BYTES)):
        position += len(line)
        if line.startswith(b"</doc>") or (blanks_separate_docs and not line.strip()):
            return position
        if line_start is None and not line.startswith(b"<doc "):  # the title after that tag must stay with it
            line_start = position
    return position if line_start is None else line_start


def read_documents(ranges: Sequence[TextRange], *, blanks_separate_docs: bool) -> Documents:
    """Returns the lines of text of the ranges, without white space around them, and the documents' ends.

    A document ends with its range and, where blanks_separate_docs, with a blank line. In files of WikiExtractor it
    ends with `</doc>` too; tags and the line that repeats the title are left out.
    """
    lines: list[str] = []
    document_ends: list[int] = []

    def end_document() -> None:
        if len(lines) > (document_ends[-1] if document_ends else 0):
            document_ends.append(len(lines))

    for text_range in ranges:
        title = None
        for line in map(str.strip, read_lines(*text_range)):
            if not line:
                if blanks_separate_docs:
                    end_document()
            elif line[0] == "<" and (tag := _WIKI_TAG.match(line)):
                end_document()
                title = tag["title"]
            else:
                if title is None or html.unescape(line) != html.unescape(title):
                    lines.append(line)
                title = None
        end_document()
    return Documents(lines, document_ends)

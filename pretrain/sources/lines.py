"""Lines of UTF-8 text, and the documents among them."""

import functools
import html
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pretrain.sources import streams
from pretrain.sources.settings import CorpusError, Tally
from pretrain.sources.streams import Stream, undecodable

# A longer line is no text: reading it would cost memory that nothing bounds.
MAX_LINE_BYTES = 1 << 26

_PASSAGE_LINES = 1 << 8  # from so many on a passage ends with a document
_OPEN_PASSAGE_LINES = 1 << 14
_BOM = b"\xef\xbb\xbf"
_WIKI_TAG = re.compile(r'<doc id=.*?(?: title="(?P<title>.*)")?>$|</doc>$')


class Passage(NamedTuple):
    """Some lines, without white space around them, and where documents end among them."""

    lines: list[str]
    document_ends: list[int]  # numbers of the lines after their last ones; with repeats, where there is no text


def read_lines(stream: Stream, tally: Tally, start: int = 0, end: int | None = None) -> Iterator[str]:
    """Yields the lines of a UTF-8 text without line ends (LF or CR LF), a block of it in memory at a time.

    Undecodable bytes are an error, or each is a surrogate in its line, for Tally.readable.

    Args:
        stream: the text from the byte start on; a byte order mark at its start is skipped.
        tally: decides about undecodable bytes.
        start: the first byte to read, the first of a line.
        end: the byte to stop before, the first of a line; None for the end of the text.

    Raises:
        CorpusError: names the text and the byte that is not UTF-8, or where a line over MAX_LINE_BYTES starts.
    """
    for _, lines in _decoded_blocks(stream, tally, start, end):
        yield from lines


def read_text_lines(stream: Stream, tally: Tally, start: int = 0, end: int | None = None) -> Iterator[str]:
    """Yields the lines of a UTF-8 text that can be read, as read_lines, and counts all."""
    for offset, lines in _decoded_blocks(stream, tally, start, end):
        tally.counts.num_rows += len(lines)
        if offset is None:
            yield from lines
            continue
        for number, line in enumerate(lines):
            readable = tally.readable(line, functools.partial(_place, stream.name, number, offset))
            if readable is not None:
                yield readable


def _place(name: str, number: int, offset: int) -> str:
    return f"{name}: line {number} after byte {offset}"


def _decoded_blocks(
    stream: Stream, tally: Tally, start: int, end: int | None
) -> Iterator[tuple[int | None, list[str]]]:
    """Yields the lines of a block of text after another, with the block's offset where it has undecodable bytes."""
    for block_start, whole in _whole_lines(stream, start, end):
        has_bom = block_start == 0 and whole.startswith(_BOM)
        offset, block = (len(_BOM), whole[len(_BOM) :]) if has_bom else (block_start, whole)
        bad_offset = None
        try:
            text = block.decode("utf-8")
        except UnicodeDecodeError as error:
            if tally.settings.on_bad_text == "error":
                reason = undecodable("UTF-8", offset + error.start, error)
                raise CorpusError(f"{stream.name}: {reason}") from error
            bad_offset, text = offset, block.decode("utf-8", "surrogateescape")
        yield bad_offset, text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _whole_lines(stream: Stream, start: int, end: int | None) -> Iterator[tuple[int, bytes]]:
    """Yields blocks of whole lines, each with its offset in the text."""
    pieces: list[bytes] = []
    position = offset = start
    block_bytes = streams.BLOCK_BYTES
    while block := stream.read(block_bytes if end is None else min(block_bytes, end - position)):
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
                    f"{stream.name}: the line at byte {offset} is longer than {MAX_LINE_BYTES >> 20} MB; write one "
                    "sentence or paragraph a line"
                )
    if position > offset:
        yield offset, b"".join(pieces)
    if end is not None and position < end:
        raise CorpusError(f"{stream.name}: ends at byte {position}, not {end}: it was changed while it was read")


def text_passages(lines: Iterable[str], *, blanks_separate_docs: bool, has_entities: bool) -> Iterator[Passage]:
    """Yields the text of lines; its end ends a document, and so does a blank line where blanks_separate_docs.

    In WikiExtractor's output `</doc>` does too; tags and the line that repeats the title are left out.

    Args:
        lines: with or without white space around them.
        blanks_separate_docs: whether a blank line ends a document.
        has_entities: whether characters may be written as in HTML (`&lt;`).
    """
    kept: list[str] = []
    ends: list[int] = []
    title = None
    for line in map(str.strip, lines):
        if not line:
            if blanks_separate_docs:
                ends.append(len(kept))
        elif line[0] == "<" and (tag := _WIKI_TAG.match(line)):
            ends.append(len(kept))
            title = tag["title"]
        else:
            if title is not None and html.unescape(line) == html.unescape(title):
                title = None
                continue
            title = None
            if has_entities and "&" in line and not (line := html.unescape(line).strip()):
                continue
            if len(kept) >= _PASSAGE_LINES and (len(kept) >= _OPEN_PASSAGE_LINES or ends[-1:] == [len(kept)]):
                yield Passage(kept, ends)
                kept, ends = [], []
            kept.append(line)
    yield Passage(kept, [*ends, len(kept)])

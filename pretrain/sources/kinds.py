"""The kinds of source, how each is recognised, and how it is read."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from electra_span.containers import HEAD_BYTES, container_of
from electra_span.files import shown, without_controls
from pretrain.sources.lines import Passage, read_lines, read_text_lines, text_passages
from pretrain.sources.rows import csv_texts, json_array_texts, json_line_texts, parquet_texts, row_passages
from pretrain.sources.settings import CorpusError, SourceSettings, Tally
from pretrain.sources.streams import (
    BLOCK_BYTES,
    Stream,
    as_utf8,
    inner_suffix,
    members,
    open_stream,
    packing_of,
    unpacked,
)

_MAX_ARCHIVE_DEPTH = 3


class _Opened(NamedTuple):
    """A source, or a range of one, to be read."""

    stream: Stream  # from start on
    tally: Tally
    blanks_separate_docs: bool
    path: Path | None  # of a file that is not packed
    start: int = 0
    end: int | None = None
    depth: int = 0  # of archives around it


class Kind(NamedTuple):
    """What a source may be."""

    name: str
    is_text: bool  # in the encoding that was told
    is_splittable: bool  # at any line, where it is neither packed nor of another encoding than UTF-8
    passages: Callable[[_Opened], Iterator[Passage]]


def _text(opened: _Opened, has_entities: bool = False) -> Iterator[Passage]:
    lines = read_text_lines(opened.stream, opened.tally, opened.start, opened.end)
    return text_passages(lines, blanks_separate_docs=opened.blanks_separate_docs, has_entities=has_entities)


def _wikiextractor(opened: _Opened) -> Iterator[Passage]:
    return _text(opened, has_entities=True)


def _json_lines(opened: _Opened) -> Iterator[Passage]:
    lines = read_lines(opened.stream, opened.tally, opened.start, opened.end)

    def place(number: int) -> str:
        lines_before = _count_lines(opened.path, opened.start) if opened.path else 0
        return f"{opened.stream.name}: line {lines_before + number + 1}"

    return row_passages(json_line_texts(lines, opened.tally, place), opened.tally)


def _count_lines(path: Path, end: int) -> int:
    """Returns the number of lines before a byte of a file that starts a line."""
    num_lines = position = 0
    with path.open("rb") as file:
        while block := file.read(min(BLOCK_BYTES, end - position)):
            position += len(block)
            num_lines += block.count(b"\n")
    return num_lines


def _json_array(opened: _Opened) -> Iterator[Passage]:
    return row_passages(json_array_texts(opened.stream, opened.tally), opened.tally)


def _csv(opened: _Opened) -> Iterator[Passage]:
    return row_passages(csv_texts(opened.stream, opened.tally, ","), opened.tally)


def _tsv(opened: _Opened) -> Iterator[Passage]:
    return row_passages(csv_texts(opened.stream, opened.tally, "\t"), opened.tally)


def _parquet(opened: _Opened) -> Iterator[Passage]:
    if opened.path is None:
        raise CorpusError(f"{opened.stream.name}: Parquet is packed by itself, and read from its end; unpack it")
    return row_passages(parquet_texts(opened.path, opened.tally), opened.tally)


def _tar(opened: _Opened) -> Iterator[Passage]:
    if opened.depth >= _MAX_ARCHIVE_DEPTH:
        raise CorpusError(f"{opened.stream.name}: archives in archives, more than {_MAX_ARCHIVE_DEPTH} deep")
    for member in members(opened.stream):
        kind, stream = _recognised(unpacked(member), opened.tally.settings, in_archive=True)
        yield from kind.passages(opened._replace(stream=stream, path=None, depth=opened.depth + 1))


TEXT = Kind("text", is_text=True, is_splittable=True, passages=_text)
TAR = Kind("tar", is_text=False, is_splittable=False, passages=_tar)
_WIKIEXTRACTOR = Kind("wikiextractor", is_text=True, is_splittable=True, passages=_wikiextractor)
_JSON_LINES = Kind("json_lines", is_text=True, is_splittable=True, passages=_json_lines)
_JSON_ARRAY = Kind("json_array", is_text=True, is_splittable=False, passages=_json_array)
_CSV = Kind("csv", is_text=True, is_splittable=False, passages=_csv)
_TSV = Kind("tsv", is_text=True, is_splittable=False, passages=_tsv)
_PARQUET = Kind("parquet", is_text=False, is_splittable=False, passages=_parquet)

# A source is of the first kind whose two patterns match: that of its name's suffix, without the one of a packing, and
# that of its first bytes, after a byte order mark and white space.
_ANY, _NONE, _JSON = ".*", "", r"\.(json|jsonl|ndjson)"
_RULES: tuple[tuple[str, bytes, Kind], ...] = (
    (_ANY, rb"PAR1[\x00-\x08\x0e-\x1f]", _PARQUET),
    (r"\.(parquet|pq)", rb"", _PARQUET),
    (_ANY, rb"(?s:.{257})ustar(\x0000|  \x00)", TAR),
    (r"\.tar", rb"", TAR),
    (_ANY, rb"<doc id=", _WIKIEXTRACTOR),
    (_JSON, rb"\[", _JSON_ARRAY),
    (_JSON, rb"", _JSON_LINES),
    (_NONE, rb'\{\s*"', _JSON_LINES),  # as WikiExtractor writes them
    (r"\.csv", rb"", _CSV),
    (r"\.(tsv|tab)", rb"", _TSV),
    (_ANY, rb"", TEXT),
)
_BEFORE_TEXT = re.compile(rb"(\xef\xbb\xbf)?\s*")


def recognise(name: str, head: bytes) -> Kind:
    """Returns the kind of a source.

    Args:
        name: of its file or member.
        head: its first bytes, unpacked, as UTF-8.
    """
    suffix = inner_suffix(name)
    text = _BEFORE_TEXT.sub(b"", head, count=1)
    return next(
        kind
        for name_pattern, content_pattern, kind in _RULES
        if re.fullmatch(name_pattern, suffix) and re.match(content_pattern, text if kind.is_text else head)
    )


def _recognised(stream: Stream, settings: SourceSettings, *, in_archive: bool = False) -> tuple[Kind, Stream]:
    """Returns the kind of an unpacked source, and its bytes: UTF-8, where they are text."""
    head = stream.peek(HEAD_BYTES)
    kind = recognise(stream.file_name, head)
    if kind not in (_PARQUET, TAR) and (container := container_of(head)) is not None:
        raise CorpusError(f"{stream.name} is {container}, which is not read here; extract its text first")
    if settings.openwebtext and kind is not TAR:
        if not in_archive:
            raise CorpusError(f"{stream.name}: no tar archive, as each source must be with --openwebtext")
        kind = TEXT
    if kind.is_text and not settings.is_utf8:
        stream = as_utf8(stream, settings)
        if kind is not TEXT or not settings.openwebtext:
            kind = recognise(stream.file_name, stream.peek(HEAD_BYTES))
    return kind, stream


def is_splittable(path: Path, settings: SourceSettings) -> bool:
    """Returns whether a file may be read in ranges of whole lines.

    Raises:
        CorpusError: where it cannot be read.
    """
    if settings.openwebtext or not settings.is_utf8:
        return False
    with open_stream(path) as stream:
        return packing_of(stream) is None and recognise(stream.file_name, stream.peek(HEAD_BYTES)).is_splittable


def read_source(path: Path, tally: Tally, *, start: int, end: int, blanks_separate_docs: bool) -> Iterator[Passage]:
    """Yields the text of a file, or of a range of it.

    Args:
        path: the file.
        tally: counts the rows, and gets the kind.
        start: the first byte to read, the first of a line; not 0 only where is_splittable.
        end: the byte to stop before; read only where is_splittable.
        blanks_separate_docs: whether a blank line ends a document of text; with --openwebtext it never does.

    Raises:
        CorpusError: names the file and the place of what cannot be read.
    """
    settings = tally.settings
    is_range = is_splittable(path, settings)
    with open_stream(path) as head:
        packing = packing_of(head)
        kind, stream = _recognised(unpacked(head), settings)
        tally.kind = f"{kind.name}+{packing}" if packing else kind.name
        opened = _Opened(
            stream, tally, blanks_separate_docs and not settings.openwebtext, path=None if packing else path
        )
        if not start:
            yield from kind.passages(opened._replace(end=end if is_range else None))
            return
    with open_stream(path, start) as rest:
        yield from kind.passages(opened._replace(stream=rest, start=start, end=end))


_NUM_FILES = 1000  # tried
_NUM_SHOWN = 3
_MAX_CHARACTERS = 100  # shown of a line


def preview(files: Sequence[Path], settings: SourceSettings) -> Iterator[str]:
    """Yields lines about the first documents of a corpus, for people.

    Args:
        files: of the corpus; of more than 1000, as many spread over it are tried.
        settings: how they are read.

    Raises:
        CorpusError: names a file whose start cannot be read, or says that none of them has any text.
    """
    kinds: Counter[str] = Counter()
    num_shown = 0
    step = -(-len(files) // _NUM_FILES)
    for path in files[::step]:
        kind, lines = _first_document(path, settings)
        kinds[kind] += 1
        if lines and num_shown < _NUM_SHOWN:
            num_shown += 1
            yield f"first text of {shown(str(path))}: {_shortened(lines[0])}"
    tried = f"{sum(kinds.values())} of {len(files)}" if step > 1 else str(len(files))
    yield f"files tried: {tried}, by kind: {', '.join(f'{kind} {count}' for kind, count in sorted(kinds.items()))}"
    if not num_shown:
        raise CorpusError(f"No text in any of the {sum(kinds.values())} files that were tried, {files[0]} the first")


def _first_document(path: Path, settings: SourceSettings) -> tuple[str, list[str]]:
    """Returns the kind of a file, and lines of its first document; no line where it has none."""
    tally = Tally(settings)
    end = path.stat().st_size
    passages = read_source(path, tally, start=0, end=end, blanks_separate_docs=True)
    lines = next((passage.lines for passage in passages if passage.lines), [])
    return tally.kind, lines


def _shortened(line: str) -> str:
    line = without_controls(line[: _MAX_CHARACTERS + 1])
    return line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]} ..."

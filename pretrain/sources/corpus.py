"""Progress of long work: a bar with rate and time left on a terminal, ten lines of the same in a log."""

import glob
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn, TypeVar

from absl import logging
from tqdm import tqdm

from electra_span.files import FileError
from electra_span.places import check_outside
from pretrain.sources.kinds import is_splittable, read_source
from pretrain.sources.lines import MAX_LINE_BYTES
from pretrain.sources.settings import CorpusError, SourceCounts, SourceSettings, Tally

_NUM_LINES = 10

Result = TypeVar("Result")


def with_progress(results: Iterable[Result], sizes: Sequence[int], label: str, unit: str = "B") -> Iterator[Result]:
    """Yields the results, and shows how far they have come, each when the next one is asked for.

    Args:
        results: one for each size.
        sizes: how much work each result stands for.
        label: what is done to it, as "tokenized".
        unit: of the sizes.
    """
    sized = zip(results, sizes, strict=True)
    if not sys.stderr.isatty():
        yield from _with_lines(sized, sum(sizes), label, unit)
        return
    with tqdm(desc=label, total=sum(sizes), unit=unit, unit_scale=True) as bar:
        for result, size in sized:
            yield result
            bar.update(size)


def _with_lines(sized: Iterable[tuple[Result, int]], total: int, label: str, unit: str) -> Iterator[Result]:
    start = time.monotonic()
    num_done = num_lines = 0
    for result, size in sized:
        yield result
        num_done += size
        if num_done * _NUM_LINES >= (num_lines + 1) * total:
            num_lines = num_done * _NUM_LINES // max(1, total)
            seconds = max(time.monotonic() - start, 1e-6)
            left = tqdm.format_interval(seconds * (total - num_done) / max(1, num_done))
            amounts = [tqdm.format_sizeof(number) + unit for number in (num_done, total, num_done / seconds)]
            logging.info("%s %s of %s, %s/s, %s left", label, *amounts, left)


_BOUNDARY_SEARCH_BYTES = 1 << 16

# A batch ends with the first document after so many characters, or within a document of twice as many: above what any
# task of ranges holds, so that only tasks of streams have several.
_BATCH_CHARACTERS = 1 << 25
_LINE_TASK_BYTES = 1 << 20


class TextRange(NamedTuple):
    """Whole lines of one file, or all of a file that cannot be divided."""

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
        CorpusError: where folder is no folder or holds no file, or something in it cannot be read.
    """
    if not folder.is_dir():
        raise CorpusError(f"The corpus must be a folder of text files. Received: {folder}, which is none")
    files = []
    for parent, folders, names in os.walk(folder, onerror=_unreadable_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    _check_links(files)
    files = sorted(path for path in files if path.is_file())
    if not files:
        raise CorpusError(f"The corpus must hold at least one text file. Received: {folder}, which holds none")
    return files


def _check_links(files: Iterable[Path]) -> None:
    """Raises CorpusError for a link to nothing."""
    for path in files:
        if path.is_symlink() and not path.exists():
            raise CorpusError(f"Cannot read {path}: it links to {path.readlink()}, which is not there")


def _unreadable_folder(error: OSError) -> NoReturn:
    raise CorpusError(f"Cannot read {error.filename}: {error.strerror}") from error


def matching_files(patterns: Iterable[str]) -> list[Path]:
    """Returns the files that are named or matched by patterns (`*`, `?`, `[a-z]`, `**` for any folders), sorted.

    A folder stands for the files under it.

    Raises:
        CorpusError: names a pattern that matches nothing.
    """
    files: set[Path] = set()
    for pattern in patterns:
        paths = [Path(pattern)] if os.path.lexists(pattern) else map(Path, glob.glob(pattern, recursive=True))
        found = [path for given in paths for path in (corpus_files(given) if given.is_dir() else [given])]
        if not found:
            raise CorpusError(f"Each of the corpus' files or patterns must match a file. Received: {pattern!r}")
        files.update(found)
    _check_links(files)
    return sorted(files)


def check_outside_corpus(
    written: Mapping[str, Path | None], places: Iterable[str | Path], files: Iterable[Path]
) -> None:
    """Checks that nothing is written into a corpus or over it, which the next reader would find there.

    Args:
        written: files and folders by the names of their flags; None for one that is not given.
        places: the corpus' folder, or its files, folders and patterns.
        files: all files of the corpus.

    Raises:
        FileError: names what would be in the corpus.
    """
    folders = [place for place in places if os.path.isdir(place)]
    real = {os.path.realpath(file) for file in files}
    for name, place in written.items():
        if place is None:
            continue
        for folder in folders:
            check_outside(name, place, "the corpus", folder)
        if os.path.realpath(place) in real:
            raise FileError(f"{name} must not be a file of the corpus. Received: {place}")


def plan_tasks(
    paths: Iterable[Path],
    *,
    task_bytes: int,
    blanks_separate_docs: bool,
    settings: SourceSettings | None = None,
) -> list[list[TextRange]]:
    """Returns the corpus in tasks of about task_bytes each: many small files, or a part of a large one.

    A large file is cut where a document ends. A document that does not end within 64 KB of the place is cut there
    after a line, and counts as two. Files that are packed, or whose rows may hold line ends, stay whole.
    """
    settings = settings or SourceSettings()
    tasks: list[list[TextRange]] = []
    waiting: list[TextRange] = []
    waiting_bytes = 0
    for path in paths:
        for text_range in _ranges(path, task_bytes, blanks_separate_docs, settings):
            waiting.append(text_range)
            waiting_bytes += text_range.end - text_range.start
            if waiting_bytes >= task_bytes // 2:
                tasks.append(waiting)
                waiting, waiting_bytes = [], 0
    return [*tasks, waiting] if waiting else tasks


def _ranges(path: Path, range_bytes: int, blanks_separate_docs: bool, settings: SourceSettings) -> list[TextRange]:
    """Returns a file in ranges of about range_bytes."""
    try:
        size = path.stat().st_size
        cuts = {0, size}
        if size > range_bytes and is_splittable(path, settings):
            with path.open("rb") as file:
                starts = range(range_bytes, size, range_bytes)
                cuts |= {_boundary(file, start, blanks_separate_docs) for start in starts}
    except OSError as error:
        raise CorpusError(f"Cannot read {path}: {error.strerror}") from error
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


def read_batches(
    ranges: Sequence[TextRange],
    *,
    blanks_separate_docs: bool,
    settings: SourceSettings | None = None,
    counts: dict[str, SourceCounts] | None = None,
) -> Iterator[Documents]:
    """Yields the text of the ranges, at least one batch, as many as keep each of a size that fits the memory.

    Args:
        ranges: what to read. A document ends with its range.
        blanks_separate_docs: whether a blank line ends a document of text.
        settings: how the sources are read.
        counts: gets what was read, by kind of source, when all is read.
    """
    settings = settings or SourceSettings()
    counts = {} if counts is None else counts
    lines: list[str] = []
    document_ends: list[int] = []
    num_characters = 0
    is_first = True
    for text_range in ranges:
        tally = Tally(settings)
        for passage in read_source(
            text_range.path,
            tally,
            start=text_range.start,
            end=text_range.end,
            blanks_separate_docs=blanks_separate_docs,
        ):
            offset = len(lines)
            lines += passage.lines
            num_characters += sum(map(len, passage.lines))
            ends = [offset + end for end in passage.document_ends]
            is_full = num_characters >= (_BATCH_CHARACTERS if ends[-1:] == [len(lines)] else 2 * _BATCH_CHARACTERS)
            num_before = len(document_ends)
            last = document_ends[-1] if document_ends else 0
            for end in [*ends, len(lines)] if is_full else ends:
                if end > last:
                    document_ends.append(end)
                    last = end
            tally.counts.num_documents += len(document_ends) - num_before
            if is_full:
                yield Documents(lines, document_ends)
                lines, document_ends, num_characters, is_first = [], [], 0, False
        if text_range.start == 0:
            tally.counts.num_files += 1
            tally.counts.first_files.append(str(text_range.path))
        counts[tally.kind] = counts.get(tally.kind, SourceCounts()) + tally.counts
    if lines or is_first:
        yield Documents(lines, document_ends)


def corpus_lines(
    paths: Iterable[Path], settings: SourceSettings | None = None, *, label: str | None = None
) -> Iterator[str]:
    """Yields the lines of text of a whole corpus, a part of it in memory at a time.

    Args:
        paths: its files.
        settings: how they are read.
        label: what is done to the lines, to show progress by; None: none is shown.
    """
    tasks = plan_tasks(paths, task_bytes=_LINE_TASK_BYTES, blanks_separate_docs=False, settings=settings)
    sizes = [sum(text_range.end - text_range.start for text_range in ranges) for ranges in tasks]
    for ranges in tasks if label is None else with_progress(tasks, sizes, label):
        for documents in read_batches(ranges, blanks_separate_docs=False, settings=settings):
            yield from documents.lines

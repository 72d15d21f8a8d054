"""The first documents of a corpus as they are read, to see that the flags fit it before hours of work."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from electra_span.files import shown, without_controls
from pretrain.sources.kinds import read_source
from pretrain.sources.settings import CorpusError, SourceSettings, Tally

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

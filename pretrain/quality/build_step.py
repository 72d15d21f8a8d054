"""The step before the others of a build that leaves lines out: every task is looked at before any is tokenized.

As in the other steps, the results of a piece are files in the build's workspace that appear when they are whole.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pretrain.build_settings import BuildSettings
from pretrain.corpus import TextRange
from pretrain.quality.dropped_lines import DroppedLines
from pretrain.quality.filters import find_dropped_lines, read_task
from pretrain.quality.fingerprints import Fingerprints
from pretrain.quality.overlap import Overlap
from pretrain.workspace import whole_part


def compare_task(settings: BuildSettings, workspace: Path, task: tuple[int, list[TextRange]]) -> None:
    """Writes what the documents and lines of a task are compared by, unless that is there."""
    number, ranges = task
    file = _compared_file(workspace, number)
    if not file.exists():
        found = read_task(
            ranges,
            settings.filters,
            blanks_separate_docs=settings.blanks_separate_docs,
            source_settings=settings.source_settings,
        )
        arrays = found._asdict() | {"overlap": found.overlap.is_contaminated}
        _write_arrays(file, arrays)


def is_decided(workspace: Path, num_tasks: int) -> bool:
    """Returns whether the lines to leave out are known of every task."""
    return all(_dropped_file(workspace, number).exists() for number in range(num_tasks))


def decide_tasks(settings: BuildSettings, workspace: Path, num_tasks: int) -> None:
    """Writes of each task which lines to leave out, when all have been compared."""
    compared = [_compared_file(workspace, number) for number in range(num_tasks)]
    dropped = find_dropped_lines([_read_compared(file) for file in compared], settings.duplicate_threshold)
    for number, lines in enumerate(dropped):
        _write_arrays(_dropped_file(workspace, number), lines._asdict())
    for file in compared:
        file.unlink()


def read_dropped_lines(settings: BuildSettings, workspace: Path, number: int) -> DroppedLines | None:
    """Returns which lines of a task to leave out."""
    if not settings.filters:
        return None
    with np.load(_dropped_file(workspace, number)) as arrays:
        return DroppedLines(**arrays)


def _compared_file(workspace: Path, number: int) -> Path:
    return workspace / f"compared-{number}.npz"


def _dropped_file(workspace: Path, number: int) -> Path:
    return workspace / f"dropped-{number}.npz"


def _write_arrays(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with whole_part(file) as partial, partial.open("wb") as opened:
        np.savez(opened, **arrays)  # type: ignore[arg-type]


def _read_compared(file: Path) -> Fingerprints:
    with np.load(file) as arrays:
        overlap = Overlap(arrays["overlap"], np.zeros(0, np.int64), [])
        return Fingerprints(**{**arrays, "overlap": overlap})

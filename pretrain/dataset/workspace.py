"""The hidden folder in which the finished parts of a build wait for the rest: kept when the build ends before its time.

Files appear in it under their names only when they are whole, so a part that is there need not be made again.
"""

import contextlib
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from electra_span.config import UserError
from electra_span.files import JsonError, read_json, remove_unfinished, whole_file
from electra_span.folders import lock_folder
from pretrain.dataset.examples import PackedExamples

WORKSPACE_NAME = ".partial"
_IDENTITY_NAME = "build.json"
_PUBLISHED_NAME = "published.json"
_LAYOUT = 1  # of what is in the folder; parts of another layout are of no use


def whole_part(path: Path) -> contextlib.AbstractContextManager[Path]:
    """Returns the context of `whole_file` for a file in a workspace, which is cleaned when a build begins."""
    return whole_file(path, removes_stale=False)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file of a workspace, whole or not at all."""
    with whole_part(path) as partial:
        partial.write_text(json.dumps(value), encoding="utf-8")


def read_json_if_whole(path: Path) -> Any:
    """Returns what a JSON file of a workspace holds, or None if it is missing or damaged."""
    try:
        return read_json(path)
    except JsonError:
        return None


def only_build(output_dir: Path) -> contextlib.AbstractContextManager[None]:
    """Keeps other builds out of a folder meanwhile; see `lock_folder`."""
    return lock_folder(output_dir, "build")


@contextlib.contextmanager
def workspace(output_dir: Path, identity: Mapping[str, Any]) -> Iterator[Path]:
    """Yields the folder for the parts of a build, with those that are finished already; removed when the build is done.

    Where it ends with an error, finished parts are kept for the next build of the same identity.

    Args:
        output_dir: where the result shall be; only_build must hold it.
        identity: all that the parts depend on, as JSON.
    """
    folder = output_dir / WORKSPACE_NAME
    identity = json.loads(json.dumps({"layout": _LAYOUT, **identity}))
    if folder.exists() and read_json_if_whole(folder / _IDENTITY_NAME) != identity:
        shutil.rmtree(folder)
    if not folder.exists():
        folder.mkdir()
        write_json(folder / _IDENTITY_NAME, identity)
    remove_unfinished(folder)
    try:
        yield folder
    except BaseException:
        if _holds_parts(folder):
            logging.info("what is finished stays in %s; the same build goes on from there", folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)


def publish(folder: Path, output_dir: Path, names: Sequence[str]) -> None:
    """Moves files out of a workspace; all are there afterwards, or, after an error, none.

    The last of the names is moved last.
    """
    write_json(folder / _PUBLISHED_NAME, list(names))
    try:
        for name in names:
            (folder / name).rename(output_dir / name)
    except OSError:
        _take_back(folder, output_dir, names)
        raise


def was_publishing(output_dir: Path) -> bool:
    """Returns whether a build was killed while it published its files there."""
    return (output_dir / WORKSPACE_NAME / _PUBLISHED_NAME).exists()


def end_publication(output_dir: Path) -> None:
    """Ends what a build was doing that was killed while it published: all its files are there afterwards, or none."""
    folder = output_dir / WORKSPACE_NAME
    names = read_json_if_whole(folder / _PUBLISHED_NAME)
    if names is None:
        return
    if (output_dir / names[-1]).exists():
        shutil.rmtree(folder)
    else:
        _take_back(folder, output_dir, names)


def _take_back(folder: Path, output_dir: Path, names: Sequence[str]) -> None:
    for name in reversed(names):
        if (output_dir / name).exists():
            (output_dir / name).rename(folder / name)
    (folder / _PUBLISHED_NAME).unlink()


def _holds_parts(folder: Path) -> bool:
    return any(path.suffix != ".json" and path.stat().st_size for path in folder.iterdir())


MAX_READ_BYTES = 1 << 25

_MIN_NUM_READS = 32
_MAX_GROUP_SPILLS = 4096
_NUM_LENGTHS = 2  # a row holds the length of the first segment, that of the example, and the ids


class SpillError(UserError):
    """A spill that was cut after it was written."""


class Spill(NamedTuple):
    """A file of rows."""

    path: Path
    num_rows: int
    row_length: int  # in numbers
    number_type: str  # in numpy's words
    phase: int  # random, decides which slots get a row more than others

    @property
    def num_bytes(self) -> int:
        """The size of the file."""
        return self.num_rows * self.row_length * np.dtype(self.number_type).itemsize


def write_spill(path: Path, examples: PackedExamples, *, vocab_size: int, generator: np.random.Generator) -> Spill:
    """Returns the spill after writing the examples to it in random order."""
    num_rows, max_seq_length = examples.input_ids.shape
    number_type = np.min_scalar_type(max(vocab_size, max_seq_length))
    rows = np.column_stack([examples.first_lengths, examples.lengths, examples.input_ids]).astype(number_type)
    with whole_part(path) as partial:
        partial.write_bytes(rows[generator.permutation(num_rows)].tobytes())
    phase = int(generator.integers(1 << 32))
    return Spill(path, num_rows, _NUM_LENGTHS + max_seq_length, number_type.name, phase)


def deal_groups(
    spills: Sequence[Spill], num_shards: int, generator: np.random.Generator
) -> list[tuple[list[Spill], range]]:
    """Returns groups of spills, drawn at random, and of the shards that each group's rows go to.

    One group, unless there are so many spills that to read some of each for every shard would take too long.
    """
    num_groups = min(num_shards, -(-len(spills) // _MAX_GROUP_SPILLS))
    order = generator.permutation(len(spills))
    edges = [num_shards * group // num_groups for group in range(num_groups + 1)]
    return [
        ([spills[number] for number in sorted(numbers.tolist())], range(start, stop))
        for numbers, (start, stop) in zip(np.array_split(order, num_groups), itertools.pairwise(edges), strict=True)
    ]


class ReadPlan(NamedTuple):
    """What of all spills is read and shuffled at a time: several shards (files of records), or a part of one."""

    num_shards: int
    shards_per_read: int
    parts_per_shard: int


def plan_reads(spills: Sequence[Spill], num_shards: int) -> ReadPlan:
    """Returns a plan of few reads, but enough to share among processes and none of more than MAX_READ_BYTES."""
    num_bytes = sum(spill.num_bytes for spill in spills)
    shard_bytes = num_bytes // num_shards + 1
    shards_per_read = min(num_shards // _MIN_NUM_READS, MAX_READ_BYTES // shard_bytes)
    return ReadPlan(num_shards, max(1, shards_per_read), parts_per_shard=1 + shard_bytes // MAX_READ_BYTES)


def slot_sizes(spills: Sequence[Spill], num_slots: int) -> np.ndarray:
    """Returns the number of rows of each slot, int64 [num_slots]."""
    edges = np.arange(num_slots + 1)
    return sum((np.diff(_starts(spill, edges, num_slots)) for spill in spills), np.zeros(num_slots, np.int64))


def _starts(spill: Spill, slots: np.ndarray, num_slots: int) -> np.ndarray:
    """Returns which row of a spill is the first one of each of some slots."""
    return (spill.num_rows * slots + spill.phase % num_slots) // num_slots


def read_slots(
    spills: Sequence[Spill], slots: range, num_slots: int, generator: np.random.Generator
) -> list[PackedExamples]:
    """Returns the examples of each of some slots, in random order.

    Args:
        spills: all spills, always in the same order.
        slots: numbers of slots that follow each other.
        num_slots: how many slots share the spills.
        generator: decides the order.
    """
    edges = np.arange(slots.start, slots.stop + 1)
    blocks, slot_of_row = [], []
    for spill in spills:
        starts = _starts(spill, edges, num_slots)
        blocks.append(_read_rows(spill, int(starts[0]), int(starts[-1])))
        slot_of_row.append(np.repeat(np.arange(len(slots)), np.diff(starts)))
    slot_of_every_row = np.concatenate(slot_of_row)
    order = np.lexsort([generator.random(len(slot_of_every_row)), slot_of_every_row])
    rows = np.concatenate(blocks)[order].astype(np.int32)  # [num_rows, row_length]
    ends = np.cumsum(np.bincount(slot_of_every_row, minlength=len(slots)))
    return [
        PackedExamples(slot_rows[:, _NUM_LENGTHS:], first_lengths=slot_rows[:, 0], lengths=slot_rows[:, 1])
        for slot_rows in np.split(rows, ends[:-1])
    ]


def _read_rows(spill: Spill, start: int, stop: int) -> np.ndarray:
    """Returns rows start to stop of a spill, [stop - start, row_length]."""
    number_type = np.dtype(spill.number_type)
    row_bytes = spill.row_length * number_type.itemsize
    num_wanted = (stop - start) * spill.row_length
    numbers = np.fromfile(spill.path, number_type, count=num_wanted, offset=start * row_bytes)
    if len(numbers) != num_wanted:
        raise SpillError(
            f"{spill.path}: must hold {spill.num_bytes} bytes, and was cut; build again, which makes it again"
        )
    return numbers.reshape(-1, spill.row_length)

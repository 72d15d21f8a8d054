"""Files that keep examples between the two halves of a build, and how those are dealt to slots.

A spill's rows are in random order, and slots share them evenly: slot after slot gets a run of them. A slot takes its
run of every spill and shuffles these rows, so that they come from all over the corpus. Slots that follow each other are
read together, with one read a spill. Thousands of spills are dealt to groups with slots of their own.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from electra_span.config import UserError
from pretrain.examples import PackedExamples
from pretrain.workspace import whole_part

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

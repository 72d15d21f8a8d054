import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.dataset import workspace
from pretrain.dataset.examples import PackedExamples
from pretrain.dataset.workspace import Spill, SpillError, deal_groups, plan_reads, read_slots, slot_sizes, write_spill

MAX_SEQ_LENGTH = 7


def _examples(numbers):
    """Returns examples each of which holds one number as its ids and, plus one, as its lengths."""
    numbers = np.asarray(numbers, np.int32)
    return PackedExamples(np.repeat(numbers[:, None], MAX_SEQ_LENGTH, axis=1), numbers + 1, numbers + 1)


def _write(folder, sizes, vocab_size=1000):
    """Returns spills of the given sizes that hold 0, 1, 2, ... in all."""
    ends = np.cumsum(sizes)
    return [
        write_spill(
            folder / f"spill-{number}",
            _examples(range(end - size, end)),
            vocab_size=vocab_size,
            generator=np.random.default_rng(number),
        )
        for number, (size, end) in enumerate(zip(sizes, ends, strict=True))
    ]


def _numbers(slots):
    return [examples.input_ids[:, 0].tolist() for examples in slots]


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    num_slots=st.integers(1, 12),
    slots_per_read=st.integers(1, 12),
)
def test_every_example_is_in_exactly_one_slot_for_any_reads(tmp_path_factory, sizes, num_slots, slots_per_read):
    written = _write(tmp_path_factory.mktemp("spills"), sizes)
    slots = []
    for first in range(0, num_slots, slots_per_read):
        read = range(first, min(first + slots_per_read, num_slots))
        slots += _numbers(read_slots(written, read, num_slots, np.random.default_rng(0)))
    assert len(slots) == num_slots
    assert sorted(number for slot in slots for number in slot) == list(range(sum(sizes)))
    assert max(map(len, slots)) - min(map(len, slots)) <= len(sizes)
    assert slot_sizes(written, num_slots).tolist() == list(map(len, slots))


@pytest.mark.parametrize(("vocab_size", "number_type"), [(200, "uint8"), (30522, "uint16"), (1 << 17, "uint32")])
def test_examples_come_back_whole_in_any_number_type(tmp_path, vocab_size, number_type):
    (spill,) = _write(tmp_path, [150], vocab_size)
    (examples,) = read_slots([spill], range(1), 1, np.random.default_rng(0))
    assert spill.number_type == number_type
    assert examples.input_ids.shape == (150, MAX_SEQ_LENGTH)
    assert (examples.input_ids == examples.input_ids[:, :1]).all()
    np.testing.assert_array_equal(examples.lengths, examples.input_ids[:, 0] + 1)
    np.testing.assert_array_equal(examples.first_lengths, examples.lengths)


def test_neighbours_in_a_slot_are_not_neighbours_in_the_corpus(tmp_path):
    (slot,) = _numbers(read_slots(_write(tmp_path, [300, 300, 300]), range(1), 1, np.random.default_rng(0)))
    assert np.mean(np.abs(np.diff(slot)) < 10) < 0.1
    assert np.mean(np.diff(np.asarray(slot) // 300) == 0) < 0.5


def test_order_depends_on_the_generator_only(tmp_path):
    written = _write(tmp_path, [40, 60])
    first, again, other = (
        _numbers(read_slots(written, range(3), 3, np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_small_spills_are_read_in_many_reads_of_several_shards(tmp_path):
    assert plan_reads(_write(tmp_path, [100]), 1000) == (1000, 31, 1)
    assert plan_reads(_write(tmp_path, [100]), 3) == (3, 1, 1)


def test_no_read_is_larger_than_the_limit(tmp_path):
    row_bytes = 18 * 2
    for num_rows in (10**5, 10**7, 10**9):
        spill = Spill(tmp_path, num_rows, row_length=18, number_type="uint16", phase=0)
        for num_shards in (1, 10, 1000, 10_000):
            plan = plan_reads([spill], num_shards)
            assert plan.parts_per_shard == 1 or plan.shards_per_read == 1
            read_bytes = num_rows * row_bytes / num_shards / plan.parts_per_shard * plan.shards_per_read
            assert read_bytes <= workspace.MAX_READ_BYTES


@pytest.mark.parametrize(("num_spills", "num_shards", "num_groups"), [(4, 3, 1), (5, 3, 2), (100, 7, 7), (9, 1, 1)])
def test_groups_share_spills_and_shards_evenly_at_random(tmp_path, monkeypatch, num_spills, num_shards, num_groups):
    monkeypatch.setattr(workspace, "_MAX_GROUP_SPILLS", 4)
    written = [Spill(tmp_path / str(number), 1, 9, "uint8", 0) for number in range(num_spills)]
    groups = deal_groups(written, num_shards, np.random.default_rng(0))
    assert len(groups) == num_groups
    assert [shard for _, shards in groups for shard in shards] == list(range(num_shards))
    assert sorted(spill for group, _ in groups for spill in group) == sorted(written)
    sizes = [len(group) for group, _ in groups]
    assert max(sizes) - min(sizes) <= 1
    if num_groups == 7:
        assert groups[0][0] != written[: sizes[0]]


def test_a_spill_that_was_cut_is_an_error_that_names_it(tmp_path):
    (spill,) = _write(tmp_path, [150])
    os.truncate(spill.path, spill.num_bytes // 2)
    with pytest.raises(SpillError, match=r"spill-0: must hold \d+ bytes, and was cut"):
        read_slots([spill], range(1), 1, np.random.default_rng(0))

import itertools

import numpy as np
import pytest

from finetune.batches import PADDING_TASK, BatchMaker, bucket_lengths
from finetune.features import Ragged, Rows, TextFeatures

PAD = 9


def _rows(lengths, first_id=10):
    """Rows whose tokens are first_id and on, with the row's number as label and a ragged column of its tokens."""
    splits = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.arange(first_id, first_id + splits[-1], dtype=np.int32)
    text = TextFeatures(ids, ids % 2, splits)
    return Rows(text, {"labels": np.arange(len(lengths), dtype=np.int32), "tokens": Ragged(ids, splits)})


def _maker(batch_size=4, longest=40, **rows):
    return BatchMaker(rows, batch_size=batch_size, longest=longest, pad_id=PAD)


def _read(batches, name="one"):
    """Returns the labels of a task's rows, in the order they were read in."""
    rows = []
    for batch in batches:
        number = list(batch.targets).index(name)
        rows += batch.targets[name]["labels"].numpy()[batch.task_ids.numpy() == number].tolist()
    return rows


@pytest.mark.parametrize("longest", [1, 5, 8, 9, 64, 100, 128, 512])
def test_buckets_rise_to_the_longest_and_waste_little(longest):
    lengths = bucket_lengths(longest)
    assert lengths[-1] == longest
    assert lengths == sorted(set(lengths))
    assert all(after - before <= max(8, before / 4) for before, after in itertools.pairwise(lengths))


def test_rows_are_padded_to_a_bucket_and_the_batch_is_filled_up_with_rows_of_no_task():
    maker = _maker(one=_rows([3, 5, 2]))
    (numbers, batch), *rest = maker.in_order_of_length()
    assert not rest
    assert numbers.tolist() == [2, 0, 1]
    assert batch.input_ids.shape == (4, 8)
    assert batch.task_ids.numpy().tolist() == [0, 0, 0, PADDING_TASK]
    np.testing.assert_array_equal(batch.input_ids[1], [10, 11, 12, PAD, PAD, PAD, PAD, PAD])
    np.testing.assert_array_equal(batch.input_mask[1], [1, 1, 1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(batch.segment_ids[1], [0, 1, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(batch.targets["one"]["tokens"][0], [18, 19, 0, 0, 0, 0, 0, 0])
    assert batch.targets["one"]["labels"].numpy().tolist() == [2, 0, 1, 0]
    assert not batch.input_mask[3].numpy().any()


def test_batches_meet_the_signature():
    maker = _maker(one=_rows([3, 5, 2]), two=_rows([30]))
    signature = maker.signature()
    for batch in maker.training_batches(num_steps=2, first_step=0, seed=1):
        for spec, tensor in zip(*map(_flat, (signature, batch)), strict=True):
            assert spec.is_compatible_with(tensor)


def _flat(batch):
    texts = list(batch[:4])
    return texts + [column for of_task in batch.targets.values() for column in of_task.values()]


def test_an_epoch_reads_every_row_once_in_an_order_of_its_own():
    lengths = np.random.default_rng(0).integers(1, 40, 303)
    maker = _maker(one=_rows(lengths))
    steps = maker.steps_per_epoch
    assert steps == 76
    batches = list(maker.training_batches(num_steps=2 * steps, first_step=0, seed=5))
    first, second = _read(batches[:steps]), _read(batches[steps:])
    assert sorted(first) == sorted(second) == list(range(303))
    assert first != second


def test_training_goes_on_at_any_step_as_without_an_interruption():
    maker = _maker(one=_rows([2, 9, 17, 4, 5, 30, 8, 1, 1]), two=_rows([3, 3, 3]))
    settings = {"num_steps": 11, "seed": 3}
    whole = list(maker.training_batches(first_step=0, **settings))
    assert len(whole) == 11
    for first_step in range(11):
        rest = list(maker.training_batches(first_step=first_step, **settings))
        assert len(rest) == 11 - first_step
        for ours, theirs in zip(map(_flat, rest), map(_flat, whole[first_step:]), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    other = list(maker.training_batches(num_steps=11, first_step=0, seed=4))
    assert _read(other) != _read(whole)


def test_short_rows_do_not_pay_for_long_ones():
    lengths = np.random.default_rng(0).choice([6, 60], 4000)
    maker = _maker(one=_rows(lengths), longest=64)
    sizes = [batch.input_ids.shape[1] for batch in maker.training_batches(num_steps=1000, first_step=0, seed=0)]
    num_padded = 4 * sum(sizes)
    assert lengths.sum() / num_padded > 0.85
    assert np.mean(sizes[:500]) == pytest.approx(np.mean(sizes[500:]), rel=0.1)


def test_uniform_mixing_reads_as_many_rows_of_each_task():
    maker = _maker(one=_rows([3] * 90), two=_rows([4] * 10, 1000))
    batches = list(maker.training_batches(num_steps=25, first_step=0, seed=0, mixing="uniform"))
    one, two = _read(batches, "one"), _read(batches, "two")
    assert len(one) == len(two) == 50
    assert len(set(one)) == 50
    assert sorted(two) == sorted(list(range(10)) * 5)
    assert any(len(set(batch.task_ids.numpy().tolist())) == 2 for batch in batches)


def test_rows_of_other_tasks_have_no_targets():
    maker = _maker(one=_rows([3, 4]), two=_rows([5, 6], 1000), batch_size=4)
    (batch,) = maker.training_batches(num_steps=1, first_step=0, seed=0)
    for number, (name, first_id) in enumerate([("one", 10), ("two", 1000)]):
        is_own = batch.task_ids.numpy() == number
        assert (batch.targets[name]["tokens"].numpy()[is_own, 0] >= first_id).all()
        assert not batch.targets[name]["tokens"].numpy()[~is_own].any()

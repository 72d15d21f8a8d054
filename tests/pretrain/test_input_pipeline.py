"""The input of pretraining: order, held-out records, masks, and exact resume."""

import dataclasses
import itertools
import pathlib
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from electra_span.objective.batches import MaskedBatch, PretrainingExamples
from electra_span.objective.masking import MaskingConfig, mask_tokens
from pretrain.dataset.records import RecordError
from pretrain.input_pipeline import evaluation_dataset, training_dataset

L, B, N = 11, 8, 3
PAD, CLS, SEP, MASK = 0, 1, 2, 3
FIRST_NUMBER = 100  # a record's second id is its number in shard order, plus this
MASKING = MaskingConfig(mask_prob=0.25, max_predictions_per_seq=N, mask_id=MASK, special_ids=(PAD, CLS, SEP, MASK))


def write_shards(folder: pathlib.Path, sizes: list[int]) -> list[str]:
    """Writes files of numbered records, as many in each as sizes say, and returns their paths in shard order."""
    files = []
    for shard, (start, end) in enumerate(itertools.pairwise([0, *itertools.accumulate(sizes)])):
        files.append(str(folder / f"pretrain_data.tfrecord-{shard}-of-{len(sizes)}"))
        with tf.io.TFRecordWriter(files[-1]) as writer:
            for number in range(start, end):
                writer.write(record(number))
    return files


def record(number: int) -> bytes:
    """Returns a record of 4 to 11 tokens that starts with [CLS] and its number."""
    length = 4 + number % (L - 3)
    ids = [CLS, FIRST_NUMBER + number, *range(10, 10 + length - 3), SEP]
    features = {"input_ids": ids, "input_mask": [1] * length, "segment_ids": [0, 0] + [1] * (length - 2)}
    int64_lists = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=values + [0] * (L - length)))
        for name, values in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=int64_lists)).SerializeToString()


def training(files: list[str], *, masking: MaskingConfig = MASKING, **changes: int) -> tf.data.Dataset:
    settings = {"batch_size": B, "seed": 5, "num_held_out": 0, "shuffle_buffer_size": 10, **changes}
    return training_dataset(files, max_seq_length=L, masking=masking, **settings)


def evaluation(files: list[str], **changes: int) -> tf.data.Dataset:
    settings = {"batch_size": B, "seed": 5, "num_held_out": 0, **changes}
    return evaluation_dataset(files, max_seq_length=L, masking=MASKING, **settings)


def take(batches: tf.data.Dataset | tf.data.Iterator, num_batches: int) -> list[MaskedBatch]:
    """Returns the next batches as numpy arrays."""
    iterator = iter(batches)
    return [MaskedBatch(*(field.numpy() for field in next(iterator))) for _ in range(num_batches)]


def numbers(batches: list[MaskedBatch]) -> list[int]:
    """Returns the numbers of all records in the batches, in order, without rows of padding."""
    input_ids = np.concatenate([batch.input_ids for batch in batches])
    return (input_ids[input_ids[:, 0] == CLS, 1] - FIRST_NUMBER).tolist()


def assert_equal(batches: list[MaskedBatch], others: list[MaskedBatch]) -> None:
    for batch, other in zip(batches, others, strict=True):
        for name, field, other_field in zip(MaskedBatch._fields, batch, other, strict=True):
            np.testing.assert_array_equal(field, other_field, err_msg=name)


def masked_again(batch: MaskedBatch, seed: tuple[int, int]) -> MaskedBatch:
    """Returns what `mask_tokens` makes of a batch's examples."""
    examples = PretrainingExamples(batch.input_ids, batch.segment_ids, batch.input_mask)
    masked = mask_tokens(
        PretrainingExamples(*map(tf.constant, examples)), seed=tf.constant(seed, tf.int64), config=MASKING
    )
    return MaskedBatch(*(field.numpy() for field in masked))


@pytest.mark.parametrize("sizes", [[40], [9, 0, 14, 1, 16], [2] * 20], ids=["one", "uneven", "many"])
def test_each_epoch_gives_every_training_record_once_in_an_order_of_its_own(tmp_path, sizes):
    num_held_out = 8
    seen = numbers(take(training(write_shards(tmp_path, sizes), num_held_out=num_held_out), 12))
    epochs = [seen[start : start + 32] for start in (0, 32, 64)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(num_held_out, 40))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_a_batch_may_reach_over_the_end_of_an_epoch(tmp_path):
    seen = numbers(take(training(write_shards(tmp_path, [13])), 5))
    assert [sorted(seen[start : start + 13]) for start in (0, 13, 26)] == [list(range(13))] * 3


def test_order_and_masks_follow_from_the_seed(tmp_path):
    files = write_shards(tmp_path, [9, 14, 17])
    dataset = training(files)
    first = take(dataset, 12)
    assert_equal(first, take(dataset, 12))
    assert_equal(first, take(training(files), 12))
    assert numbers(first) != numbers(take(training(files, seed=6), 12))


def test_batch_i_of_training_is_masked_with_the_stateless_seed_and_i(tmp_path):
    batches = take(training(write_shards(tmp_path, [20]), seed=2**40), 4)
    assert_equal(batches, [masked_again(batch, (2**40, index)) for index, batch in enumerate(batches)])


def test_neighbours_in_a_shard_are_apart_in_training(tmp_path):
    seen = numbers(take(training(write_shards(tmp_path, [400]), shuffle_buffer_size=100), 50))
    num_adjacent = np.count_nonzero(np.abs(np.diff(seen)) == 1)
    assert num_adjacent < 0.05 * len(seen)


@pytest.mark.parametrize("num_held_out", [1, 8, 9, 10, 24])
def test_held_out_records_are_the_first_in_shard_order_and_never_in_training(tmp_path, num_held_out):
    files = write_shards(tmp_path, [9, 0, 14, 17])
    batches = list(evaluation(files, num_held_out=num_held_out))
    assert numbers([MaskedBatch(*(field.numpy() for field in batch)) for batch in batches]) == list(range(num_held_out))
    trained_on = numbers(take(training(files, num_held_out=num_held_out), 10))
    assert set(trained_on) == set(range(num_held_out, 40))


def test_evaluation_without_held_out_records_gives_all(tmp_path):
    assert numbers(take(evaluation(write_shards(tmp_path, [9, 14])), 3)) == list(range(23))


def test_evaluations_are_masked_alike_and_not_as_training_is(tmp_path):
    dataset = evaluation(write_shards(tmp_path, [16]))
    batches = take(dataset, 2)
    assert_equal(batches, take(dataset, 2))
    assert_equal(batches, [masked_again(batch, (5, -1 - index)) for index, batch in enumerate(batches)])
    assert np.any(batches[0].masked_lm_positions != masked_again(batches[0], (5, 0)).masked_lm_positions)


def test_the_last_batch_of_an_evaluation_is_filled_up_with_empty_rows(tmp_path):
    last = take(evaluation(write_shards(tmp_path, [11])), 2)[1]
    assert last.input_ids.shape == (B, L)
    assert np.all(last.masked_lm_weights[:3].sum(axis=1) > 0)
    for field in last[:-1]:  # all but the numbers by which predictions are sampled
        assert not field[3:].any()


def test_batches_have_static_shapes(tmp_path):
    files = write_shards(tmp_path, [11])
    specs = MaskedBatch(
        *4 * [tf.TensorSpec([B, L], tf.int32)],
        *2 * [tf.TensorSpec([B, N], tf.int32)],
        tf.TensorSpec([B, N], tf.float32),
        *3 * [tf.TensorSpec([B, N], tf.int32)],
        *2 * [tf.TensorSpec([B, N], tf.float32)],
    )
    assert training(files).element_spec == specs
    assert evaluation(files).element_spec == specs


def test_finding_the_held_out_records_opens_no_file_after_them(tmp_path):
    training([*write_shards(tmp_path, [9, 14]), str(tmp_path / "not-there")], num_held_out=10)


@pytest.mark.parametrize(("num_held_out", "batch_size"), [(30, 8), (17, 7), (0, 24)])
def test_too_few_records_for_a_batch_of_training_is_an_error_with_the_numbers(tmp_path, num_held_out, batch_size):
    files = write_shards(tmp_path, [9, 14])
    with pytest.raises(
        RecordError, match=rf"batch of {batch_size} .* {num_held_out} held out .* 23 records in 2 files"
    ):
        training(files, num_held_out=num_held_out, batch_size=batch_size)


def test_as_many_records_as_one_batch_are_enough(tmp_path):
    batch = take(training(write_shards(tmp_path, [9, 14]), num_held_out=15), 1)
    assert sorted(numbers(batch)) == list(range(15, 23))


def test_fewer_records_than_are_held_out_is_an_error_of_evaluation(tmp_path):
    with pytest.raises(RecordError, match=r"first 24 records\. Received: 23 records in 2 files"):
        evaluation(write_shards(tmp_path, [9, 14]), num_held_out=24)


@pytest.mark.parametrize("sizes", [[40], [9, 0, 14, 1, 16], [2] * 20], ids=["one", "uneven", "many"])
def test_a_saved_iterator_continues_with_exactly_the_batches_that_were_left(tmp_path, sizes):
    files = write_shards(tmp_path, sizes)
    uninterrupted = take(training(files, num_held_out=3), 24)  # an epoch is 4.6 batches
    iterator = iter(training(files, num_held_out=3))
    num_taken, saved = 0, {}
    for step in (0, 1, 5, 16):
        assert_equal(take(iterator, step - num_taken), uninterrupted[num_taken:step])
        num_taken = step
        saved[step] = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / f"step-{step}"))

    dataset = training(files, num_held_out=3)
    for step, path in saved.items():
        resumed = iter(dataset)
        tf.train.Checkpoint(iterator=resumed).read(path).assert_consumed()
        assert_equal(take(resumed, 24 - step), uninterrupted[step:])


@pytest.mark.parametrize("masking", ["whole_word", "span"])
def test_a_saved_iterator_continues_where_words_or_spans_are_masked(tmp_path, masking):
    files = write_shards(tmp_path, [9, 14])
    config = dataclasses.replace(
        MASKING,
        masking=masking,
        is_continuation=np.arange(FIRST_NUMBER + 23) % 3 == 0,
        replace_probs=(0.8, 0.1, 0.1),
        random_token_counts=np.arange(FIRST_NUMBER + 23),
    )
    uninterrupted = take(training(files, masking=config), 6)
    iterator = iter(training(files, masking=config))
    take(iterator, 4)
    path = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "saved"))
    resumed = iter(training(files, masking=config))
    tf.train.Checkpoint(iterator=resumed).read(path).assert_consumed()
    assert_equal(take(resumed, 2), uninterrupted[4:])


_RESUME = """
import pickle, sys
import tensorflow as tf
from tests.pretrain import test_input_pipeline as setup

files, checkpoint, num_batches, output = pickle.loads(sys.stdin.buffer.read())
tf.random.set_seed(1)  # which the order does not depend on
iterator = iter(setup.training(files, num_held_out=3))
tf.train.Checkpoint(iterator=iterator).read(checkpoint).assert_consumed()
with open(output, "wb") as file:
    pickle.dump([tuple(batch) for batch in setup.take(iterator, num_batches)], file)
"""


def test_another_process_continues_a_saved_iterator_where_the_files_have_moved(tmp_path):
    files = write_shards(tmp_path, [9, 14, 17])
    iterator = iter(training(files, num_held_out=3))
    take(iterator, 7)  # in the second epoch
    checkpoint = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / "saved"))
    left = take(iterator, 9)

    moved = tmp_path / "moved"
    moved.mkdir()
    files = [shutil.move(file, moved) for file in files]
    output = tmp_path / "left.pickle"
    root = pathlib.Path(__file__).resolve().parents[2]
    subprocess.run(
        [sys.executable, "-c", _RESUME], input=pickle.dumps((files, checkpoint, 9, str(output))), cwd=root, check=True
    )
    assert_equal([MaskedBatch(*batch) for batch in pickle.loads(output.read_bytes())], left)

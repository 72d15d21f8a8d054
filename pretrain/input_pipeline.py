"""Input of pretraining: records -> shuffled batches of examples -> masked batches, as tf.data pipelines.

One deterministic sequence of global batches: every replica and host slices the same batch, so nothing is sharded here.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from electra_span.objective.batches import MaskedBatch, PretrainingExamples
from electra_span.objective.masking import MaskingConfig, mask_tokens
from electra_span.schedules import value_at, values_of
from pretrain.dataset.records import RecordError, parse_records

_NUM_OPEN_FILES = 16  # read from in turn, so that neighbours in a file do not fill the shuffle buffer together
_READ_BUFFER_BYTES = 256 * 1024  # a file
_NUM_MASKING_CALLS = 2  # batches parsed and masked at once: a core each makes far more than a GPU trains on
_NUM_READY_BATCHES = 2


def training_dataset(
    files: Sequence[str],
    *,
    max_seq_length: int,
    batch_size: int,
    masking: MaskingConfig,
    seed: int,
    num_held_out: int,
    shuffle_buffer_size: int,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Returns the endless batches of training: each epoch all examples once, in an order of its own.

    The files come in a new order each epoch, several are read in turn, and a buffer of records is shuffled; a batch may
    reach over the end of an epoch. Batch i of a run, from 0, is masked with the stateless seed (seed, i).

    An iterator can be saved by tf.train.Checkpoint at any batch, and continues there in another process.

    Args:
        files: files of records, in shard order.
        max_seq_length: L of the records.
        batch_size: B, over all replicas.
        masking: what to mask; its mask_prob may be a `Schedule`, over the batches.
        seed: of order and masks.
        num_held_out: leading records, in shard order, that `evaluation_dataset` gives and training never sees.
        shuffle_buffer_size: records in the shuffle buffer.
        first_step: batches that the run got from another dataset before.

    Returns:
        A dataset of MaskedBatch.

    Raises:
        RecordError: where less than one batch of records is left for training.
        tf.errors.DataLossError: where a record read on the way is damaged; so may reading the dataset.
    """
    shards = _training_shards(files, num_held_out, batch_size)

    def shuffled_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        return _shuffled_epoch(shards, epoch, seed, shuffle_buffer_size)

    def parse_and_mask(index: tf.Tensor, serialized: tf.Tensor) -> MaskedBatch:
        config = dataclasses.replace(masking, mask_prob=value_at(masking.mask_prob, index))
        return mask_tokens(parse_records(serialized, max_seq_length), seed=_batch_seed(seed, index), config=config)

    records = tf.data.Dataset.counter().flat_map(shuffled_epoch)
    batches = records.batch(batch_size, drop_remainder=True).enumerate(start=first_step)
    batches = batches.map(parse_and_mask, num_parallel_calls=_NUM_MASKING_CALLS, deterministic=True)
    return batches.prefetch(_NUM_READY_BATCHES).with_options(_exact_resume())


def evaluation_dataset(
    files: Sequence[str],
    *,
    max_seq_length: int,
    batch_size: int,
    masking: MaskingConfig,
    seed: int,
    num_held_out: int,
) -> tf.data.Dataset:
    """Returns the batches of one evaluation, in record order, with the same masks each time.

    The last batch is filled up with rows of padding only, whose weights are all 0.

    Args:
        files: files of records, in shard order.
        max_seq_length: L of the records.
        batch_size: B, over all replicas.
        masking: what to mask; of a mask_prob that is a `Schedule`, the last value.
        seed: of the masks, which differ from those that training makes of the same seed.
        num_held_out: how many leading records to give; 0: all.

    Returns:
        A finite dataset of MaskedBatch.

    Raises:
        RecordError: where there are fewer than num_held_out records, or none at all.
    """
    masking = dataclasses.replace(masking, mask_prob=values_of(masking.mask_prob)[-1])
    num_records = _count_records(files, max(num_held_out, 1))
    if num_records < max(num_held_out, 1):
        raise RecordError(
            f"Evaluation reads the first {max(num_held_out, 1)} records. Received: {num_records} records in "
            f"{len(files)} files; evaluate on fewer examples, or build more"
        )

    def parse_and_mask(index: tf.Tensor, serialized: tf.Tensor) -> MaskedBatch:
        examples = _pad_rows(parse_records(serialized, max_seq_length), batch_size)
        return mask_tokens(examples, seed=_batch_seed(seed, -1 - index), config=masking)

    records = tf.data.TFRecordDataset(list(files)).take(num_held_out or -1)  # -1: all
    batches = records.batch(batch_size).enumerate()
    return batches.map(parse_and_mask).prefetch(_NUM_READY_BATCHES)


class _Shard(NamedTuple):
    """A file that holds records of training."""

    file: str
    num_held_out: int  # records at its start that training never sees


def _training_shards(files: Sequence[str], num_held_out: int, batch_size: int) -> list[_Shard]:
    """Returns the files that hold records of training; at least one batch of records in all.

    Reads no further than it takes to find where the held-out records end, and a batch after them.

    Raises:
        RecordError: where less than one batch is left.
    """
    shards: list[_Shard] = []
    still_held_out, num_found = num_held_out, 0
    for file in files:
        num_wanted = still_held_out + max(batch_size - num_found, 0)
        if not num_wanted:
            shards.append(_Shard(file, 0))
            continue
        num_records = _count_records([file], num_wanted)
        num_skipped = min(num_records, still_held_out)
        still_held_out -= num_skipped
        num_found += num_records - num_skipped
        if num_records > num_skipped:
            shards.append(_Shard(file, num_skipped))
    if num_found < batch_size:
        raise RecordError(
            f"Training needs at least one batch of {batch_size} records beside the {num_held_out} held out for "
            f"evaluation. Received: {num_held_out - still_held_out + num_found} records in {len(files)} files; reduce "
            "num_eval_examples or train_batch_size, or build more examples"
        )
    return shards


def _shuffled_epoch(shards: Sequence[_Shard], epoch: tf.Tensor, seed: int, buffer_size: int) -> tf.data.Dataset:
    """Returns the records of one epoch in an order that follows from (seed, epoch) alone."""
    files = tf.constant([shard.file for shard in shards])
    num_held_out = tf.constant([shard.num_held_out for shard in shards], tf.int64)
    # The masks of batch i have the seed (seed, i): a first number below 0 belongs to the order alone.
    order_seeds = tf.random.split([-1 - seed, epoch], num=2)  # int64 [2, 2]

    def records_of_training(shard: tf.Tensor) -> tf.data.Dataset:
        return _records_of(files[shard]).skip(num_held_out[shard])

    order = _shuffled(tf.data.Dataset.range(len(shards)), len(shards), order_seeds[0])
    records = order.interleave(records_of_training, cycle_length=min(_NUM_OPEN_FILES, len(shards)))
    return _shuffled(records, buffer_size, order_seeds[1])


def _shuffled(dataset: tf.data.Dataset, buffer_size: int, seeds: tf.Tensor) -> tf.data.Dataset:
    """Returns what Dataset.shuffle does, but as a function of its arguments, which makes resuming exact.

    Dataset.shuffle mixes in the seed of tf.random.set_seed, and its iterators share one count of epochs begun. Nor can
    it be saved inside a function, unless saving is told to let all hidden state pass.

    Args:
        dataset: of scalars.
        buffer_size: elements in the buffer.
        seeds: int64 [2].
    """
    shuffled = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=buffer_size,
        seed=seeds[0],
        seed2=seeds[1],
        output_types=[dataset.element_spec.dtype],
        output_shapes=[dataset.element_spec.shape],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(shuffled, dataset.element_spec)


def _count_records(files: Sequence[str], at_most: int) -> int:
    """Returns how many records the files hold, counted up to a limit."""
    records = tf.data.TFRecordDataset(list(files)).take(at_most)
    return int(records.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1))


def _records_of(file: tf.Tensor) -> tf.data.Dataset:
    """Returns a file's records, as tf.data.TFRecordDataset does, whose saved iterators hold the file's path, however.

    Here they hold its shard's number, and continue where the files lie in another folder.
    """
    records = tf.raw_ops.TFRecordDataset(filenames=file, compression_type="", buffer_size=_READ_BUFFER_BYTES)
    return tf.data.experimental.from_variant(records, tf.TensorSpec([], tf.string))


def _batch_seed(seed: int, index: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.constant(seed, tf.int64), index])  # [2]


def _pad_rows(examples: PretrainingExamples, batch_size: int) -> PretrainingExamples:
    """Returns the examples [b, L] with rows of 0 added up to batch_size."""
    num_missing = batch_size - tf.shape(examples.input_ids)[0]
    padded = (tf.pad(field, [[0, num_missing], [0, 0]]) for field in examples)
    return PretrainingExamples(*(tf.ensure_shape(field, [batch_size, None]) for field in padded))


def _exact_resume() -> tf.data.Options:
    """Returns options under which a saved iterator continues with exactly the batches that were left.

    The state holds the shuffle buffer: with 10,000 records of 650 bytes, 6.9 MB written in a quarter of a second.
    Symbolic checkpoints came out as large and no quicker, and cut the pipeline's speed to a tenth.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_symbolic_checkpoint = False
    options.threading.private_threadpool_size = _NUM_MASKING_CALLS  # input goes on while a step has all other threads
    options.autotune.enabled = False  # there is nothing to tune: all buffers and numbers of calls are fixed
    return options

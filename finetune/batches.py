"""Batches of rows of similar lengths, padded to the next of a few lengths.

The rows of a batch are a function of the seed, the epoch and the lengths alone. A resumed training therefore reads the
same batches, without an input position in its checkpoints.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from finetune.features import Column, Ragged, Rows, padded_column

PADDING_TASK = -1
# Deviation: rows are sorted by length within 50 batches of a random order; the original pads all to max_seq_length.
_SORTED_BATCHES = 50


class FinetuningBatch(NamedTuple):
    """B rows of several tasks, padded to L tokens.

    Attributes:
        input_ids, input_mask, segment_ids: int32 [B, L].
        task_ids: int32 [B], index of each row's task, PADDING_TASK in rows of padding.
        targets: targets by task and name, [B, ...]; ragged ones [B, L]. 0 in rows of other tasks.
    """

    input_ids: tf.Tensor
    input_mask: tf.Tensor
    segment_ids: tf.Tensor
    task_ids: tf.Tensor
    targets: Mapping[str, Mapping[str, tf.Tensor]]


class Chosen(NamedTuple):
    """Rows of one batch; int64 [b] each."""

    task_ids: np.ndarray
    rows: np.ndarray  # in the task's own


def bucket_lengths(longest: int) -> list[int]:
    """Returns the lengths that batches are padded to: four to a doubling, multiples of 8, the last at least longest."""
    lengths = [8]
    while lengths[-1] < longest:
        step = max(8, 2 ** (int(math.log2(lengths[-1])) - 2))
        lengths.append(lengths[-1] + step)
    return [*lengths[:-1], longest] if len(lengths) > 1 else [longest]


class BatchMaker:
    """Makes padded batches from the rows of tasks.

    Args:
        rows: rows of each task, by name.
        batch_size: number of rows of a batch, B.
        longest: largest number of tokens of a row.
        pad_id: id of [PAD].
    """

    def __init__(self, rows: Mapping[str, Rows], *, batch_size: int, longest: int, pad_id: int) -> None:
        self._rows, self._batch_size, self._pad_id = dict(rows), batch_size, pad_id
        self._lengths = [of_task.text.lengths() for of_task in self._rows.values()]
        self._buckets = np.array(bucket_lengths(longest))

    def training_batches(
        self, *, num_steps: int, first_step: int, seed: int, mixing: str = "proportional"
    ) -> Iterator[FinetuningBatch]:
        """Yields the batches from first_step on, epoch after epoch.

        Args:
            num_steps: number of batches of the whole training.
            first_step: number of batches read before.
            seed: seed of the order.
            mixing: rows of an epoch: "proportional", every row once; "uniform", equally many rows of each task.
        """
        steps_per_epoch = self.steps_per_epoch
        for epoch in range(first_step // steps_per_epoch, math.ceil(num_steps / steps_per_epoch)):
            start = epoch * steps_per_epoch
            batches = self._epoch(np.random.default_rng([seed, epoch]), mixing)
            for chosen in batches[max(0, first_step - start) : num_steps - start]:
                yield self.make(chosen)

    def in_order_of_length(self) -> Iterator[tuple[np.ndarray, FinetuningBatch]]:
        """Yields all rows of a single task once, shortest first: their indices int64 [b], and the batch."""
        order = np.argsort(self._lengths[0], kind="stable")
        for rows in _pieces(order, self._batch_size):
            yield rows, self.make(Chosen(np.zeros_like(rows), rows))

    @property
    def num_rows(self) -> int:
        """Number of rows of all tasks."""
        return sum(map(len, self._lengths))

    @property
    def mean_tokens(self) -> int:
        """Mean number of tokens of a batch, without padding."""
        return round(sum(map(np.sum, self._lengths)) / self.steps_per_epoch)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches of an epoch; the last one is filled up with padding rows."""
        return math.ceil(self.num_rows / self._batch_size)

    def make(self, chosen: Chosen) -> FinetuningBatch:
        """Returns rows as a batch, filled up with rows of padding."""
        size = self._batch_size
        longest = max(self._lengths[task][row] for task, row in zip(*chosen, strict=True))
        length = int(self._buckets[np.searchsorted(self._buckets, longest)])
        task_ids = np.full(size, PADDING_TASK, np.int32)
        task_ids[: len(chosen.rows)] = chosen.task_ids
        input_ids = np.full((size, length), self._pad_id, np.int32)
        input_mask, segment_ids = np.zeros((2, size, length), np.int32)
        targets = {}
        for number, (name, of_task) in enumerate(self._rows.items()):
            places = np.flatnonzero(task_ids == number)
            rows = chosen.rows[places]
            is_token = np.arange(length) < self._lengths[number][rows][:, None]  # [b, L]
            ids, segments, row_splits = of_task.text
            input_ids[places] = np.where(is_token, Ragged(ids, row_splits).padded(rows, length), self._pad_id)
            input_mask[places] = is_token
            segment_ids[places] = Ragged(segments, row_splits).padded(rows, length)
            targets[name] = {
                target: _scattered(padded_column(column, rows, length), places, size)
                for target, column in of_task.targets.items()
            }
        batch = FinetuningBatch(input_ids, input_mask, segment_ids, task_ids, targets)
        return tf.nest.map_structure(tf.constant, batch)

    def signature(self) -> FinetuningBatch:
        """Returns TensorSpecs that match batches of all lengths."""
        size = self._batch_size
        text = tf.TensorSpec([size, None], tf.int32)
        targets = {
            name: {target: _spec(column, size) for target, column in of_task.targets.items()}
            for name, of_task in self._rows.items()
        }
        return FinetuningBatch(text, text, text, tf.TensorSpec([size], tf.int32), targets)

    def _epoch(self, generator: np.random.Generator, mixing: str) -> list[Chosen]:
        """Returns the batches of an epoch, each of rows of similar lengths, in random order."""
        task_ids, rows = self._epoch_rows(generator, mixing)
        lengths = np.concatenate([own[rows[task_ids == task]] for task, own in enumerate(self._lengths)])
        order = generator.permutation(len(rows))
        batches = []
        for piece in _pieces(order, _SORTED_BATCHES * self._batch_size):
            batches += _pieces(piece[np.argsort(lengths[piece], kind="stable")], self._batch_size)
        return [Chosen(task_ids[batches[index]], rows[batches[index]]) for index in generator.permutation(len(batches))]

    def _epoch_rows(self, generator: np.random.Generator, mixing: str) -> Chosen:
        """Returns what is read in an epoch, task by task: as many rows as there are, whatever the mixing."""
        sizes = [len(lengths) for lengths in self._lengths]
        rows = [np.arange(size) for size in sizes]
        if mixing == "uniform":
            shares = np.diff(np.linspace(0, sum(sizes), len(sizes) + 1).astype(int))
            rows = [_drawn(generator, size, share) for size, share in zip(sizes, shares, strict=True)]
        return Chosen(np.repeat(np.arange(len(rows)), list(map(len, rows))), np.concatenate(rows))


def _drawn(generator: np.random.Generator, size: int, num_drawn: int) -> np.ndarray:
    """Returns num_drawn of `size` rows, none a second time before all others were drawn as often."""
    times = -(-num_drawn // size)
    return np.concatenate([generator.permutation(size) for _ in range(times)])[:num_drawn]


def _pieces(values: np.ndarray, size: int) -> list[np.ndarray]:
    """Returns values in pieces of that size, the last one with what is left."""
    return np.split(values, range(size, len(values), size))


def _scattered(values: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Returns values [b, ...] at their places among `size` rows, zeros elsewhere."""
    scattered = np.zeros((size, *values.shape[1:]), values.dtype)
    scattered[places] = values
    return scattered


def _spec(column: Column, size: int) -> tf.TensorSpec:
    if isinstance(column, Ragged):
        return tf.TensorSpec([size, None], tf.as_dtype(column.values.dtype))
    return tf.TensorSpec([size, *column.shape[1:]], tf.as_dtype(column.dtype))

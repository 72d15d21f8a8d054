"""Features of many examples laid end to end, and how they are made of ids without a loop over examples."""

import math
from typing import NamedTuple

import numpy as np

from electra_span.tokenization.base import FlatIds


class TextFeatures(NamedTuple):
    """What the encoder reads of n examples: example i has the positions row_splits[i] to row_splits[i + 1]."""

    input_ids: np.ndarray  # int32 [T]
    segment_ids: np.ndarray  # int32 [T]
    row_splits: np.ndarray  # int64 [n + 1]

    def lengths(self) -> np.ndarray:
        """Returns the number of tokens of each example, int64 [n]."""
        return np.diff(self.row_splits)


class KeptTokens(NamedTuple):
    """How many tokens of each pair are kept."""

    first: np.ndarray  # int64 [n]
    second: np.ndarray  # int64 [n]


def truncated_pairs(first: np.ndarray, second: np.ndarray, limit: np.ndarray | int) -> KeptTokens:
    """Returns what is left of pairs when the longer text loses a token until both fit; of equals, the second does.

    In closed form: the second text keeps what the first leaves, but no less than half of the limit, rounded down.

    Args:
        first: int [n], tokens of the first texts.
        second: int [n], tokens of the second texts.
        limit: int or int [n], the most tokens of both.
    """
    kept_second = np.minimum(second, np.maximum(limit // 2, limit - first))
    return KeptTokens(np.minimum(first, limit - kept_second), kept_second)


def pair_features(first: FlatIds, second: FlatIds, *, max_seq_length: int, cls_id: int, sep_id: int) -> TextFeatures:
    """Returns [CLS] first [SEP] second [SEP] of each pair, cut to fit, segment ids 1 from the second text on.

    A pair whose second text has no token is a single text: [CLS] first [SEP].

    Args:
        first: the ids of the first texts, n rows.
        second: the ids of the second texts, n rows.
        max_seq_length: the most tokens of an example, at least 3.
        cls_id: the id of [CLS].
        sep_id: the id of [SEP].
    """
    second_lengths = np.diff(second.row_splits)
    is_pair = second_lengths > 0
    kept = truncated_pairs(np.diff(first.row_splits), second_lengths, max_seq_length - 2 - is_pair)
    row_splits = np.concatenate([[0], np.cumsum(2 + is_pair + kept.first + kept.second)])
    starts = row_splits[:-1]
    input_ids = np.full(row_splits[-1], sep_id, np.int32)
    input_ids[starts] = cls_id
    input_ids[ranges(starts + 1, kept.first)] = first.ids[ranges(first.row_splits[:-1], kept.first)]
    places = ranges(starts + kept.first + 2, kept.second)
    input_ids[places] = second.ids[ranges(second.row_splits[:-1], kept.second)]
    segment_ids = np.zeros_like(input_ids)
    segment_ids[ranges(starts + kept.first + 2, kept.second + is_pair)] = 1
    return TextFeatures(input_ids, segment_ids, row_splits)


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns starts[0], starts[0] + 1, ... (lengths[0] numbers), then those from starts[1], and so on.

    Args:
        starts: int [n].
        lengths: int [n].
    """
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def concatenated(parts: list[TextFeatures]) -> TextFeatures:
    """Returns the features of several batches of examples as those of one."""
    ends = np.cumsum([0] + [part.row_splits[-1] for part in parts])
    return TextFeatures(
        np.concatenate([part.input_ids for part in parts] or [np.empty(0, np.int32)]),
        np.concatenate([part.segment_ids for part in parts] or [np.empty(0, np.int32)]),
        np.concatenate([[0], *(part.row_splits[1:] + end for part, end in zip(parts, ends, strict=False))]),
    )


def num_train_steps(num_examples: int, batch_size: int, num_epochs: float) -> int:
    """Returns the steps of training: the batches of an epoch, the last one filled up, times the epochs, cut."""
    return int(math.ceil(num_examples / batch_size) * num_epochs)

"""Features of many examples laid end to end, and how they are made of ids without a loop over examples."""

import hashlib
import json
import math
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from electra_span.files import whole_file
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


class Ragged(NamedTuple):
    """Values of n rows laid end to end: row i has values[row_splits[i]:row_splits[i + 1]]."""

    values: np.ndarray  # [T]
    row_splits: np.ndarray  # int64 [n + 1]

    def row(self, index: int) -> np.ndarray:
        """Returns the values of one row."""
        return self.values[self.row_splits[index] : self.row_splits[index + 1]]

    def padded(self, rows: np.ndarray, width: int) -> np.ndarray:
        """Returns the values of some rows with zeros behind them, [len(rows), width]."""
        starts, ends = self.row_splits[rows], self.row_splits[rows + 1]
        lengths = np.minimum(ends - starts, width)
        filled = np.zeros((len(rows), width), self.values.dtype)
        filled[np.arange(width) < lengths[:, None]] = self.values[ranges(starts, lengths)]
        return filled


Column = np.ndarray | Ragged  # [n, ...], or n rows of different lengths


class Rows(NamedTuple):
    """n rows.

    Attributes:
        text: what the encoder reads of each.
        targets: what is to be told about each, by name; what an objective of its kind of task reads.
        places: what else has to be known to make answers of predictions, by name; columns as well.
    """

    text: TextFeatures
    targets: Mapping[str, Column]
    places: Mapping[str, Any] = {}

    def __len__(self) -> int:
        return len(self.text.row_splits) - 1


def padded_column(column: Column, rows: np.ndarray, width: int) -> np.ndarray:
    """Returns a column's values of some rows: [len(rows), ...], ragged ones [len(rows), width]."""
    return column.padded(rows, width) if isinstance(column, Ragged) else column[rows]


_FORMAT = 1  # rises with every change of what rows are made of examples
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def cached_rows(
    directory: str | os.PathLike[str], name: str, key: Mapping[str, Any], make: Callable[[], Rows], *, may_read: bool
) -> Rows:
    """Returns rows that were made before by the same key, or makes and keeps them.

    Args:
        directory: of the files.
        name: how the file's name begins.
        key: everything that decides about the rows, ready for JSON.
        make: makes the rows.
        may_read: False to make them anew in any case.
    """
    text = json.dumps({"format": _FORMAT, **key}, sort_keys=True)
    file = pathlib.Path(directory, f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz")
    if may_read and file.exists():
        try:
            return _read(file)
        except _UNREADABLE as error:
            logging.warning("%s cannot be read, its features are made anew: %s", file, error)
    rows = make()
    with whole_file(file) as partial, partial.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **_arrays(rows))
    return rows


def digest_of_files(files: Iterable[str | os.PathLike[str]]) -> str:
    """Returns a sha256 in hex of what is in some files."""
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _arrays(rows: Rows) -> dict[str, np.ndarray]:
    """Returns all arrays of rows by names that `_read` takes apart again."""
    arrays = {f"text/{field}": array for field, array in rows.text._asdict().items()}
    for kind, columns in (("targets", rows.targets), ("places", rows.places)):
        for name, column in columns.items():
            parts = column._asdict() if isinstance(column, Ragged) else {"dense": column}
            arrays |= {f"{kind}/{name}/{part}": array for part, array in parts.items()}
    return arrays


def _read(file: pathlib.Path) -> Rows:
    with np.load(file, allow_pickle=False) as arrays:
        text = TextFeatures(*(arrays[f"text/{field}"] for field in TextFeatures._fields))
        columns: dict[str, dict[str, Column]] = {"targets": {}, "places": {}}
        for path in arrays.files:
            kind, _, rest = path.partition("/")
            name, _, part = rest.rpartition("/")
            if part == "dense":
                columns[kind][name] = arrays[path]
            elif part == "values":
                columns[kind][name] = Ragged(arrays[path], arrays[f"{kind}/{name}/row_splits"])
    return Rows(text, columns["targets"], columns["places"])

"""Rows that a model learns from or predicts: what is read of each, and what is to be told about it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from finetune.features import TextFeatures, ranges


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

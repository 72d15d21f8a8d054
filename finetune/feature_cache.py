"""Rows that were made before, in files whose names stand for everything that made them."""

import hashlib
import json
import os
import pathlib
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from absl import logging

from electra_span.files import whole_file
from finetune.features import TextFeatures
from finetune.rows import Column, Ragged, Rows

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

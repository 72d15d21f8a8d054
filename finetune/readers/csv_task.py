"""Classification or regression of one's own tables. Imports no TensorFlow."""

import collections
import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from finetune.readers.csv_tables import CsvSettings, has_known_labels, read_csv
from finetune.readers.reading import BadRowLimit, DataError, Example, RowTally

SPLITS = ("train", "dev", "test")
_SUFFIXES = (".csv", ".tsv")
_FEW_CLASSES = 20  # so many are never taken for something else


class CsvTask(NamedTuple):
    """What is to be learned from tables.

    Attributes:
        labels: the classes, in the order of their ids; None for scores.
        score_range: the lowest and highest score of the training examples; None for classes.
        splits: the examples, by SPLITS.
        tallies: what was counted, a table each.
    """

    labels: tuple[str, ...] | None
    score_range: tuple[float, float] | None
    splits: Mapping[str, list[Example]]
    tallies: list[RowTally]


def read_csv_task(
    path: str | os.PathLike[str],
    settings: CsvSettings,
    *,
    dev_rate: float = 0.1,
    seed: int = 42,
    limit: BadRowLimit | None = None,
) -> CsvTask:
    """Returns the examples of a table, or of a folder of tables train, dev and test (.csv or .tsv).

    Where there is no table of development examples, they are taken out of the training ones.

    Args:
        path: of the table or the folder.
        settings: of all tables.
        dev_rate: the share of the training examples that is taken, where there is no table dev.
        seed: decides which.
        limit: how many rows of a table may be bad.

    Raises:
        DataError: names file and line of what cannot be read; or where there are no training examples, only one class
            or score, or nearly as many classes as rows.
    """
    if not 0 < dev_rate < 1:
        raise DataError(f"dev_rate must be above 0 and below 1. Received: {dev_rate}")
    files = csv_files(path)
    if "train" not in files:
        raise DataError(f"{os.fspath(path)}: there must be a train.csv or train.tsv. Received: {sorted(files)}")
    train, tally = read_csv(files["train"], settings, limit=limit)
    labels = None if settings.is_regression else classes_of(train, tally)
    splits, tallies = {"train": train}, [tally]
    score_range = None if labels else _range_of(train, tally)
    for split in files.keys() - {"train"}:
        is_labelled = split != "test" or has_known_labels(files[split], settings, labels, score_range)
        splits[split], tally = read_csv(files[split], settings, labels=labels, is_labelled=is_labelled, limit=limit)
        tallies.append(tally)
    if "dev" not in files:
        splits["train"], splits["dev"] = stratified_split(train, dev_rate, seed)
    score_range = None if labels else _range_of(splits["train"], tallies[0])
    return CsvTask(labels, score_range, splits, tallies)


def csv_files(path: str | os.PathLike[str]) -> dict[str, pathlib.Path]:
    """Returns the tables by the names of their splits: a single one is train.

    Raises:
        DataError: where there is none, or two of a split.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        return {"train": path}
    found = {split: [path / (split + suffix) for suffix in _SUFFIXES] for split in SPLITS}
    files = {split: [file for file in tables if file.is_file()] for split, tables in found.items()}
    for split, tables in files.items():
        if len(tables) > 1:
            raise DataError(f"{path}: there must be one table of {split}. Received: {split}.csv and {split}.tsv")
    if not any(files.values()):
        raise DataError(f"{path}: there must be a train.csv or train.tsv. Received: a folder without")
    return {split: tables[0] for split, tables in files.items() if tables}


def classes_of(examples: Sequence[Example], tally: RowTally) -> tuple[str, ...]:
    """Returns the classes of training examples, in alphabetical order.

    Raises:
        DataError: where there is only one, or nearly as many as examples.
    """
    labels = tuple(sorted({str(example.label) for example in examples}))
    if len(labels) < 2:
        raise DataError(f"{tally.file}: there must be two classes or more. Received: {labels[0]!r} alone")
    if len(labels) > max(_FEW_CLASSES, len(examples) // 2):
        raise DataError(
            f"{tally.file}: the column of labels must hold classes; for scores say is_regression. Received: "
            f"{len(labels)} different labels in {len(examples)} rows"
        )
    return labels


class TrainAndDev(NamedTuple):
    """Examples that are parted."""

    train: list[Example]
    dev: list[Example]


def stratified_split(examples: Sequence[Example], dev_rate: float, seed: int) -> TrainAndDev:
    """Returns training and development examples, of each class the same share, in their order.

    Equal texts stay together, so that nothing is asked that was learned. Which texts are taken depends on them and the
    seed alone, and hardly changes when rows are added or moved.

    Args:
        examples: of classes, or scores, which are one class here.
        dev_rate: the share that is taken of each class, one text at least where there are two.
        seed: decides which.
    """
    strata: dict[str, list[tuple[str, str | None]]] = collections.defaultdict(list)
    for texts, label in {(example.text_a, example.text_b): example.label for example in reversed(examples)}.items():
        strata[label if isinstance(label, str) else ""].append(texts)
    taken: set[tuple[str, str | None]] = set()
    for stratum in strata.values():
        num_taken = max(round(dev_rate * len(stratum)), 1) if len(stratum) > 1 else 0
        taken.update(sorted(stratum, key=lambda texts: _digest(texts, seed))[:num_taken])
    is_taken = [(example.text_a, example.text_b) in taken for example in examples]
    return TrainAndDev(
        [example for example, is_dev in zip(examples, is_taken, strict=True) if not is_dev],
        [example for example, is_dev in zip(examples, is_taken, strict=True) if is_dev],
    )


def _digest(texts: tuple[str, str | None], seed: int) -> bytes:
    return hashlib.blake2b(repr((seed, texts)).encode("utf-8", "surrogatepass")).digest()


def _range_of(examples: Sequence[Example], tally: RowTally) -> tuple[float, float]:
    """Returns the lowest and the highest score of training examples; raises DataError where they are one."""
    scores = [float(example.label or 0) for example in examples]
    if min(scores) == max(scores):
        raise DataError(f"{tally.file}: there must be two scores or more. Received: {scores[0]:g} alone")
    return min(scores), max(scores)

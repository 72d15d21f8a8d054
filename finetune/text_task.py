"""Features of texts and pairs of texts that have a class or a score."""

import functools
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from electra_span.head_config import HeadConfig
from electra_span.tokenization import Tokenizer
from finetune.features import Rows, TextFeatures, concatenated, pair_features
from finetune.metrics.glue import (
    GLUE_METRICS,
    GlueMetrics,
    accuracy_and_macro_f1,
    headline_score,
    is_constant,
    mean_loss,
    regression_scores,
)
from finetune.predictions import ExamplePredictions, class_predictions, score_predictions
from finetune.readers.csv_tables import CsvSettings
from finetune.readers.csv_task import csv_files, read_csv_task
from finetune.readers.glue import GLUE_TASKS, MAX_SCORE, read_glue, with_swapped_pairs
from finetune.readers.reading import BadRowLimit, DataError, Example
from finetune.task import Evaluation, Predictions, Task
from finetune.task_names import TaskName

_BATCH_SIZE = 1 << 13  # texts that are tokenized at a time


class LabelledFeatures(NamedTuple):
    """Features of n examples with their ids and what is to be told."""

    text: TextFeatures
    example_ids: np.ndarray  # int64 [n]
    labels: np.ndarray  # [n], int32 ids of classes or float32 targets; 0 where they are not known


def text_features(examples: Sequence[Example], tokenizer: Tokenizer, max_seq_length: int) -> TextFeatures:
    """Returns what the encoder reads of each example.

    Args:
        examples: n of them.
        tokenizer: of the model.
        max_seq_length: the most tokens of an example, special ones counted; longer texts are cut at the end, and of a
            pair the longer one first.

    Raises:
        DataError: where there is no room for a token of each text.
    """
    if max_seq_length < 5:
        raise DataError(f"max_seq_length must be at least 5 for pairs of texts. Received: {max_seq_length}")
    batches = (examples[start : start + _BATCH_SIZE] for start in range(0, len(examples), _BATCH_SIZE))
    return concatenated(
        [
            pair_features(
                tokenizer.encode_flat([example.text_a for example in batch]),
                tokenizer.encode_flat([example.text_b or "" for example in batch]),
                max_seq_length=max_seq_length,
                cls_id=tokenizer.cls_id,
                sep_id=tokenizer.sep_id,
            )
            for batch in batches
        ]
    )


def classification_features(
    examples: Sequence[Example], tokenizer: Tokenizer, max_seq_length: int, *, labels: Sequence[str]
) -> LabelledFeatures:
    """Returns features with the ids of classes, which are places in `labels`; 0 where an example has none.

    Raises:
        DataError: for a label that is not among them, or a max_seq_length without room.
    """
    ids = {label: number for number, label in enumerate(labels)}
    unknown = next((example for example in examples if example.label is not None and example.label not in ids), None)
    if unknown is not None:
        raise DataError(
            f"example {unknown.example_id}: the label must be one of {', '.join(labels)}. Received: {unknown.label!r}"
        )
    classes = [0 if example.label is None else ids[str(example.label)] for example in examples]
    return _labelled(examples, tokenizer, max_seq_length, np.array(classes, np.int32))


def regression_features(
    examples: Sequence[Example], tokenizer: Tokenizer, max_seq_length: int, *, lowest: float, highest: float
) -> LabelledFeatures:
    """Returns features with the scores moved to 0 for the lowest and 1 for the highest; 0 where there is none.

    Raises:
        DataError: where highest is not above lowest, or max_seq_length leaves no room.
    """
    if not highest > lowest:
        raise DataError(f"the highest score must be above the lowest. Received: {lowest} to {highest}")
    scores = np.array([lowest if example.label is None else float(example.label) for example in examples])
    return _labelled(examples, tokenizer, max_seq_length, ((scores - lowest) / (highest - lowest)).astype(np.float32))


def restored_scores(predictions: np.ndarray, *, lowest: float, highest: float) -> np.ndarray:
    """Returns predictions of a regression in the unit of the file; the inverse of `regression_features`."""
    return lowest + np.asarray(predictions, np.float64) * (highest - lowest)


def _labelled(
    examples: Sequence[Example], tokenizer: Tokenizer, max_seq_length: int, labels: np.ndarray
) -> LabelledFeatures:
    example_ids = np.array([example.example_id for example in examples], np.int64)
    return LabelledFeatures(text_features(examples, tokenizer, max_seq_length), example_ids, labels)


_CLASSES = GlueMetrics(accuracy_and_macro_f1, ("accuracy",))
_SCORES = GlueMetrics(regression_scores, ("pearson", "spearman"))


class TextTask(Task):
    """A task with one label a text, or pair of texts.

    Args:
        name: as in hparams.
        head: its labels or range of scores are the task's.
        read: returns the examples of a split.
        files: of each split that there is.
        metrics: by which predictions are scored.
        max_seq_length: the most tokens of a row.
        doubles_pairs: train on each pair in both orders.
        reading: what else decides about the examples, ready for JSON.
    """

    def __init__(
        self,
        name: TaskName,
        head: HeadConfig,
        *,
        read: Callable[[str], list[Example]],
        files: Mapping[str, pathlib.Path],
        metrics: GlueMetrics,
        max_seq_length: int,
        doubles_pairs: bool = False,
        reading: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name, head)
        self._examples = functools.cache(read)
        self._files, self._metrics = dict(files), metrics
        self._max_seq_length, self._doubles_pairs, self._reading = max_seq_length, doubles_pairs, reading

    def files(self, split: str) -> Sequence[pathlib.Path]:
        """Returns the table of a split; that of the training examples where they hold it."""
        return [self._files.get(split, self._files["train"])]

    @property
    def settings(self) -> dict[str, Any]:
        """What decides about rows beside files and tokenizer."""
        return {
            "max_seq_length": self._max_seq_length,
            "labels": self.head.labels,
            "score_range": self.head.score_range,
            "doubles_pairs": self._doubles_pairs,
            "reading": self._reading,
        }

    def make_rows(self, split: str, tokenizer: Tokenizer) -> Rows:
        """Returns the rows of a split."""
        examples = self._examples(split)
        if self._doubles_pairs and split == "train":
            examples = with_swapped_pairs(examples)
        if self.head.kind == "classification":
            features = classification_features(examples, tokenizer, self._max_seq_length, labels=self.head.labels)
        else:
            lowest, highest = self.head.score_range or (0.0, 1.0)
            features = regression_features(examples, tokenizer, self._max_seq_length, lowest=lowest, highest=highest)
        return Rows(features.text, {"labels": features.labels})

    def evaluate(self, split: str, rows: Rows, predictions: Predictions) -> Evaluation:
        """Returns the metrics of a split."""
        predicted = self._predicted(predictions)
        labels: list[Any] = [example.label for example in self._examples(split)]
        if self.head.kind == "classification":
            labels = [self.head.labels.index(label) for label in labels]
        scores = {**self._metrics.scores(labels, predicted), "loss": mean_loss(np.stack(predictions["loss"]))}
        return Evaluation(scores, is_constant(predicted))

    def headline(self, scores: Mapping[str, float]) -> float:
        """Returns the score that counts."""
        return headline_score(self._metrics, scores)

    def of_examples(self, split: str, rows: Rows, predictions: Predictions) -> ExamplePredictions:
        """Returns the class or score of each example."""
        ids = [example.example_id for example in self._examples(split)]
        if self.head.kind == "classification":
            return class_predictions(ids, np.stack(predictions["logits"]), self.head.labels)
        return score_predictions(ids, self._predicted(predictions))

    def _predicted(self, predictions: Predictions) -> np.ndarray:
        """Returns the ids of classes, or the scores in the unit of the file; [n]."""
        logits = np.stack(predictions["logits"])
        if self.head.kind == "classification":
            return np.argmax(logits, axis=-1)
        lowest, highest = self.head.score_range or (0.0, 1.0)
        return restored_scores(logits, lowest=lowest, highest=highest)


def make_glue_task(
    name: TaskName,
    directory: str | os.PathLike[str],
    *,
    max_seq_length: int,
    classifier: str,
    doubles_pairs: bool,
    limit: BadRowLimit,
) -> TextTask:
    """Returns a task of GLUE whose files are in a folder."""
    glue = GLUE_TASKS[name.name]
    task = TextTask(
        name,
        _head_of(name, glue.labels, (0.0, MAX_SCORE), classifier),
        read=lambda split: read_glue(glue, split, directory, limit).examples,
        files={split: pathlib.Path(directory, file.file) for split, file in glue.splits.items()},
        metrics=GLUE_METRICS[name.name],
        max_seq_length=max_seq_length,
        doubles_pairs=doubles_pairs and glue.is_symmetric,
    )
    task.evaluation_splits = [split for split in glue.splits if split.startswith("dev")]
    task.test_splits = [split for split, file in glue.splits.items() if file.submission]
    return task


def make_csv_task(
    name: TaskName,
    settings: CsvSettings,
    *,
    max_seq_length: int,
    classifier: str,
    dev_rate: float,
    seed: int,
    limit: BadRowLimit,
) -> TextTask:
    """Returns a task of one's own tables.

    Args:
        name: with the path of a table or a folder.
        settings: of the tables.
        max_seq_length: the most tokens of a row.
        classifier: "linear" or "dense".
        dev_rate: see `read_csv_task`.
        seed: see `read_csv_task`.
        limit: how many rows of a table may be bad.
    """
    path = name.path or ""
    csv_task = read_csv_task(path, settings, dev_rate=dev_rate, seed=seed, limit=limit)
    head = _head_of(name, csv_task.labels, csv_task.score_range, classifier)
    task = TextTask(
        name,
        head,
        read=lambda split: csv_task.splits[split],
        files=csv_files(path),
        metrics=_SCORES if csv_task.labels is None else _CLASSES,
        max_seq_length=max_seq_length,
        reading={**vars(settings), "dev_rate": dev_rate, "seed": seed},
    )
    task.test_splits = [split for split in ("test",) if split in csv_task.splits]
    return task


def _head_of(
    name: TaskName, labels: tuple[str, ...] | None, score_range: tuple[float, float] | None, classifier: str
) -> HeadConfig:
    """Returns the head of a task that has labels, or else scores."""
    if labels is None:
        return HeadConfig(task=name.head, kind="regression", score_range=score_range, classifier=classifier)
    return HeadConfig(task=name.head, kind="classification", labels=labels, classifier=classifier)

"""Features of sentences with a tag a word."""

import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from electra_span.head_config import HeadConfig
from electra_span.tags import LabelWriter
from electra_span.tokenization.base import FlatIds, Tokenizer
from finetune.features import Ragged, Rows, TextFeatures, ranges
from finetune.metrics.glue import mean_loss
from finetune.metrics.tagging import accuracy_score, span_scores
from finetune.predictions import ExamplePredictions, tag_predictions
from finetune.readers.reading import BadRowLimit, DataError
from finetune.readers.tagged_files import TaggedSentence, labels_of, read_tagged
from finetune.task import Evaluation, Predictions, Task, are_unnamed
from finetune.task_names import TaskName


class TaggingFeatures(NamedTuple):
    """Features of n windows: a sentence is one, or, where it is too long, several, each of whole words.

    Window i has the words word_splits[i] to word_splits[i + 1].
    """

    text: TextFeatures
    example_ids: np.ndarray  # int64 [n], of the sentences
    first_words: np.ndarray  # int64 [n], the number of the window's first word in its sentence
    word_splits: np.ndarray  # int64 [n + 1]
    positions: np.ndarray  # int32 [W], of each word's first token in its window
    labels: np.ndarray  # int32 [W], 0 where the tag is unknown
    is_known: np.ndarray  # bool [W], whether it is not


def tagging_features(
    sentences: Sequence[TaggedSentence],
    tokenizer: Tokenizer,
    max_seq_length: int,
    *,
    labels: Sequence[str],
    segment_id: int = 0,
) -> TaggingFeatures:
    """Returns the features of sentences.

    Deviation: the original cuts long sentences too early and does not score the words it lost; here they go on in
    another window. It moves tags by a word after a word that leaves no token, which is [UNK] here, and takes the words
    [CLS] and [SEP] for special tokens.

    Args:
        sentences: of one word or more.
        tokenizer: of the model.
        max_seq_length: the most tokens of a window, special ones counted. Of a longer word the start is kept.
        labels: the known tags, in the order of their ids.
        segment_id: of all tokens; the original has 1.

    Raises:
        DataError: where there is no room for a token.
    """
    room = max_seq_length - 2
    if room < 1:
        raise DataError(f"max_seq_length must be at least 3 for sentences. Received: {max_seq_length}")
    words = [word for sentence in sentences for word in sentence.words]
    tokens = _tokens_of(words, tokenizer, room)
    token_splits = tokens.row_splits
    sentence_splits = np.cumsum([0] + [len(sentence.words) for sentence in sentences])
    starts = _window_starts(sentence_splits, token_splits, room)
    owners = np.searchsorted(sentence_splits, starts, side="right") - 1
    word_splits = np.append(starts, len(words))
    num_tokens = np.diff(token_splits[word_splits])
    row_splits = np.concatenate([[0], np.cumsum(num_tokens + 2)])
    input_ids = np.full(row_splits[-1], tokenizer.sep_id, np.int32)
    input_ids[row_splits[:-1]] = tokenizer.cls_id
    input_ids[ranges(row_splits[:-1] + 1, num_tokens)] = tokens.ids
    ids = {label: number for number, label in enumerate(labels)}
    label_ids = np.array([ids.get(tag, -1) for sentence in sentences for tag in sentence.tags], np.int32)
    return TaggingFeatures(
        TextFeatures(input_ids, np.full_like(input_ids, segment_id), row_splits),
        np.array([sentences[owner].example_id for owner in owners], np.int64),
        starts - sentence_splits[owners],
        word_splits,
        (1 + token_splits[:-1] - np.repeat(token_splits[starts], np.diff(word_splits))).astype(np.int32),
        np.maximum(label_ids, 0),
        label_ids >= 0,
    )


def _tokens_of(words: Sequence[str], tokenizer: Tokenizer, most: int) -> FlatIds:
    """Returns the ids of words, one or more each and at most `most`."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    rows = [row[:most] for row in tokenizer.encode_words(list(numbers))] if numbers else []
    places = np.array([numbers[word] for word in words], np.int64)
    lengths = np.array([len(row) for row in rows], np.int64)
    flat_ids = np.array([token for row in rows for token in row], np.int32)
    starts = np.cumsum(lengths) - lengths
    row_splits = np.concatenate([[0], np.cumsum(lengths[places])])
    return FlatIds(flat_ids[ranges(starts[places], lengths[places])], row_splits)


def _window_starts(sentence_splits: np.ndarray, token_splits: np.ndarray, room: int) -> np.ndarray:
    """Returns the words that windows start with, each window as full of words as it can be, int64 [n].

    Args:
        sentence_splits: int64 [sentences + 1], in words.
        token_splits: int64 [W + 1], where each word starts, in tokens.
        room: for tokens in a window.
    """
    starts = list(sentence_splits[:-1])
    for sentence in np.flatnonzero(np.diff(token_splits[sentence_splits]) > room):
        word, last = sentence_splits[sentence], sentence_splits[sentence + 1]
        while token_splits[last] - token_splits[word] > room:
            word = np.searchsorted(token_splits, token_splits[word] + room, side="right") - 1
            starts.append(word)
    return np.sort(np.array(starts, np.int64))


def joined_windows(example_ids: Sequence[int], windows: Iterable[Sequence[str]]) -> dict[int, list[str]]:
    """Returns the tags of each sentence, by its id, from those of its windows.

    Args:
        example_ids: of the sentence of each window, in order.
        windows: the tags of each window's words.
    """
    joined: dict[int, list[str]] = {}
    for example_id, tags in zip(example_ids, windows, strict=True):
        joined.setdefault(example_id, []).extend(tags)
    return joined


_EXTENSIONS = (".txt", ".conllu", ".conll", ".tsv", ".bio", ".iob")


class TaggingTask(Task):
    """A task of a folder with train.txt and, as far as they are there, dev.txt and test.txt; or of one file.

    Other extensions are .conllu, .conll, .tsv, .bio and .iob. Where there is no dev.txt, some of the training sentences
    are taken out to be evaluated on.

    Args:
        name: as in hparams.
        directory: of the files, or the only file.
        known: the head of a model that was trained on them, whose tags hold; None: those of the training examples.
        max_seq_length: the most tokens of a window.
        segment_id: of all tokens.
        word_column: see `read_tagged`.
        tag_column: see `read_tagged`.
        scheme: of the labels of a head to be trained, "bioes" or "bio".
        encoding: of the files.
        dev_rate: share of the training sentences that is taken out.
        seed: decides which.
        limit: how many sentences of a file may be bad.
    """

    def __init__(
        self,
        name: TaskName,
        directory: str | os.PathLike[str],
        *,
        known: HeadConfig | None,
        max_seq_length: int,
        segment_id: int,
        word_column: int,
        tag_column: int,
        scheme: str,
        encoding: str,
        dev_rate: float,
        seed: int,
        limit: BadRowLimit,
    ) -> None:
        self._directory = pathlib.Path(directory)
        self._columns: dict[str, Any] = {"word_column": word_column, "tag_column": tag_column, "encoding": encoding}
        self._limit, self._dev_rate, self._seed = limit, dev_rate, seed
        self._max_seq_length, self._segment_id = max_seq_length, segment_id
        self._read = functools.cache(self._read_file)
        self._sentences = functools.cache(self._read_split)
        self._labels = self._known_labels(known.labels) if known else None
        labels = self._labels or labels_of(self._read("train"), scheme)
        if len(labels) < 2:
            raise DataError(f"{self._file('train')}: there must be two tags or more. Received: {labels[0]!r} alone")
        head = HeadConfig(task=name.head, kind="tagging", labels=labels)
        super().__init__(name, dataclasses.replace(known, labels=labels) if known else head)
        self._labels, self._writer = self.head.labels, LabelWriter(self.head.labels)
        if self._writer.scheme.is_plain:
            logging.info("%s: its tags have no positions, and are scored by accuracy: %s", name.name, ", ".join(labels))
        has_test = self._file("test").is_file()
        self.evaluation_splits = ["dev", "test"] if has_test else ["dev"]
        self.test_splits = ["test"] if has_test else []

    def files(self, split: str) -> Sequence[pathlib.Path]:
        """Returns the file of a split; that of the training sentences where they hold it."""
        return [self._file(split if self._file(split).is_file() else "train")]

    @property
    def settings(self) -> dict[str, Any]:
        """What decides about rows beside files and tokenizer."""
        return {
            "max_seq_length": self._max_seq_length,
            "labels": self.head.labels,
            "segment_id": self._segment_id,
            **self._columns,
            "dev": [self._dev_rate, self._seed, self._file("dev").is_file()],
        }

    def make_rows(self, split: str, tokenizer: Tokenizer) -> Rows:
        """Returns the rows of a split."""
        features = tagging_features(
            [each._replace(tags=tuple(self._writer.written(each.tags))) for each in self._sentences(split)],
            tokenizer,
            self._max_seq_length,
            labels=self.head.labels,
            segment_id=self._segment_id,
        )
        targets = {
            "positions": Ragged(features.positions, features.word_splits),
            "labels": Ragged(features.labels, features.word_splits),
            "weights": Ragged(features.is_known.astype(np.float32), features.word_splits),
        }
        places = {"example_ids": features.example_ids, "num_words": np.diff(features.word_splits)}
        return Rows(features.text, targets, places)

    def evaluate(self, split: str, rows: Rows, predictions: Predictions) -> Evaluation:
        """Returns the accuracy of tags, and, unless they are plain, precision, recall and F1 of spans."""
        tags = self._tags(rows, predictions)
        sentences, scheme = self._sentences(split), self._writer.scheme
        predicted = [tags[sentence.example_id] for sentence in sentences]
        scores = accuracy_score([self._writer.written(sentence.tags) for sentence in sentences], predicted)
        if not scheme.is_plain:
            gold = [sentence.tags for sentence in sentences]
            scores = {**span_scores(gold, [scheme.canonical(row) for row in predicted]), **scores}
        loss = mean_loss(np.stack(predictions["loss"]), rows.places["num_words"])
        return Evaluation({**scores, "loss": loss}, len({tag for row in predicted for tag in row}) == 1)

    def headline(self, scores: Mapping[str, float]) -> float:
        """Returns the score that counts."""
        return scores["accuracy" if self._writer.scheme.is_plain else "f1"]

    def of_examples(self, split: str, rows: Rows, predictions: Predictions) -> ExamplePredictions:
        """Returns the tags of each sentence."""
        tags = self._tags(rows, predictions)
        return tag_predictions(tags, tags.values())

    def _tags(self, rows: Rows, predictions: Predictions) -> dict[int, list[str]]:
        """Returns the tags of each sentence, whose windows are joined again, by its id."""
        windows = zip(predictions["classes"], rows.places["num_words"], strict=True)
        tags = ([self.head.labels[index] for index in classes[:length]] for classes, length in windows)
        return joined_windows(rows.places["example_ids"].tolist(), tags)

    def _known_labels(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Returns a model's labels; if they have no names, those of the training file, sorted as transformers does."""
        if not are_unnamed(labels):
            return labels
        tags = read_tagged(self._file("train"), **self._columns, limit=self._limit).file_tags
        if len(tags) != len(labels):
            raise DataError(
                f"{self._file('train')}: the model has {len(labels)} labels without names, which must be as many as "
                f"the tags there. Received: {len(tags)} tags, {', '.join(tags[:20])}"
            )
        return tags

    def _file(self, split: str) -> pathlib.Path:
        if self._directory.is_file():
            return self._directory if split == "train" else self._directory / split
        files = [self._directory / f"{split}{extension}" for extension in _EXTENSIONS]
        return next((file for file in files if file.is_file()), files[0])

    def _read_file(self, split: str) -> list[TaggedSentence]:
        return read_tagged(self._file(split), **self._columns, labels=self._labels, limit=self._limit).sentences

    def _read_split(self, split: str) -> list[TaggedSentence]:
        """Returns the sentences of a split, of which train and dev may be one file."""
        if split == "test" or self._file("dev").is_file():
            return self._read(split)
        fractions = [_fraction(sentence.words, self._seed) for sentence in self._read("train")]
        if len(set(fractions)) < 2:
            raise DataError(
                f"{self._file('train')}: to take sentences out for evaluation there must be two different ones. "
                "Received: one; name a folder of train and dev files instead"
            )
        least = max(self._dev_rate, sorted(set(fractions))[1])  # one sentence at least, however unlikely
        most = max(fractions)  # and one stays
        is_dev = [fraction < least and fraction != most for fraction in fractions]
        return [
            sentence for sentence, taken in zip(self._read("train"), is_dev, strict=True) if taken == (split == "dev")
        ]


def _fraction(words: Sequence[str], seed: int) -> float:
    """Returns a number from 0 to 1 that is random, but equal for equal sentences."""
    digest = hashlib.blake2b(repr((seed, words)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64

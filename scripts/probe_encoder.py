"""Prints how well logistic regression on a frozen encoder's mean states tells sentences apart, as one JSON line."""

import argparse
import collections
import csv
import json
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.places import check_input

if TYPE_CHECKING:
    from electra_span.published.names import Model

_MOST_ITERATIONS = 2000


class ProbeError(UserError):
    """Sentences that cannot be read, or a model without what the probe needs."""


class Sentences(NamedTuple):
    """Texts and the label of each."""

    texts: list[str]
    labels: list[str]


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("model", type=command_line.parse_path, help="folder of a published model")
    parser.add_argument(
        "data",
        type=command_line.parse_path,
        help="folder of train.tsv and dev.tsv with columns sentence and label, such as SST-2",
    )
    parser.add_argument(
        "--max-seq-length",
        type=command_line.whole_number(3),
        default=64,
        help="tokens a sentence is cut at (default: 64)",
    )
    parser.add_argument(
        "--batch-size",
        type=command_line.whole_number(1),
        default=256,
        help="sentences encoded at once (default: 256)",
    )
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints the result of the probe that the arguments describe."""
    check_input("model", arguments.model, expects_folder=True)
    train, dev = (read_sentences(arguments.data / f"{name}.tsv") for name in ("train", "dev"))

    # Imports TensorFlow, which takes seconds: only now, with the sentences read.
    from electra_span.published.save_load import load_pretrained

    model = load_pretrained(arguments.model)
    if model.tokenizer is None:
        raise ProbeError(f"{arguments.model} holds no tokenizer; publish the model with one")
    settings = {"max_seq_length": arguments.max_seq_length, "batch_size": arguments.batch_size}
    train_states, dev_states = (mean_states(model, part.texts, **settings) for part in (train, dev))
    print(json.dumps(probe(train_states, train.labels, dev_states, dev.labels)))


def read_sentences(path: pathlib.Path) -> Sentences:
    """Returns the sentences of a tab-separated file with a header; quote characters are text.

    Raises:
        ProbeError: the file is not there, or lacks a column or a field.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as error:
        raise ProbeError(f"cannot read {path}: {error.strerror}") from None
    for number, row in enumerate(rows, start=2):
        if not (row.get("sentence") and row.get("label")):
            raise ProbeError(f"{path}, line {number}: must have a sentence and a label. Received: {row}")
    return Sentences([row["sentence"].strip() for row in rows], [row["label"] for row in rows])


def mean_states(model: "Model", texts: Sequence[str], *, max_seq_length: int, batch_size: int) -> np.ndarray:
    """Returns the mean of each text's final hidden states, [CLS] and [SEP] among them: float32 [texts, H].

    Args:
        model: a published one, with its tokenizer.
        texts: one sequence each.
        max_seq_length: tokens a text is cut at, special ones counted.
        batch_size: texts encoded at once, those of like length together.
    """
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def pooled(input_ids: tf.Tensor, input_mask: tf.Tensor) -> tf.Tensor:
        states = model.encoder(input_ids, input_mask)  # [B, L, H]
        weights = tf.cast(input_mask, states.dtype)[:, :, tf.newaxis]
        return tf.reduce_sum(weights * states, axis=1) / tf.reduce_sum(weights, axis=1)  # [B, H]

    tokenizer = model.tokenizer
    rows = [[tokenizer.cls_id, *row[: max_seq_length - 2], tokenizer.sep_id] for row in tokenizer.encode(list(texts))]
    order = np.argsort([len(row) for row in rows], kind="stable")
    means = np.empty((len(rows), model.config.hidden_size), np.float32)
    for indices in _batches(order, batch_size):
        ids = tf.ragged.constant([rows[index] for index in indices], dtype=tf.int32)
        mask = tf.ones_like(ids).to_tensor()
        means[indices] = pooled(ids.to_tensor(tokenizer.pad_id), mask).numpy()
    return means


def probe(
    train_states: np.ndarray, train_labels: Sequence[str], dev_states: np.ndarray, dev_labels: Sequence[str]
) -> dict[str, float]:
    """Returns accuracies of logistic regression on standardised states.

    Args:
        train_states, dev_states: float32 [texts, H].
        train_labels, dev_labels: one a text.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one that has not converged is no result
        classifier.fit(train_states, train_labels)
    majority = max(collections.Counter(dev_labels).values())
    return {
        "dev_accuracy": float(classifier.score(dev_states, dev_labels)),
        "train_accuracy": float(classifier.score(train_states, train_labels)),
        "dev_majority_share": majority / len(dev_labels),
    }


def _batches(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


if __name__ == "__main__":
    command_line.run(main, make_parser)

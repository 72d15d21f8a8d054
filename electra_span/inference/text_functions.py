"""What heads and encoders say of texts, as functions of string tensors that a graph can hold.

Each takes n texts and returns tensors by name, whose first axis is n. `is_cut` tells which texts had too many tokens.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from electra_span.head_config import HeadConfig
from electra_span.inference.reading import TextBatch, inner_tokens, read_texts
from electra_span.tokenization import Tokenizer

TextFunction = Callable[..., dict[str, tf.Tensor]]


def classify_function(model: Any, head: HeadConfig, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts, or texts and their pairs (string [n]), that gives their labels or scores.

    Its outputs are label (string [n]) and probability (float32 [n]) of the best one, and all labels and probabilities
    ([n, C]); of a head for regression score (float32 [n]).

    Args:
        model: an ElectraTaskModel.
        head: of its, for classification or regression.
        tokenizer: of the model.
        max_seq_length: the most tokens of a text or pair.
    """
    describe = _score if head.kind == "regression" else _labels

    def classify(texts: tf.Tensor, pairs: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        batch = read_texts(texts, pairs, tokenizer=tokenizer, max_seq_length=max_seq_length)
        logits = model.heads[head.task](model.encoder(**batch.inputs))
        return {**describe(logits, head), "is_cut": batch.is_cut}

    return classify


def embed_function(model: Any, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts (string [n]) that gives a vector for each.

    Its outputs are first, the state of [CLS], and mean, that of all tokens' states, [CLS] and [SEP] among them: both
    float32 [n, H].
    """

    def embed(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = read_texts(texts, tokenizer=tokenizer, max_seq_length=max_seq_length)
        states = _states(model, batch)
        weights = tf.cast(batch.input_mask, tf.float32)[:, :, tf.newaxis]  # [n, L, 1]
        mean = tf.reduce_sum(weights * states, axis=1) / tf.reduce_sum(weights, axis=1)  # [n, H]
        return {"first": states[:, 0], "mean": mean, "is_cut": batch.is_cut}

    return embed


def embed_tokens_function(model: Any, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts (string [n]) that gives a vector for each token of theirs.

    Its outputs are vectors (float32 [n, T, H], 0 at padding) and tokens, starts and ends as in `InnerTokens`.
    """
    vocabulary = tf.constant(tokenizer.vocabulary)

    def embed_tokens(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = read_texts(texts, tokenizer=tokenizer, max_seq_length=max_seq_length, places=True)
        is_token, *columns = inner_tokens(batch, vocabulary)
        vectors = tf.where(is_token[:, :, tf.newaxis], _states(model, batch)[:, 1:-1], 0.0)
        return {"vectors": vectors, **_named(columns), "is_cut": batch.is_cut}

    return embed_tokens


def replaced_function(model: Any, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts (string [n]) that gives the probability of each token to have been replaced.

    Its outputs are probabilities (float32 [n, T], 0 at padding) and tokens, starts and ends as in `InnerTokens`.

    Args:
        model: an ElectraDiscriminator.
        tokenizer: of the model.
        max_seq_length: the most tokens of a text.
    """
    vocabulary = tf.constant(tokenizer.vocabulary)

    def replaced(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = read_texts(texts, tokenizer=tokenizer, max_seq_length=max_seq_length, places=True)
        is_token, *columns = inner_tokens(batch, vocabulary)
        probabilities = tf.where(is_token, tf.sigmoid(model(**batch.inputs))[:, 1:-1], 0.0)
        return {"probabilities": probabilities, **_named(columns), "is_cut": batch.is_cut}

    return replaced


def _labels(logits: tf.Tensor, head: HeadConfig) -> dict[str, tf.Tensor]:
    """Returns the labels of logits [n, C], with their probabilities."""
    probabilities = tf.nn.softmax(logits)
    labels = tf.constant(head.labels)
    return {
        "label": tf.gather(labels, tf.argmax(logits, axis=-1)),
        "probability": tf.reduce_max(probabilities, axis=-1),
        "labels": tf.broadcast_to(labels, tf.shape(logits)),
        "probabilities": probabilities,
    }


def _score(logits: tf.Tensor, head: HeadConfig) -> dict[str, tf.Tensor]:
    """Returns the scores that predictions [n] of a head for regression stand for."""
    lowest, highest = head.score_range or (0.0, 1.0)
    return {"score": lowest + logits * (highest - lowest)}


def _states(model: Any, batch: TextBatch) -> tf.Tensor:
    """Returns a model's hidden states of a batch: float32 [n, L, H]."""
    return tf.cast(model.encoder(**batch.inputs), tf.float32)


def _named(columns: list[tf.Tensor]) -> Mapping[str, tf.Tensor]:
    """Returns the columns of inner tokens by their names."""
    return dict(zip(("tokens", "starts", "ends"), columns, strict=True))

"""The trained tables of embeddings: their rows for given ids, and their products with given vectors.

Words have a table with a row each (`FullWords`) or share the rows of two small ones (`CompositionalWords`); either
gives `lookup`, `logits` and `full_table`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from electra_span.config import LARGE_VOCABULARY, EncoderConfig
from electra_span.layers.keras_serialization import KerasConfig, register
from electra_span.layers.kernels import dropout, dropout_bits, layer_norm

# The standard deviation of both factors' entries from which vectors get that of `initializer_range`.
_FACTOR_STDDEV: dict[str, Callable[[float], float]] = {
    "multiply": math.sqrt,
    "add": lambda stddev: stddev / math.sqrt(2),
    "concat": lambda stddev: stddev,
}
_STDDEV_LEFT_BY_TRUNCATION = 0.8796256610342398  # of a normal distribution cut off at two standard deviations


class Table:
    """A trained matrix or, with a base, the sum of that base, which gets no gradient, and a trained difference from it.

    Gradient-disentangled sharing (He et al. 2021, "DeBERTaV3", section 3.3) is the latter, from a difference of 0.

    Args:
        variable: float32 [rows, width].
        base: of the same shape.
    """

    def __init__(self, variable: keras.Variable, base: "Table | None" = None) -> None:
        self.variable, self.base = variable, base

    def lookup(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the rows of ids [...]: float32 [..., width]."""
        rows = tf.gather(self.variable, ids)
        return rows if self.base is None else tf.stop_gradient(self.base.lookup(ids)) + rows

    def whole(self) -> tf.Tensor:
        """Returns all rows: float32 [rows, width]."""
        rows = tf.convert_to_tensor(self.variable)
        return rows if self.base is None else tf.stop_gradient(self.base.whole()) + rows

    def assign(self, rows: np.ndarray) -> None:
        """Changes the variable, and no base, so that all rows are those given: float32 [rows, width]."""
        self.variable.assign(rows if self.base is None else rows - self.base.whole().numpy())


class FullWords:
    """Vectors of words, each a row of its own of one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def lookup(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of ids [...]: float32 [..., E]."""
        return self._table.lookup(ids)

    def logits(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the products of vectors, float32 [M, E], with every word's: float32 [M, V]."""
        return tf.matmul(vectors, self._table.whole(), transpose_b=True)

    def full_table(self) -> tf.Tensor:
        """Returns every word's vector: float32 [V, E]."""
        return self._table.whole()


class CompositionalWords:
    """Vectors of words, each made of a row that it shares with its neighbours and one shared with words far apart.

    With m buckets, word i has row i // m of the quotients and row i % m of the remainders, a pair that no other word
    has. Source: Shi et al. 2020, "Compositional Embeddings Using Complementary Partitions", section 3.

    Args:
        quotients: ceil(V / m) rows.
        remainders: m rows.
        vocab_size: V.
        operation: how two rows make a vector, "multiply", "add" or "concat".
    """

    def __init__(self, quotients: Table, remainders: Table, *, vocab_size: int, operation: str) -> None:
        self._quotients, self._remainders = quotients, remainders
        self._vocab_size, self._operation = vocab_size, operation
        self._num_buckets = remainders.variable.shape[0]

    def lookup(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of ids [...]: float32 [..., E]."""
        quotients = self._quotients.lookup(ids // self._num_buckets)
        remainders = self._remainders.lookup(ids % self._num_buckets)
        if self._operation == "concat":
            return tf.concat([quotients, remainders], axis=-1)
        return quotients * remainders if self._operation == "multiply" else quotients + remainders

    def logits(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the products of vectors, float32 [M, E], with every word's: float32 [M, V].

        The words' vectors are formed for none but a small vocabulary.
        """
        if self._operation == "multiply":
            if self._vocab_size < LARGE_VOCABULARY:  # one product with a formed table is the fastest
                return tf.matmul(vectors, self.full_table(), transpose_b=True)
            weighted = vectors[:, None, :] * self._quotients.whole()  # [M, ceil(V / m), E]
            rows = tf.reshape(weighted, [-1, weighted.shape[-1]])
            scores = tf.matmul(rows, self._remainders.whole(), transpose_b=True)  # [M * ceil(V / m), m]
            return self._of_words(scores)
        halves = tf.split(vectors, 2, axis=-1) if self._operation == "concat" else (vectors, vectors)
        of_quotients = tf.matmul(halves[0], self._quotients.whole(), transpose_b=True)  # [M, ceil(V / m)]
        of_remainders = tf.matmul(halves[1], self._remainders.whole(), transpose_b=True)  # [M, m]
        return self._of_words(of_quotients[:, :, None] + of_remainders[:, None, :])

    def full_table(self) -> tf.Tensor:
        """Returns every word's vector: float32 [V, E]."""
        return self.lookup(tf.range(self._vocab_size))

    def _of_words(self, scores: tf.Tensor) -> tf.Tensor:
        """Returns the scores of words, [M, V], among those of all pairs of rows, ordered by quotient and remainder."""
        num_pairs = self._quotients.variable.shape[0] * self._num_buckets
        scores = tf.reshape(scores, [-1, num_pairs])
        return scores if num_pairs == self._vocab_size else scores[:, : self._vocab_size]


def make_words(tables: dict[str, Table], config: EncoderConfig) -> FullWords | CompositionalWords:
    """Returns the vectors of words that an encoder's tables hold, by their names in `config.embedding_tables`."""
    if config.embedding_type == "full":
        return FullWords(tables["word_embeddings"])
    return CompositionalWords(
        tables["word_quotients"],
        tables["word_remainders"],
        vocab_size=config.vocab_size,
        operation=config.compositional_operation,
    )


def initial_stddev(name: str, config: EncoderConfig) -> float:
    """Returns the deviation, before truncation at two, of the normal distribution that a table's entries start from.

    The original truncates to 0.88 of `initializer_range`; the vectors of compositional words have all of it.
    """
    if name in ("word_quotients", "word_remainders"):
        factor_stddev = _FACTOR_STDDEV[config.compositional_operation]
        return factor_stddev(config.initializer_range) / _STDDEV_LEFT_BY_TRUNCATION
    return config.initializer_range


@register
class Embeddings(KerasConfig, keras.layers.Layer):
    """Sum of word, position and segment embeddings, followed by LayerNorm and dropout.

    Generator and discriminator may share one of these layers (Clark et al. 2020, section 3.1), or the discriminator's
    may start from the generator's tables and train its differences from them alone (He et al. 2021, section 3.3).

    Args:
        config: of the encoder.
        bases: the `tables` of another of these layers, of the same shapes, which this one's loss is to leave alone.
    """

    saved_arguments = ("config",)

    def __init__(self, config: EncoderConfig, bases: Mapping[str, Table] | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.config, self._bases = config, bases or {}

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        config = self.config
        self.tables = {name: self._make_table(name, shape) for name, shape in config.embedding_tables.items()}
        self.words = make_words(self.tables, config)
        self.norm = keras.layers.LayerNormalization(epsilon=config.layer_norm_eps, name="norm", dtype=self.dtype_policy)
        self.norm.build((None, config.embedding_size))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments; tables that are differences from others cannot be made of them."""
        if self._bases:
            raise ValueError(
                "embeddings trained as differences from another layer's cannot be saved by Keras, for that layer "
                "is no part of the model. Take electra_span.save_pretrained, which writes whole tables"
            )
        return super().get_config()

    def get_build_config(self) -> None:
        """Returns None: the encoder builds its embeddings."""

    def _make_table(self, name: str, shape: tuple[int, int]) -> Table:
        """Returns a table of that name; a difference from its base, where it has one, is called NAME_delta."""
        base = self._bases.get(name)
        if base is not None:
            return Table(self.add_weight(name=f"{name}_delta", shape=shape, initializer="zeros", autocast=False), base)
        initializer = keras.initializers.TruncatedNormal(stddev=initial_stddev(name, self.config))
        return Table(self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False))

    def call(
        self,
        input_ids: tf.Tensor,
        *,
        positions: tf.Tensor,
        segment_ids: tf.Tensor,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the embeddings of tokens [..., E], summed and normalised in float32 and cast to the compute dtype.

        Args:
            input_ids: int32 [...].
            positions: int32 [...], each token's place in its sequence.
            segment_ids: int32 [...].
            dropout_seed: int32 [2], or None for no dropout.
        """
        x = (
            self.words.lookup(input_ids)
            + self.tables["position_embeddings"].lookup(positions)
            + self.tables["segment_embeddings"].lookup(segment_ids)
        )
        x = layer_norm(x, self.norm.gamma, self.norm.beta, epsilon=self.norm.epsilon)
        x, rate = tf.cast(x, self.compute_dtype), self.config.hidden_dropout_prob
        (bits,) = dropout_bits(dropout_seed, (tf.shape(x), rate))
        return dropout(x, *bits, rate=rate)

    def logits(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the product of vectors [M, E] with every word's embedding: float32 [M, V]."""
        return self.words.logits(tf.cast(vectors, tf.float32))

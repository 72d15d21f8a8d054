"""The embedding of tokens: word, position and segment."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.layers.keras_config import KerasConfig, register
from electra_span.layers.kernels import dropout, dropout_bits, layer_norm
from electra_span.layers.word_tables import Table, initial_stddev, make_words


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

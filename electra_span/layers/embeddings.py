"""The embedding of tokens: word, position and segment."""

import keras
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.layers.kernels import dropout, dropout_bits, layer_norm


class Embeddings(keras.layers.Layer):
    """Sum of word, position and segment embeddings, followed by LayerNorm and dropout.

    Generator and discriminator may share one of these layers (Clark et al. 2020, section 3.1).
    """

    def __init__(self, config: EncoderConfig, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.config = config

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        config = self.config

        def table(name: str, rows: int) -> keras.Variable:
            initializer = keras.initializers.TruncatedNormal(stddev=config.initializer_range)
            shape = (rows, config.embedding_size)
            return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

        self.word_embeddings = table("word_embeddings", config.vocab_size)
        self.position_embeddings = table("position_embeddings", config.max_position_embeddings)
        self.segment_embeddings = table("segment_embeddings", config.type_vocab_size)
        self.norm = keras.layers.LayerNormalization(epsilon=config.layer_norm_eps, name="norm", dtype=self.dtype_policy)
        self.norm.build((None, config.embedding_size))

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
            tf.gather(self.word_embeddings, input_ids)
            + tf.gather(self.position_embeddings, positions)
            + tf.gather(self.segment_embeddings, segment_ids)
        )
        x = layer_norm(x, self.norm.gamma, self.norm.beta, epsilon=self.norm.epsilon)
        x, rate = tf.cast(x, self.compute_dtype), self.config.hidden_dropout_prob
        (bits,) = dropout_bits(dropout_seed, (tf.shape(x), rate))
        return dropout(x, *bits, rate=rate)

    def logits(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the product of vectors [M, E] with every word's embedding: float32 [M, V]."""
        return tf.matmul(tf.cast(vectors, tf.float32), self.word_embeddings, transpose_b=True)

"""Prediction heads on top of an encoder. Their logits are float32 under any precision."""

import keras
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.layers.dense import Dense
from electra_span.layers.embeddings import Embeddings
from electra_span.layers.keras_config import KerasConfig, register
from electra_span.layers.kernels import bias_gelu


@register
class MaskedLMHead(KerasConfig, keras.layers.Layer):
    """Scores of all words for each given state: dense, GELU, LayerNorm, product with the word embeddings.

    Args:
        config: of the encoder.
        embeddings: the encoder's, whose word embeddings serve again.
        num_states: hidden states, side by side, of which it makes one prediction.
    """

    saved_arguments = ("config", "embeddings", "num_states")

    def __init__(self, config: EncoderConfig, embeddings: Embeddings, *, num_states: int = 1, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.config, self.embeddings, self.num_states = config, embeddings, num_states
        initializer = keras.initializers.TruncatedNormal(stddev=config.initializer_range)
        self.dense = Dense(config.embedding_size, kernel_initializer=initializer, name="dense", dtype=self.dtype_policy)
        self.norm = keras.layers.LayerNormalization(epsilon=config.layer_norm_eps, name="norm", dtype=self.dtype_policy)

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        self.dense.build((None, self.num_states * self.config.hidden_size))
        self.norm.build((None, self.config.embedding_size))
        self.output_bias = self.add_weight(
            name="output_bias", shape=(self.config.vocab_size,), initializer="zeros", autocast=False
        )

    def call(self, states: tf.Tensor) -> tf.Tensor:
        """Returns float32 logits [B, N, V] for states [B, N, num_states * H]."""
        x = self.norm(bias_gelu(tf.matmul(states, self.dense.kernel), self.dense.bias))  # [B, N, E]
        logits = self.embeddings.logits(tf.reshape(x, [-1, self.config.embedding_size]))  # [B * N, V]
        shape = [*tf.unstack(tf.shape(states)[:2]), self.config.vocab_size]
        return tf.reshape(logits + self.output_bias, shape)  # [B, N, V]


@register
class ReplacedTokenHead(KerasConfig, keras.layers.Layer):
    """One score a token, positive where it looks replaced: dense, GELU, dense."""

    saved_arguments = ("config",)

    def __init__(self, config: EncoderConfig, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.config = config
        initializer = keras.initializers.TruncatedNormal(stddev=config.initializer_range)
        self.dense = Dense(config.hidden_size, kernel_initializer=initializer, name="dense", dtype=self.dtype_policy)
        self.prediction = Dense(1, name="prediction", dtype="float32")  # Glorot, as the original's

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        self.dense.build((None, self.config.hidden_size))
        self.prediction.build((None, self.config.hidden_size))

    def call(self, states: tf.Tensor) -> tf.Tensor:
        """Returns float32 logits [B, L] for states [B, L, H]."""
        x = bias_gelu(tf.matmul(states, self.dense.kernel), self.dense.bias)
        return tf.squeeze(self.prediction(tf.cast(x, tf.float32)), axis=-1)

"""Heads that a task trains on an encoder: one prediction a row, or one a word. Their logits are float32."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import keras
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.head_config import HeadConfig
from electra_span.layers.dense import Dense
from electra_span.layers.dropout_seeds import DropoutSeeds
from electra_span.layers.keras_config import KerasConfig, register
from electra_span.layers.kernels import bias_gelu, dropout, dropout_bits
from electra_span.ops import gather_positions


@register
class ClassificationHead(KerasConfig, keras.layers.Layer):
    """Scores of the labels of a row, or one number for it, from the state of its first token.

    "linear" is the original's: dropout, dense. "dense" is transformers': dropout, dense, GELU, dropout, dense.

    Args:
        config: of the encoder; its hidden_dropout_prob serves here too.
        head: of kind "classification" or "regression".
        seed: see `ElectraEncoder`.
    """

    saved_arguments = ("config", "head", "seed")

    def __init__(self, config: EncoderConfig, head: HeadConfig, *, seed: int | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.config, self.head, self.is_regression = config, head, head.kind == "regression"
        self.seed, self._dropout_seeds = seed, DropoutSeeds(seed)
        self.dense = None
        if head.has_hidden_layer:
            self.dense = Dense(config.hidden_size, name="dense", dtype=self.dtype_policy)
        self.prediction = Dense(head.num_outputs, name="prediction", dtype="float32")

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        for layer in filter(None, (self.dense, self.prediction)):
            layer.build((None, self.config.hidden_size))

    def call(self, states: tf.Tensor, dropout_seed: tf.Tensor | None = None, training: bool | None = None) -> tf.Tensor:
        """Returns float32 logits [B, C] of C labels, or numbers [B].

        Args:
            states: [B, L, H].
            dropout_seed: int32 [2]; None for one of the layer's own in Keras' training, else for no dropout.
            training: Keras' argument.
        """
        x, rate = states[:, 0], self.config.hidden_dropout_prob
        dropout_seed = self._dropout_seeds.of_call(dropout_seed, training)
        first, second = dropout_bits(dropout_seed, *[(tf.shape(x), rate)] * 2)
        x = dropout(x, *first, rate=rate)
        if self.dense is not None:
            x = bias_gelu(tf.matmul(x, self.dense.kernel), self.dense.bias)
            x = dropout(x, *second, rate=rate)
        logits = self.prediction(tf.cast(x, tf.float32))  # [B, C]
        return tf.squeeze(logits, axis=-1) if self.is_regression else logits

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Writes where the seeds of dropout stand; weights are those of the layers inside."""
        self._dropout_seeds.save(store)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads what `save_own_variables` wrote."""
        self._dropout_seeds.load(store)


@register
class TaggingHead(KerasConfig, keras.layers.Layer):
    """Scores of the labels of each word, from the state of the token that stands for it.

    Args:
        config: of the encoder.
        head: of kind "tagging".
    """

    saved_arguments = ("config", "head")

    def __init__(self, config: EncoderConfig, head: HeadConfig, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.config, self.head = config, head
        self.prediction = Dense(head.num_outputs, name="prediction", dtype="float32")

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        self.prediction.build((None, self.config.hidden_size))

    def call(self, states: tf.Tensor, positions: tf.Tensor | None = None) -> tf.Tensor:
        """Returns float32 logits [B, W, C] of C labels for W words; of all L tokens without positions.

        Args:
            states: [B, L, H].
            positions: int32 [B, W], where each word's token is.
        """
        if positions is not None:
            states = gather_positions(states, positions)  # [B, W, H]
        return self.prediction(tf.cast(states, tf.float32))

"""Prediction heads on top of an encoder. Their logits are float32 under any precision."""

from collections.abc import Mapping, MutableMapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from electra_span.config import SPAN_OFFSET_SIZE, EncoderConfig
from electra_span.head_config import HeadConfig
from electra_span.layers.embeddings import Embeddings
from electra_span.layers.keras_serialization import KerasConfig, register
from electra_span.layers.kernels import Dense, DropoutSeeds, bias_gelu, dropout, dropout_bits
from electra_span.ops import gather_positions


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


class Spans(NamedTuple):
    """Where the span of each masked position lies.

    Attributes:
        left, right: int32 [B, N], the positions of the tokens just outside the span.
        offset: int32 [B, N], the position's distance from the span's first token.
    """

    left: tf.Tensor
    right: tf.Tensor
    offset: tf.Tensor


@register
class SpanBoundaryStates(KerasConfig, keras.layers.Layer):
    """A vector for each masked position, of its span's outer boundary and its place in the span alone.

    Two layers of dense, GELU, LayerNorm over [left state; right state; offset embedding].

    Args:
        config: of the encoder.
        max_span_length: positions in a span that have an embedding; those after them take the last one's.
    """

    saved_arguments = ("config", "max_span_length")

    def __init__(self, config: EncoderConfig, *, max_span_length: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.config, self.max_span_length = config, max_span_length
        self._dense_layers, self._norms = [], []
        for index in range(2):
            self._dense_layers.append(
                Dense(
                    config.hidden_size,
                    kernel_initializer=_initializer(config),
                    name=f"dense_{index}",
                    dtype=self.dtype_policy,
                )
            )
            self._norms.append(
                keras.layers.LayerNormalization(
                    epsilon=config.layer_norm_eps, name=f"norm_{index}", dtype=self.dtype_policy
                )
            )

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        self.position_embeddings = self.add_weight(
            name="position_embeddings",
            shape=(self.max_span_length, SPAN_OFFSET_SIZE),
            initializer=_initializer(self.config),
        )
        hidden_size = self.config.hidden_size
        for layer, width in zip(self._dense_layers, (2 * hidden_size + SPAN_OFFSET_SIZE, hidden_size), strict=True):
            layer.build((None, width))
        for layer in self._norms:
            layer.build((None, hidden_size))

    def call(self, states: tf.Tensor, spans: Spans) -> tf.Tensor:
        """Returns vectors [B, N, H] for hidden states [B, L, H]; meaningless where a span has no outer boundary."""
        offset = tf.minimum(spans.offset, self.max_span_length - 1)
        sides = (gather_positions(states, spans.left), gather_positions(states, spans.right))
        x = tf.concat([*sides, tf.gather(self.position_embeddings, offset)], axis=-1)  # [B, N, 2H + 200]
        for dense, norm in zip(self._dense_layers, self._norms, strict=True):
            x = norm(bias_gelu(tf.matmul(x, dense.kernel), dense.bias))
        return x


@register
class SpanMaskedLMHead(KerasConfig, keras.layers.Layer):
    """SBGO: scores of all words for each masked position, from its span's boundary; tied to the word embeddings.

    Args:
        config: of the encoder.
        embeddings: the encoder's, whose word embeddings serve again.
        max_span_length: see `SpanBoundaryStates`.
    """

    saved_arguments = ("config", "embeddings", "max_span_length")

    def __init__(
        self, config: EncoderConfig, embeddings: Embeddings, *, max_span_length: int, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.config, self.embeddings, self.max_span_length = config, embeddings, max_span_length
        self.boundary = SpanBoundaryStates(
            config, max_span_length=max_span_length, name="boundary", dtype=self.dtype_policy
        )
        self.projection = None
        if config.embedding_size != config.hidden_size:
            self.projection = Dense(
                config.embedding_size,
                kernel_initializer=_initializer(config),
                name="projection",
                dtype=self.dtype_policy,
            )

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        self.boundary.build()
        if self.projection is not None:
            self.projection.build((None, self.config.hidden_size))
        self.output_bias = self.add_weight(
            name="output_bias", shape=(self.config.vocab_size,), initializer="zeros", autocast=False
        )

    def call(self, states: tf.Tensor, spans: Spans) -> tf.Tensor:
        """Returns float32 logits [B, N, V] for hidden states [B, L, H]."""
        x = self.boundary(states, spans)
        x = x if self.projection is None else self.projection(x)  # [B, N, E]
        logits = self.embeddings.logits(tf.reshape(x, [-1, self.config.embedding_size]))  # [B * N, V]
        shape = [*tf.unstack(tf.shape(spans.left)), self.config.vocab_size]
        return tf.reshape(logits + self.output_bias, shape)  # [B, N, V]


@register
class SpanReplacedTokenHead(KerasConfig, keras.layers.Layer):
    """SBPO: one score a masked position, positive where its token looks replaced, from its span's boundary."""

    saved_arguments = ("config", "max_span_length")

    def __init__(self, config: EncoderConfig, *, max_span_length: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.config, self.max_span_length = config, max_span_length
        self.boundary = SpanBoundaryStates(
            config, max_span_length=max_span_length, name="boundary", dtype=self.dtype_policy
        )
        self.prediction = Dense(1, name="prediction", dtype="float32")

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        self.boundary.build()
        self.prediction.build((None, self.config.hidden_size))

    def call(self, states: tf.Tensor, spans: Spans) -> tf.Tensor:
        """Returns float32 logits [B, N] for hidden states [B, L, H]."""
        x = self.boundary(states, spans)
        return tf.squeeze(self.prediction(tf.cast(x, tf.float32)), axis=-1)


def _initializer(config: EncoderConfig) -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=config.initializer_range)


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

"""Heads that predict a span's tokens from the two tokens outside it.

Sources: Joshi et al. 2020, "SpanBERT", section 3.2 (the span boundary objective); SpanElectra, whose generator has it
as span boundary generative objective (SBGO) and whose discriminator as span boundary predictive objective (SBPO).
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from electra_span.config import SPAN_OFFSET_SIZE, EncoderConfig
from electra_span.layers.dense import Dense
from electra_span.layers.embeddings import Embeddings
from electra_span.layers.keras_config import KerasConfig, register
from electra_span.layers.kernels import bias_gelu
from electra_span.ops import gather_positions


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

"""One transformer block of BERT's kind: self-attention and feed-forward, each followed by a LayerNorm."""

import keras
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.layers.kernels import Dense, Kernels
from electra_span.layers.packing import Packing


class TransformerBlock(keras.layers.Layer):
    """Post-LayerNorm transformer block over packed tokens.

    Args:
        config: its sizes and dropout rates.
        kernels: the elementwise functions to use.
    """

    def __init__(self, config: EncoderConfig, kernels: Kernels, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.config, self.kernels = config, kernels
        initializer = keras.initializers.TruncatedNormal(stddev=config.initializer_range)

        def dense(units: int, name: str) -> Dense:
            return Dense(units, kernel_initializer=initializer.clone(), name=name, dtype=self.dtype_policy)

        def norm(name: str) -> keras.layers.LayerNormalization:
            return keras.layers.LayerNormalization(epsilon=config.layer_norm_eps, name=name, dtype=self.dtype_policy)

        self.query, self.key, self.value = (dense(config.hidden_size, name) for name in ("query", "key", "value"))
        self.attention_output, self.attention_norm = (
            dense(config.hidden_size, "attention_output"),
            norm("attention_norm"),
        )
        self.intermediate = dense(config.intermediate_size, "intermediate")
        self.output_dense, self.output_norm = dense(config.hidden_size, "output"), norm("output_norm")

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        hidden, wide = (None, self.config.hidden_size), (None, self.config.intermediate_size)
        for layer in (self.query, self.key, self.value, self.attention_output, self.attention_norm, self.intermediate):
            layer.build(hidden)
        self.output_dense.build(wide)
        self.output_norm.build(hidden)

    def call(
        self, x: tf.Tensor, *, mask_bias: tf.Tensor, packing: Packing, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the block's output, of x's shape and dtype.

        Args:
            x: the packed tokens [T, H].
            mask_bias: float32 [B, 1, 1, L] or [B, 1, L, L], added to the attention scores: 0, or far below it where the
                token of the last axis is not to be read.
            packing: where the T tokens stand in [B, L].
            dropout_seed: int32 [2], or None for no dropout.
        """
        config = self.config
        batch, length = tf.unstack(packing.shape)
        of_scores = tf.stack([batch, config.num_attention_heads, length, length])
        hidden = (tf.shape(x), config.hidden_dropout_prob)
        attention_bits, *bits = self.kernels.dropout_bits(
            dropout_seed, (of_scores, config.attention_probs_dropout_prob), hidden, hidden
        )
        context = self._attend(x, mask_bias, packing, attention_bits)
        x = self._close(context, x, self.attention_output, self.attention_norm, bits[0])
        wide = self.kernels.bias_gelu(tf.matmul(x, self.intermediate.kernel), self.intermediate.bias)
        return self._close(wide, x, self.output_dense, self.output_norm, bits[1])

    def _attend(self, x: tf.Tensor, mask_bias: tf.Tensor, packing: Packing, bits: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """Returns the attended values of every token [T, H]."""
        projections = (self.query, self.key, self.value)
        kernel = tf.concat([layer.kernel for layer in projections], axis=1)
        bias = tf.concat([layer.bias for layer in projections], axis=0)
        num_heads, rate = self.config.num_attention_heads, self.config.attention_probs_dropout_prob
        head_size = self.config.hidden_size // num_heads

        projected = packing.unpack(tf.nn.bias_add(tf.matmul(x, kernel), bias))  # [B, L, 3H]
        batch, length = tf.unstack(packing.shape)
        split = tf.reshape(projected, [batch, length, 3, num_heads, head_size])
        query, key, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))  # [B, A, L, H/A] each
        scores = tf.matmul(query, key, transpose_b=True)  # [B, A, L, L]
        probs = self.kernels.attention_probs(scores, mask_bias, *bits, scale=head_size**-0.5, rate=rate)
        context = tf.transpose(tf.matmul(probs, value), [0, 2, 1, 3])  # [B, L, A, H/A]
        return packing.pack(tf.reshape(context, [batch, length, self.config.hidden_size]))

    def _close(
        self,
        x: tf.Tensor,
        residual: tf.Tensor,
        dense: Dense,
        norm: keras.layers.LayerNormalization,
        bits: tuple[tf.Tensor, ...],
    ) -> tf.Tensor:
        """Returns norm(dropout(dense(x)) + residual): how both halves of the block end."""
        rate = self.config.hidden_dropout_prob
        return self.kernels.residual_norm(
            tf.matmul(x, dense.kernel),
            dense.bias,
            residual,
            norm.gamma,
            norm.beta,
            *bits,
            rate=rate,
            epsilon=norm.epsilon,
        )

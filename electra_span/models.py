"""The two models of ELECTRA as they are published: an encoder with its head."""

import keras
import tensorflow as tf

from electra_span.encoder import ElectraEncoder
from electra_span.layers.heads import MaskedLMHead, ReplacedTokenHead
from electra_span.layers.span_heads import SpanMaskedLMHead, SpanReplacedTokenHead
from electra_span.ops import gather_positions


class ElectraGenerator(keras.Model):
    """Masked language model: an encoder whose head scores all words, tied to its word embeddings.

    Args:
        encoder: what it stands on.
        max_span_length: of the span head that is trained beside (SBGO); 0 for none.
    """

    def __init__(self, encoder: ElectraEncoder, *, max_span_length: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.max_span_length = max_span_length
        self.encoder, self.config = encoder, encoder.config
        self.head = MaskedLMHead(
            encoder.config, encoder.embeddings, name="generator_predictions", dtype=encoder.dtype_policy
        )
        self.head.build()
        self.span_head = None
        if max_span_length:
            self.span_head = SpanMaskedLMHead(
                encoder.config,
                encoder.embeddings,
                max_span_length=max_span_length,
                name="generator_span_predictions",
                dtype=encoder.dtype_policy,
            )
            self.span_head.build()
        self.built = True

    def call(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        positions: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns float32 logits [B, L, V], or [B, N, V] where positions [B, N] are given.

        The other arguments are those of `ElectraEncoder.call`.
        """
        states = self.encoder(
            input_ids=input_ids, input_mask=input_mask, segment_ids=segment_ids, dropout_seed=dropout_seed
        )
        if positions is not None:
            states = gather_positions(states, positions)
        return self.head(states)


class ElectraDiscriminator(keras.Model):
    """Replaced token detector: an encoder whose head gives one score a token.

    Args:
        encoder: what it stands on.
        max_span_length: of the span head that is trained beside (SBPO); 0 for none.
    """

    def __init__(self, encoder: ElectraEncoder, *, max_span_length: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.max_span_length = max_span_length
        self.encoder, self.config = encoder, encoder.config
        self.head = ReplacedTokenHead(encoder.config, name="discriminator_predictions", dtype=encoder.dtype_policy)
        self.head.build()
        self.span_head = None
        if max_span_length:
            self.span_head = SpanReplacedTokenHead(
                encoder.config,
                max_span_length=max_span_length,
                name="discriminator_span_predictions",
                dtype=encoder.dtype_policy,
            )
            self.span_head.build()
        self.built = True

    def call(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns float32 logits [B, L], positive where a token looks replaced.

        The arguments are those of `ElectraEncoder.call`.
        """
        states = self.encoder(
            input_ids=input_ids, input_mask=input_mask, segment_ids=segment_ids, dropout_seed=dropout_seed
        )
        return self.head(states)

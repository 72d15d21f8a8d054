"""Batches that travel between the stages of pretraining; fields read from records are named as in the records."""

from typing import NamedTuple

import tensorflow as tf


class PretrainingExamples(NamedTuple):
    """A batch of packed examples as stored in records, before masking; all int32 [B, L]."""

    input_ids: tf.Tensor
    segment_ids: tf.Tensor
    input_mask: tf.Tensor  # 1 real token, 0 padding


class MaskedBatch(NamedTuple):
    """A batch of examples with masked-LM positions chosen and replacements applied.

    Rows have N slots for positions. A slot without use has position 0, id 0 and weight 0. Positions that were chosen
    together are a span: the tokens of a word or of a drawn span; a single token is a span of one.
    """

    input_ids: tf.Tensor  # int32 [B, L], the original tokens
    masked_input_ids: tf.Tensor  # int32 [B, L], what the generator reads
    input_mask: tf.Tensor  # int32 [B, L], 1 real token, 0 padding
    segment_ids: tf.Tensor  # int32 [B, L]
    masked_lm_positions: tf.Tensor  # int32 [B, N], to predict: distinct in a row
    masked_lm_ids: tf.Tensor  # int32 [B, N], the original tokens there
    masked_lm_weights: tf.Tensor  # float32 [B, N], 1 a slot in use, 0 none
    span_left: tf.Tensor  # int32 [B, N], the position before the first of the span each one is in; 0: there is none
    span_right: tf.Tensor  # int32 [B, N], the position behind the last of the span; 0: there is none
    span_offset: tf.Tensor  # int32 [B, N], distance from the span's first position, from 0 on
    # float32 [B, N], 1 where both neighbours are real, not special and not chosen, and span_offset is below the longest
    # span's length; else 0
    span_weights: tf.Tensor
    sampling_uniforms: tf.Tensor  # float32 [B, N] in [0, 1), by which the generator's predictions are sampled

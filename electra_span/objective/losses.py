"""The losses of pretraining: unreduced, and their weighted sum over a batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from electra_span.objective.batches import MaskedBatch, PretrainingExamples
from electra_span.objective.corruption import Predictions
from electra_span.objective.masking import candidate_positions
from electra_span.ops import share_of_mean
from electra_span.schedules import value_at


def masked_lm_losses(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the negative log-likelihood of each label: float32, of the labels' shape.

    Args:
        logits: float32 [B, N, V] or [B, L, V].
        labels: int32 [B, N] or [B, L].
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def replaced_token_losses(logits: tf.Tensor, is_replaced: tf.Tensor) -> tf.Tensor:
    """Returns the binary cross-entropy of each token: float32, of the shape of its arguments.

    Args:
        logits: float32 [B, L] or [B, N], positive where a token looks replaced.
        is_replaced: bool of the same shape.
    """
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(is_replaced, tf.float32), logits=logits)


class LossWeights(NamedTuple):
    """What each mean loss counts in the total: numbers, or schedules of which `at` gives the numbers.

    Attributes:
        gen: masked LM (MLM), the generator's, or cloze where it predicts every token.
        disc: replaced token detection (RTD), the discriminator's.
        sbgo: span boundary generative objective, the generator's span head's.
        sbpo: span boundary predictive objective, the discriminator's span head's.
    """

    gen: Any = 1.0
    disc: Any = 50.0
    sbgo: Any = 0.0
    sbpo: Any = 0.0

    def at(self, step: tf.Tensor) -> "LossWeights":
        """Returns the weights in force at a step, integer []."""
        return LossWeights(*(value_at(weight, step) for weight in self))


class Losses(NamedTuple):
    """The losses of one batch, or a part of one.

    Attributes:
        total: float32 [], what is minimised.
        mlm: float32 [B, N], of each masked position; None without a generator.
        disc: float32 [B, L], of each token; None without a discriminator.
        sbgo, sbpo: float32 [B, N], of each masked position; None without the head.
        cloze: float32 [B, L], of each token; None where the generator predicts masked ones only.
        cloze_weights: float32 [B, L], 1 at what a cloze model learns to predict, tokens that are not special; or None.
    """

    total: tf.Tensor
    mlm: tf.Tensor | None = None
    disc: tf.Tensor | None = None
    sbgo: tf.Tensor | None = None
    sbpo: tf.Tensor | None = None
    cloze: tf.Tensor | None = None
    cloze_weights: tf.Tensor | None = None


def joint_losses(
    predictions: Predictions,
    part: MaskedBatch,
    whole: MaskedBatch,
    *,
    weights: LossWeights,
    cross_entropy: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = masked_lm_losses,
    special_ids: tuple[int, ...] = (),
) -> Losses:
    """Returns a part's share in the loss of the whole batch: over all parts they add up to the batch's mean.

    So the loss does not depend on how a batch is spread over replicas and accumulation steps.

    Args:
        predictions: for the part.
        part: some rows of `whole`.
        whole: the batch of one update.
        weights: of the mean losses.
        cross_entropy: `masked_lm_losses`, or a compiled form of it.
        special_ids: ids that a generator which predicts every token does not learn to predict.

    The means of the span objectives run over the masked positions whose span has both outer boundaries.

    Source: Clark et al. 2020, section 2; the discriminator's mean runs over all tokens, [CLS] and [SEP] among them.
    """
    total = tf.zeros([])
    mlm = disc = sbgo = sbpo = cloze = cloze_weights = None
    if predictions.cloze_logits is not None:
        cloze, cloze_weights = cross_entropy(predictions.cloze_logits, part.input_ids), _ordinary(part, special_ids)
        total += weights.gen * share_of_mean(cloze, cloze_weights, _ordinary(whole, special_ids))
        mlm = tf.gather(cloze, part.masked_lm_positions, batch_dims=1)  # [B, N]
    elif predictions.mlm_logits is not None:
        mlm = cross_entropy(predictions.mlm_logits, part.masked_lm_ids)
        total += weights.gen * share_of_mean(mlm, part.masked_lm_weights, whole.masked_lm_weights)
    if predictions.span_logits is not None:
        sbgo = cross_entropy(predictions.span_logits, part.masked_lm_ids)
        total += weights.sbgo * share_of_mean(sbgo, part.span_weights, whole.span_weights)
    if predictions.detection is not None:
        logits, corruption, span_logits = predictions.detection
        disc = replaced_token_losses(logits, corruption.is_replaced)
        total += weights.disc * share_of_mean(disc, part.input_mask, whole.input_mask)
        if span_logits is not None:
            is_replaced = tf.gather(corruption.is_replaced, part.masked_lm_positions, batch_dims=1)  # [B, N]
            sbpo = replaced_token_losses(span_logits, is_replaced)
            total += weights.sbpo * share_of_mean(sbpo, part.span_weights, whole.span_weights)
    return Losses(total, mlm, disc, sbgo, sbpo, cloze, cloze_weights)


def _ordinary(batch: MaskedBatch, special_ids: tuple[int, ...]) -> tf.Tensor:
    """Returns 1 at the tokens of a batch that are not special: float32 [B, L]."""
    examples = PretrainingExamples(batch.input_ids, batch.segment_ids, batch.input_mask)
    return tf.cast(candidate_positions(examples, special_ids), tf.float32)

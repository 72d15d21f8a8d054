"""The losses of pretraining: unreduced, and their weighted sum over a batch."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from electra_span.batches import MaskedBatch
from electra_span.ops import share_of_mean
from pretrain.objective import Predictions


def masked_lm_losses(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the negative log-likelihood of each label: float32 [B, N].

    Args:
        logits: float32 [B, N, V].
        labels: int32 [B, N].
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def replaced_token_losses(logits: tf.Tensor, is_replaced: tf.Tensor) -> tf.Tensor:
    """Returns the binary cross-entropy of each token: float32 [B, L].

    Args:
        logits: float32 [B, L], positive where a token looks replaced.
        is_replaced: bool [B, L].
    """
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(is_replaced, tf.float32), logits=logits)


class Losses(NamedTuple):
    """The losses of one batch, or a part of one.

    Attributes:
        total: float32 [], what is minimised.
        mlm: float32 [B, N], of each masked position.
        disc: float32 [B, L], of each token; None without a discriminator.
    """

    total: tf.Tensor
    mlm: tf.Tensor
    disc: tf.Tensor | None


def joint_losses(
    predictions: Predictions,
    part: MaskedBatch,
    whole: MaskedBatch,
    *,
    gen_weight: float,
    disc_weight: float,
    cross_entropy: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = masked_lm_losses,
) -> Losses:
    """Returns a part's share in the loss of the whole batch: over all parts they add up to the batch's mean.

    So the loss does not depend on how a batch is spread over replicas and accumulation steps.

    Args:
        predictions: for the part.
        part: some rows of `whole`.
        whole: the batch of one update.
        gen_weight: of the mean masked LM loss.
        disc_weight: of the mean replaced token loss.
        cross_entropy: `masked_lm_losses`, or a compiled form of it.

    Source: Clark et al. 2020, section 2; the discriminator's mean runs over all tokens, [CLS] and [SEP] among them.
    """
    mlm = cross_entropy(predictions.mlm_logits, part.masked_lm_ids)
    total = gen_weight * share_of_mean(mlm, part.masked_lm_weights, whole.masked_lm_weights)
    if predictions.detection is None:
        return Losses(total, mlm, None)
    disc = replaced_token_losses(predictions.detection.logits, predictions.detection.corruption.is_replaced)
    return Losses(total + disc_weight * share_of_mean(disc, part.input_mask, whole.input_mask), mlm, disc)

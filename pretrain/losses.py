"""The losses of pretraining: unreduced, and their weighted sum over a batch."""

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
    """The scalars of one batch, or a part of one.

    Attributes:
        total: float32, what is minimised.
        mlm: float32, mean over masked positions.
        disc: float32, mean over real tokens; 0 without a discriminator.
    """

    total: tf.Tensor
    mlm: tf.Tensor
    disc: tf.Tensor


def joint_losses(
    predictions: Predictions, part: MaskedBatch, whole: MaskedBatch, *, gen_weight: float, disc_weight: float
) -> Losses:
    """Returns a part's share in the losses of the whole batch: over all parts they add up to the batch's means.

    So the loss does not depend on how a batch is spread over replicas and accumulation steps.

    Args:
        predictions: for the part.
        part: some rows of `whole`.
        whole: the batch of one update.
        gen_weight: of the mean masked LM loss.
        disc_weight: of the mean replaced token loss.

    Source: Clark et al. 2020, section 2; the discriminator's mean runs over all tokens, [CLS] and [SEP] among them.
    """
    mlm_losses = masked_lm_losses(predictions.mlm_logits, part.masked_lm_ids)
    mlm = share_of_mean(mlm_losses, part.masked_lm_weights, whole.masked_lm_weights)
    disc = tf.zeros([])
    if predictions.detection is not None:
        disc_losses = replaced_token_losses(predictions.detection.logits, predictions.detection.corruption.is_replaced)
        disc = share_of_mean(disc_losses, part.input_mask, whole.input_mask)
    return Losses(gen_weight * mlm + disc_weight * disc, mlm, disc)

"""What pretraining reports: sums that add up over batches and replicas, and the numbers made of them."""

import numpy as np
import tensorflow as tf

from electra_span.batches import MaskedBatch
from electra_span.training import Sums
from pretrain.losses import Losses
from pretrain.objective import Detection, Predictions

# The discriminator's logits are counted in bins, of which the AUC is made.
_NUM_BINS = 1024
_MAX_LOGIT = 16.0


def metric_sums(predictions: Predictions, losses: Losses, batch: MaskedBatch) -> Sums:
    """Returns the sums over a batch that `summarize` needs, by name: float32, of fixed shapes."""
    weights = batch.masked_lm_weights
    hits = tf.equal(tf.argmax(predictions.mlm_logits, axis=-1, output_type=tf.int32), batch.masked_lm_ids)
    sums = {
        "num_masked": tf.reduce_sum(weights),
        "num_tokens": tf.reduce_sum(tf.cast(batch.input_mask, tf.float32)),
        "mlm_loss": tf.reduce_sum(weights * losses.mlm),
        "mlm_hits": tf.reduce_sum(weights * tf.cast(hits, tf.float32)),
    }
    if predictions.detection is not None:
        sums |= _detection_sums(predictions.detection, losses, batch)
    return sums


def summarize(sums: dict[str, np.ndarray], *, gen_weight: float, disc_weight: float) -> dict[str, float]:
    """Returns the reported numbers: means, accuracies, AUC and rates by name.

    Padding counts nowhere. Deviation: the original's AUC takes padding for true negatives, and its discriminator's
    loss is a mean of means.

    Args:
        sums: of `metric_sums`, added up over batches.
        gen_weight: of the MLM loss in total_loss.
        disc_weight: of the discriminator's loss in total_loss.
    """
    masked, tokens = max(float(sums["num_masked"]), 1.0), max(float(sums["num_tokens"]), 1.0)
    mlm_loss = float(sums["mlm_loss"]) / masked
    numbers = {"mlm_loss": mlm_loss, "mlm_accuracy": float(sums["mlm_hits"]) / masked}
    if "disc_loss" not in sums:
        return {"total_loss": gen_weight * mlm_loss, **numbers}
    disc_loss = float(sums["disc_loss"]) / tokens
    replaced, flagged = float(np.sum(sums["replaced_by_bin"])), float(sums["num_flagged"])
    return {
        "total_loss": gen_weight * mlm_loss + disc_weight * disc_loss,
        **numbers,
        "sampled_mlm_accuracy": float(sums["sampled_hits"]) / masked,
        "disc_loss": disc_loss,
        "disc_auc": area_under_curve(sums["replaced_by_bin"], sums["original_by_bin"]),
        "disc_accuracy": float(sums["disc_hits"]) / tokens,
        "disc_precision": float(sums["num_found"]) / max(flagged, 1.0),
        "disc_recall": float(sums["num_found"]) / max(replaced, 1.0),
        "replaced_rate": replaced / tokens,
    }


def area_under_curve(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Returns the ROC AUC of scores counted in bins of rising score; 0.5 where one class is empty.

    Two scores in one bin count as equal.

    Args:
        positives: [bins], how many positives have a score of that bin.
        negatives: [bins].
    """
    positives, negatives = np.asarray(positives, np.float64), np.asarray(negatives, np.float64)
    pairs = positives.sum() * negatives.sum()
    below = np.cumsum(negatives) - negatives
    return float(np.sum(positives * (below + negatives / 2)) / pairs) if pairs else 0.5


def _detection_sums(detection: Detection, losses: Losses, batch: MaskedBatch) -> Sums:
    """Returns the sums that concern the discriminator."""
    logits, corruption = detection
    mask = tf.cast(batch.input_mask, tf.float32)
    replaced = tf.cast(corruption.is_replaced, tf.float32)
    flagged = tf.cast(logits > 0, tf.float32)
    sampled_hits = tf.cast(tf.equal(corruption.sampled_ids, batch.masked_lm_ids), tf.float32)
    scaled = (logits / _MAX_LOGIT + 1) / 2 * _NUM_BINS
    bins = tf.reshape(tf.clip_by_value(tf.cast(scaled, tf.int32), 0, _NUM_BINS - 1), [-1])
    classes = tf.reshape(tf.stack([mask * replaced, mask * (1 - replaced)], axis=-1), [-1, 2])
    by_bin = tf.math.unsorted_segment_sum(classes, bins, _NUM_BINS)  # [bins, 2]
    return {
        "sampled_hits": tf.reduce_sum(batch.masked_lm_weights * sampled_hits),
        "disc_loss": tf.reduce_sum(mask * losses.disc),
        "disc_hits": tf.reduce_sum(mask * tf.cast(tf.equal(flagged, replaced), tf.float32)),
        "num_flagged": tf.reduce_sum(mask * flagged),
        "num_found": tf.reduce_sum(mask * flagged * replaced),
        "replaced_by_bin": by_bin[:, 0],
        "original_by_bin": by_bin[:, 1],
    }

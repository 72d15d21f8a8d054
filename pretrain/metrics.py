"""What pretraining reports: sums that add up over batches and replicas, and the numbers made of them."""

import numpy as np
import tensorflow as tf

from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import Detection, Predictions
from electra_span.objective.losses import Losses, LossWeights
from electra_span.training.step import Sums

# The discriminator's logits are counted in bins, of which the AUC is made.
_NUM_BINS = 1024
_MAX_LOGIT = 16.0


# The discriminator's heads, whose metrics have these names at the front: the token head's, the span head's at the
# positions it predicts, and both heads' mean there with the token head's elsewhere.
_HEADS = ("disc", "sbpo", "disc_mean")


def metric_sums(predictions: Predictions, losses: Losses, batch: MaskedBatch) -> Sums:
    """Returns the sums over a batch that `summarize` needs, by name: float32, of fixed shapes."""
    weights = batch.masked_lm_weights
    sums = {
        "num_masked": tf.reduce_sum(weights),
        "num_tokens": tf.reduce_sum(tf.cast(batch.input_mask, tf.float32)),
    }
    if losses.mlm is not None:
        sums["mlm_loss"] = tf.reduce_sum(weights * losses.mlm)
        sums["mlm_hits"] = _num_hits(predictions.mlm_logits, batch, weights)
    if losses.cloze is not None:
        sums["num_cloze"] = tf.reduce_sum(losses.cloze_weights)
        sums["cloze_loss"] = tf.reduce_sum(losses.cloze_weights * losses.cloze)
    if losses.sbgo is not None or losses.sbpo is not None:
        sums["num_in_spans"] = tf.reduce_sum(batch.span_weights)
    if losses.sbgo is not None:
        sums["sbgo_loss"] = tf.reduce_sum(batch.span_weights * losses.sbgo)
        sums["sbgo_hits"] = _num_hits(predictions.span_logits, batch, batch.span_weights)
    if predictions.detection is not None:
        sums |= _detection_sums(predictions.detection, losses, batch)
    return sums


def summarize(sums: dict[str, np.ndarray], *, weights: LossWeights) -> dict[str, float]:
    """Returns the reported numbers: means, accuracies, AUC and rates by name.

    Padding counts nowhere. Deviation: the original's AUC takes padding for true negatives, and its discriminator's
    loss is a mean of means.

    Args:
        sums: of `metric_sums`, added up over batches.
        weights: of the losses in total_loss.
    """
    counted = ("num_masked", "num_tokens", "num_in_spans", "num_cloze")
    counts = {name: max(float(sums.get(name, 0.0)), 1.0) for name in counted}
    numbers, total = {}, 0.0
    if "mlm_loss" in sums:
        numbers["mlm_loss"] = float(sums["mlm_loss"]) / counts["num_masked"]
        numbers["mlm_accuracy"] = float(sums["mlm_hits"]) / counts["num_masked"]
        if "cloze_loss" in sums:
            numbers["cloze_loss"] = float(sums["cloze_loss"]) / counts["num_cloze"]
        total += float(weights.gen) * numbers.get("cloze_loss", numbers["mlm_loss"])
    if "sbgo_loss" in sums:
        numbers["sbgo_loss"] = float(sums["sbgo_loss"]) / counts["num_in_spans"]
        numbers["sbgo_accuracy"] = float(sums["sbgo_hits"]) / counts["num_in_spans"]
        total += float(weights.sbgo) * numbers["sbgo_loss"]
    if "disc_loss" in sums:
        numbers["sampled_mlm_accuracy"] = float(sums["sampled_hits"]) / counts["num_masked"]
        numbers["disc_loss"] = float(sums["disc_loss"]) / counts["num_tokens"]
        total += float(weights.disc) * numbers["disc_loss"]
        if "sbpo_loss" in sums:
            numbers["sbpo_loss"] = float(sums["sbpo_loss"]) / counts["num_in_spans"]
            total += float(weights.sbpo) * numbers["sbpo_loss"]
        for head in _HEADS:
            numbers |= _head_numbers(sums, head)
        numbers["replaced_rate"] = float(np.sum(sums["disc_replaced_by_bin"])) / counts["num_tokens"]
    return {"total_loss": total, **numbers}


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


def _num_hits(logits: tf.Tensor, batch: MaskedBatch, weights: tf.Tensor) -> tf.Tensor:
    """Returns how many of the most likely words are the original ones: float32 []."""
    hits = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), batch.masked_lm_ids)  # [B, N]
    return tf.reduce_sum(weights * tf.cast(hits, tf.float32))


def _detection_sums(detection: Detection, losses: Losses, batch: MaskedBatch) -> Sums:
    """Returns the sums that concern the discriminator."""
    logits, corruption, span_logits = detection
    mask = tf.cast(batch.input_mask, tf.float32)
    sampled_hits = tf.cast(tf.equal(corruption.sampled_ids, batch.masked_lm_ids), tf.float32)
    sums = {
        "sampled_hits": tf.reduce_sum(batch.masked_lm_weights * sampled_hits),
        "disc_loss": tf.reduce_sum(mask * losses.disc),
        **_head_sums("disc", logits, corruption.is_replaced, mask),
    }
    if span_logits is None:
        return sums
    positions, weights = batch.masked_lm_positions, batch.span_weights
    is_replaced = tf.gather(corruption.is_replaced, positions, batch_dims=1)  # [B, N]
    halves = (span_logits - tf.gather(logits, positions, batch_dims=1)) / 2.0 * weights  # from the token head's on
    rows = tf.broadcast_to(tf.range(tf.shape(positions)[0])[:, None], tf.shape(positions))
    mean = tf.tensor_scatter_nd_add(logits, tf.stack([rows, positions], axis=-1), halves)  # [B, L]
    return {
        **sums,
        "sbpo_loss": tf.reduce_sum(weights * losses.sbpo),
        **_head_sums("sbpo", span_logits, is_replaced, weights),
        **_head_sums("disc_mean", mean, corruption.is_replaced, mask),
    }


def _head_sums(head: str, logits: tf.Tensor, is_replaced: tf.Tensor, weights: tf.Tensor) -> Sums:
    """Returns the sums that one head's accuracy, precision, recall and AUC are made of.

    Args:
        head: one of _HEADS.
        logits: float32 [B, L] or [B, N].
        is_replaced: bool, of their shape.
        weights: float32, of their shape.
    """
    replaced, flagged = tf.cast(is_replaced, tf.float32), tf.cast(logits > 0, tf.float32)
    scaled = (logits / _MAX_LOGIT + 1) / 2 * _NUM_BINS
    bins = tf.reshape(tf.clip_by_value(tf.cast(scaled, tf.int32), 0, _NUM_BINS - 1), [-1])
    classes = tf.reshape(tf.stack([weights * replaced, weights * (1 - replaced)], axis=-1), [-1, 2])
    by_bin = tf.math.unsorted_segment_sum(classes, bins, _NUM_BINS)  # [bins, 2]
    return {
        f"{head}_hits": tf.reduce_sum(weights * tf.cast(tf.equal(flagged, replaced), tf.float32)),
        f"{head}_flagged": tf.reduce_sum(weights * flagged),
        f"{head}_found": tf.reduce_sum(weights * flagged * replaced),
        f"{head}_replaced_by_bin": by_bin[:, 0],
        f"{head}_original_by_bin": by_bin[:, 1],
    }


def _head_numbers(sums: dict[str, np.ndarray], head: str) -> dict[str, float]:
    """Returns the numbers of one of the discriminator's heads; none where it has none."""
    if f"{head}_hits" not in sums:
        return {}
    by_bin = (sums[f"{head}_replaced_by_bin"], sums[f"{head}_original_by_bin"])
    replaced, all_seen = float(np.sum(by_bin[0])), float(np.sum(by_bin))
    return {
        f"{head}_auc": area_under_curve(*by_bin),
        f"{head}_accuracy": float(sums[f"{head}_hits"]) / max(all_seen, 1.0),
        f"{head}_precision": float(sums[f"{head}_found"]) / max(float(sums[f"{head}_flagged"]), 1.0),
        f"{head}_recall": float(sums[f"{head}_found"]) / max(replaced, 1.0),
    }

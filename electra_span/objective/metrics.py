"""What `electra_span.Electra` reports, as Keras metrics; padding counts in none."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import Detection
from electra_span.objective.losses import Losses

_NUM_THRESHOLDS = 1000  # few tokens are replaced: at the start, all probabilities lie close together


class MeanClassAccuracy(keras.metrics.Metric):
    """The mean of two accuracies, on replaced and on original tokens: 0.5 where the logits tell nothing.

    Source: electra-pytorch's disc_acc, which counts padding among the original tokens.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hits = self.add_variable((2,), "zeros", name="hits")
        self.counts = self.add_variable((2,), "zeros", name="counts")

    def update_state(self, is_replaced: tf.Tensor, logits: tf.Tensor, sample_weight: tf.Tensor) -> None:
        """Counts the tokens of a batch.

        Args:
            is_replaced: bool [B, L].
            logits: float32 [B, L].
            sample_weight: [B, L], 1 a token and 0 padding.
        """
        of_class = tf.stack([~is_replaced, is_replaced], axis=-1) & (sample_weight > 0)[..., tf.newaxis]  # [B, L, 2]
        is_hit = of_class & tf.equal(logits > 0, is_replaced)[..., tf.newaxis]
        self.counts.assign_add(tf.reduce_sum(tf.cast(of_class, tf.float32), axis=[0, 1]))
        self.hits.assign_add(tf.reduce_sum(tf.cast(is_hit, tf.float32), axis=[0, 1]))

    def result(self) -> tf.Tensor:
        """Returns the mean over the classes that were seen."""
        num_classes = tf.reduce_sum(tf.cast(self.counts.value > 0, tf.float32))
        return tf.math.divide_no_nan(
            tf.reduce_sum(tf.math.divide_no_nan(self.hits.value, self.counts.value)), num_classes
        )


def make_metrics() -> dict[str, keras.metrics.Metric]:
    """Returns what is reported, by name."""
    metrics = [
        keras.metrics.Mean(name="mlm_loss"),
        keras.metrics.Mean(name="disc_loss"),
        keras.metrics.Mean(name="gen_acc"),
        MeanClassAccuracy(name="disc_acc"),
        keras.metrics.AUC(num_thresholds=_NUM_THRESHOLDS, from_logits=True, name="disc_auc"),
    ]
    return {metric.name: metric for metric in metrics}


def update_metrics(
    metrics: Mapping[str, keras.metrics.Metric],
    batch: MaskedBatch,
    *,
    mlm_logits: tf.Tensor,
    detection: Detection,
    losses: Losses,
) -> None:
    """Counts a batch in the metrics of `make_metrics`.

    Args:
        metrics: by name.
        batch: with its masked positions.
        mlm_logits: float32 [B, N, V], the generator's.
        detection: what the discriminator says.
        losses: of the batch.
    """
    is_token, weights = tf.cast(batch.input_mask, tf.float32), batch.masked_lm_weights
    is_hit = tf.equal(tf.argmax(mlm_logits, axis=-1, output_type=tf.int32), batch.masked_lm_ids)  # [B, N]
    is_replaced, logits = detection.corruption.is_replaced, detection.logits
    metrics["mlm_loss"].update_state(losses.mlm, sample_weight=weights)
    metrics["gen_acc"].update_state(tf.cast(is_hit, tf.float32), sample_weight=weights)
    metrics["disc_loss"].update_state(losses.disc, sample_weight=is_token)
    metrics["disc_acc"].update_state(is_replaced, logits, sample_weight=is_token)
    metrics["disc_auc"].update_state(is_replaced, logits, sample_weight=is_token)

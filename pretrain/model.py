"""The networks of pretraining, their loss, and the numbers that are reported."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from electra_span.config import LARGE_VOCABULARY, EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.layers.kernels import compiled
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator, make_two_towers
from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import (
    Corrupt,
    Detection,
    Discriminator,
    Generator,
    HeadLogits,
    Predictions,
    predict,
)
from electra_span.objective.losses import Losses, LossWeights, joint_losses, masked_lm_losses
from electra_span.ops import split_seed
from electra_span.schedules import Schedule, value_at
from electra_span.training.step import LossFunction, Sums


class PretrainingModel(keras.Model):
    """Generator and discriminator, trained together and published separately.

    Args:
        generator: None if replacements are drawn uniformly from the vocabulary, or by `corrupt` alone.
        discriminator: None for masked language modelling alone (BERT).
        corrupt: draws the replacements, see `electra_span.objective.corruption`.
        generator_prediction: logits that replacements are drawn from: "mlm", "sbgo" or the "mean" of both heads.
        temperature: schedule of the temperature of `corrupt`; None: `corrupt` uses its default.
        noise_prob: schedule of the share of drawn tokens, for Electric; None for ELECTRA.
        draws_alone: whether `corrupt` needs no logits of a generator.
        freezes_generator: whether the generator is not trained.
    """

    def __init__(
        self,
        generator: ElectraGenerator | TwoTowerGenerator | None,
        discriminator: ElectraDiscriminator | None,
        *,
        corrupt: Corrupt,
        generator_prediction: str = "mean",
        temperature: Schedule | None = None,
        noise_prob: Schedule | None = None,
        draws_alone: bool = False,
        freezes_generator: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.generator, self.discriminator = generator, discriminator
        self.corrupt, self.generator_prediction = corrupt, generator_prediction
        self.temperature, self.noise_prob = temperature, noise_prob
        self.draws_alone, self.freezes_generator = draws_alone, freezes_generator
        self.vocab_size = next(model.config.vocab_size for model in (generator, discriminator) if model is not None)
        self.built = True

    def call(
        self,
        batch: MaskedBatch,
        dropout_seed: tf.Tensor | None = None,
        step: tf.Tensor | int = 0,
        detects: bool = True,
    ) -> Predictions:
        """Returns the predictions of both networks for a batch.

        Args:
            batch: batch with masked positions.
            dropout_seed: int32 [2]; None for no dropout.
            step: integer [], number of updates made before; schedules depend on it.
            detects: whether the discriminator runs; False for the generator's predictions alone.
        """
        corrupt = self.corrupt
        generator_seed, discriminator_seed = split_seed(dropout_seed, 2)
        generate: Generator | None = None
        detect: Discriminator | None = None
        if self.generator is not None:
            # A frozen generator is not trained: dropout would only make its replacements worse.
            generator_seed = None if self.freezes_generator else generator_seed
            generate = functools.partial(self.generator.generate, dropout_seed=generator_seed)
            if self.temperature is not None:
                corrupt = functools.partial(corrupt, temperature=value_at(self.temperature, step))
        elif not self.draws_alone:
            generate = self._generate_uniformly
        if self.discriminator is not None and detects:
            detect = functools.partial(self.discriminator.detect, dropout_seed=discriminator_seed)
        return predict(
            batch,
            generator=generate,
            discriminator=detect,
            corrupt=corrupt,
            generator_prediction=self.generator_prediction,
            noise_prob=None if self.noise_prob is None else value_at(self.noise_prob, step),
        )

    @property
    def trained_variables(self) -> list[keras.Variable]:
        """Variables that training changes."""
        frozen = set()
        if self.freezes_generator and self.generator is not None:
            frozen = {id(variable) for variable in self.generator.variables}
        return [variable for variable in self.trainable_variables if id(variable) not in frozen]

    def _generate_uniformly(self, batch: MaskedBatch) -> HeadLogits:
        """Returns the logits of the uniform distribution over the vocabulary: float32 [B, N, V]."""
        return HeadLogits(tf.zeros([*tf.unstack(tf.shape(batch.masked_lm_positions)), self.vocab_size]))


def build_model(
    discriminator_config: EncoderConfig,
    generator_config: EncoderConfig,
    *,
    has_generator: bool = True,
    has_discriminator: bool = True,
    has_two_towers: bool = False,
    embedding_sharing: str = "shared",
    sbgo_span_length: int = 0,
    sbpo_span_length: int = 0,
    compile_kernels: bool = False,
    skips_padding: bool = False,
    dtype: str = "float32",
    **settings: Any,
) -> PretrainingModel:
    """Returns the networks of a run.

    Args:
        discriminator_config: config of the discriminator's encoder.
        generator_config: config of the generator's encoder; unused if both networks share one encoder.
        has_generator: False if replacements need no generator.
        has_discriminator: False for a masked language model alone.
        has_two_towers: whether the generator is a `TwoTowerGenerator`.
        embedding_sharing: "shared" (one embedding layer), "generator_untied" (two), "gdes" (the discriminator trains
            the differences of its tables from the generator's), "encoder" (one encoder for both networks).
        sbgo_span_length: longest span of the generator's span head; 0 for no span head.
        sbpo_span_length: longest span of the discriminator's span head; 0 for no span head.
        compile_kernels: see `ElectraEncoder`.
        skips_padding: see `ElectraEncoder`.
        dtype: a Keras dtype policy.
        settings: further arguments of `PretrainingModel`.
    """
    build_encoder = functools.partial(
        ElectraEncoder, compile_kernels=compile_kernels, skips_padding=skips_padding, dtype=dtype
    )
    build_generator = functools.partial(build_encoder, name="generator")
    if has_two_towers:
        build_generator = functools.partial(make_two_towers, build_encoder)
    if has_generator and has_discriminator:
        of_generator, of_discriminator = _pair(
            discriminator_config, generator_config, embedding_sharing, build_encoder, build_generator
        )
    else:
        alone = build_encoder(discriminator_config if has_discriminator else generator_config, name="electra")
        of_generator = of_discriminator = alone
    generator = discriminator = None
    if has_generator:
        generator = of_generator
        if not has_two_towers:
            generator = ElectraGenerator(
                of_generator, max_span_length=sbgo_span_length, name="generator_model", dtype=dtype
            )
    if has_discriminator:
        discriminator = ElectraDiscriminator(
            of_discriminator, max_span_length=sbpo_span_length, name="discriminator", dtype=dtype
        )
    return PretrainingModel(generator, discriminator, **settings, name="pretraining")


def _pair(
    discriminator_config: EncoderConfig,
    generator_config: EncoderConfig,
    embedding_sharing: str,
    build_encoder: Callable[..., ElectraEncoder],
    build_generator: Callable[..., ElectraEncoder | TwoTowerGenerator],
) -> tuple[ElectraEncoder | TwoTowerGenerator, ElectraEncoder]:
    """Returns generator and discriminator encoder, which share embeddings or all layers by embedding_sharing."""
    if embedding_sharing == "gdes":
        generator = build_generator(generator_config)
        return generator, build_encoder(discriminator_config, bases=generator.embeddings.tables, name="electra")
    discriminator = build_encoder(discriminator_config, name="electra")
    if embedding_sharing == "encoder":
        return discriminator, discriminator
    embeddings = discriminator.embeddings if embedding_sharing == "shared" else None
    return build_generator(generator_config, embeddings), discriminator


def make_loss_function(
    model: PretrainingModel,
    *,
    weights: LossWeights,
    learner: str = "both",
    special_ids: tuple[int, ...] = (),
    compile_kernels: bool = False,
) -> LossFunction:
    """Returns the loss of pretraining, a `LossFunction`, with the metric sums that `summarize` reads.

    Args:
        model: the trained networks.
        weights: weights of the losses.
        learner: the networks whose losses are summed: "both", "generator" or "discriminator".
        special_ids: see `joint_losses`.
        compile_kernels: whether XLA compiles the softmax over the vocabulary.
    """
    # Compiled, the softmax takes 37 instead of 128 ms, but holds the logits twice: too much for a large vocabulary.
    is_compiled = compile_kernels and model.vocab_size < LARGE_VOCABULARY
    cross_entropy = compiled(masked_lm_losses) if is_compiled else masked_lm_losses

    def loss_function(
        microbatch: MaskedBatch, batch: MaskedBatch, dropout_seed: tf.Tensor | None, step: tf.Tensor
    ) -> tuple[tf.Tensor, Sums]:
        # With decoupled updates the discriminator's update runs the generator forward once more, as just updated.
        # DeBERTaV3 draws from its output before the update, which all devices and microbatches would have to keep.
        predictions = model(microbatch, dropout_seed=dropout_seed, step=step, detects=learner != "generator")
        if learner == "discriminator":
            predictions = Predictions(None, predictions.detection)
        losses = joint_losses(
            predictions,
            microbatch,
            batch,
            weights=weights.at(step),
            cross_entropy=cross_entropy,
            special_ids=special_ids,
        )
        return losses.total, metric_sums(predictions, losses, microbatch)

    return loss_function


# The AUC is computed from counts of logits in bins: counts add up over microbatches, replicas and steps.
_NUM_BINS = 1024
_MAX_LOGIT = 16.0


# Prefixes of the discriminator's metrics: the token head, the span head at the positions it predicts, and the mean of
# both heads there with the token head elsewhere.
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
    """Returns the reported numbers, means, accuracies, AUC and rates, by name.

    Args:
        sums: results of `metric_sums`, added up over batches.
        weights: weights of the losses in total_loss.
    """
    # Deviation: padding counts nowhere. The original's AUC counts it as true negatives (an AUC of 0.65 read 0.72), and
    # its discriminator loss is a mean of means.
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

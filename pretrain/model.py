"""The default pair of models: two ELECTRA encoders, which share what the configuration says."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from electra_span.config import LARGE_VOCABULARY, EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.layers.kernels import compiled
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator, make_two_towers
from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import (
    Corrupt,
    Discriminator,
    Generator,
    HeadLogits,
    Predictions,
    predict,
)
from electra_span.objective.losses import LossWeights, joint_losses, masked_lm_losses
from electra_span.ops import split_seed
from electra_span.schedules import Schedule, value_at
from electra_span.training.step import LossFunction, Sums
from pretrain.metrics import metric_sums


class PretrainingModel(keras.Model):
    """Generator and discriminator, trained together and published apart.

    Args:
        generator: None for replacements drawn uniformly from the vocabulary, or by `corrupt` alone.
        discriminator: None for masked language modelling alone (BERT).
        corrupt: draws the replacements, see `electra_span.objective.corruption`.
        generator_prediction: see `electra_span.objective.predict`.
        temperature: what `corrupt` gets as such, over the steps; None: nothing.
        noise_prob: see `electra_span.objective.predict`; over the steps.
        draws_alone: `corrupt` takes no proposal.
        freezes_generator: the generator is not trained, and drops nothing out.
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
        """Returns both models' predictions for a batch.

        Args:
            batch: with its masked positions.
            dropout_seed: int32 [2]; None for no dropout.
            step: integer [], the number of updates before.
            detects: False for the generator's predictions alone.
        """
        corrupt = self.corrupt
        of_generator, of_discriminator = split_seed(dropout_seed, 2)
        generate: Generator | None = None
        detect: Discriminator | None = None
        if self.generator is not None:
            dropped = None if self.freezes_generator else of_generator
            generate = functools.partial(self.generator.generate, dropout_seed=dropped)
            if self.temperature is not None:
                corrupt = functools.partial(corrupt, temperature=value_at(self.temperature, step))
        elif not self.draws_alone:
            generate = self._generate_uniformly
        if self.discriminator is not None and detects:
            detect = functools.partial(self.discriminator.detect, dropout_seed=of_discriminator)
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
        """The variables that training changes."""
        frozen = set()
        if self.freezes_generator and self.generator is not None:
            frozen = {id(variable) for variable in self.generator.variables}
        return [variable for variable in self.trainable_variables if id(variable) not in frozen]

    def _generate_uniformly(self, batch: MaskedBatch) -> HeadLogits:
        """Returns the logits of the uniform distribution over the vocabulary."""
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
        discriminator_config: of the discriminator's encoder.
        generator_config: of the generator's encoder, where it has one of its own.
        has_generator: False where nothing generates them.
        has_discriminator: False for a masked language model alone.
        has_two_towers: the generator is a `TwoTowerGenerator`, beside a discriminator.
        embedding_sharing: "shared" (one embedding layer), "generator_untied" (two), "gdes" (the discriminator trains
            what its tables differ from the generator's by), "encoder" (one encoder is both).
        sbgo_span_length: longest span of the generator's span head; 0 for none.
        sbpo_span_length: longest span of the discriminator's span head; 0 for none.
        compile_kernels, skips_padding: see `ElectraEncoder`.
        dtype: a Keras dtype policy.
        settings: `corrupt` and what else there is of `PretrainingModel`'s.
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
    """Returns the networks of generator and discriminator, which share what embedding_sharing says."""
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
    """Returns the loss of pretraining as `electra_span.training.step` takes it, with the sums that `summarize` needs.

    Args:
        model: what is trained.
        weights: of the losses.
        learner: whose losses these are: "both" models', the "generator"'s or the "discriminator"'s.
        special_ids: see `joint_losses`.
        compile_kernels: see `ElectraEncoder`; here, of the softmax over the vocabulary.
    """
    is_compiled = compile_kernels and model.vocab_size < LARGE_VOCABULARY  # compiled, it would hold the logits twice
    cross_entropy = compiled(masked_lm_losses) if is_compiled else masked_lm_losses

    def loss_function(
        part: MaskedBatch, whole: MaskedBatch, dropout_seed: tf.Tensor | None, step: tf.Tensor
    ) -> tuple[tf.Tensor, Sums]:
        predictions = model(part, dropout_seed=dropout_seed, step=step, detects=learner != "generator")
        if learner == "discriminator":
            predictions = Predictions(None, predictions.detection)
        losses = joint_losses(
            predictions, part, whole, weights=weights.at(step), cross_entropy=cross_entropy, special_ids=special_ids
        )
        return losses.total, metric_sums(predictions, losses, part)

    return loss_function

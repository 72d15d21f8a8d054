"""The default pair of models: two ELECTRA encoders, which share what the configuration says."""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from electra_span.batches import MaskedBatch
from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.layers.kernels import compiled
from electra_span.layers.span_heads import Spans
from electra_span.losses import LossWeights, joint_losses, masked_lm_losses
from electra_span.models import ElectraDiscriminator, ElectraGenerator
from electra_span.objective import Corrupt, HeadLogits, Predictions, predict
from electra_span.ops import LARGE_VOCABULARY, gather_positions
from electra_span.training import Sums
from pretrain.metrics import metric_sums


class PretrainingModel(keras.Model):
    """Generator and discriminator, trained together and published apart.

    Args:
        generator: None for replacements drawn uniformly from the vocabulary, or by `corrupt` alone.
        discriminator: None for masked language modelling alone (BERT).
        corrupt: draws the replacements, see `electra_span.objective`.
        generator_prediction: see `electra_span.objective.predict`.
        draws_alone: `corrupt` takes no proposal.
        freezes_generator: the generator is not trained, and drops nothing out.
    """

    def __init__(
        self,
        generator: ElectraGenerator | None,
        discriminator: ElectraDiscriminator | None,
        *,
        corrupt: Corrupt,
        generator_prediction: str = "mean",
        draws_alone: bool = False,
        freezes_generator: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.generator, self.discriminator = generator, discriminator
        self.corrupt, self.generator_prediction = corrupt, generator_prediction
        self.draws_alone, self.freezes_generator = draws_alone, freezes_generator
        self.vocab_size = next(model.config.vocab_size for model in (generator, discriminator) if model is not None)
        self.built = True

    def call(self, batch: MaskedBatch, dropout_seed: tf.Tensor | None = None) -> Predictions:
        """Returns both models' predictions for a batch.

        Args:
            batch: with its masked positions.
            dropout_seed: int32 [2]; None for no dropout.
        """
        seeds = (None, None) if dropout_seed is None else tf.unstack(_split(dropout_seed), num=2)
        generate = functools.partial(self._generate, dropout_seed=None if self.freezes_generator else seeds[0])
        detect = None
        if self.discriminator is not None:
            detect = functools.partial(_detect, model=self.discriminator, dropout_seed=seeds[1])
        return predict(
            batch,
            generator=None if self.draws_alone else generate,
            discriminator=detect,
            corrupt=self.corrupt,
            generator_prediction=self.generator_prediction,
        )

    @property
    def trained_variables(self) -> list[keras.Variable]:
        """The variables that training changes."""
        frozen = set()
        if self.freezes_generator and self.generator is not None:
            frozen = {id(variable) for variable in self.generator.variables}
        return [variable for variable in self.trainable_variables if id(variable) not in frozen]

    def _generate(self, batch: MaskedBatch, *, dropout_seed: tf.Tensor | None) -> HeadLogits:
        """Returns the generator's scores; without one, those of the uniform distribution over the vocabulary."""
        model = self.generator
        if model is None:
            return HeadLogits(tf.zeros([*tf.unstack(tf.shape(batch.masked_lm_positions)), self.vocab_size]))
        states = model.encoder(
            batch.masked_input_ids, batch.input_mask, batch.segment_ids, dropout_seed=dropout_seed
        )  # [B, L, H]
        tokens = model.head(gather_positions(states, batch.masked_lm_positions))
        return HeadLogits(tokens, None if model.span_head is None else model.span_head(states, _spans_of(batch)))


def build_model(
    discriminator_config: EncoderConfig,
    generator_config: EncoderConfig,
    *,
    corrupt: Corrupt,
    has_generator: bool = True,
    has_discriminator: bool = True,
    embedding_sharing: str = "shared",
    sbgo_span_length: int = 0,
    sbpo_span_length: int = 0,
    generator_prediction: str = "mean",
    draws_alone: bool = False,
    freezes_generator: bool = False,
    compile_kernels: bool = False,
    skips_padding: bool = False,
    dtype: str = "float32",
) -> PretrainingModel:
    """Returns the networks of a run.

    Args:
        discriminator_config: of the discriminator's encoder.
        generator_config: of the generator's encoder, where it has one of its own.
        corrupt: draws the replacements.
        has_generator: False where nothing generates them.
        has_discriminator: False for a masked language model alone.
        embedding_sharing: "shared" (one embedding layer), "generator_untied" (two), "gdes" (the discriminator trains
            what its tables differ from the generator's by), "encoder" (one encoder is both).
        sbgo_span_length: longest span of the generator's span head; 0 for none.
        sbpo_span_length: longest span of the discriminator's span head; 0 for none.
        generator_prediction: see `electra_span.objective.predict`.
        draws_alone, freezes_generator: see `PretrainingModel`.
        compile_kernels, skips_padding: see `ElectraEncoder`.
        dtype: a Keras dtype policy.
    """
    build_encoder = functools.partial(
        ElectraEncoder, compile_kernels=compile_kernels, skips_padding=skips_padding, dtype=dtype
    )
    if has_generator and has_discriminator:
        of_generator, of_discriminator = _pair(discriminator_config, generator_config, embedding_sharing, build_encoder)
    else:
        alone = build_encoder(discriminator_config if has_discriminator else generator_config, name="electra")
        of_generator = of_discriminator = alone
    generator = discriminator = None
    if has_generator:
        generator = ElectraGenerator(
            of_generator, max_span_length=sbgo_span_length, name="generator_model", dtype=dtype
        )
    if has_discriminator:
        discriminator = ElectraDiscriminator(
            of_discriminator, max_span_length=sbpo_span_length, name="discriminator", dtype=dtype
        )
    return PretrainingModel(
        generator,
        discriminator,
        corrupt=corrupt,
        generator_prediction=generator_prediction,
        draws_alone=draws_alone,
        freezes_generator=freezes_generator,
        name="pretraining",
    )


def _pair(
    discriminator_config: EncoderConfig,
    generator_config: EncoderConfig,
    embedding_sharing: str,
    build_encoder: Callable[..., ElectraEncoder],
) -> tuple[ElectraEncoder, ElectraEncoder]:
    """Returns the encoders of generator and discriminator, which share what embedding_sharing says."""
    if embedding_sharing == "gdes":
        generator = build_encoder(generator_config, name="generator")
        return generator, build_encoder(discriminator_config, bases=generator.embeddings.tables, name="electra")
    discriminator = build_encoder(discriminator_config, name="electra")
    if embedding_sharing == "encoder":
        return discriminator, discriminator
    embeddings = discriminator.embeddings if embedding_sharing == "shared" else None
    return build_encoder(generator_config, embeddings, name="generator"), discriminator


def _detect(
    input_ids: tf.Tensor, batch: MaskedBatch, *, model: ElectraDiscriminator, dropout_seed: tf.Tensor | None
) -> HeadLogits:
    """Returns the discriminator's scores for corrupted ids [B, L]."""
    states = model.encoder(input_ids, batch.input_mask, batch.segment_ids, dropout_seed=dropout_seed)  # [B, L, H]
    return HeadLogits(
        model.head(states), None if model.span_head is None else model.span_head(states, _spans_of(batch))
    )


def _spans_of(batch: MaskedBatch) -> Spans:
    return Spans(batch.span_left, batch.span_right, batch.span_offset)


def make_loss_function(
    model: PretrainingModel, *, weights: LossWeights, compile_kernels: bool = False
) -> Callable[[MaskedBatch, MaskedBatch, tf.Tensor | None], tuple[tf.Tensor, Sums]]:
    """Returns the loss of pretraining as `electra_span.training` takes it, with the sums that `summarize` needs.

    Args:
        model: what is trained.
        weights: of the losses.
        compile_kernels: see `ElectraEncoder`; here, of the softmax over the vocabulary.
    """
    is_compiled = compile_kernels and model.vocab_size < LARGE_VOCABULARY  # compiled, it would hold the logits twice
    cross_entropy = compiled(masked_lm_losses) if is_compiled else masked_lm_losses

    def loss_function(part: MaskedBatch, whole: MaskedBatch, dropout_seed: tf.Tensor | None) -> tuple[tf.Tensor, Sums]:
        predictions = model(part, dropout_seed=dropout_seed)
        losses = joint_losses(predictions, part, whole, weights=weights, cross_entropy=cross_entropy)
        return losses.total, metric_sums(predictions, losses, part)

    return loss_function


def _split(seed: tf.Tensor) -> tf.Tensor:
    """Returns two seeds [2, 2] made from one."""
    return tf.random.experimental.stateless_split(seed, num=2, alg="philox")

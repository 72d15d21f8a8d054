"""The default pair of models: two ELECTRA encoders, which share what the configuration says."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from electra_span.batches import MaskedBatch
from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.layers.kernels import compiled
from electra_span.models import ElectraDiscriminator, ElectraGenerator
from electra_span.training import Sums
from pretrain.losses import joint_losses, masked_lm_losses
from pretrain.metrics import metric_sums
from pretrain.objective import Corrupt, Predictions, predict


class PretrainingModel(keras.Model):
    """Generator and discriminator, trained together and published apart.

    Args:
        generator: None for replacements drawn uniformly from the vocabulary.
        discriminator: None for masked language modelling alone (BERT).
        corrupt: draws the replacements, see `pretrain.objective`.
    """

    def __init__(
        self,
        generator: ElectraGenerator | None,
        discriminator: ElectraDiscriminator | None,
        *,
        corrupt: Corrupt,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.generator, self.discriminator, self.corrupt = generator, discriminator, corrupt
        self.vocab_size = next(model.config.vocab_size for model in (generator, discriminator) if model is not None)
        self.built = True

    def call(self, batch: MaskedBatch, dropout_seed: tf.Tensor | None = None) -> Predictions:
        """Returns both models' predictions for a batch.

        Args:
            batch: with its masked positions.
            dropout_seed: int32 [2]; None for no dropout.
        """
        seeds = (None, None) if dropout_seed is None else tf.unstack(_split(dropout_seed), num=2)
        generator = self._generate_uniformly if self.generator is None else _seeded(self.generator, seeds[0])
        discriminator = None if self.discriminator is None else _seeded(self.discriminator, seeds[1])
        return predict(batch, generator=generator, discriminator=discriminator, corrupt=self.corrupt)

    def _generate_uniformly(
        self, input_ids: tf.Tensor, input_mask: tf.Tensor, segment_ids: tf.Tensor, positions: tf.Tensor
    ) -> tf.Tensor:
        """Returns logits [B, N, V] of the uniform distribution over the vocabulary."""
        del input_ids, input_mask, segment_ids
        return tf.zeros([*tf.unstack(tf.shape(positions)), self.vocab_size])


def build_model(
    discriminator_config: EncoderConfig,
    generator_config: EncoderConfig,
    *,
    corrupt: Corrupt,
    electra_objective: bool = True,
    uniform_generator: bool = False,
    untied_generator: bool = True,
    untied_generator_embeddings: bool = False,
    compile_kernels: bool = False,
    skips_padding: bool = False,
    dtype: str = "float32",
) -> PretrainingModel:
    """Returns the models of the original's configurations.

    Args:
        discriminator_config: of the discriminator; of the one encoder, where there is only one.
        generator_config: of the generator, where it has an encoder of its own.
        corrupt: draws the replacements.
        electra_objective: False for a masked language model alone, of the discriminator's size.
        uniform_generator: replacements are drawn uniformly; nothing generates.
        untied_generator: False where one encoder serves as both.
        untied_generator_embeddings: the generator has its own embeddings instead of the discriminator's.
        compile_kernels: see `ElectraEncoder`.
        skips_padding: see `ElectraEncoder`.
        dtype: a Keras dtype policy.
    """
    options: dict[str, Any] = {"compile_kernels": compile_kernels, "skips_padding": skips_padding, "dtype": dtype}
    encoder = ElectraEncoder(discriminator_config, name="electra", **options)
    discriminator = ElectraDiscriminator(encoder, name="discriminator", dtype=dtype) if electra_objective else None
    if electra_objective and uniform_generator:
        generator = None
    elif electra_objective and untied_generator:
        embeddings = None if untied_generator_embeddings else encoder.embeddings
        own = ElectraEncoder(generator_config, embeddings, name="generator", **options)
        generator = ElectraGenerator(own, name="generator_model", dtype=dtype)
    else:
        generator = ElectraGenerator(encoder, name="generator_model", dtype=dtype)
    return PretrainingModel(generator, discriminator, corrupt=corrupt, name="pretraining")


def _seeded(model: Callable[..., tf.Tensor], seed: tf.Tensor | None) -> Callable[..., tf.Tensor]:
    """Returns a model with the seed of its dropout bound."""
    return functools.partial(model, dropout_seed=seed)


def make_loss_function(
    model: PretrainingModel, *, gen_weight: float, disc_weight: float, compile_kernels: bool = False
) -> Callable[[MaskedBatch, MaskedBatch, tf.Tensor | None], tuple[tf.Tensor, Sums]]:
    """Returns the loss of pretraining as `electra_span.training` takes it, with the sums that `summarize` needs.

    Args:
        model: what is trained.
        gen_weight: of the masked LM loss.
        disc_weight: of the discriminator's loss.
        compile_kernels: see `ElectraEncoder`; here, of the softmax over the vocabulary.
    """
    cross_entropy = compiled(masked_lm_losses) if compile_kernels else masked_lm_losses

    def loss_function(part: MaskedBatch, whole: MaskedBatch, dropout_seed: tf.Tensor | None) -> tuple[tf.Tensor, Sums]:
        predictions = model(part, dropout_seed=dropout_seed)
        losses = joint_losses(
            predictions, part, whole, gen_weight=gen_weight, disc_weight=disc_weight, cross_entropy=cross_entropy
        )
        return losses.total, metric_sums(predictions, losses, part)

    return loss_function


def _split(seed: tf.Tensor) -> tf.Tensor:
    """Returns two seeds [2, 2] made from one."""
    return tf.random.experimental.stateless_split(seed, num=2)

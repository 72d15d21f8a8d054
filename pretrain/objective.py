"""ELECTRA's objective around any two models: generate replacements, then tell them from the original tokens.

Source: Clark et al. 2020, "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators", section 2.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from electra_span.batches import MaskedBatch
from electra_span.ops import sample_categorical, scatter_positions


class Corruption(NamedTuple):
    """What the generator made of a batch.

    Attributes:
        sampled_ids: int32 [B, N], the token drawn for each masked position.
        corrupted_ids: int32 [B, L], the original tokens with the drawn ones in place.
        is_replaced: bool [B, L], where that changed a token; a draw that hits the original is no replacement.
    """

    sampled_ids: tf.Tensor
    corrupted_ids: tf.Tensor
    is_replaced: tf.Tensor


class Detection(NamedTuple):
    """What the discriminator says about a corrupted batch.

    Attributes:
        logits: float32 [B, L].
        corruption: what it read.
    """

    logits: tf.Tensor
    corruption: Corruption


class Predictions(NamedTuple):
    """What both models say about a batch.

    Attributes:
        mlm_logits: float32 [B, N, V], the generator's, at the masked positions.
        detection: the discriminator's; None without one.
    """

    mlm_logits: tf.Tensor
    detection: Detection | None


# (input_ids, input_mask, segment_ids, positions [B, N]) -> float32 logits [B, N, V]
Generator = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
# (input_ids, input_mask, segment_ids) -> float32 logits [B, L]
Discriminator = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
Corrupt = Callable[[MaskedBatch, tf.Tensor], Corruption]


def predict(
    batch: MaskedBatch, *, generator: Generator, discriminator: Discriminator | None, corrupt: Corrupt
) -> Predictions:
    """Returns both models' predictions for a batch; no gradient flows from the discriminator to the generator.

    Args:
        batch: with its masked positions.
        generator: returns logits at given positions.
        discriminator: returns a logit a token; None for masked language modelling alone.
        corrupt: draws the replacements; `corrupt_batch`, with its keywords bound.
    """
    mlm_logits = generator(batch.masked_input_ids, batch.input_mask, batch.segment_ids, batch.masked_lm_positions)
    if discriminator is None:
        return Predictions(mlm_logits, None)
    corruption = corrupt(batch, tf.stop_gradient(mlm_logits))
    logits = discriminator(corruption.corrupted_ids, batch.input_mask, batch.segment_ids)
    return Predictions(mlm_logits, Detection(logits, corruption))


def corrupt_batch(
    batch: MaskedBatch, mlm_logits: tf.Tensor, *, temperature: float = 1.0, disallow_correct: bool = False
) -> Corruption:
    """Returns the batch with every masked position filled by a draw from the generator's distribution.

    Args:
        batch: its sampling_uniforms decide the draws.
        mlm_logits: float32 [B, N, V].
        temperature: divides the logits.
        disallow_correct: never draw the original token.
    """
    logits = replacement_logits(batch, mlm_logits, temperature=temperature, disallow_correct=disallow_correct)
    sampled_ids = sample_categorical(logits, batch.sampling_uniforms)
    corrupted_ids = scatter_positions(
        batch.input_ids, batch.masked_lm_positions, sampled_ids, weights=batch.masked_lm_weights
    )
    return Corruption(sampled_ids, corrupted_ids, tf.not_equal(corrupted_ids, batch.input_ids))


def replacement_logits(
    batch: MaskedBatch, mlm_logits: tf.Tensor, *, temperature: float, disallow_correct: bool
) -> tf.Tensor:
    """Returns the logits [B, N, V] of the distribution that replacements are drawn from; see `corrupt_batch`."""
    logits = mlm_logits if temperature == 1 else mlm_logits / temperature
    if disallow_correct:
        logits -= 1000.0 * tf.one_hot(batch.masked_lm_ids, logits.shape[-1])
    return logits

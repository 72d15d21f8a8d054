"""ELECTRA's objective around any two models: generate replacements, then tell them from the original tokens.

Source: Clark et al. 2020, "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators", section 2.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from electra_span.objective.batches import MaskedBatch
from electra_span.ops import sample_categorical, scatter_positions


class Corruption(NamedTuple):
    """What the generator made of a batch.

    Attributes:
        sampled_ids: int32 [B, N], the token drawn for each masked position.
        corrupted_ids: int32 [B, L], the original tokens with the drawn ones in place.
        is_replaced: bool [B, L], where that changed a token; a draw that hits the original is no replacement. For
            Electric, where a token was drawn, whichever it is.
    """

    sampled_ids: tf.Tensor
    corrupted_ids: tf.Tensor
    is_replaced: tf.Tensor


class HeadLogits(NamedTuple):
    """What the two heads of a model say; float32, with a last axis of V for a generator.

    Attributes:
        tokens: of the token head: a generator's at the masked positions [B, N, V], a discriminator's [B, L].
        spans: of the span head, at the masked positions [B, N, ...]; None without one.
        cloze: of the token head of a generator that predicts every token, at all positions [B, L, V]; else None.
    """

    tokens: tf.Tensor
    spans: tf.Tensor | None = None
    cloze: tf.Tensor | None = None


class Detection(NamedTuple):
    """What the discriminator says about a corrupted batch.

    Attributes:
        logits: float32 [B, L].
        corruption: what it read.
        span_logits: float32 [B, N], its span head's; None without one.
    """

    logits: tf.Tensor
    corruption: Corruption
    span_logits: tf.Tensor | None = None


class Predictions(NamedTuple):
    """What both models say about a batch.

    Attributes:
        mlm_logits: float32 [B, N, V], the generator's, at the masked positions; None without one.
        detection: the discriminator's; None without one.
        span_logits: float32 [B, N, V], the generator's span head's; None without one.
        cloze_logits: float32 [B, L, V], the generator's where it predicts every token; else None.
    """

    mlm_logits: tf.Tensor | None
    detection: Detection | None
    span_logits: tf.Tensor | None = None
    cloze_logits: tf.Tensor | None = None


Generator = Callable[[MaskedBatch], HeadLogits]  # reads masked_input_ids; one that gives cloze logits, input_ids
Discriminator = Callable[[tf.Tensor, MaskedBatch], HeadLogits]  # reads the corrupted ids [B, L]
Corrupt = Callable[..., Corruption]  # from a batch and the generator's proposal [B, N, V], or None


def predict(
    batch: MaskedBatch,
    *,
    generator: Generator | None,
    discriminator: Discriminator | None,
    corrupt: Corrupt,
    generator_prediction: str = "mean",
    noise_prob: tf.Tensor | float | None = None,
) -> Predictions:
    """Returns both models' predictions for a batch; no gradient flows from the discriminator to the generator.

    Args:
        batch: with its masked positions.
        generator: scores words at the masked positions; None where `corrupt` needs no proposal.
        discriminator: gives a score a token; None for masked language modelling alone.
        corrupt: draws the replacements; `corrupt_batch`, with its keywords bound.
        generator_prediction: the logits they are drawn from: "mlm", "sbgo" or the "mean" of both heads'.
        noise_prob: of Electric, whose discriminator tells drawn tokens from the others, the share of tokens that are
            drawn; its generator gives cloze logits. None for ELECTRA, whose tells changed tokens from the others.
    """
    tokens = spans = cloze = proposal = None
    if generator is not None:
        tokens, spans, cloze = generated = generator(batch)
        proposal = tf.stop_gradient(replacement_proposal(generated, batch, generator_prediction))
    if discriminator is None:
        return Predictions(tokens, None, spans, cloze)
    corruption = corrupt(batch, proposal)
    detected = discriminator(corruption.corrupted_ids, batch)
    logits = detected.tokens
    if noise_prob is not None:
        corruption = corruption._replace(is_replaced=is_drawn(batch))
        logits += noise_log_odds(cloze, corruption.corrupted_ids, noise_prob)
    return Predictions(tokens, Detection(logits, corruption, detected.spans), spans, cloze)


def is_drawn(batch: MaskedBatch) -> tf.Tensor:
    """Returns where a token was drawn, whichever it is: Electric's labels, bool [B, L]."""
    positions = batch.masked_lm_positions
    marks = scatter_positions(
        tf.zeros_like(batch.input_ids), positions, tf.ones_like(positions), weights=batch.masked_lm_weights
    )
    return marks > 0


def noise_log_odds(cloze_logits: tf.Tensor, input_ids: tf.Tensor, noise_prob: tf.Tensor | float) -> tf.Tensor:
    """Returns what the generator knows of each token's odds of being drawn, without gradient: float32 [B, L].

    That is log q(token) + logit(noise_prob), for the generator's distribution q at the token's position. So what a
    discriminator has to add, to tell drawn tokens from the others, is -log p(token): its score is the token's energy.

    Args:
        cloze_logits: float32 [B, L, V], the generator's.
        input_ids: int32 [B, L], original tokens and drawn ones.
        noise_prob: share of tokens that are drawn.

    Source: Clark et al. 2020, "Pre-Training Transformers as Energy-Based Cloze Models", section 2.
    """
    surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=input_ids, logits=tf.stop_gradient(cloze_logits))
    noise_prob = tf.cast(noise_prob, tf.float32)
    return tf.math.log(noise_prob) - tf.math.log1p(-noise_prob) - surprise


def replacement_proposal(generated: HeadLogits, batch: MaskedBatch, generator_prediction: str) -> tf.Tensor:
    """Returns the logits [B, N, V] to draw from; the token head's where a span has no outer boundary."""
    tokens, spans = generated.tokens, generated.spans
    if spans is None or generator_prediction == "mlm":
        return tokens
    has_boundary = batch.span_weights[:, :, tf.newaxis] > 0
    return tf.where(has_boundary, (tokens + spans) / 2.0 if generator_prediction == "mean" else spans, tokens)


def corrupt_batch(
    batch: MaskedBatch, proposal: tf.Tensor, *, temperature: tf.Tensor | float = 1.0, disallow_correct: bool = False
) -> Corruption:
    """Returns the batch with every masked position filled by a draw from the generator's distribution.

    Args:
        batch: its sampling_uniforms decide the draws.
        proposal: logits to draw from, float32 [B, N, V].
        temperature: divides the logits.
        disallow_correct: never draw the original token.
    """
    logits = replacement_logits(batch, proposal, temperature=temperature, disallow_correct=disallow_correct)
    return _write(batch, sample_categorical(logits, batch.sampling_uniforms))


def corrupt_at_random(
    batch: MaskedBatch, proposal: None, *, token_counts: np.ndarray, replaced_share: float = 0.5
) -> Corruption:
    """Returns the batch with a share of its masked positions filled by words drawn without looking at it.

    Args:
        batch: its sampling_uniforms decide the draws.
        proposal: nothing; there is no generator.
        token_counts: int64 [V], how often each id is drawn; 0 for never.
        replaced_share: of the masked positions.
    """
    running = np.cumsum(token_counts)
    ends = np.where(running < running[-1], running / running[-1], 1.0).astype(np.float32)  # of each id's share
    uniforms = batch.sampling_uniforms
    drawn = tf.searchsorted(ends, tf.reshape(uniforms / replaced_share, [-1]), side="right")
    drawn = tf.reshape(drawn, tf.shape(uniforms))
    sampled_ids = tf.where(uniforms < replaced_share, drawn, batch.masked_lm_ids)
    return _write(batch, sampled_ids)


def _write(batch: MaskedBatch, sampled_ids: tf.Tensor) -> Corruption:
    """Returns the batch with these ids [B, N] at its masked positions."""
    corrupted_ids = scatter_positions(
        batch.input_ids, batch.masked_lm_positions, sampled_ids, weights=batch.masked_lm_weights
    )
    return Corruption(sampled_ids, corrupted_ids, tf.not_equal(corrupted_ids, batch.input_ids))


def replacement_logits(
    batch: MaskedBatch, proposal: tf.Tensor, *, temperature: tf.Tensor | float, disallow_correct: bool
) -> tf.Tensor:
    """Returns the logits [B, N, V] of the distribution that replacements are drawn from; see `corrupt_batch`."""
    is_one = isinstance(temperature, float) and temperature == 1
    logits = proposal if is_one else proposal / temperature
    if disallow_correct:
        logits -= 1000.0 * tf.one_hot(batch.masked_lm_ids, logits.shape[-1])
    return logits

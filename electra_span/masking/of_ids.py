"""Masking of bare ids: what a batch of them needs beside a MaskingConfig, and a config from a few settings."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from electra_span.batches import MaskedBatch, PretrainingExamples
from electra_span.masking import MaskingConfig, mask_tokens

_MASK_PROB, _REPLACE_PROBS = 0.15, (0.85, 0.0, 0.15)


def make_masking(
    masking: MaskingConfig | None,
    *,
    mask_id: int,
    pad_id: int,
    vocab_size: int | None,
    special_ids: Sequence[int] | None,
    mask_prob: float | None,
    max_predictions_per_seq: int | None,
    replace_probs: tuple[float, float, float] | None,
) -> MaskingConfig:
    """Returns the masking given, or that of single tokens with the settings that are not None.

    Args:
        masking: excludes the last four.
        mask_id, pad_id, vocab_size, special_ids, mask_prob, max_predictions_per_seq, replace_probs: see
            `electra_span.Electra`; a max_predictions_per_seq of 0 leaves it to the length of the batch.

    Raises:
        ValueError: a setting is not what it may be, or contradicts another.
    """
    settings = {
        "special_ids": special_ids,
        "mask_prob": mask_prob,
        "max_predictions_per_seq": max_predictions_per_seq,
        "replace_probs": replace_probs,
    }
    if masking is not None:
        return _alone(masking, mask_id, settings)
    mask_prob = _MASK_PROB if mask_prob is None else mask_prob
    if not 0 < mask_prob <= 1:
        raise ValueError(f"mask_prob is above 0 and at most 1. Received: {mask_prob}")
    shares = replace_probs or _REPLACE_PROBS
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"replace_probs are three shares that sum to 1. Received: {shares}")
    never = tuple(dict.fromkeys([pad_id, mask_id, *(special_ids or ())]))
    return MaskingConfig(
        mask_prob=mask_prob,
        max_predictions_per_seq=max_predictions_per_seq or 0,
        mask_id=mask_id,
        special_ids=never,
        replace_probs=shares,
        random_token_counts=_uniform_counts(vocab_size, never) if shares[1] else None,
    )


def compiles(masking: MaskingConfig) -> bool:
    """Returns whether XLA compiles this masking: numbers of words, spans and random tokens vary from batch to batch."""
    return masking.masking == "token" and not masking.replace_probs[1]


def mask_of(input_ids: tf.Tensor, pad_id: int) -> tf.Tensor:
    """Returns 1 at tokens and 0 at padding: int32 [B, L]."""
    return tf.cast(tf.not_equal(input_ids, pad_id), tf.int32)


def mask_ids(input_ids: tf.Tensor, *, pad_id: int, seed: int, step: tf.Tensor, config: MaskingConfig) -> MaskedBatch:
    """Returns a batch of ids with its masked positions, which depend on seed, step and the ids themselves.

    Args:
        input_ids: int32 [B, L].
        pad_id: id of padding.
        seed: of all masks.
        step: int64 [].
        config: a max_predictions_per_seq of 0 stands for mask_prob of L; no more than L are taken.

    Raises:
        ValueError: L is not static.
    """
    length = input_ids.shape[1]
    if length is None:
        raise ValueError(f"ids have a static length. Received: {input_ids.shape}. Pad all batches to one length")
    num_slots = min(config.max_predictions_per_seq or max(1, round(config.mask_prob * length)), length)
    flat = tf.cast(tf.reshape(input_ids, [-1]), tf.int64)
    of_ids = tf.reduce_sum(flat * tf.range(1, tf.size(flat, out_type=tf.int64) + 1))  # replicas have ids of their own
    return mask_tokens(
        PretrainingExamples(input_ids, tf.zeros_like(input_ids), mask_of(input_ids, pad_id)),
        seed=tf.random.fold_in(tf.stack([tf.constant(seed, tf.int64), step]), of_ids),
        config=dataclasses.replace(config, max_predictions_per_seq=num_slots),
    )


def _alone(masking: MaskingConfig, mask_id: int, settings: dict[str, Any]) -> MaskingConfig:
    """Returns a masking that was given, once it is seen that no other setting contradicts it."""
    given = [name for name, value in settings.items() if value is not None]
    if given:
        raise ValueError(f"masking is given alone: it says {', '.join(settings)} itself. Received: {', '.join(given)}")
    if masking.mask_id != mask_id:
        raise ValueError(f"mask_id is that of masking, {masking.mask_id}. Received: {mask_id}")
    return masking


def _uniform_counts(vocab_size: int | None, never: Sequence[int]) -> np.ndarray:
    """Returns how often each id is drawn as a random token: int64 [V], 1 but for special ids."""
    if vocab_size is None:
        raise ValueError("vocab_size must be given where replace_probs draw random tokens. Received: None")
    counts = np.ones(vocab_size, np.int64)
    counts[list(never)] = 0
    return counts

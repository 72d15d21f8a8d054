"""Dynamic masking: which tokens the generator must predict, and what it reads in their place.

Pure graph ops over a whole batch, random only through a stateless seed: the same examples, seed and config give the
same masks on any machine, so an input pipeline can be saved and resumed exactly.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from electra_span.objective.batches import MaskedBatch, PretrainingExamples
from electra_span.objective.spans import choose_spans, geometric_probs
from electra_span.objective.words import ChosenPositions, choose_words
from electra_span.schedules import Schedule


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MaskingConfig:
    """How many tokens are chosen, which belong together, and what replaces them; named as the hparams are."""

    mask_prob: Schedule  # share of a row's tokens to choose; a number where tokens are masked
    max_predictions_per_seq: int  # N, the slots of a row
    mask_id: int
    special_ids: tuple[int, ...]  # never chosen: [CLS], [SEP], [MASK], [PAD]; padding never is, whatever its id
    masking: str = "token"  # what is chosen: "token", "whole_word", "span"
    span_geometric_p: float = 0.2
    max_span_length: int = 10
    span_whole_words: bool = False  # lengths of spans count words, not tokens
    is_continuation: np.ndarray | None = None  # bool [V]: ids that continue a word; needed where words are
    replace_probs: tuple[float, float, float] = (0.85, 0.0, 0.15)  # of [MASK], a random token, the token itself
    replace_unit: str = "position"  # what is replaced in one way: "position", "span"
    random_token_counts: np.ndarray | None = None  # int64 [V]: how often each id is drawn; needed where any is

    def __post_init__(self) -> None:
        if (self.masking == "whole_word" or self.span_whole_words) and self.is_continuation is None:
            raise ValueError("is_continuation must be given where words are masked. Received: None")
        if self.replace_probs[1] and self.random_token_counts is None:
            raise ValueError("random_token_counts must be given where random tokens are drawn. Received: None")


def mask_tokens(examples: PretrainingExamples, *, seed: tf.Tensor, config: MaskingConfig) -> MaskedBatch:
    """Returns the examples with tokens, words or spans chosen, and most of them masked.

    A row gets `mask_prob` of its length in distinct positions, at least one and at most N. Single tokens and spans get
    fewer only where a row has no more candidates, or not enough for spans that never touch; whole words, where the
    next words are too long for what is left.

    Deviation: the original draws with replacement, so that a position may be drawn twice (its two sampled tokens are
    then averaged to a third, unrelated one), and draws position L in a row without candidates.

    Args:
        examples: int32 [B, L] fields.
        seed: integer [2], the stateless seed of this batch.
        config: shares, slots and ids.

    Returns:
        The batch, positions ascending in each row.
    """
    place_seed, replace_seed, sampling_seed, token_seed = tf.unstack(tf.random.split(seed, num=4), num=4)
    candidates = candidate_positions(examples, config.special_ids)
    counts = num_predictions(examples.input_mask, candidates, config)
    row_length = examples.input_ids.shape[1]
    chosen = _choose(examples.input_ids, candidates, counts, place_seed, config)
    original_ids = tf.where(chosen.is_used, tf.gather(examples.input_ids, chosen.positions, batch_dims=1), 0)
    new_ids = _replace(original_ids, chosen, replace_seed, token_seed, config)
    left, right, span_weights = span_boundaries(chosen, candidates)
    span_weights *= tf.cast(chosen.offsets < config.max_span_length, tf.float32)
    return MaskedBatch(
        input_ids=examples.input_ids,
        masked_input_ids=examples.input_ids + _sum_at(chosen.positions, new_ids - original_ids, row_length),
        input_mask=examples.input_mask,
        segment_ids=examples.segment_ids,
        masked_lm_positions=chosen.positions,
        masked_lm_ids=original_ids,
        masked_lm_weights=tf.cast(chosen.is_used, tf.float32),
        span_left=left,
        span_right=right,
        span_offset=chosen.offsets,
        span_weights=span_weights,
        sampling_uniforms=tf.random.stateless_uniform(tf.shape(chosen.positions), sampling_seed),
    )


def candidate_positions(examples: PretrainingExamples, special_ids: tuple[int, ...]) -> tf.Tensor:
    """Returns which positions may be chosen, bool [B, L]: real tokens that are not special.

    Args:
        examples: int32 [B, L] fields.
        special_ids: ids that are never chosen.
    """
    candidates = examples.input_mask > 0
    for special_id in special_ids:  # four comparisons of [B, L] run faster than one of [B, L, 4]
        candidates &= examples.input_ids != special_id
    return candidates


def num_predictions(input_mask: tf.Tensor, candidates: tf.Tensor, config: MaskingConfig) -> tf.Tensor:
    """Returns how many positions each row gets, int32 [B].

    The count of the original: `mask_prob` of the length with special tokens, in float32, a half rounded to the even
    number, at least 1 and at most N; then no more than there are candidates.

    Args:
        input_mask: int32 [B, L].
        candidates: bool [B, L], the positions that may be chosen.
        config: share and slots.
    """
    lengths = tf.cast(tf.reduce_sum(input_mask, axis=1), tf.float32)  # [B]
    wanted = tf.cast(tf.round(lengths * config.mask_prob), tf.int32)
    wanted = tf.clip_by_value(wanted, 1, config.max_predictions_per_seq)
    return tf.minimum(wanted, tf.reduce_sum(tf.cast(candidates, tf.int32), axis=1))


def choose_positions(
    candidates: tf.Tensor, counts: tf.Tensor, num_slots: int, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns positions drawn uniformly without replacement: the candidates with the highest random scores.

    Args:
        candidates: bool [B, L].
        counts: int32 [B], how many to draw in each row; no more than its candidates, nor than num_slots.
        num_slots: N, no more than L.
        seed: integer [2].

    Returns:
        Positions, int32 [B, N], ascending in the slots in use and 0 in the others, and which slots are in use,
        bool [B, N].
    """
    row_length = tf.shape(candidates)[1]
    scores = tf.where(candidates, tf.random.stateless_uniform(tf.shape(candidates), seed), -1.0)  # [B, L]
    positions = tf.math.top_k(scores, num_slots).indices  # [B, N]; one and a half times as fast as a sort of the row
    is_used = tf.range(num_slots) < counts[:, tf.newaxis]  # [B, N]
    positions = tf.sort(tf.where(is_used, positions, row_length), axis=1)
    return tf.where(is_used, positions, 0), is_used


def span_boundaries(chosen: ChosenPositions, candidates: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the positions just outside the span that each position is in, and where both are there to be read.

    Args:
        chosen: positions and their spans.
        candidates: bool [B, L], real tokens that are not special.

    Returns:
        Positions left and right of the span, int32 [B, N], 0 where there is none; and float32 [B, N], 1 where both
        are candidates that were not chosen themselves, else 0.
    """
    num_rows, row_length = tf.unstack(tf.shape(candidates))
    is_free = candidates & (_sum_at(chosen.positions, tf.cast(chosen.is_used, tf.int32), candidates.shape[1]) == 0)
    is_free = tf.reshape(tf.pad(is_free, [[0, 0], [1, 1]]), [-1])  # [B (L + 2)]
    left = chosen.positions - chosen.offsets - 1  # [B, N]; -1 where a slot is not used, and right is 0 there
    right = left + chosen.sizes + 1
    left_places = left + 1 + tf.range(num_rows)[:, tf.newaxis] * (row_length + 2)
    are_free = tf.gather(is_free, left_places) & tf.gather(is_free, left_places + chosen.sizes + 1)
    return tf.maximum(left, 0), tf.where(right < row_length, right, 0), tf.cast(are_free, tf.float32)


def _choose(
    input_ids: tf.Tensor, candidates: tf.Tensor, counts: tf.Tensor, seed: tf.Tensor, config: MaskingConfig
) -> ChosenPositions:
    """Returns the positions of a batch that the config's kind of masking chooses."""
    num_slots = config.max_predictions_per_seq
    if config.masking == "token":
        positions, is_used = choose_positions(candidates, counts, num_slots, seed)
        return ChosenPositions(positions, is_used, tf.zeros_like(positions), tf.cast(is_used, tf.int32))
    continues = None
    if config.masking == "whole_word" or config.span_whole_words:
        continues = tf.gather(tf.constant(config.is_continuation), input_ids)  # [B, L]
    if config.masking == "whole_word":
        chosen = choose_words(candidates, continues, counts, num_slots=num_slots, seed=seed)
    else:
        length_probs = geometric_probs(config.span_geometric_p, config.max_span_length)
        chosen = choose_spans(candidates, continues, counts, num_slots=num_slots, length_probs=length_probs, seed=seed)
    return ChosenPositions(*(tf.ensure_shape(field, [candidates.shape[0], num_slots]) for field in chosen))


def _replace(
    original_ids: tf.Tensor,
    chosen: ChosenPositions,
    replace_seed: tf.Tensor,
    token_seed: tf.Tensor,
    config: MaskingConfig,
) -> tf.Tensor:
    """Returns what the generator reads in each slot in use, int32 [B, N]: [MASK], a random token, or the original.

    One uniform number decides, for a position or, as all positions of a span take that of its first, for a span.
    """
    slots = tf.shape(original_ids)
    decisions = tf.random.stateless_uniform(slots, replace_seed)
    if config.replace_unit == "span":
        first_slots = tf.range(config.max_predictions_per_seq) - chosen.offsets  # [B, N]
        decisions = tf.gather(decisions, first_slots, batch_dims=1)
    mask_prob, random_prob, _ = config.replace_probs
    new_ids = tf.where(chosen.is_used & (decisions < mask_prob), config.mask_id, original_ids)
    if not random_prob or config.random_token_counts is None:
        return new_ids
    is_random = chosen.is_used & (decisions >= mask_prob) & (decisions < mask_prob + random_prob)
    where = tf.where(is_random)  # [random ones, 2]: a tenth of all, and to draw one takes a search
    random_ids = draw_tokens(tf.shape(where)[0], config.random_token_counts, token_seed)
    return tf.tensor_scatter_nd_update(new_ids, where, random_ids)


def draw_tokens(num_tokens: tf.Tensor, counts: np.ndarray, seed: tf.Tensor) -> tf.Tensor:
    """Returns random ids, int32 [num_tokens], each as often as its count says.

    Args:
        num_tokens: int32 [].
        counts: int64 [V]; 0 for ids that are never drawn.
        seed: integer [2].
    """
    running = np.cumsum(counts, dtype=np.int64)
    drawn = tf.random.stateless_uniform([num_tokens], seed, minval=0, maxval=int(running[-1]), dtype=tf.int64)
    return tf.searchsorted(tf.constant(running), drawn, side="right")


def _sum_at(positions: tf.Tensor, addends: tf.Tensor, row_length: int) -> tf.Tensor:
    """Returns the sums of addends [B, N] at positions [B, N], int32 [B, L]."""
    return tf.raw_ops.DenseBincount(input=positions, size=row_length, weights=addends)  # faster than a scatter


__all__ = ["MaskingConfig", "mask_tokens"]


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

"""Dynamic masking: which tokens the generator must predict, and what it reads in their place.

Pure graph ops over a whole batch, random only through a stateless seed: the same examples, seed and config give the
same masks on any machine, so an input pipeline can be saved and resumed exactly.
"""

import dataclasses

import tensorflow as tf

from electra_span.batches import MaskedBatch, PretrainingExamples
from electra_span.ops import scatter_positions


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """How many tokens are chosen, and what replaces them (Clark et al. 2020, section 3.1 and appendix A)."""

    mask_prob: float  # share of a row's tokens to choose
    max_predictions_per_seq: int  # N, the slots of a row
    mask_id: int
    special_ids: tuple[int, ...]  # never chosen: [CLS], [SEP], [MASK], [PAD]; padding never is, whatever its id
    mask_replace_prob: float = 0.85  # share of chosen tokens that become [MASK]; the others stay, and are predicted too


def mask_tokens(examples: PretrainingExamples, *, seed: tf.Tensor, config: MaskingConfig) -> MaskedBatch:
    """Returns the examples with single tokens chosen, and most of them masked.

    A row gets `mask_prob` of its length in distinct positions, drawn uniformly, at least one and at most N; fewer only
    where it has fewer candidates, none in a row without candidates.

    Deviation: the original draws with replacement, so that a position may be drawn twice (its two sampled tokens are
    then averaged to a third, unrelated one), and draws position L in a row without candidates.

    Args:
        examples: int32 [B, L] fields.
        seed: integer [2], the stateless seed of this batch.
        config: shares, slots and ids.

    Returns:
        The batch, positions ascending in each row.
    """
    position_seed, replacement_seed, sampling_seed = tf.unstack(tf.random.split(seed, num=3), num=3)
    candidates = candidate_positions(examples, config.special_ids)
    counts = num_predictions(examples.input_mask, candidates, config)
    positions, is_used = choose_positions(candidates, counts, config.max_predictions_per_seq, position_seed)
    slots = tf.shape(positions)
    becomes_mask = is_used & (tf.random.stateless_uniform(slots, replacement_seed) < config.mask_replace_prob)
    return MaskedBatch(
        input_ids=examples.input_ids,
        masked_input_ids=scatter_positions(
            examples.input_ids, positions, tf.fill(slots, config.mask_id), weights=becomes_mask
        ),
        input_mask=examples.input_mask,
        segment_ids=examples.segment_ids,
        masked_lm_positions=positions,
        masked_lm_ids=tf.where(is_used, tf.gather(examples.input_ids, positions, batch_dims=1), 0),
        masked_lm_weights=tf.cast(is_used, tf.float32),
        sampling_uniforms=tf.random.stateless_uniform(slots, sampling_seed),
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

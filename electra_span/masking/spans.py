"""Spans of random length at random places, as whole-batch graph ops.

Axis letters beside those of the batch: K spans, S stretches and F free places of a row.
"""

import itertools
from typing import NamedTuple

import tensorflow as tf

from electra_span.masking.slots import ChosenPositions, fill_slots, rows_of
from electra_span.masking.words import Words, find_words


class _Stretches(NamedTuple):
    """The unbroken series of candidates, in which spans may lie, counted in units: tokens or words of the batch."""

    starts: tf.Tensor  # int32 [S, B], number of the first unit, from 0 in the first row on
    sizes: tf.Tensor  # int32 [S, B], units; 0 where the row has fewer stretches


class _Placement(NamedTuple):
    """Spans placed so far, and the free places that are left for more: none touches a span."""

    left: tf.Tensor  # int32 [1, B], tokens that each row still has to get
    limit: tf.Tensor  # int32 [1, B], units of the longest span possible; 0 where the row is done
    starts: tf.Tensor  # int32 [F, B], first unit of each free place
    rooms: tf.Tensor  # int32 [F, B], its units + 1: so many starts, and n fewer, has a span of n units there
    firsts: tf.Tensor  # int32 [K, B], first unit of each span
    sizes: tf.Tensor  # int32 [K, B], its tokens; 0: no span


def choose_spans(
    candidates: tf.Tensor,
    continues: tf.Tensor | None,
    counts: tf.Tensor,
    *,
    num_slots: int,
    length_probs: tuple[float, ...],
    seed: tf.Tensor,
) -> ChosenPositions:
    """Returns spans of random lengths at random places that never touch, with exactly each row's count of positions.

    Spans are drawn one after the other: a length by its law, then a start, uniform over all where such a span fits
    without touching another. The last one is cut to the count; one longer than any free place is cut to the longest.
    A row that chance leaves too little room is filled anew, from the left, with spans as long as there may be; where
    those do not reach the count either, it gets fewer positions.

    Args:
        candidates: bool [B, L], positions that may be chosen.
        continues: bool [B, L], positions whose token continues a word: lengths count words; None: they count tokens.
        counts: int32 [B], positions of each row; no more than num_slots.
        num_slots: N.
        length_probs: probability of each length, from 1 on.
        seed: integer [2].
    """
    words = None if continues is None else find_words(candidates, continues)
    stretches = _stretches(candidates, words)
    draws = [num_slots, 1, tf.shape(candidates)[0]]
    length_seed, place_seed = tf.unstack(tf.random.split(seed, num=2), num=2)
    lengths, uniforms = draw_lengths(draws, length_probs, length_seed), tf.random.stateless_uniform(draws, place_seed)
    counts = counts[tf.newaxis]  # [1, B]
    firsts, sizes = _place(stretches, words, counts, lengths, uniforms)  # [K, B]

    is_short = tf.reduce_sum(sizes, axis=0, keepdims=True) < counts

    def refill() -> tuple[tf.Tensor, tf.Tensor]:
        longest, leftmost = tf.fill(draws, len(length_probs)), tf.zeros(draws)
        others = _place(stretches, words, tf.where(is_short, counts, 0), longest, leftmost)
        kept_sizes = tf.where(is_short, 0, sizes)
        return tf.concat([firsts, others[0]], axis=0), tf.concat([kept_sizes, others[1]], axis=0)

    firsts, sizes = tf.cond(tf.reduce_any(is_short), refill, lambda: (firsts, sizes))
    row_length = tf.shape(candidates)[1]
    starts = firsts % row_length if words is None else tf.gather(words.firsts, firsts)  # [K, B]
    return fill_slots(tf.transpose(starts), tf.transpose(sizes), num_slots)


def draw_lengths(shape: list[tf.Tensor | int], probs: tuple[float, ...], seed: tf.Tensor) -> tf.Tensor:
    """Returns lengths, int32 of that shape, of which length n has probability probs[n - 1].

    Args:
        shape: of what is returned.
        probs: sum to 1.
        seed: integer [2].
    """
    bounds = tf.constant(list(itertools.accumulate(probs))[:-1], tf.float32)
    uniforms = tf.random.stateless_uniform(shape, seed)
    return tf.reshape(tf.searchsorted(bounds, tf.reshape(uniforms, [-1]), side="right"), shape) + 1


def geometric_probs(p: float, max_length: int) -> tuple[float, ...]:
    """Returns the geometric law p (1 - p)^(n - 1) on lengths 1 to max_length, brought to the sum 1.

    Source: SpanBERT (Joshi et al. 2020), section 3.1.
    """
    masses = [p * (1 - p) ** (length - 1) for length in range(1, max_length + 1)]
    return tuple(mass / sum(masses) for mass in masses)


def _stretches(candidates: tf.Tensor, words: Words | None) -> _Stretches:
    """Returns the series of candidates [B, L] in words, or in tokens where there are no words."""
    padded = tf.pad(candidates, [[0, 0], [1, 1]])
    is_start, is_end = candidates & ~padded[:, :-2], candidates & ~padded[:, 2:]  # [B, L]
    num_rows, row_length = tf.unstack(tf.shape(candidates))
    rows, starts = tf.unstack(tf.cast(tf.where(is_start), tf.int32), num=2, axis=1)  # [stretches]
    if words is None:
        starts += rows * row_length
        ends = tf.cast(tf.where(tf.reshape(is_end, [-1]))[:, 0], tf.int32)
    else:
        offsets = words.rows * row_length
        is_first_word = tf.gather(tf.reshape(is_start, [-1]), offsets + words.firsts)  # [W]
        is_last_word = tf.gather(tf.reshape(is_end, [-1]), offsets + words.lasts)
        starts, ends = (tf.cast(tf.where(flags)[:, 0], tf.int32) for flags in (is_first_word, is_last_word))
    starts, sizes = (tf.transpose(rows_of(values, rows, num_rows)) for values in (starts, ends - starts + 1))
    return _Stretches(starts, sizes)


def _place(
    stretches: _Stretches, words: Words | None, counts: tf.Tensor, lengths: tf.Tensor, uniforms: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns spans placed one after the other until each row has its count or no free place is left.

    Args:
        stretches: where spans may lie.
        words: what lengths count; None: tokens.
        counts: int32 [1, B], tokens of each row.
        lengths: int32 [N, 1, B], units of each span; no more are placed than the longest free place has.
        uniforms: float32 [N, 1, B] in [0, 1), which of its possible starts each span takes, from left to right.

    Returns:
        Number of the first unit, and number of tokens, of each span: int32 [K, B] both; 0 and 0 for no span.
    """
    limit = tf.minimum(counts, tf.reduce_max(stretches.sizes, axis=0, keepdims=True))
    none = tf.zeros([0, tf.shape(counts)[1]], tf.int32)
    start = _Placement(counts, tf.maximum(limit, 0), stretches.starts, stretches.sizes + 1, none, none)
    many = tf.TensorShape([None, counts.shape[1]])
    *_, end = tf.while_loop(
        lambda step, placement: tf.reduce_any(placement.limit > 0),
        lambda step, placement: (
            step + 1, _place_next(placement, words, tf.gather(lengths, step), tf.gather(uniforms, step))
        ),
        (tf.constant(0), start),
        shape_invariants=(tf.TensorShape([]), _Placement(counts.shape, counts.shape, many, many, many, many)),
    )  # fmt: skip
    return tf.where(end.sizes > 0, end.firsts, 0), end.sizes


def _place_next(placement: _Placement, words: Words | None, length: tf.Tensor, uniform: tf.Tensor) -> _Placement:
    """Returns what comes of placing one more span in each row that is not done; the others lose free places at most.

    Args:
        placement: what is there.
        words: what lengths count; None: tokens.
        length: int32 [1, B], units.
        uniform: float32 [1, B] in [0, 1).
    """
    left, limit, starts, rooms, firsts, sizes = placement
    length = tf.minimum(length, limit)  # 0 where the row is done
    ways = tf.maximum(rooms - length, 0)  # [F, B]: starts that each free place has for the span
    drawn = tf.cast(uniform * tf.cast(tf.reduce_sum(ways, axis=0, keepdims=True), tf.float32), tf.int32)
    shifts = drawn - tf.cumsum(ways, exclusive=True)  # [F, B]: distance of the drawn start from that of a free place
    is_drawn = (shifts >= 0) & (shifts < ways)
    first = tf.reduce_sum(tf.where(is_drawn, starts + shifts, 0), axis=0, keepdims=True)  # [1, B]
    room_behind = tf.reduce_sum(tf.where(is_drawn, ways - shifts, 0), axis=0, keepdims=True) - 1
    rooms = tf.concat([tf.where(is_drawn, shifts, rooms), room_behind], axis=0)  # a free place stays on each side
    size = tf.minimum(_count_tokens(words, first, length), left)
    left -= size
    limit = tf.minimum(left, tf.reduce_max(rooms, axis=0, keepdims=True) - 1)
    return _Placement(
        left,
        tf.maximum(limit, 0),
        tf.concat([starts, first + length + 1], axis=0),
        rooms,
        tf.concat([firsts, first], axis=0),
        tf.concat([sizes, size], axis=0),
    )


def _count_tokens(words: Words | None, first: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns the tokens of spans that start at a unit and are some units long; 0 for those of no length."""
    if words is None:
        return length
    first = tf.where(length > 0, first, 0)
    last = tf.maximum(first + length - 1, 0)
    return tf.where(length > 0, tf.gather(words.lasts, last) - tf.gather(words.firsts, first) + 1, 0)

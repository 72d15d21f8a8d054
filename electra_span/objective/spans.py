"""Spans of random length at random places, as whole-batch graph ops.

Axis letters beside those of the batch: W units (words.py) of all rows, T turns of a row.
"""

import itertools
from typing import NamedTuple

import tensorflow as tf

from electra_span.objective.words import (
    ChosenPositions,
    Units,
    begins_and_sizes,
    fill_slots,
    find_units,
    span_of_slots,
)

_NUM_TURNS = 8  # tried at once: none is free in one of some 6000 rows of two segments
_NUM_ROUNDS = 16  # of draws


class _Spans(NamedTuple):
    """Spans of a batch in random order, and of which rows they may be used."""

    are_free: tf.Tensor  # bool [B, 1], whether all tokens of the row's spans are candidates
    starts: tf.Tensor  # int32 [B, N], first position
    ends: tf.Tensor  # int32 [B, N], tokens of this span and those before it; as the span before: no span


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

    Lengths are drawn by their law until they reach the count, the last one cut to it, and laid around the row, bent
    to a circle, with random distances. Then the circle is turned until no span holds what is no candidate. Rows where
    no turn tried is free are drawn anew, lengths too. Those that are never are filled from the left, with spans as long
    as there may be; where these do not reach the count either, the row gets fewer positions.

    Args:
        candidates: bool [B, L], positions that may be chosen.
        continues: bool [B, L], positions whose token continues a word: lengths count words; None: they count tokens.
        counts: int32 [B], positions of each row; no more than num_slots.
        num_slots: N.
        length_probs: probability of each length, from 1 on.
        seed: integer [2].
    """
    units, counts = find_units(candidates, continues), counts[:, tf.newaxis]
    row_length = candidates.shape[1]

    def draw(seed: tf.Tensor) -> tuple[tf.Tensor, ChosenPositions]:
        spans = _draw_spans(units, counts, num_slots, length_probs, seed, is_words=continues is not None)
        return spans.are_free, fill_slots(spans.starts, spans.ends, num_slots=num_slots, row_length=row_length)

    def draw_again(round_: tf.Tensor, is_done: tf.Tensor, chosen: ChosenPositions) -> tuple:
        are_free, others = draw(tf.random.experimental.stateless_fold_in(seed, round_))
        return round_ + 1, is_done | are_free, _where(is_done, chosen, others)

    def finish() -> ChosenPositions:
        more = tf.while_loop(
            lambda round_, is_done, _: (round_ < _NUM_ROUNDS) & ~tf.reduce_all(is_done),
            draw_again,
            (tf.constant(1), *first),
        )
        starts, ends = _fill_from_left(candidates, units, counts, len(length_probs))
        return _where(more[1], more[2], fill_slots(starts, ends, num_slots=num_slots, row_length=row_length))

    first = draw(seed)
    return tf.cond(tf.reduce_all(first[0]), lambda: first[1], finish)


def _where(condition: tf.Tensor, chosen: ChosenPositions, others: ChosenPositions) -> ChosenPositions:
    """Returns the rows of one choice where a condition, bool [B, 1], holds, else those of another one."""
    return ChosenPositions(*(tf.where(condition, *fields) for fields in zip(chosen, others, strict=True)))


def length_of(uniforms: tf.Tensor, probs: tuple[float, ...]) -> tf.Tensor:
    """Returns lengths, int32 of the uniforms' shape, of which length n has probability probs[n - 1].

    Args:
        uniforms: float32 in [0, 1).
        probs: sum to 1.
    """
    bounds = tf.constant(list(itertools.accumulate(probs))[:-1], tf.float32)
    return tf.reshape(tf.searchsorted(bounds, tf.reshape(uniforms, [-1]), side="right"), tf.shape(uniforms)) + 1


def geometric_probs(p: float, max_length: int) -> tuple[float, ...]:
    """Returns the geometric law p (1 - p)^(n - 1) on lengths 1 to max_length, brought to the sum 1.

    Source: SpanBERT (Joshi et al. 2020), section 3.1.
    """
    masses = [p * (1 - p) ** (length - 1) for length in range(1, max_length + 1)]
    return tuple(mass / sum(masses) for mass in masses)


def _draw_spans(
    units: Units, counts: tf.Tensor, num_slots: int, length_probs: tuple[float, ...], seed: tf.Tensor, *, is_words: bool
) -> _Spans:
    """Returns one arrangement of spans in each row.

    Args:
        units: tokens or words, and what parts them.
        counts: int32 [B, 1], tokens of each row.
        num_slots: N.
        length_probs: probability of each length in units, from 1 on.
        seed: integer [2].
        is_words: whether units may have several tokens.
    """
    num_rows = tf.shape(counts)[0]
    uniforms = tf.random.stateless_uniform([num_rows, 2 * num_slots + _NUM_TURNS], seed)
    length_uniforms, place_uniforms, turn_uniforms = tf.split(uniforms, [num_slots, num_slots, _NUM_TURNS], axis=1)
    ends = tf.minimum(tf.cumsum(length_of(length_uniforms, length_probs), axis=1), tf.maximum(counts, 1))  # [B, N]
    begins, sizes = begins_and_sizes(ends)
    room = units.sizes - ends[:, -1:] - tf.reduce_sum(tf.cast(sizes > 0, tf.int32), axis=1, keepdims=True) + 1  # [B, 1]
    lay = _lay_in_random_order if is_words else _lay_in_order
    firsts = lay(sizes, begins, place_uniforms, tf.cast(tf.maximum(room, 1), tf.float32))  # [B, N]
    slots = tf.minimum(tf.range(num_slots), ends[:, -1:] - 1)
    cells = tf.gather(firsts - begins, span_of_slots(ends, num_slots), batch_dims=1) + slots  # [B, N]
    is_free, turns = _find_free_turns(units, tf.minimum(cells, units.sizes - 1), turn_uniforms)
    starts = _wrap(tf.minimum(firsts, units.sizes - 1) + turns, units.sizes)
    are_free = (is_free & (room > 0)) | (counts == 0)
    if not is_words:
        return _Spans(are_free, starts, tf.minimum(ends, counts))
    starts += units.bases
    places = tf.gather(units.firsts, starts)  # [B, N]
    stops = tf.gather(units.firsts, tf.minimum(starts + sizes, tf.size(units.firsts) - 1))
    row_starts = tf.gather(units.firsts, units.bases)  # [B, 1]
    return _Spans(are_free, places - row_starts, tf.minimum(tf.cumsum(stops - places, axis=1), counts))


def _lay_in_order(sizes: tf.Tensor, begins: tf.Tensor, uniforms: tf.Tensor, room: tf.Tensor) -> tf.Tensor:
    """Returns the first unit, int32 [B, N], of spans laid from left to right with at least one unit between.

    Args:
        sizes: int32 [B, N], units; 0: no span.
        begins: int32 [B, N], units of the spans before each one.
        uniforms: float32 [B, N] in [0, 1).
        room: float32 [B, 1], places of each span in a line without the others.
    """
    uniforms = tf.sort(tf.where(sizes > 0, uniforms, 1.0), axis=1)
    return tf.cast(uniforms * room, tf.int32) + tf.range(sizes.shape[1]) + begins


def _lay_in_random_order(sizes: tf.Tensor, begins: tf.Tensor, uniforms: tf.Tensor, room: tf.Tensor) -> tf.Tensor:
    """Returns the first unit, int32 [B, N], as `_lay_in_order`, of spans in an order of their own in each row."""
    num_rows, num_spans = tf.unstack(tf.shape(sizes))
    mirrored, order = tf.math.top_k(tf.where(sizes > 0, -uniforms, -1.0), sizes.shape[1])
    begins = tf.cumsum(tf.gather(sizes, order, batch_dims=1), axis=1, exclusive=True)
    firsts = tf.cast(-mirrored * room, tf.int32) + tf.range(num_spans) + begins
    order += tf.range(num_rows)[:, tf.newaxis] * num_spans
    places = tf.reshape(tf.math.invert_permutation(tf.reshape(order, [-1])), tf.shape(order))
    return tf.gather(tf.reshape(firsts, [-1]), places)


def _find_free_turns(units: Units, cells: tf.Tensor, uniforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns whether a turn of each row brings all its cells onto candidates, bool [B, 1], and one, int32 [B, 1].

    Args:
        units: what lies on the circle.
        cells: int32 [B, N], units of the circle.
        uniforms: float32 [B, T] in [0, 1), for the turns to try.
    """
    turns = tf.cast(uniforms * tf.cast(units.sizes, tf.float32), tf.int32)  # [B, T]
    turned = _wrap(cells[:, tf.newaxis] + turns[:, :, tf.newaxis], units.sizes[:, tf.newaxis])  # [B, T, N]
    is_free = tf.reduce_all(tf.gather(units.is_candidate, turned + units.bases[:, tf.newaxis]), axis=2)
    free_turn = tf.gather(turns, tf.argmax(is_free, axis=1, output_type=tf.int32), batch_dims=1)
    return tf.reduce_any(is_free, axis=1, keepdims=True), free_turn[:, tf.newaxis]


def _wrap(cells: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns cells % size, of int32 cells below twice the size: as unsigned numbers, negative ones are the largest."""
    return tf.bitcast(tf.minimum(tf.bitcast(cells, tf.uint32), tf.bitcast(cells - size, tf.uint32)), tf.int32)


def _fill_from_left(
    candidates: tf.Tensor, units: Units, counts: tf.Tensor, longest: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns spans of the greatest length from the left on, one unit between: starts and ends [B, L], as of _Spans."""
    num_rows, row_length = tf.unstack(tf.shape(candidates))
    numbers = tf.range(tf.size(units.firsts))
    opens = units.is_candidate & ~tf.pad(units.is_candidate, [[1, 0]])[:-1]  # [W]: a series of candidates
    series = tf.maximum(tf.cumsum(tf.cast(opens, tf.int32)) - 1, 0)
    steps = (numbers - tf.gather(tf.boolean_mask(numbers, opens), series)) % (longest + 1)
    firsts = tf.boolean_mask(numbers, units.is_candidate & (steps == 0))  # [spans]
    gaps = tf.boolean_mask(numbers, ~units.is_candidate | (steps == longest))
    places = tf.gather(units.firsts, firsts)
    stops = tf.gather(units.firsts, tf.gather(gaps, tf.searchsorted(gaps, firsts)))
    indices = tf.stack([places // (row_length + 1), places % (row_length + 1)], axis=1)
    sizes = tf.scatter_nd(indices, stops - places, [num_rows, row_length])
    starts = tf.broadcast_to(tf.range(row_length), [num_rows, row_length])
    return starts, tf.minimum(tf.cumsum(sizes, axis=1), counts)

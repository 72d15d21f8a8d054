"""Where chosen positions end up: the slots of a row, ascending, each with its place in its span."""

from typing import NamedTuple

import tensorflow as tf

_MAX_KEY_BITS = 31  # of an int32 that is not negative


class ChosenPositions(NamedTuple):
    """The positions chosen in each row, ascending, and where in its span each one is. Unused slots hold 0."""

    positions: tf.Tensor  # int32 [B, N]
    is_used: tf.Tensor  # bool [B, N]
    offsets: tf.Tensor  # int32 [B, N], distance of the position from its span's first token
    sizes: tf.Tensor  # int32 [B, N], tokens of its span


def fill_slots(starts: tf.Tensor, ends: tf.Tensor, *, num_slots: int, row_length: int) -> ChosenPositions:
    """Returns the positions of spans in ascending order, laid out in slots.

    Args:
        starts: int32 [B, K], first position of each span, in any order.
        ends: int32 [B, K], positions of this span and those before it; as the span before: no span. N at most.
        num_slots: N.
        row_length: L.
    """
    begins, sizes = begins_and_sizes(ends)
    # A key holds position, offset and size: one sort orders them all, and one gather brings each slot its span's.
    bits = num_slots.bit_length()
    dtype = tf.int32 if row_length.bit_length() + 2 * bits <= _MAX_KEY_BITS else tf.int64
    starts, begins, sizes = (tf.cast(field, dtype) for field in (starts, begins, sizes))
    mirrored_starts = row_length - starts  # so that the highest keys are of the leftmost positions
    span_keys = (mirrored_starts + begins) * 4**bits - begins * 2**bits + sizes  # as of slot 0
    slot_keys = tf.range(num_slots, dtype=dtype) * (2**bits - 4**bits)
    keys = tf.gather(span_keys, span_of_slots(ends, num_slots), batch_dims=1) + slot_keys  # [B, N]
    is_used = tf.range(num_slots) < ends[:, -1:]
    keys = tf.math.top_k(tf.where(is_used, keys, 0), num_slots).values
    low, mask = tf.cast(keys & (4**bits - 1), tf.int32), 2**bits - 1
    mirrored_positions = tf.cast(tf.bitwise.right_shift(keys, tf.constant(2 * bits, dtype)), tf.int32)
    positions = tf.where(is_used, row_length - mirrored_positions, 0)
    return ChosenPositions(positions, is_used, tf.bitwise.right_shift(low, bits), low & mask)


def begins_and_sizes(ends: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what comes before each of some spans and what each one has, int32 [B, K] both, from running totals."""
    begins = tf.pad(ends, [[0, 0], [1, 0]])[:, :-1]
    return begins, ends - begins


def span_of_slots(ends: tf.Tensor, num_slots: int) -> tf.Tensor:
    """Returns which span is in each slot, int32 [B, N]; in an unused slot that of the last used one.

    Args:
        ends: int32 [B, K], slots that each span and those before it take.
        num_slots: N.
    """
    slots = tf.minimum(tf.range(num_slots), ends[:, -1:] - 1)  # [B, N]
    return tf.searchsorted(ends, slots, side="right")


_DRAWS, _DRAWS_PER_SLOT = 8, 1.25  # of words, at first
_TAKEN, _NO_WORD = 2**20, 2**19  # as a size that fits nowhere


class Units(NamedTuple):
    """What spans are made of, tokens or words, and what parts them: every other token is a unit of its own.

    The units of all rows are numbered in one series, and so are the places of tokens, L + 1 in each row.
    """

    is_candidate: tf.Tensor  # bool [W]
    firsts: tf.Tensor  # int32 [W], place of the first token
    bases: tf.Tensor  # int32 [B, 1], first unit of each row
    sizes: tf.Tensor  # int32 [B, 1], units up to the row's last candidate, and the one behind it


def find_units(candidates: tf.Tensor, continues: tf.Tensor | None) -> Units:
    """Returns the units of a batch; a series of candidates that starts inside a word starts with a word, too.

    Args:
        candidates: bool [B, L].
        continues: bool [B, L], positions whose token continues a word; None: each token is a unit.
    """
    num_rows, row_length = tf.unstack(tf.shape(candidates))
    flags = tf.reshape(tf.pad(candidates, [[0, 0], [0, 1]]), [-1])  # [B (L + 1)]
    num_tokens = tf.reduce_max(tf.where(candidates, tf.range(2, row_length + 2), 1), axis=1, keepdims=True)
    if continues is None:
        bases = tf.range(num_rows)[:, tf.newaxis] * (row_length + 1)
        return Units(flags, tf.range(num_rows * (row_length + 1)), bases, num_tokens)
    follows = candidates & continues & tf.pad(candidates, [[0, 0], [1, 0]])[:, :-1]  # [B, L]: in the word before
    is_first = tf.pad(~follows, [[0, 0], [0, 1]], constant_values=True)  # [B, L + 1]
    firsts = tf.cast(tf.where(tf.reshape(is_first, [-1]))[:, 0], tf.int32)
    num_units = tf.reduce_sum(tf.cast(is_first, tf.int32), axis=1, keepdims=True)
    bases = tf.cumsum(num_units, exclusive=True)
    return Units(tf.gather(flags, firsts), firsts, bases, num_units + num_tokens - (row_length + 1))


def choose_words(
    candidates: tf.Tensor, continues: tf.Tensor, counts: tf.Tensor, *, num_slots: int, seed: tf.Tensor
) -> ChosenPositions:
    """Returns whole words in random order, as many as fit into each row's count.

    A word too long for what is left of the count is passed over, and the next one tried. Each word is a span.

    Words are drawn with replacement and repeated ones left out, which is a random order without sorting all words of
    a row. Where that brings too few, the words not drawn follow.

    Args:
        candidates: bool [B, L], positions that may be chosen.
        continues: bool [B, L], positions whose token continues a word.
        counts: int32 [B], most positions of each row; no more than num_slots.
        num_slots: N.
        seed: integer [2].
    """
    units = find_units(candidates, continues)
    num_rows, row_length = tf.unstack(tf.shape(candidates))
    num_words = units.sizes - 1  # and other tokens: the last one is no word
    draw_seed, rest_seed = tf.unstack(tf.random.split(seed, num=2), num=2)
    draws = [num_rows, int(_DRAWS + _DRAWS_PER_SLOT * num_slots)]
    uniforms = tf.random.stateless_uniform(draws, draw_seed)
    drawn = _leave_out_repeats(tf.cast(uniforms * tf.cast(num_words, tf.float32), tf.int32))
    starts, taken = _take_in_order(units, drawn, counts[:, tf.newaxis], row_length)

    def fill(starts: tf.Tensor, taken: tf.Tensor) -> ChosenPositions:
        return fill_slots(starts, tf.cumsum(taken, axis=1), num_slots=num_slots, row_length=candidates.shape[1])

    def take_more() -> ChosenPositions:
        taken_ones = tf.where(taken > 0, drawn, row_length)
        is_taken = tf.raw_ops.DenseBincount(input=taken_ones, size=row_length, weights=taken) > 0  # [B, L]
        may_follow = (tf.range(row_length) < num_words) & ~is_taken
        scores = tf.where(may_follow, tf.random.stateless_uniform([num_rows, row_length], rest_seed), -1.0)
        scores, others = tf.math.top_k(scores, row_length)
        left = counts[:, tf.newaxis] - tf.reduce_sum(taken, axis=1, keepdims=True)
        more_starts, more = _take_in_order(units, tf.where(scores < 0, -1, others), left, row_length)
        return fill(tf.concat([starts, more_starts], axis=1), tf.concat([taken, more], axis=1))

    is_enough = tf.reduce_all(tf.reduce_sum(taken, axis=1) == counts)
    return tf.cond(is_enough, lambda: fill(starts, taken), take_more)


def _leave_out_repeats(draws: tf.Tensor) -> tf.Tensor:
    """Returns draws, int32 [B, M], without those that a row has had before: -1, behind all others, in their place."""
    num_draws = draws.shape[1]
    bits = num_draws.bit_length()
    shifted = tf.bitwise.left_shift
    keys = tf.math.top_k(shifted(draws, bits) + tf.range(num_draws, 0, -1), num_draws).values  # equal ones by age
    draws = tf.bitwise.right_shift(keys, bits)
    is_repeat = draws == tf.pad(draws, [[0, 0], [1, 0]], constant_values=-1)[:, :-1]
    ages = keys & (2**bits - 1)
    keys = tf.where(is_repeat, -1, shifted(ages, 31 - bits) + draws)
    keys = tf.math.top_k(keys, num_draws).values
    return tf.where(keys < 0, -1, keys & (2 ** (31 - bits) - 1))


def _take_in_order(
    units: Units, drawn: tf.Tensor, left: tf.Tensor, row_length: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the words that are taken: from left to right each one no larger than what is left of its row's count.

    Args:
        units: words and other tokens.
        drawn: int32 [B, M], numbers in their rows of different ones; -1: none.
        left: int32 [B, 1], tokens to take.
        row_length: int32 [], L.

    Returns:
        First position, and tokens, of each word, int32 [B, M] both; 0 tokens where it is not taken.
    """
    flat = tf.maximum(drawn, 0) + units.bases  # [B, M]
    firsts = tf.gather(units.firsts, flat)
    sizes = tf.gather(units.firsts, flat + 1) - firsts
    is_word = tf.gather(units.is_candidate, flat) & (drawn >= 0)
    rest = tf.where(is_word, sizes, _NO_WORD)

    def has_more(left: tf.Tensor, rest: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(rest <= left)

    def take(left: tf.Tensor, rest: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # All that still fit, up to the first that no longer does after those before it. What was passed over before
        # that one was too large for what was left then, and is for what is left now.
        fitting = tf.where(rest <= left, rest, 0)
        taken = tf.where(tf.cumsum(fitting, axis=1) <= left, fitting, 0)
        return left - tf.reduce_sum(taken, axis=1, keepdims=True), tf.where(taken > 0, _TAKEN, rest)

    _, rest = tf.while_loop(has_more, take, (left, rest))
    starts = firsts - tf.range(tf.shape(left)[0])[:, tf.newaxis] * (row_length + 1)
    return starts, tf.where(rest == _TAKEN, sizes, 0)

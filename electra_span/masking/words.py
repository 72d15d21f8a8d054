"""Words of a batch of ids, and whole words drawn from them.

Axis letter W: the words of the whole batch, or, beside B, of a row.
"""

from typing import NamedTuple

import tensorflow as tf

from electra_span.masking.slots import ChosenPositions, fill_slots, pack_key, rows_of, unpack_key

_NO_WORD = -1  # as a key: sorted behind all words, and larger than any count
_EARLY_WORDS, _EARLY_WORDS_PER_POSITION = 6.0, 1.25  # about how many words of a row are sorted at first


class Words(NamedTuple):
    """All words of a batch, row after row, from left to right."""

    rows: tf.Tensor  # int32 [W]
    firsts: tf.Tensor  # int32 [W], position of the first token in its row
    lasts: tf.Tensor  # int32 [W]


def find_words(candidates: tf.Tensor, continues: tf.Tensor) -> Words:
    """Returns the words of a batch; a series of candidates that starts inside a word starts with a word, too."""
    follows = candidates & tf.pad(candidates, [[0, 0], [1, 0]])[:, :-1] & continues  # [B, L]: in the word before
    is_last = candidates & ~tf.pad(follows, [[0, 0], [0, 1]])[:, 1:]
    rows, firsts = tf.unstack(tf.cast(tf.where(candidates & ~follows), tf.int32), num=2, axis=1)
    return Words(rows, firsts, tf.cast(tf.where(is_last)[:, 1], tf.int32))


def choose_words(
    candidates: tf.Tensor, continues: tf.Tensor, counts: tf.Tensor, *, num_slots: int, seed: tf.Tensor
) -> ChosenPositions:
    """Returns whole words in random order, as many as fit into each row's count.

    A word too long for what is left of the count is passed over, and the next one tried. Each word is a span.

    Args:
        candidates: bool [B, L], positions that may be chosen.
        continues: bool [B, L], positions whose token continues a word.
        counts: int32 [B], most positions of each row; no more than num_slots.
        num_slots: N.
        seed: integer [2].
    """
    words = find_words(candidates, continues)
    order = tf.random.stateless_uniform(tf.shape(words.rows), seed)
    # Floats that are not negative sort as their bits do.
    keys = tf.cast(tf.bitcast(order, tf.int32), tf.int64) * 2**32
    keys += tf.cast(pack_key(words.firsts, words.lasts - words.firsts + 1), tf.int64)

    def take(keys: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        keys = rows_of(keys, rows, tf.shape(counts)[0], fill=_NO_WORD)  # [B, words of a row]
        keys = tf.math.top_k(keys, tf.shape(keys)[1]).values
        starts, sizes = unpack_key(tf.cast(tf.bitwise.bitwise_and(keys, 2**32 - 1), tf.int32))
        return starts, _take_in_order(sizes, counts)

    # To sort all words would take most of the time of masking, and the first of them nearly always are enough.
    num_words = tf.math.unsorted_segment_sum(tf.ones_like(words.rows), words.rows, tf.shape(counts)[0])  # [B]
    num_early = _EARLY_WORDS + _EARLY_WORDS_PER_POSITION * tf.cast(counts, tf.float32)
    late_share = 1 - num_early / tf.cast(num_words, tf.float32)  # [B]
    is_early = order > tf.gather(late_share, words.rows)
    starts, taken = take(tf.boolean_mask(keys, is_early), tf.boolean_mask(words.rows, is_early))
    is_enough = tf.reduce_all(tf.reduce_sum(taken, axis=1) == counts)
    starts, taken = tf.cond(is_enough, lambda: (starts, taken), lambda: take(keys, words.rows))
    return fill_slots(starts, taken, num_slots)


def _take_in_order(sizes: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Returns the sizes of what fits into the counts, and 0 for what does not.

    From left to right, each word is taken if it is no larger than what is left of its row's count.

    Args:
        sizes: int32 [B, W].
        counts: int32 [B].
    """

    def has_more(left: tf.Tensor, taken: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any((sizes <= left) & (taken == 0))

    def take(left: tf.Tensor, taken: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # All that still fit, up to the first that no longer does after those before it. Sizes not taken so far and
        # before that one are too large for what was left then, and for what is left now.
        fitting = tf.where((sizes <= left) & (taken == 0), sizes, 0)
        newly_taken = tf.where(tf.cumsum(fitting, axis=1) <= left, fitting, 0)
        return left - tf.reduce_sum(newly_taken, axis=1, keepdims=True), taken + newly_taken

    _, taken = tf.while_loop(has_more, take, [counts[:, tf.newaxis], tf.zeros_like(sizes)])
    return taken

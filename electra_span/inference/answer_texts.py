"""The texts of answers in contexts, as graph operations."""

from typing import NamedTuple

import tensorflow as tf

# What Python's str.strip takes away, and what is one space between two words.
_BLANK = r"[\x{09}-\x{0D}\x{1C}-\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]"
_WHITE_SPACE = r"[ \t\r\n\x{202F}]+"
_ACCENT = r"\p{Mn}"


class ContextText(NamedTuple):
    """The characters of m contexts, T in all, laid end to end.

    Attributes:
        code_points: int32 [T].
        row_splits: int64 [m + 1].
        no_blanks: int64, ascending: the places of those that are no blanks.
        no_accents: int64, ascending: the places of those that are no nonspacing marks.
    """

    code_points: tf.Tensor
    row_splits: tf.Tensor
    no_blanks: tf.Tensor
    no_accents: tf.Tensor


class AnswerTexts(NamedTuple):
    """Answers [N]: the code points [start, end) of their contexts, and the text that is there.

    Attributes:
        texts: string [N], with single spaces between the words; "" where nothing is left.
        starts, ends: int32 [N], without blanks around; equal where nothing is left.
    """

    texts: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor


def context_text(contexts: tf.Tensor) -> ContextText:
    """Returns the characters of contexts (string [m], UTF-8; bytes that are not are dropped)."""
    code_points = tf.strings.unicode_decode(contexts, "UTF-8", errors="ignore")
    used, index = tf.unique(code_points.flat_values)
    characters = tf.strings.unicode_encode(used[:, tf.newaxis], "UTF-8")

    def places_of_others(pattern: str) -> tf.Tensor:
        is_other = tf.logical_not(tf.strings.regex_full_match(characters, pattern))
        return tf.where(tf.gather(is_other, index))[:, 0]

    return ContextText(
        code_points.flat_values, code_points.row_splits, places_of_others(_BLANK), places_of_others(_ACCENT)
    )


def answer_texts(context: ContextText, rows: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> AnswerTexts:
    """Returns the texts of answers.

    No token covers an accent that the tokenizer drops; it belongs to the letter before it.

    Args:
        context: the contexts.
        rows: int64 [N], the context of each answer.
        starts, ends: int32 [N], the code points [start, end) that its tokens cover.
    """
    bases, limits = tf.gather(context.row_splits, rows), tf.gather(context.row_splits, rows + 1)
    first = bases + tf.cast(starts, tf.int64)
    end = tf.minimum(_first_from(context.no_accents, bases + tf.cast(ends, tf.int64)), limits)
    first = tf.minimum(_first_from(context.no_blanks, first), end)
    end = tf.maximum(_behind_last_before(context.no_blanks, end), first)
    places = tf.ragged.range(first, end)
    characters = places.with_flat_values(tf.gather(context.code_points, places.flat_values))
    texts = tf.strings.regex_replace(tf.strings.unicode_encode(characters, "UTF-8"), _WHITE_SPACE, " ")
    return AnswerTexts(texts, tf.cast(first - bases, tf.int32), tf.cast(end - bases, tf.int32))


def _first_from(places: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Returns the first of places (int64, ascending) that is not below each position; the largest number for none."""
    return tf.gather(tf.concat([places, [tf.int64.max]], axis=0), _num_below(places, positions))


def _behind_last_before(places: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Returns what follows the last of places (int64, ascending) that is below each position; 0 for none."""
    return tf.gather(tf.concat([[-1], places], axis=0), _num_below(places, positions)) + 1


def _num_below(places: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.LowerBound(sorted_inputs=places[tf.newaxis], values=positions[tf.newaxis])[0]

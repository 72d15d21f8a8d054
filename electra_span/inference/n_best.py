"""The texts of answers in contexts, as graph operations."""

from typing import NamedTuple

import tensorflow as tf

from electra_span.inference.qa_spans import SpanScores
from electra_span.inference.qa_windows import Reading, Windows

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


_FIRST_LOOK = 4  # spans whose texts are looked at first, for each answer of a list
_LONGER_LOOK = 8  # how many times as many, where too many of them are of one text


class Candidates(NamedTuple):
    """Spans that can be answers: N of all n questions, question by question, the best first.

    Attributes:
        row_splits: int64 [n + 1]; those of question i are from row_splits[i] to row_splits[i + 1].
        questions: int64 [N].
        scores: float64 [N].
        contexts: int64 [N], whose context they are in.
        starts, ends: int32 [N], the code points [start, end) of it that their tokens cover.
    """

    row_splits: tf.Tensor
    questions: tf.Tensor
    scores: tf.Tensor
    contexts: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor

    def texts(self, context: ContextText, rows: tf.Tensor) -> AnswerTexts:
        """Returns the texts of some of them, by their numbers [R]."""
        return answer_texts(context, *(tf.gather(column, rows) for column in (self.contexts, self.starts, self.ends)))


class NBest(NamedTuple):
    """The answers to n questions, best first, no text twice; all [n, None].

    Attributes:
        scores: float64.
        texts: string.
        starts, ends: int32, code points [start, end) of the context.
    """

    scores: tf.RaggedTensor
    texts: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


def candidates(spans: SpanScores, windows: Windows, reading: Reading) -> Candidates:
    """Returns the spans that can be answers.

    Args:
        spans: of the windows.
        windows: of all questions.
        reading: the questions and contexts.
    """
    places = tf.where(spans.scores > float("-inf"))  # [N, 2], windows and columns
    first, last, scores = (tf.gather_nd(values, places) for values in (spans.starts, spans.ends, spans.scores))
    questions = tf.gather(windows.questions, places[:, 0])
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    order = tf.gather(order, tf.argsort(tf.gather(questions, order), stable=True))
    first, last, scores, questions = (tf.gather(values, order) for values in (first, last, scores, questions))
    contexts = tf.gather(reading.context_rows, questions)
    bases = tf.gather(reading.contexts.ids.row_starts(), contexts)
    return Candidates(
        row_splits=_by_question(questions, scores, reading.context_rows).row_splits,
        questions=questions,
        scores=scores,
        contexts=contexts,
        starts=tf.gather(reading.contexts.starts.flat_values, bases + tf.cast(first, tf.int64)),
        ends=tf.gather(reading.contexts.ends.flat_values, bases + tf.cast(last, tf.int64)),
    )


def n_best(spans: Candidates, context: ContextText, *, n_best_size: int) -> NBest:
    """Returns the answers to each question: of equal texts the best, none without text.

    Args:
        spans: the candidates.
        context: the contexts.
        n_best_size: the most answers to a question.
    """
    counts = spans.row_splits[1:] - spans.row_splits[:-1]

    def look(look_size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns which candidates are answers, and how many each question has, among its look_size best ones."""
        kept = _distinct(spans, context, look_size)
        rows = _by_question(tf.gather(spans.questions, kept), kept, counts)[:, :n_best_size]
        return rows.flat_values, rows.row_lengths()

    def is_short(look_size: tf.Tensor, kept: tf.Tensor, num_kept: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any((num_kept < n_best_size) & (counts > look_size))

    first_look = tf.constant(_FIRST_LOOK * n_best_size, tf.int64)
    _, kept, num_kept = tf.while_loop(
        is_short,
        lambda look_size, kept, num_kept: (_LONGER_LOOK * look_size, *look(_LONGER_LOOK * look_size)),
        (first_look, *look(first_look)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None])),
        parallel_iterations=1,
    )
    columns = tf.gather(spans.scores, kept), *spans.texts(context, kept)
    return NBest(*(tf.RaggedTensor.from_row_lengths(column, num_kept, validate=False) for column in columns))


def _distinct(spans: Candidates, context: ContextText, look_size: tf.Tensor) -> tf.Tensor:
    """Returns which of each question's look_size best candidates have a text, and one that no better one has."""
    ranks = tf.range(tf.size(spans.scores, tf.int64)) - tf.gather(spans.row_splits, spans.questions)
    rows = tf.where(ranks < look_size)[:, 0]
    texts = spans.texts(context, rows).texts
    has_text = tf.not_equal(texts, "")
    rows, texts = tf.boolean_mask(rows, has_text), tf.boolean_mask(texts, has_text)
    keys = tf.strings.join([tf.strings.as_string(tf.gather(spans.questions, rows)), texts], separator=" ")
    distinct, index = tf.unique(keys)
    return tf.math.unsorted_segment_min(rows, index, tf.size(distinct))


def _by_question(questions: tf.Tensor, values: tf.Tensor, of_questions: tf.Tensor) -> tf.RaggedTensor:
    """Returns values [N], of the questions [N] in order, as rows [n, None], one for each of of_questions [n]."""
    num_questions = tf.size(of_questions, tf.int64)
    return tf.RaggedTensor.from_value_rowids(values, questions, nrows=num_questions, validate=False)

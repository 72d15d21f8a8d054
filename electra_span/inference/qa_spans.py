"""Scores of spans: what a head for questions says of windows, a few of them at a time."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from electra_span.head_config import HeadConfig
from electra_span.inference.qa_windows import WindowInputs, Windows, owns
from electra_span.inference.text_functions import in_parts
from electra_span.layers.question_head import QuestionHead, top_positions


class Beam(NamedTuple):
    """The best starts of R windows with ends for each.

    Attributes:
        start_scores, starts: float32 and int32 [R, S], log-probabilities or logits, and positions in the window.
        end_scores, ends: [R, S, E] likewise, or [R, 1, E] where they are the same for all starts.
        null_scores: float32 [R], how much the window speaks for no answer; see `make_scorer`.
    """

    start_scores: tf.Tensor
    starts: tf.Tensor
    end_scores: tf.Tensor
    ends: tf.Tensor
    null_scores: tf.Tensor


class SpanScores(NamedTuple):
    """The scores of C spans of each of W windows.

    Attributes:
        starts, ends: int32 [W, C], tokens of the context; inclusive.
        scores: float64 [W, C]; -inf for what is no answer.
        null_scores: float32 [W].
    """

    starts: tf.Tensor
    ends: tf.Tensor
    scores: tf.Tensor
    null_scores: tf.Tensor


_SPAN_DTYPES = (tf.int32, tf.int32, tf.float64)  # of starts, ends and scores
Scorer = Callable[[tf.Tensor, WindowInputs], Beam]


def make_scorer(layer: QuestionHead, head: HeadConfig, *, beam_size: int, n_best_size: int) -> Scorer:
    """Returns a function of states [R, L, H] and what they are of, that gives the best spans of R windows.

    A window speaks for no answer by the logit of the classifier of answerability, where the head has one; else by the
    log-probability of a start at the first token, where start and end are predicted jointly; else by the sum of the
    logits of a start and an end there.

    Args:
        layer: the head's.
        head: what it is.
        beam_size: starts, and ends of each, where both are predicted jointly.
        n_best_size: starts and ends that are paired, where they are not.
    """

    def score_jointly(states: tf.Tensor, inputs: WindowInputs) -> Beam:
        spans = layer.best_spans(states, inputs.segment_ids, inputs.input_mask, beam_size)
        null_scores = spans.answerable_logit
        if null_scores is None:
            null_scores = tf.nn.log_softmax(spans.start_logits)[:, 0]
        return Beam(*spans[:4], null_scores)

    def score_independently(states: tf.Tensor, inputs: WindowInputs) -> Beam:
        logits = layer(states, inputs.segment_ids, inputs.input_mask)
        null_scores = logits.answerable
        if null_scores is None:
            null_scores = logits.start[:, 0] + logits.end[:, 0]
        end_scores, ends = (x[:, tf.newaxis] for x in top_positions(logits.end, n_best_size))
        return Beam(*top_positions(logits.start, n_best_size), end_scores, ends, null_scores)

    return score_jointly if head.joint_prediction else score_independently


def allowed_spans(beam: Beam, windows: Windows, *, max_answer_length: int) -> SpanScores:
    """Returns the spans of a beam: an answer is in the context, in order, not too long, and starts on an owned token.

    Args:
        beam: of the windows.
        windows: R of them.
        max_answer_length: tokens.
    """
    starts = tf.cast(beam.starts, tf.int64) - windows.first_positions[:, tf.newaxis]  # [R, S]
    ends = tf.cast(beam.ends, tf.int64) - windows.first_positions[:, tf.newaxis, tf.newaxis]
    is_start = (starts >= 0) & owns(windows, windows.first_tokens[:, tf.newaxis] + starts)
    starts = starts[:, :, tf.newaxis]
    is_end = (ends >= starts) & (ends < windows.num_tokens[:, tf.newaxis, tf.newaxis])
    is_allowed = is_start[:, :, tf.newaxis] & is_end & (ends - starts < max_answer_length)  # [R, S, E]
    scores = tf.cast(beam.start_scores[:, :, tf.newaxis], tf.float64) + tf.cast(beam.end_scores, tf.float64)
    scores = tf.where(is_allowed, scores, tf.constant(float("-inf"), tf.float64))

    def flat_tokens(positions: tf.Tensor) -> tf.Tensor:
        tokens = tf.cast(positions + windows.first_tokens[:, tf.newaxis, tf.newaxis], tf.int32)
        return tf.reshape(tf.broadcast_to(tokens, tf.shape(scores)), [-1, num_spans])

    num_spans = scores.shape[1] * scores.shape[2]
    return SpanScores(flat_tokens(starts), flat_tokens(ends), tf.reshape(scores, [-1, num_spans]), beam.null_scores)


def score_in_parts(
    score: Callable[[tf.Tensor], SpanScores], lengths: tf.Tensor, *, part_size: int, num_spans: int
) -> SpanScores:
    """Returns the scores of all windows, found for a few windows of about one length at a time.

    Args:
        score: a function of the numbers of R windows, int64 [R], that gives their scores.
        lengths: int64 [W], of the windows.
        part_size: the most windows at a time, on which the memory depends.
        num_spans: C, spans of a window.
    """
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    spans = [tf.TensorSpec([None, num_spans], dtype) for dtype in _SPAN_DTYPES]
    columns = in_parts(
        lambda rows: score(tf.cast(rows, tf.int64)),
        [order],
        part_size=part_size,
        outputs=[*spans, tf.TensorSpec([None], tf.float32)],
    )
    rows = tf.math.invert_permutation(order)
    return SpanScores(*(tf.gather(column, rows) for column in columns))

"""Answers to questions about contexts of any length, from strings to strings, as one graph function."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from electra_span.config import HparamError
from electra_span.head_config import HeadConfig
from electra_span.inference import qa_windows as windowing
from electra_span.inference.n_best import NBest, candidates, context_text, n_best
from electra_span.inference.qa_spans import SpanScores, allowed_spans, make_scorer, score_in_parts
from electra_span.inference.requests import MOST_ANSWERS, NO_ANSWER_THRESHOLD, OWN_THRESHOLD
from electra_span.inference.text_functions import TextFunction
from electra_span.tokenization import Tokenizer

AnswerFunction = Callable[..., dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnswerSettings:
    """How questions are read and answered. The defaults are fine-tuning's.

    Attributes:
        max_seq_length: the most tokens of a window.
        doc_stride: tokens of the context from one window's first to the next one's.
        max_query_length: tokens of a question that are kept.
        max_answer_length: the most tokens of an answer.
        n_best_size: the most answers to a question, which a probability is shared out among.
        beam_size: starts, and ends of each, where both are predicted jointly.
        window_batch_size: windows that are computed at once, on which memory depends.
    """

    max_seq_length: int = 512
    doc_stride: int = 128
    max_query_length: int = 64
    max_answer_length: int = 30
    n_best_size: int = 20
    beam_size: int = 20
    window_batch_size: int = 16

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            least = 0 if name == "max_query_length" else 1
            if value < least:
                raise HparamError(f"{name} must be at least {least}. Received: {value}")
        shortest = self.max_query_length + windowing.NUM_SPECIAL_TOKENS + 1
        if self.max_seq_length < shortest:
            raise HparamError(
                f"max_seq_length must be at least {shortest}, 4 more than max_query_length. "
                f"Received: {self.max_seq_length}"
            )


def answer_function(model: Any, head: HeadConfig, tokenizer: Tokenizer, settings: AnswerSettings) -> AnswerFunction:
    """Returns a function of questions and contexts (string [n], UTF-8) that finds the answers to each question.

    It takes a third argument, no_answer_threshold (float32 []; NaN, its default, for the original's where the head has
    a classifier of answerability, and for infinity where it has none), and returns, padded to K = n_best_size with "",
    -1 and 0:

    - answers: string [n, K], best first, no two of a question's equal, with single spaces between their words.
    - starts, ends: int32 [n, K], the code points [start, end) of the context that they are. Bytes that are not UTF-8
      are dropped, and do not count.
    - probabilities: float32 [n, K], which add up to 1; that there is no answer is not one of them.
    - no_answer_score: float32 [n], how much speaks for no answer: the smallest of the windows', for one window with the
      answer is enough. What it is depends on the head. With a classifier of answerability it is a logit, the log-odds
      of no answer. Without one, it is the score of the first token as start and end less that of the best answer, or
      less 0 where there is none: log-probabilities of the start less those of start and end, where both are predicted
      jointly; logits where they are not. Only a head that was trained on questions without answer says anything by it.
    - has_answer: bool [n], whether no_answer_score is not above no_answer_threshold, and there is an answer at all:
      there is none in a context without tokens.

    Windows, owners of tokens, lists and scores are those of the evaluation of fine-tuned models. Memory grows with the
    length of the contexts, but the model sees window_batch_size windows at a time.

    Args:
        model: that has the head.
        head: of kind "questions".
        tokenizer: of the model.
        settings: how questions are read and answered.

    Raises:
        HparamError: where windows are longer than what the model reads.
    """
    longest = model.config.max_position_embeddings
    if settings.max_seq_length > longest:
        raise HparamError(
            f"max_seq_length must be at most {longest}, the model's longest input. Received: {settings.max_seq_length}"
        )
    signature = [tf.TensorSpec([None], tf.string)] * 2 + [tf.TensorSpec([], tf.float32)]

    @tf.function(autograph=False, input_signature=signature)
    def answer(questions: tf.Tensor, contexts: tf.Tensor, threshold: tf.Tensor) -> dict[str, tf.Tensor]:
        return _answer(model, head, tokenizer, settings, questions, contexts, threshold)

    return lambda questions, contexts, no_answer_threshold=OWN_THRESHOLD: answer(
        questions, contexts, no_answer_threshold
    )


def _answer(
    model: Any,
    head: HeadConfig,
    tokenizer: Tokenizer,
    settings: AnswerSettings,
    questions: tf.Tensor,
    contexts: tf.Tensor,
    threshold: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Returns what an `answer_function` does."""
    tf.debugging.assert_equal(
        tf.size(questions), tf.size(contexts), "there must be as many contexts as questions, one for each"
    )
    reading = windowing.read(questions, contexts, tokenizer, max_query_length=settings.max_query_length)
    windows = windowing.split(reading, max_seq_length=settings.max_seq_length, doc_stride=settings.doc_stride)
    spans = _score(model, head, tokenizer, settings, windows, reading)
    answers = n_best(
        candidates(spans, windows, reading), context_text(tf.unique(contexts)[0]), n_best_size=settings.n_best_size
    )
    null_scores = tf.math.segment_min(spans.null_scores, windows.questions)
    if not head.answerable_classifier:
        null_scores = tf.cast(tf.cast(null_scores, tf.float64) - _best(answers), tf.float32)
    own_threshold = NO_ANSWER_THRESHOLD if head.answerable_classifier else math.inf
    threshold = tf.where(tf.math.is_nan(threshold), own_threshold, threshold)
    return _outputs(answers, null_scores, threshold, settings.n_best_size)


def _score(
    model: Any,
    head: HeadConfig,
    tokenizer: Tokenizer,
    settings: AnswerSettings,
    windows: windowing.Windows,
    reading: windowing.Reading,
) -> SpanScores:
    """Returns the scores of the spans of all windows."""
    beam_size, n_best_size = settings.beam_size, settings.n_best_size
    score_states = make_scorer(model.heads[head.task], head, beam_size=beam_size, n_best_size=n_best_size)

    def score(rows: tf.Tensor) -> SpanScores:
        part = windows.take(rows)
        inputs = windowing.inputs(part, reading, tokenizer)
        beam = score_states(model.encoder(*inputs), inputs)
        return allowed_spans(beam, part, max_answer_length=settings.max_answer_length)

    num_spans = (beam_size if head.joint_prediction else n_best_size) ** 2
    return score_in_parts(score, windows.lengths, part_size=settings.window_batch_size, num_spans=num_spans)


def _best(answers: NBest) -> tf.Tensor:
    """Returns the score of the best answer to each question, float64 [n]; 0 where there is none."""
    return answers.scores.to_tensor(0.0, shape=[None, 1])[:, 0]


def _outputs(answers: NBest, null_scores: tf.Tensor, threshold: tf.Tensor, size: int) -> dict[str, tf.Tensor]:
    """Returns answers to n questions in rows of one size.

    Args:
        answers: the lists.
        null_scores: float32 [n].
        threshold: float32 [].
        size: K.
    """
    shape = [None, size]
    is_answer = tf.ones_like(answers.scores, tf.bool).to_tensor(False, shape=shape)
    scores = answers.scores.to_tensor(0.0, shape=shape)
    exponentials = tf.where(is_answer, tf.exp(scores - scores[:, :1]), 0.0)
    probabilities = tf.math.divide_no_nan(exponentials, tf.reduce_sum(exponentials, axis=-1, keepdims=True))
    return {
        "answers": answers.texts.to_tensor("", shape=shape),
        "starts": answers.starts.to_tensor(-1, shape=shape),
        "ends": answers.ends.to_tensor(-1, shape=shape),
        "probabilities": tf.cast(probabilities, tf.float32),
        "no_answer_score": null_scores,
        "has_answer": (answers.scores.row_lengths() > 0) & tf.logical_not(null_scores > threshold),
    }


_MOST_QUESTION_TOKENS, _LONGEST_STRIDE = 64, 128  # fine-tuning's
_RANKED = ("answers", "starts", "ends", "probabilities")


def best_answers_function(model: Any, head: HeadConfig, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of questions and contexts (string [n]) that answers them.

    Its other inputs are num_answers (int32 [], K, at most 20) and no_answer_threshold (float32 []). Its outputs are
    those of `answer_function`; is_cut is about questions, for contexts are read in windows.

    Args:
        model: an ElectraTaskModel.
        head: of its, for questions.
        tokenizer: of the model.
        max_seq_length: the most tokens of a window.
    """
    max_query_length = question_limit(max_seq_length)
    settings = AnswerSettings(
        max_seq_length=max_seq_length,
        doc_stride=min(_LONGEST_STRIDE, max(1, max_seq_length // 4)),
        max_query_length=max_query_length,
        n_best_size=MOST_ANSWERS,
    )
    answer = answer_function(model, head, tokenizer, settings)

    def best_answers(
        questions: tf.Tensor, contexts: tf.Tensor, num_answers: tf.Tensor, no_answer_threshold: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        outputs = answer(questions, contexts, no_answer_threshold)
        best = {name: outputs[name][:, :num_answers] for name in _RANKED}
        is_cut = tokenizer.encode_ragged(questions).row_lengths() > max_query_length
        return {**outputs, **best, "is_cut": is_cut}

    return best_answers


def question_limit(max_seq_length: int) -> int:
    """Returns the tokens of a question that are read: fine-tuning's 64, or a quarter of what a short model reads."""
    return min(_MOST_QUESTION_TOKENS, max_seq_length // 4)

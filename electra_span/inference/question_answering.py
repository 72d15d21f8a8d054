"""Answers to questions about contexts of any length, from strings to strings, as one graph function."""

from collections.abc import Callable

import tensorflow as tf

from electra_span.config import HparamError
from electra_span.head_config import HeadConfig
from electra_span.inference import windows as windowing
from electra_span.inference.answer_texts import context_text
from electra_span.inference.n_best import NBest, candidates, n_best
from electra_span.inference.requests import NO_ANSWER_THRESHOLD
from electra_span.inference.span_scores import SpanScores, allowed_spans, make_scorer, score_in_parts
from electra_span.task_model import ElectraTaskModel
from electra_span.tokenization import Tokenizer

AnswerFunction = Callable[..., dict[str, tf.Tensor]]


def answer_function(
    model: ElectraTaskModel,
    head: HeadConfig,
    tokenizer: Tokenizer,
    *,
    max_seq_length: int = 512,
    doc_stride: int = 128,
    max_query_length: int = 64,
    max_answer_length: int = 30,
    num_answers: int = 1,
    n_best_size: int = 20,
    beam_size: int = 20,
    window_batch_size: int = 16,
) -> AnswerFunction:
    """Returns a function of questions and contexts (string [n], UTF-8) that finds the answers to each question.

    It takes a third argument, no_answer_threshold (a float, by default the original's), and returns, padded to K =
    num_answers with "", -1 and 0:

    - answers: string [n, K], the best answers, no two of a question's equal, with single spaces between their words.
    - starts, ends: int32 [n, K], the code points [start, end) of the context that they are. Bytes that are not UTF-8
      are dropped, and do not count.
    - probabilities: float32 [n, K], among the n_best_size best answers; that there is none is not one of them.
    - no_answer_score: float32 [n], how much speaks for no answer: the smallest of the windows', for one window with the
      answer is enough. What it is depends on the head. With a classifier of answerability it is a logit, the log-odds
      of no answer. Without one, it is the score of the first token as start and end less that of the best answer:
      log-probabilities of the start less those of start and end, where both are predicted jointly; logits where they
      are not. Only a head that was trained on questions without answer says anything by it.
    - has_answer: bool [n], whether no_answer_score is not above no_answer_threshold, and there is an answer at all:
      there is none in a context without tokens.

    Windows, owners of tokens, lists and scores are those of the evaluation of fine-tuned models. Memory grows with the
    length of the contexts, but the model sees window_batch_size windows at a time.

    Args:
        model: that has the head.
        head: of kind "questions".
        tokenizer: of the model.
        max_seq_length: the most tokens of a window.
        doc_stride: tokens of the context from one window's first to the next one's.
        max_query_length: tokens of a question that are kept.
        max_answer_length: the most tokens of an answer.
        num_answers: K.
        n_best_size: answers that a probability is shared out among.
        beam_size: starts, and ends of each, where both are predicted jointly.
        window_batch_size: windows that are computed at once.

    Raises:
        HparamError: for a number that cannot be.
    """
    _check_sizes(
        model.config.max_position_embeddings, max_seq_length, max_query_length, num_answers, n_best_size,
        positive={"doc_stride": doc_stride, "max_answer_length": max_answer_length, "num_answers": num_answers,
                  "beam_size": beam_size, "window_batch_size": window_batch_size},
    )  # fmt: skip
    score_states = make_scorer(model.heads[head.task], head, beam_size=beam_size, n_best_size=n_best_size)
    signature = [tf.TensorSpec([None], tf.string)] * 2 + [tf.TensorSpec([], tf.float32)]

    def score_windows(windows: windowing.Windows, reading: windowing.Reading) -> SpanScores:
        def score(rows: tf.Tensor) -> SpanScores:
            part = windows.take(rows)
            inputs = windowing.inputs(part, reading, tokenizer)
            beam = score_states(model.encoder(*inputs), inputs)
            return allowed_spans(beam, part, max_answer_length=max_answer_length)

        num_spans = (beam_size if head.joint_prediction else n_best_size) ** 2
        return score_in_parts(score, windows.lengths, part_size=window_batch_size, num_spans=num_spans)

    @tf.function(autograph=False, input_signature=signature)
    def answer(questions: tf.Tensor, contexts: tf.Tensor, threshold: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.debugging.assert_equal(
            tf.size(questions), tf.size(contexts), "there must be as many contexts as questions, one for each"
        )
        reading = windowing.read(questions, contexts, tokenizer, max_query_length=max_query_length)
        windows = windowing.split(reading, max_seq_length=max_seq_length, doc_stride=doc_stride)
        scores = score_windows(windows, reading)
        text = context_text(tf.unique(contexts)[0])
        answers = n_best(candidates(scores, windows, reading), text, n_best_size=n_best_size)
        null_scores = tf.math.segment_min(scores.null_scores, windows.questions)
        if not head.answerable_classifier:
            null_scores = tf.cast(tf.cast(null_scores, tf.float64) - _best(answers), tf.float32)
        return _outputs(answers, null_scores, threshold, num_answers)

    return lambda questions, contexts, no_answer_threshold=NO_ANSWER_THRESHOLD: answer(
        questions, contexts, no_answer_threshold
    )


def _best(answers: NBest) -> tf.Tensor:
    """Returns the score of the best answer to each question, float64 [n]; 0 where there is none."""
    return answers.scores.to_tensor(0.0, shape=[None, 1])[:, 0]


def _outputs(answers: NBest, null_scores: tf.Tensor, threshold: tf.Tensor, num_answers: int) -> dict[str, tf.Tensor]:
    """Returns what an `answer_function` does.

    Args:
        answers: of n questions.
        null_scores: float32 [n].
        threshold: float32 [].
        num_answers: K.
    """
    is_answer = tf.ones_like(answers.scores, tf.bool).to_tensor(False)
    scores = answers.scores.to_tensor(0.0)
    exponentials = tf.where(is_answer, tf.exp(scores - _best(answers)[:, tf.newaxis]), 0.0)
    sums = tf.reduce_sum(exponentials, axis=-1, keepdims=True)
    probabilities = tf.math.divide_no_nan(exponentials, sums)
    width = tf.shape(probabilities)[1]
    padded = tf.pad(probabilities[:, :num_answers], [[0, 0], [0, tf.maximum(num_answers - width, 0)]])
    shape = [None, num_answers]
    return {
        "answers": answers.texts.to_tensor("", shape=shape),
        "starts": answers.starts.to_tensor(-1, shape=shape),
        "ends": answers.ends.to_tensor(-1, shape=shape),
        "probabilities": tf.ensure_shape(tf.cast(padded, tf.float32), shape),
        "no_answer_score": null_scores,
        "has_answer": (answers.scores.row_lengths() > 0) & tf.logical_not(null_scores > threshold),
    }


def _check_sizes(
    longest: int,
    max_seq_length: int,
    max_query_length: int,
    num_answers: int,
    n_best_size: int,
    *,
    positive: dict[str, int],
) -> None:
    """Raises HparamError for a number that cannot be.

    Args:
        longest: the most tokens of the model's input.
        max_seq_length, max_query_length, num_answers, n_best_size: as in `answer_function`.
        positive: others by their names, which must be at least 1.
    """
    for name, value in positive.items():
        if value < 1:
            raise HparamError(f"{name} must be at least 1. Received: {value}")
    if max_query_length < 0:
        raise HparamError(f"max_query_length must be at least 0. Received: {max_query_length}")
    shortest = max_query_length + windowing.NUM_SPECIAL_TOKENS + 1
    if not shortest <= max_seq_length <= longest:
        raise HparamError(
            f"max_seq_length must be from {shortest}, 4 more than max_query_length, to {longest}, the model's longest "
            f"input. Received: {max_seq_length}"
        )
    if num_answers > n_best_size:
        raise HparamError(f"num_answers must be at most n_best_size={n_best_size}. Received: {num_answers}")

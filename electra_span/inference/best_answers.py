"""The best answers to questions, as many as asked for, by sizes that fit the model."""

from typing import Any

import tensorflow as tf

from electra_span.head_config import HeadConfig
from electra_span.inference.question_answering import AnswerSettings, answer_function
from electra_span.inference.requests import MOST_ANSWERS
from electra_span.inference.text_functions import TextFunction
from electra_span.tokenization import Tokenizer

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

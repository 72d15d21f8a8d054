"""The metrics of the MRQA shared task (NewsQA, Natural Questions, TriviaQA, SearchQA, HotpotQA).

Deviation: the original leaves questions without a prediction out of the total. Here they count as wrong, as in the
shared task's own evaluator, and are reported.
"""

from collections.abc import Mapping

from finetune.metrics import squad


def evaluate(gold: squad.GoldAnswers, predictions: Mapping[str, str]) -> squad.AnswerScores:
    """Returns exact_match and f1, which are those of SQuAD 1.1.

    Args:
        gold: at least one answer a question, by question id.
        predictions: the answer by question id; those to other questions are passed over.

    Raises:
        ValueError: for a question without an answer, or no question at all.
    """
    return squad.evaluate_v1(gold, predictions)

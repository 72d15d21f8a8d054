"""What is right and wrong with an answer. Imports no TensorFlow."""

from collections.abc import Sequence
from typing import NamedTuple

from finetune.metrics.squad import normalize_answer, question_scores, word_f1

CORRECT = "correct"
MISSING = "no prediction"
ANSWERED = "answered the unanswerable"
REFUSED = "refused the answerable"
TOO_LONG = "too long"
TOO_SHORT = "too short"
OVERLAPPING = "overlapping"
DISJOINT = "disjoint"

# Every question is in one class; what is compared is normalised as for the scores.
CLASS_MEANINGS = {
    CORRECT: "equal to a gold answer, or no answer where there is none",
    TOO_LONG: "a gold answer and more words around it",
    TOO_SHORT: "a part of a gold answer",
    OVERLAPPING: "words in common with a gold answer, and others on both sides",
    DISJOINT: "no word in common with any gold answer",
    REFUSED: "no answer, or none with a word in it, to a question that has one",
    ANSWERED: "an answer to a question that has none",
    MISSING: "the files hold no prediction, or no null odds, for the question; it counts as wrong",
}


class JudgedAnswer(NamedTuple):
    """An answer and what it is worth."""

    text: str | None  # "" for no answer, None where there is no prediction
    exact: float  # 1 where it is right, else 0
    f1: float  # from 0 to 1
    lenient: float  # 1 where it is right, or contains a gold answer, or is a part of one; else 0
    error_class: str  # of CLASS_MEANINGS
    nearest_gold: str  # the gold answer with most words in common, by F1; "" for an unanswerable question


def judge(gold_texts: Sequence[str], prediction: str | None, *, is_refused: bool = False) -> JudgedAnswer:
    """Returns what a prediction is worth by the rules of SQuAD 2.0.

    Args:
        gold_texts: the right answers, none for an unanswerable question.
        prediction: "" for no answer, None where there is none of either.
        is_refused: whether its null odds are above the threshold, so that no answer is given, whatever the prediction.
    """
    if prediction is None:
        return JudgedAnswer(None, 0.0, 0.0, 0.0, MISSING, gold_texts[0] if gold_texts else "")
    if is_refused:
        score = 0.0 if gold_texts else 1.0
        error_class, nearest = (REFUSED, gold_texts[0]) if gold_texts else (CORRECT, "")
        return JudgedAnswer("", score, score, score, error_class, nearest)
    exact, f1 = question_scores(gold_texts, prediction)
    words = normalize_answer(prediction).split()
    golds = {text: normalize_answer(text).split() for text in gold_texts}
    is_lenient = exact or any(_contains(words, gold) or _contains(gold, words) for gold in golds.values())
    nearest = max(golds, key=lambda text: word_f1(words, golds[text]), default="")
    if exact:
        error_class = CORRECT
    elif not golds:
        error_class = ANSWERED
    else:
        error_class = _error_class(words, golds[nearest])
    return JudgedAnswer(prediction, exact, f1, float(is_lenient), error_class, nearest)


def _error_class(words: list[str], gold: list[str]) -> str:
    """Returns the class of a wrong answer to an answerable question."""
    if not words:
        return REFUSED
    if _contains(words, gold):
        return TOO_LONG
    if _contains(gold, words):
        return TOO_SHORT
    return OVERLAPPING if set(words) & set(gold) else DISJOINT


def _contains(longer: list[str], shorter: list[str]) -> bool:
    """Returns whether some words stand together, in this order, among others."""
    return bool(shorter) and f" {' '.join(shorter)} " in f" {' '.join(longer)} "

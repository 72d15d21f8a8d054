"""How an answer's text is compared with gold answers: normalised, exactly, and by the words in common.

Source: the official evaluators of SQuAD 1.1 and 2.0 and of MRQA, which agree on this.
"""

import collections
import hashlib
import re
import string
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Returns text lowered, without ASCII punctuation and English articles, its words between single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def word_f1(prediction: Sequence[str], gold: Sequence[str]) -> float:
    """Returns the harmonic mean of the shares of words in common; 0 where there are none.

    Args:
        prediction: the words of a normalised prediction.
        gold: those of a normalised gold answer.
    """
    num_common = sum((collections.Counter(prediction) & collections.Counter(gold)).values())
    if num_common == 0:
        return 0.0
    precision = num_common / len(prediction)
    recall = num_common / len(gold)
    return 2 * precision * recall / (precision + recall)


GoldAnswers = Mapping[str, Sequence[str]]  # the texts of all right answers by question id, none for an impossible one


class AnswerScores(NamedTuple):
    """What was measured, and the questions it was measured on without a prediction."""

    metrics: dict[str, float]  # by the official evaluator's names; percentages, but for totals and thresholds
    missing: list[str]  # ids of questions without a prediction, which count as wrong


class _Scores(NamedTuple):
    """One row a question, in the order of the gold answers."""

    exact: np.ndarray  # float64 [Q], 1 where the prediction equals an answer
    f1: np.ndarray  # float64 [Q], of the best answer
    has_answer: np.ndarray  # bool [Q], false for impossible questions
    is_predicted: np.ndarray  # bool [Q]
    is_empty: np.ndarray  # bool [Q], whether no answer is predicted
    null_odds: np.ndarray  # float64 [Q]

    def rows(self, choice: np.ndarray) -> "_Scores":
        return _Scores(*(column[choice] for column in self))


def evaluate_v1(gold: GoldAnswers, predictions: Mapping[str, str]) -> AnswerScores:
    """Returns exact_match and f1 of SQuAD 1.1.

    As officially, a prediction of which nothing is left (an article) has no words in common with such an answer:
    both are equal, and F1 is 0.

    Args:
        gold: at least one answer a question.
        predictions: the answer by question id; those to other questions are passed over.

    Raises:
        ValueError: for a question without an answer, or no question at all.
    """
    impossible = [name for name, texts in gold.items() if not texts]
    if impossible or not gold:
        raise ValueError(
            "SQuAD 1.1 needs questions, each with at least one answer; questions without are measured as SQuAD 2.0. "
            f"Received: {len(gold)} questions, {len(impossible)} without an answer: {impossible[:5]}"
        )
    pairs = [
        _best_of(predictions[name], texts, f1_without_words=0.0) for name, texts in gold.items() if name in predictions
    ]
    exact, f1 = (100.0 * sum(column) / len(gold) for column in zip(*(pairs or [(0.0, 0.0)]), strict=True))
    return AnswerScores({"exact_match": exact, "f1": f1}, [name for name in gold if name not in predictions])


def evaluate_v2(
    gold: GoldAnswers,
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None = None,
    null_threshold: float = 1.0,
) -> AnswerScores:
    """Returns the metrics of SQuAD 2.0.

    exact, f1, total, and the same after HasAns_ and NoAns_. With null odds also best_exact, best_f1 and their
    thresholds (best_exact_thresh, ...), which are tuned on the very questions they are reported on; and, beyond the
    official ones, heldout_exact and heldout_f1 with theirs, tuned on one half of the questions and measured on the
    other (heldout_total questions).

    Args:
        gold: the answers by question id, none for an impossible question.
        predictions: the answer by question id, "" for none; those to other questions are passed over.
        null_odds: how likely a question has no answer, in any unit, by question id. A question without counts as one
            without a prediction.
        null_threshold: a question whose null odds are above it has no answer, whatever the prediction.

    Raises:
        ValueError: for no question at all.
    """
    scores = _scores(gold, predictions, null_odds)
    kept = _at_threshold(scores, null_threshold)
    metrics = _means(kept, scores.has_answer)
    if null_odds is not None:
        for name in ("exact", "f1"):
            metrics |= _best(scores, name)
        metrics |= _held_out(scores, list(gold))
    return AnswerScores(metrics, [name for name, found in zip(gold, scores.is_predicted, strict=True) if not found])


def average_precision(
    gold: GoldAnswers, predictions: Mapping[str, str], null_odds: Mapping[str, float]
) -> dict[str, float]:
    """Returns the official areas under precision and recall over all thresholds, in percent.

    pr_exact and pr_f1 count what a threshold lets through by its score, pr_oracle as if each answer were right.

    Args:
        gold, predictions, null_odds: as for evaluate_v2.
    """
    scores = _scores(gold, predictions, null_odds)
    if not scores.has_answer.any():
        return {}
    num_answerable = int(scores.has_answer.sum())
    ranked = scores.rows(np.flatnonzero(scores.is_predicted))
    ranked = ranked.rows(np.argsort(ranked.null_odds, kind="stable"))
    points = {"pr_exact": ranked.exact, "pr_f1": ranked.f1, "pr_oracle": np.ones_like(ranked.f1)}
    is_last = _is_last_of_ties(ranked.null_odds)
    areas = {}
    for name, values in points.items():
        true_positives = np.cumsum(np.where(ranked.has_answer, values, 0.0))
        precision = (true_positives / np.arange(1, len(values) + 1))[is_last]
        recall = (true_positives / num_answerable)[is_last]
        areas[name] = 100.0 * float(np.sum(precision * np.diff(recall, prepend=0.0)))
    return areas


def question_scores(gold_texts: Sequence[str], prediction: str) -> tuple[float, float]:
    """Returns exact match and F1 of a prediction by the rules of SQuAD 2.0: no answer is right where there is none.

    Args:
        gold_texts: the right answers, none for an impossible question.
        prediction: "" for no answer.
    """
    with_words = [text for text in gold_texts if normalize_answer(text)]
    return _best_of(prediction, with_words or [""], f1_without_words=1.0)


def _best_of(prediction: str, gold_texts: Sequence[str], *, f1_without_words: float) -> tuple[float, float]:
    """Returns exact match and F1 of a prediction, each with the answer it suits best.

    Args:
        prediction: the text.
        gold_texts: at least one.
        f1_without_words: F1 of a prediction and an answer that both have no words.
    """
    predicted = normalize_answer(prediction)
    answers = {normalize_answer(text) for text in gold_texts}
    f1_values = [word_f1(predicted.split(), answer.split()) for answer in answers]
    if not predicted and "" in answers:
        f1_values.append(f1_without_words)
    return float(predicted in answers), max(f1_values)


def _scores(gold: GoldAnswers, predictions: Mapping[str, str], null_odds: Mapping[str, float] | None) -> _Scores:
    if not gold:
        raise ValueError("SQuAD 2.0 needs at least one question. Received: none")
    is_predicted = np.array([name in predictions and (null_odds is None or name in null_odds) for name in gold])
    pairs = [
        question_scores(texts, predictions[name]) if found else (0.0, 0.0)
        for (name, texts), found in zip(gold.items(), is_predicted, strict=True)
    ]
    exact, f1 = np.array(pairs).T
    return _Scores(
        exact=exact,
        f1=f1,
        has_answer=np.array([len(texts) > 0 for texts in gold.values()]),
        is_predicted=is_predicted,
        is_empty=np.array([not predictions.get(name) for name in gold]),
        null_odds=np.array([0.0 if null_odds is None else null_odds.get(name, 0.0) for name in gold]),
    )


def _at_threshold(scores: _Scores, threshold: float) -> dict[str, np.ndarray]:
    """Returns exact and f1 [Q] where no answer is given to questions with null odds above a threshold."""
    is_refused = scores.is_predicted & (scores.null_odds > threshold)
    refused = np.where(scores.has_answer, 0.0, 1.0)
    return {name: np.where(is_refused, refused, getattr(scores, name)) for name in ("exact", "f1")}


def _means(kept: Mapping[str, np.ndarray], has_answer: np.ndarray) -> dict[str, float]:
    """Returns the percentages and totals of all questions, and of those with and without an answer."""
    metrics: dict[str, float] = {}
    parts = {"": np.ones_like(has_answer), "HasAns_": has_answer, "NoAns_": ~has_answer}
    for prefix, choice in parts.items():
        total = int(choice.sum())
        if total:
            sums = {name: sum(values[choice].tolist()) for name, values in kept.items()}
            metrics |= {f"{prefix}{name}": 100.0 * value / total for name, value in sums.items()}
            metrics[f"{prefix}total"] = total
    return metrics


def _best(scores: _Scores, name: str) -> dict[str, float]:
    """Returns the best value of a metric over all thresholds, and where it is reached, by the official rule.

    The official rule lets questions with equal null odds through one by one, so that a value inside of a tie is out
    of any threshold's reach, and calls the threshold 0 where it is best to answer nothing.
    """
    sums, null_odds = _sums_over_thresholds(scores, name)
    best = int(np.argmax(sums))
    threshold = float(null_odds[best - 1]) if best else 0.0
    return {f"best_{name}": 100.0 * float(sums[best]) / len(scores.exact), f"best_{name}_thresh": threshold}


def _held_out(scores: _Scores, names: Sequence[str]) -> dict[str, float]:
    """Returns metrics of one half of the questions at the thresholds that are best for the other half.

    Halves are by the hash of the question's id, so that they depend neither on the order nor on the other questions.
    """
    is_tuning = np.array([hashlib.sha256(name.encode(errors="surrogatepass")).digest()[0] % 2 == 0 for name in names])
    tuning, rest = scores.rows(is_tuning), scores.rows(~is_tuning)
    if not tuning.is_predicted.any() or not len(rest.exact):
        return {}
    metrics: dict[str, float] = {"heldout_total": len(rest.exact)}
    for name in ("exact", "f1"):
        threshold = _reachable_threshold(tuning, name)
        metrics[f"heldout_{name}"] = 100.0 * float(np.mean(_at_threshold(rest, threshold)[name]))
        metrics[f"heldout_{name}_thresh"] = threshold
    return metrics


def _reachable_threshold(scores: _Scores, name: str) -> float:
    """Returns the lowest threshold at which the metric of these questions is best."""
    sums, null_odds = _sums_over_thresholds(scores, name)
    sums[1:][~_is_last_of_ties(null_odds)] = -np.inf
    best = int(np.argmax(sums))
    return float(null_odds[best - 1]) if best else float(null_odds[0]) - 1.0


def _sums_over_thresholds(scores: _Scores, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sums of a metric as ever more questions are answered, and the null odds of the last one.

    Args:
        scores: of P questions with a prediction, and others, which never count.
        name: exact or f1.

    Returns:
        float64 [P + 1], first that of answering nothing, and float64 [P], rising.
    """
    ranked = scores.rows(np.flatnonzero(scores.is_predicted))
    ranked = ranked.rows(np.argsort(ranked.null_odds, kind="stable"))
    lost = np.where(ranked.is_empty, 0.0, -1.0)
    gains = np.where(ranked.has_answer, getattr(ranked, name), lost)
    return np.cumsum([float(np.sum(~ranked.has_answer)), *gains]), ranked.null_odds


def _is_last_of_ties(values: np.ndarray) -> np.ndarray:
    """Returns which of rising values (float64 [P]) are followed by a larger one or by none; bool [P]."""
    return np.append(values[1:] != values[:-1], True) if len(values) else np.zeros(0, bool)

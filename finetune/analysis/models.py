"""Files of predictions and null odds by question id, as evaluators read them. Imports no TensorFlow."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from electra_span.files import JsonError, read_json_object, shown
from finetune.analysis.judging import JudgedAnswer, judge
from finetune.metrics import squad
from finetune.qa.examples import Question
from finetune.qa.fields import FieldError, text_of
from finetune.readers.reading import DataError


def read_predictions(file: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the answers by question id, "" for none; an integer, such as a year, is its digits.

    Raises:
        DataError: for a file that cannot be read, is no JSON object, has an id twice, or a value that is no text.
    """
    return {name: _text(value, file, name) for name, value in _json_object(file).items()}


def read_null_odds(file: str | os.PathLike[str]) -> dict[str, float]:
    """Returns how likely each question has no answer, by its id; a number may be written as text.

    Raises:
        DataError: as read_predictions, and for a value that is no finite number.
    """
    return {name: _number(value, file, name) for name, value in _json_object(file).items()}


def _text(value: Any, file: str | os.PathLike[str], name: str) -> str:
    try:
        return text_of(value, "a prediction")
    except FieldError:
        raise _error(file, name, "a prediction must be a string", value) from None


def _number(value: Any, file: str | os.PathLike[str], name: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _error(file, name, "null odds must be a finite number", value)
    return number


def _error(file: str | os.PathLike[str], name: str, rule: str, value: Any) -> DataError:
    return DataError(f"{os.fspath(file)}: id {shown(repr(name), 80)}: {rule}. Received: {shown(repr(value), 80)}")


def _json_object(file: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return read_json_object(file, unique_keys=True)
    except JsonError as error:
        raise DataError(str(error)) from None


GIVEN, TUNED = "given", "best F1 on these questions"


class AnswerFiles(NamedTuple):
    """Where the answers of a model are."""

    predictions: str
    null_odds: str | None = None


class Threshold(NamedTuple):
    """Null odds above which a question is not answered."""

    value: float
    origin: str  # GIVEN or TUNED


class CurvePoint(NamedTuple):
    """The scores, from 0 to 100, where questions up to these null odds are answered."""

    null_odds: float
    exact: float
    f1: float


class ModelAnswers(NamedTuple):
    """What a model answers, and how good it is."""

    files: AnswerFiles
    threshold: Threshold | None  # None where there are no null odds
    metrics: dict[str, float]  # of SQuAD 2.0, at the threshold; see finetune.metrics.squad.evaluate_v2
    metrics_v1: dict[str, float]  # of SQuAD 1.1, nothing where a question has no answer
    answers: list[JudgedAnswer]  # in the order of the questions
    null_odds: list[float | None]  # in the order of the questions
    missing: list[str]  # ids of questions without a prediction, or without null odds where others have some
    num_passed_over: int  # predictions to questions that are not asked
    curve: list[CurvePoint]  # by rising null odds, none without them


def model_answers(
    questions: Sequence[Question], files: AnswerFiles, threshold: float | None, *, gold_file: str
) -> ModelAnswers:
    """Returns the answers of a model, measured and judged.

    Args:
        questions: with their gold answers, at least one.
        files: of the model.
        threshold: null odds above which there is no answer; None: where F1 is best, if there are null odds.
        gold_file: the questions' file, for errors.

    Raises:
        DataError: for files that cannot be read, or that hold no prediction for any of the questions.
    """
    predictions = read_predictions(files.predictions)
    null_odds = None if files.null_odds is None else read_null_odds(files.null_odds)
    gold = {question.id: question.gold_texts for question in questions}
    _check_ids(gold, predictions, files.predictions, gold_file)
    if null_odds is not None:
        _check_ids(gold, null_odds, str(files.null_odds), gold_file)
    used = _threshold(gold, predictions, null_odds, threshold)
    scores = squad.evaluate_v2(gold, predictions, null_odds, used.value if used else np.inf)
    has_unanswerable = not all(gold.values())
    return ModelAnswers(
        files=files,
        threshold=used,
        metrics=scores.metrics | ({} if null_odds is None else squad.average_precision(gold, predictions, null_odds)),
        metrics_v1={} if has_unanswerable else squad.evaluate_v1(gold, predictions).metrics,
        answers=_judged(gold, predictions, null_odds, used),
        null_odds=[None if null_odds is None else null_odds.get(name) for name in gold],
        missing=scores.missing,
        num_passed_over=len(predictions.keys() - gold.keys()),
        curve=_curve(gold, predictions, null_odds),
    )


def _check_ids(gold: squad.GoldAnswers, values: Mapping[str, object], file: str, gold_file: str) -> None:
    if not gold.keys() & values.keys():
        raise DataError(f"{file}: none of its {len(values)} ids is that of a question in {gold_file}")


def _threshold(
    gold: squad.GoldAnswers, predictions: Mapping[str, str], null_odds: Mapping[str, float] | None, given: float | None
) -> Threshold | None:
    if null_odds is None:
        return None
    if given is not None:
        return Threshold(given, GIVEN)
    return Threshold(squad.evaluate_v2(gold, predictions, null_odds).metrics["best_f1_thresh"], TUNED)


def _judged(
    gold: squad.GoldAnswers,
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float] | None,
    threshold: Threshold | None,
) -> list[JudgedAnswer]:
    judged = []
    for name, texts in gold.items():
        is_there = name in predictions and (null_odds is None or name in null_odds)
        is_refused = is_there and null_odds is not None and threshold is not None and null_odds[name] > threshold.value
        judged.append(judge(texts, predictions[name] if is_there else None, is_refused=is_refused))
    return judged


def _curve(
    gold: squad.GoldAnswers, predictions: Mapping[str, str], null_odds: Mapping[str, float] | None
) -> list[CurvePoint]:
    """Returns the scores at every threshold that some question's null odds are, lowest first.

    Args:
        gold, predictions, null_odds: as for squad.evaluate_v2.
    """
    names = [] if null_odds is None else [name for name in gold if name in predictions and name in null_odds]
    if null_odds is None or not names:
        return []
    odds = np.array([null_odds[name] for name in names])
    answered = np.array([squad.question_scores(gold[name], predictions[name]) for name in names])  # [P, 2]
    refused = np.array([[0.0 if gold[name] else 1.0] * 2 for name in names])  # [P, 2]
    order = np.argsort(odds, kind="stable")
    sums = refused.sum(axis=0) + np.cumsum((answered - refused)[order], axis=0)  # [P, 2]
    is_last_of_ties = np.append(np.diff(odds[order]) > 0, True)
    rows = np.column_stack((odds[order], 100 * sums / len(gold)))[is_last_of_ties]
    return [CurvePoint(*map(float, row)) for row in rows]

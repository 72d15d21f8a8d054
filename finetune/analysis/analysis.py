"""Whether one model answers the same questions better than another, or by chance. Imports no TensorFlow."""

import collections
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from finetune.analysis.breakdowns import Breakdown, breakdowns, score_table
from finetune.analysis.judging import CLASS_MEANINGS, CORRECT
from finetune.analysis.models import AnswerFiles, ModelAnswers, model_answers
from finetune.qa.examples import Question
from finetune.qa.readers import ReadQuestions

NUM_RESAMPLES = 10_000
_CHUNK = 1_000  # resamples at a time
_PERCENTILES = (2.5, 97.5)


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval, by the percentiles of bootstrap means."""

    mean: float
    low: float
    high: float


class Difference(NamedTuple):
    """The difference of two models' means over the same questions."""

    interval: Interval
    p_value: float  # two-sided: twice the share of resamples in which the difference is not on its own side of 0


class McNemar(NamedTuple):
    """McNemar's exact test of right and wrong answers of two models to the same questions."""

    num_first_only: int  # questions that the first has right and the second wrong
    num_second_only: int
    p_value: float  # two-sided


def bootstrap_intervals(scores: np.ndarray, seed: int) -> list[Interval]:
    """Returns the mean and its interval of each of several scores, all resampled alike.

    Args:
        scores: float64 [Q, M], of at least one question.
        seed: of the resampling.
    """
    lows, highs = np.percentile(_resampled_means(scores, seed), _PERCENTILES, axis=0)
    return [Interval(*map(float, row)) for row in zip(scores.mean(axis=0), lows, highs, strict=True)]


def paired_bootstrap(first: np.ndarray, second: np.ndarray, seed: int) -> list[Difference]:
    """Returns how much larger the first model's means are than the second's, for each of several scores.

    Source: Efron and Tibshirani 1993, chapters 13 and 16; Koehn 2004 for two systems on one test set.

    Args:
        first, second: float64 [Q, M], the scores of two models in the same order of questions, at least one.
        seed: of the resampling.
    """
    differences = first - second
    means = _resampled_means(differences, seed)
    observed = differences.mean(axis=0)
    lows, highs = np.percentile(means, _PERCENTILES, axis=0)
    is_other_side = np.where(observed > 0, means <= 0, means >= 0)
    p_values = np.minimum(1.0, 2 * (is_other_side.sum(axis=0) + 1) / (len(means) + 1))
    rows = zip(observed, lows, highs, strict=True)
    return [Difference(Interval(*map(float, row)), float(p)) for row, p in zip(rows, p_values, strict=True)]


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Returns McNemar's exact test (McNemar 1947): whether one model is right alone more often than the other.

    Args:
        first, second: bool [Q], whether each model's answers are right, in the same order of questions.
    """
    from scipy.stats import binomtest  # which takes a second, and is not always asked

    num_first, num_second = int((first & ~second).sum()), int((second & ~first).sum())
    num_different = num_first + num_second
    p_value = float(binomtest(num_first, num_different).pvalue) if num_different else 1.0
    return McNemar(num_first, num_second, p_value)


def _resampled_means(scores: np.ndarray, seed: int) -> np.ndarray:
    """Returns the means [NUM_RESAMPLES, M] of as many questions, drawn with replacement.

    Questions with equal scores are as good as each other, so that only how many of each kind are drawn is drawn.

    Args:
        scores: float64 [Q, M].
        seed: of the draws.
    """
    kinds, counts = np.unique(scores, axis=0, return_counts=True)  # [K, M], [K]
    generator = np.random.default_rng(seed)
    sizes = [_CHUNK] * (NUM_RESAMPLES // _CHUNK)
    drawn = (generator.multinomial(len(scores), counts / len(scores), size) for size in sizes)  # [size, K]
    return np.concatenate([chunk @ kinds for chunk in drawn]) / len(scores)


SCORE_NAMES = ("exact", "f1", "lenient")


class Comparison(NamedTuple):
    """How much better the first model is than the second, and whether by chance."""

    differences: dict[str, Difference]  # by SCORE_NAMES, from -1 to 1
    mcnemar: McNemar  # of exact match


class ExampleList(NamedTuple):
    """Some questions of one kind, to be read."""

    title: str
    explanation: str
    num_all: int
    questions: list[int]  # places among all questions, rising


class Analysis(NamedTuple):
    """What is known about the answers."""

    gold_file: str
    read: ReadQuestions
    models: list[ModelAnswers]  # one or two
    intervals: list[dict[str, Interval]]  # of each model's scores by SCORE_NAMES, from 0 to 1
    breakdowns: list[Breakdown]
    error_classes: list[dict[str, int]]  # of each model: numbers of questions, in the order of CLASS_MEANINGS
    examples: list[ExampleList]  # of the first model's errors
    comparison: Comparison | None
    differing: list[ExampleList]  # where only one of two models is right
    seed: int

    @property
    def questions(self) -> list[Question]:
        """All questions, in the order of their file."""
        return self.read.questions


def analyze(
    gold_file: str,
    read: ReadQuestions,
    files: Sequence[AnswerFiles],
    *,
    threshold: float | None = None,
    num_examples: int = 10,
    seed: int = 0,
) -> Analysis:
    """Returns the analysis of the answers of one model, or of two to the same questions.

    Args:
        gold_file: where the questions are from.
        read: the questions.
        files: of the answers of each model.
        threshold: null odds above which there is no answer; None: for each model where its F1 is best.
        num_examples: how many questions of each kind are picked to be read.
        seed: of the examples and of the bootstrap.

    Raises:
        DataError: for files of answers that cannot be used.
    """
    models = [model_answers(read.questions, row, threshold, gold_file=gold_file) for row in files]
    judged = [model.answers for model in models]
    tables = [score_table(answers) for answers in judged]
    classes = [[answer.error_class for answer in answers] for answers in judged]
    return Analysis(
        gold_file=gold_file,
        read=read,
        models=models,
        intervals=[dict(zip(SCORE_NAMES, bootstrap_intervals(table, seed), strict=True)) for table in tables],
        breakdowns=breakdowns(read.questions, judged),
        error_classes=[_counts(names) for names in classes],
        examples=[
            _examples(
                name, meaning, [index for index, other in enumerate(classes[0]) if other == name], num_examples, seed
            )
            for name, meaning in CLASS_MEANINGS.items()
            if name != CORRECT and name in classes[0]
        ],
        comparison=_comparison(tables, seed) if len(models) == 2 else None,
        differing=_differing(tables, num_examples, seed) if len(models) == 2 else [],
        seed=seed,
    )


def _counts(names: Sequence[str]) -> dict[str, int]:
    counts = collections.Counter(names)
    return {name: counts[name] for name in CLASS_MEANINGS}


def _comparison(tables: Sequence[np.ndarray], seed: int) -> Comparison:
    """Returns the comparison of two models by their scores [Q, 3]."""
    first, second = tables
    differences = paired_bootstrap(first, second, seed)
    is_right = [table[:, 0] == 1 for table in tables]
    return Comparison(dict(zip(SCORE_NAMES, differences, strict=True)), mcnemar(*is_right))


def _differing(tables: Sequence[np.ndarray], num_examples: int, seed: int) -> list[ExampleList]:
    first, second = (table[:, 0] == 1 for table in tables)
    return [
        _examples(f"only {name} is right", "by exact match", np.flatnonzero(choice).tolist(), num_examples, seed)
        for name, choice in (("A", first & ~second), ("B", second & ~first))
    ]


def _examples(title: str, explanation: str, places: Sequence[int], number: int, seed: int) -> ExampleList:
    """Returns some of the places, drawn by the seed and the title, so that other kinds change nothing."""
    drawn = random.Random(f"{seed} {title}").sample(places, min(number, len(places)))
    return ExampleList(title, explanation, len(places), sorted(drawn))

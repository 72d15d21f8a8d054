"""What is asked for, by the word that asks. Imports no TensorFlow."""

import bisect
import collections
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from finetune.analysis.judging import JudgedAnswer
from finetune.qa.examples import Question

OTHER = "other"
_WORDS = ("who", "whom", "whose", "what", "when", "where", "which", "why")
_AFTER_HOW = ("far", "long", "many", "much", "old")
# All there are, in the order in which they are shown.
QUESTION_WORDS = (*_WORDS, *(f"how {word}" for word in _AFTER_HOW), f"how {OTHER}", OTHER)

_LETTERS = re.compile(r"[^\W\d_]+")


def question_word(question: str) -> str:
    """Returns the first word of a question that asks for something, one of QUESTION_WORDS.

    Case and punctuation do not matter: "What's", "(what" and "WHAT?" are what. "How" is told apart by the word after
    it.

    Deviation: the notebooks this follows look for words between white space, so that "what's" is no question word, and
    take the last of why, when, how, what, who, where, which, in this order of words, that occurs anywhere.

    Args:
        question: English text.
    """
    words = _LETTERS.findall(question.lower())
    for word, following in itertools.pairwise([*words, ""]):
        if word in _WORDS:
            return word
        if word == "how":
            return f"how {following if following in _AFTER_HOW else OTHER}"
    return OTHER


ANSWERABLE, UNANSWERABLE = "has an answer", "has none"


class Scores(NamedTuple):
    """Means over some questions, from 0 to 100."""

    exact: float
    f1: float
    lenient: float


class Group(NamedTuple):
    """One kind of questions."""

    name: str
    num_questions: int
    scores: list[Scores]  # of each model


class Breakdown(NamedTuple):
    """All questions by one of their properties."""

    key: str  # of its file
    title: str
    explanation: str
    group_of_question: list[str]  # in the order of the questions
    groups: list[Group]  # in the order of their property; only those that have questions


class _Property(NamedTuple):
    """Something by which questions are told apart."""

    key: str
    title: str
    explanation: str
    group_of: Callable[[Question], str]
    names: Sequence[str]  # of all groups, in order


def num_words(text: str) -> int:
    """Returns the number of words between white space."""
    return len(text.split())


def _bins(first: int, edges: Sequence[int]) -> list[str]:
    """Returns the names of ranges of whole numbers, of which each but the last ends at an edge."""
    starts = [first, *(edge + 1 for edge in edges)]
    closed = [str(low) if low == high else f"{low} to {high}" for low, high in zip(starts, edges, strict=False)]
    return [*closed, f"{starts[-1]} or more"]


_ANSWER_EDGES = (1, 2, 3, 5, 10, 20)
_QUESTION_EDGES = (5, 7, 9, 12, 15, 20)
_CONTEXT_EDGES = (50, 100, 150, 200, 300, 500, 1000)
_ANSWER_BINS = _bins(1, _ANSWER_EDGES)
_QUESTION_BINS = _bins(0, _QUESTION_EDGES)
_CONTEXT_BINS = _bins(0, _CONTEXT_EDGES)


def _answer_bin(question: Question) -> str:
    if not question.gold_texts:
        return UNANSWERABLE
    shortest = max(1, min(map(num_words, question.gold_texts)))
    return _ANSWER_BINS[bisect.bisect_left(_ANSWER_EDGES, shortest)]


_PROPERTIES = (
    _Property(
        "answerable",
        "With and without an answer",
        "A question has no answer where its file says so, or gives none.",
        lambda question: ANSWERABLE if question.gold_texts else UNANSWERABLE,
        (ANSWERABLE, UNANSWERABLE),
    ),
    _Property(
        "question_word",
        "By question word",
        "The first word of the question that asks for something, whatever its case and the punctuation around it.",
        lambda question: question_word(question.text),
        QUESTION_WORDS,
    ),
    _Property(
        "answer_length",
        "By length of the answer",
        "Words of the shortest gold answer.",
        _answer_bin,
        (UNANSWERABLE, *_ANSWER_BINS),
    ),
    _Property(
        "question_length",
        "By length of the question",
        "Words between white space.",
        lambda question: _QUESTION_BINS[bisect.bisect_left(_QUESTION_EDGES, num_words(question.text))],
        _QUESTION_BINS,
    ),
    _Property(
        "context_length",
        "By length of the context",
        "Words between white space.",
        lambda question: _CONTEXT_BINS[bisect.bisect_left(_CONTEXT_EDGES, num_words(question.context))],
        _CONTEXT_BINS,
    ),
)


def breakdowns(questions: Sequence[Question], models: Sequence[Sequence[JudgedAnswer]]) -> list[Breakdown]:
    """Returns the scores by every property.

    Args:
        questions: at least one.
        models: what each model's answers are worth, in the order of the questions.
    """
    scores = [score_table(answers) for answers in models]
    return [_breakdown(questions, scores, kind) for kind in _PROPERTIES]


def score_table(answers: Sequence[JudgedAnswer]) -> np.ndarray:
    """Returns exact match, F1 and lenient score of each answer, from 0 to 1; float64 [Q, 3]."""
    return np.array([(answer.exact, answer.f1, answer.lenient) for answer in answers], np.float64)


def _breakdown(questions: Sequence[Question], scores: Sequence[np.ndarray], kind: _Property) -> Breakdown:
    group_of_question = [kind.group_of(question) for question in questions]
    counts: Mapping[str, int] = collections.Counter(group_of_question)
    names = np.array(group_of_question)
    groups = [
        Group(name, counts[name], [Scores(*(100 * table[names == name].mean(axis=0)).tolist()) for table in scores])
        for name in kind.names
        if counts[name]
    ]
    return Breakdown(kind.key, kind.title, kind.explanation, group_of_question, groups)

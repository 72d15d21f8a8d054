"""What models say of texts, as Python objects. Places are code points [start, end) of the text as it was given."""

from typing import NamedTuple

import numpy as np


class Classification(NamedTuple):
    """The best label of a text, and the probabilities of all, in the order of the model."""

    label: str
    probability: float
    probabilities: dict[str, float]


class Score(NamedTuple):
    """The number that a model of regression gives a text, in the unit it was trained on."""

    score: float


class Answer(NamedTuple):
    """A part of a context that answers a question."""

    text: str
    start: int
    end: int
    probability: float  # among the answers that were looked at


class Answers(NamedTuple):
    """What a model answers to a question."""

    answers: list[Answer]  # best first; none where the context has no token
    no_answer_score: float | None  # how much speaks for there being none, see `answer_function`; None: no number
    has_answer: bool


class TaggedWord(NamedTuple):
    """A word with its best tag."""

    word: str
    start: int
    end: int
    tag: str
    probability: float


class Entity(NamedTuple):
    """Words that belong together by their tags."""

    kind: str
    text: str
    start: int
    end: int


class TaggedText(NamedTuple):
    """The words of a text, and what they stand for together where tags are of the kind B, I, E, S and O."""

    words: list[TaggedWord]
    entities: list[Entity]


class TokenVectors(NamedTuple):
    """A vector for each of the T tokens of a text."""

    tokens: list[str]
    places: list[tuple[int, int]]
    vectors: np.ndarray  # float32 [T, H]


class ReplacedToken(NamedTuple):
    """A token, and how probable it is that it was replaced."""

    token: str
    start: int
    end: int
    probability: float


class Fill(NamedTuple):
    """A token in the place of a mask."""

    token: str
    text: str  # with this mask filled in, the others as they were
    probability: float

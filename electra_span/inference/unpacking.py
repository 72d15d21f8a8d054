"""Results of texts, from what the functions of a model return for each."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from electra_span.inference.results import (
    Answer,
    Answers,
    Classification,
    Entity,
    Fill,
    ReplacedToken,
    Score,
    TaggedText,
    TaggedWord,
    TokenVectors,
)
from electra_span.tags import scheme_of_labels, spans_of
from electra_span.tokenization.base import original_offsets

Outputs = Mapping[str, Any]  # of one text: numpy arrays, or bytes and numbers
_Places = list[tuple[int, int]]


def classification(row: Outputs) -> Classification:
    """Returns the label of a text."""
    probabilities = dict(zip(_texts(row["labels"]), row["probabilities"].tolist(), strict=True))
    return Classification(row["label"].decode(), float(row["probability"]), probabilities)


def score(row: Outputs) -> Score:
    """Returns the score of a text."""
    return Score(float(row["score"]))


def answers(context: str, row: Outputs) -> Answers:
    """Returns the answers to a question that are in a context."""
    columns = zip(_texts(row["answers"]), _places(context, row), row["probabilities"].tolist(), strict=False)
    found = [Answer(text, start, end, probability) for text, (start, end), probability in columns]
    score = float(row["no_answer_score"])
    return Answers(found, score if math.isfinite(score) else None, bool(row["has_answer"]))


def token_vectors(text: str, row: Outputs) -> TokenVectors:
    """Returns the vectors of a text's tokens."""
    places = _places(text, row)
    return TokenVectors(_texts(row["tokens"][: len(places)]), places, row["vectors"][: len(places)])


def replaced_tokens(text: str, row: Outputs) -> list[ReplacedToken]:
    """Returns the tokens of a text with their probabilities."""
    columns = zip(_texts(row["tokens"]), _places(text, row), row["probabilities"].tolist(), strict=False)
    return [ReplacedToken(token, start, end, probability) for token, (start, end), probability in columns]


def fills(row: Outputs, mask: int) -> list[Fill]:
    """Returns what may stand in the place of a mask of a text; nothing where there was no room for it."""
    if mask >= len(row["starts"]) or row["starts"][mask] < 0:
        return []
    columns = _texts(row["tokens"][mask]), _texts(row["texts"][mask]), row["probabilities"][mask].tolist()
    return [Fill(*values) for values in zip(*columns, strict=True)]


def tagged_text(text: str, row: Outputs) -> TaggedText:
    """Returns the tags of a text's words."""
    places = _places(text, row)
    return _tagged(text, [text[start:end] for start, end in places], places, row)


def tagged_words(words: Sequence[str], row: Outputs) -> TaggedText:
    """Returns the tags of words; their places are those with a blank between any two."""
    ends = list(itertools.accumulate((len(word) for word in words), lambda end, size: end + 1 + size))
    places = [(end - len(word), end) for word, end in zip(words, ends, strict=True)]
    return _tagged(" ".join(words), words, places, row)


def _tagged(text: str, words: Sequence[str], places: _Places, row: Outputs) -> TaggedText:
    """Returns the tags of words that are at places of a text."""
    tags = _texts(row["tags"][: len(words)])
    columns = zip(words, places, tags, row["probabilities"].tolist(), strict=False)
    tagged = [TaggedWord(word, start, end, tag, probability) for word, (start, end), tag, probability in columns]
    scheme = scheme_of_labels(_texts(row["labels"]))
    if scheme.is_plain:
        return TaggedText(tagged, [])
    found = spans_of(scheme.canonical(tags))
    spans = ((span.kind, places[span.first][0], places[span.last][1]) for span in found)
    return TaggedText(tagged, [Entity(kind, text[start:end], start, end) for kind, start, end in spans])


def _texts(values: np.ndarray) -> list[str]:
    return [value.decode() for value in values]


def _places(text: str, row: Outputs) -> _Places:
    """Returns the places in a text of its tokens or words."""
    count = np.count_nonzero(row["starts"] >= 0)
    return original_offsets(text, list(zip(row["starts"][:count].tolist(), row["ends"][:count].tolist(), strict=True)))

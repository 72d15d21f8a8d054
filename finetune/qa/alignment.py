"""The text of an answer as the original finds it, for results that are equal to its own, WordPiece only.

The words of the context that the answer touches are normalised as the tokenizer does, the tokens' text is looked for
there, and what it stands for in the words is found by counting characters that are not spaces. Where one of these fails
the answer is all of the words.

Source: BERT's run_squad, which ELECTRA follows.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from electra_span.tokenization import WordPieceTokenizer, normalization
from finetune.qa.decoding import WHITE_SPACE, AnswerText
from finetune.qa.examples import Question
from finetune.qa.windows import Window


class _Words(NamedTuple):
    """The words of a context."""

    starts: np.ndarray  # int [words], the first code point of each
    texts: list[str]
    normalized: list[str]


def aligned_text(tokenizer: WordPieceTokenizer) -> AnswerText:
    """Returns a function for `decoding.decode` that finds texts by alignment.

    Args:
        tokenizer: whose tokens the windows have.
    """

    @functools.lru_cache(maxsize=1)  # questions about the same context follow each other
    def words_of(context: str) -> _Words:
        starts = [match.end() for match in WHITE_SPACE.finditer(context) if match.end() < len(context)]
        if not WHITE_SPACE.match(context):
            starts = [0, *starts]
        texts = WHITE_SPACE.sub(" ", context).strip().split(" ")
        return _Words(np.array(starts), texts, normalized_words(texts, tokenizer))

    def text_of(question: Question, window: Window, start_position: int, end_position: int) -> str:
        words = words_of(question.context)
        positions = np.array([start_position, end_position]) - window.first_context_position
        first, last = np.searchsorted(words.starts, window.token_starts[positions], side="right") - 1
        tokens = tokenizer.tokens(window.input_ids[start_position : end_position + 1])
        predicted = " ".join(" ".join(tokens).replace(" ##", "").replace("##", "").split())
        normalized = " ".join(filter(None, words.normalized[first : last + 1]))
        return align(predicted, " ".join(words.texts[first : last + 1]), normalized)

    return text_of


def normalized_words(texts: Sequence[str], tokenizer: WordPieceTokenizer) -> list[str]:
    """Returns each text as the words that the tokenizer then splits into pieces, with single spaces between them."""
    normalized = normalization.normalize(
        tf.constant([text.encode("utf-8", "ignore") for text in texts], tf.string),
        do_lower_case=tokenizer.do_lower_case,
        strip_accents=tokenizer.strip_accents,
    )
    return [" ".join(text.decode().split()) for text in normalization.space_words(normalized).numpy()]


def align(predicted: str, original: str, normalized: str) -> str:
    """Returns the part of the original that a part of its normalised form stands for, all of it where none is found.

    Args:
        predicted: the part.
        original: some words.
        normalized: their normalised form.
    """
    start = normalized.find(predicted)
    places, original_places = ([place for place, c in enumerate(text) if c != " "] for text in (normalized, original))
    if start < 0 or len(places) != len(original_places):
        return original
    place_of = dict(zip(places, original_places, strict=True))
    first, last = place_of.get(start), place_of.get(start + len(predicted) - 1)
    return original if first is None or last is None else original[first : last + 1]

"""Results of texts, from what the functions of a model return for each."""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from electra_span.config import LARGEST_COUNT, EncoderConfig
from electra_span.inference.requests import (
    MOST_ANSWERS,
    OWN_THRESHOLD,
    POOLINGS,
    InferenceError,
    check_between,
    check_equal_numbers,
    checked_texts,
    checked_words,
    is_list,
    shown,
)
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
from electra_span.inference.signatures import ModelFunctions
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


class TextMethods:
    """Methods of models that have their tokenizer, as those of `load_pretrained`.

    Lists of texts go in, lists as long come out. Texts of similar lengths are run together, whatever their order; the
    functions are built at their first use. Texts longer than the model reads are cut, with a `TextCutWarning`.
    """

    config: EncoderConfig
    capabilities: ClassVar[tuple[str, ...]] = ()  # the commands of `signatures` that a class of models supports
    tokenizer: Any = None  # a Tokenizer; None if the model was loaded without one

    def classify(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, task: str | None = None
    ) -> list[Classification] | list[Score]:
        """Returns the label of each text, or of each pair of texts, or its score where the head is for regression.

        Args:
            texts: n of them.
            pairs: the second text of each, where the task is about two; "" for none.
            task: of the head, where the model has several for classification or regression.

        Raises:
            InferenceError: the model has no such head, or the texts are none; says what to do.
        """
        columns = [checked_texts("texts", texts)]
        if pairs is not None:
            columns.append(checked_texts("pairs", pairs))
            check_equal_numbers(texts=columns[0], pairs=columns[1])
        rows = self._text_functions.run("classify" if pairs is None else "classify_pairs", columns, task=task)
        if rows and "score" in rows[0]:
            return [score(row) for row in rows]
        return [classification(row) for row in rows]

    def answer(
        self,
        questions: Sequence[str],
        contexts: Sequence[str],
        *,
        task: str | None = None,
        num_answers: int = 1,
        no_answer_threshold: float | None = None,
    ) -> list[Answers]:
        """Returns the best answers to each question, which are parts of its context, of any length.

        Args:
            questions: n of them.
            contexts: one for each.
            task: of the head, where the model has several for questions.
            num_answers: for each question at most, up to 20.
            no_answer_threshold: above which a question's no_answer_score says that it has none. By default the
                original's -2.75, or no bound for a head without a classifier of answerability. The results of
                fine-tuning have the best one for a task.

        Raises:
            InferenceError: the model has no such head, or the texts are none; says what to do.
        """
        columns = [checked_texts("questions", questions), checked_texts("contexts", contexts)]
        check_equal_numbers(questions=columns[0], contexts=columns[1])
        check_between("num_answers", num_answers, 1, MOST_ANSWERS)
        threshold = OWN_THRESHOLD if no_answer_threshold is None else float(no_answer_threshold)
        rows = self._text_functions.run(
            "answer", columns, task=task, num_answers=num_answers, no_answer_threshold=threshold
        )
        return [answers(context, row) for context, row in zip(columns[1], rows, strict=True)]

    def tag(self, texts: Sequence[str] | Sequence[Sequence[str]], *, task: str | None = None) -> list[TaggedText]:
        """Returns the words of each text with their tags, and what they are together where the tags tell that.

        Long texts are read in windows of whole words.

        Args:
            texts: n of them, which are split into words here, punctuation apart; or lists of words, whose places are
                then those in the words with a blank between any two.
            task: of the head, where the model has several for tagging.

        Raises:
            InferenceError: the model has no such head, or the texts are none; says what to do.
        """
        texts = list(texts) if is_list(texts) else texts
        if is_list(texts) and any(map(is_list, texts)):
            sentences = checked_words(texts)
            rows = self._text_functions.run("tag_words", [sentences], task=task)
            return [tagged_words(words, row) for words, row in zip(sentences, rows, strict=True)]
        texts = checked_texts("texts", texts)
        rows = self._text_functions.run("tag", [texts], task=task)
        return [tagged_text(text, row) for text, row in zip(texts, rows, strict=True)]

    def embed(self, texts: Sequence[str], *, pooling: str = "first") -> np.ndarray | list[TokenVectors]:
        """Returns the last hidden states of texts as vectors.

        Args:
            texts: n of them.
            pooling: "first", the state of [CLS], or "mean", of all tokens with [CLS] and [SEP], float32 [n, H] both;
                or "none", a vector for each token of each text.

        Raises:
            InferenceError: the model reads texts from one side only, or pooling or texts are none; says what to do.
        """
        texts = checked_texts("texts", texts)
        if pooling not in POOLINGS:
            raise InferenceError(f"pooling must be one of {', '.join(POOLINGS)}. Received: {pooling!r}")
        if pooling != "none":
            vectors = [row[pooling] for row in self._text_functions.run("embed", [texts])]
            return np.array(vectors, np.float32).reshape(len(texts), self.config.hidden_size)
        rows = self._text_functions.run("embed_tokens", [texts])
        return [token_vectors(text, row) for text, row in zip(texts, rows, strict=True)]

    def replaced_tokens(self, texts: Sequence[str]) -> list[list[ReplacedToken]]:
        """Returns for each text its tokens with the probability that each was replaced.

        Args:
            texts: n of them.

        Raises:
            InferenceError: the model is no discriminator, or the texts are none; says what to do.
        """
        texts = checked_texts("texts", texts)
        rows = self._text_functions.run("replaced", [texts])
        return [replaced_tokens(text, row) for text, row in zip(texts, rows, strict=True)]

    def fill_mask(self, texts: Sequence[str], num_candidates: int = 5) -> list[list[list[Fill]]]:
        """Returns for each text and each mask in it the most probable tokens there, best first.

        Args:
            texts: n of them, in each of which the mask token's name ("[MASK]" mostly) stands once or more. A mask
                behind the tokens that there is room for has no candidate.
            num_candidates: for each mask.

        Raises:
            InferenceError: the model is no generator, or a text has no mask; says what to do.
        """
        texts = checked_texts("texts", texts)
        check_between("num_candidates", num_candidates, 1, LARGEST_COUNT)
        function = functools.partial(self._text_functions.run, "fill_mask", num_candidates=num_candidates)
        function([[]])  # a model that cannot do it says so first
        mask = self.tokenizer.special_tokens.mask
        for index, text in enumerate(texts):
            if mask not in text:
                raise InferenceError(f"texts must have a mask, {mask}. Received: {shown(text)} at {index}")
        return [
            [fills(row, place) for place in range(text.count(mask))]
            for text, row in zip(texts, function([texts]), strict=True)
        ]

    @functools.cached_property
    def _text_functions(self) -> ModelFunctions:
        """The functions that have been built."""
        return ModelFunctions(self)

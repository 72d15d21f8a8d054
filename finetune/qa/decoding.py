"""The text of an answer, from the tokens that a model points at."""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from finetune.qa.examples import Question
from finetune.qa.windows import Window

# Between the words of a context, as the original splits it.
WHITE_SPACE = re.compile("[ \t\r\n\u202f]+")

# Returns the text of the tokens from one position of a window to another, inclusive.
AnswerText = Callable[[Question, Window, int, int], str]


def covered_text(question: Question, window: Window, start_position: int, end_position: int) -> str:
    """Returns the part of the context that tokens cover, with single spaces between its words.

    Deviation: the original goes back to whole words, and looks in them for the tokens' text, which fails where
    normalisation changes the number of characters, and in text without spaces; see `alignment`.

    Args:
        question: whose context it is.
        window: of the question.
        start_position, end_position: the first and the last token, in the window's input_ids.
    """
    start = int(window.token_starts[start_position - window.first_context_position])
    end = int(window.token_ends[end_position - window.first_context_position])
    # No token covers an accent that the tokenizer drops; it belongs to the letter before it.
    while end < len(question.context) and unicodedata.category(question.context[end]) == "Mn":
        end += 1
    return WHITE_SPACE.sub(" ", question.context[start:end]).strip()


# The answer where no span is allowed at all; the original's, which its readers know.
NO_CANDIDATE = "empty"


class Candidates(NamedTuple):
    """Spans of one window with their scores; [K] each."""

    start_positions: np.ndarray  # int
    end_positions: np.ndarray  # int, inclusive
    start_logits: np.ndarray  # float64, or log-probabilities
    end_logits: np.ndarray


class ScoredAnswer(NamedTuple):
    """One line of an n-best list."""

    text: str
    probability: float  # among the answers of the list
    start_logit: float
    end_logit: float

    @property
    def score(self) -> float:
        """By which answers are ranked."""
        return self.start_logit + self.end_logit


class DecodedQuestion(NamedTuple):
    """What a model answers to a question."""

    id: str
    text: str  # the best answer, whether the question has one or not
    null_odds: float | None  # how likely the question has none, in the unit of the scores
    nbest: list[ScoredAnswer]  # best first, at least one


def joint_candidates(
    start_top_log_probs: np.ndarray,
    start_top_index: np.ndarray,
    end_top_log_probs: np.ndarray,
    end_top_index: np.ndarray,
) -> Candidates:
    """Returns the spans of one window from a beam: for each of S starts the E best ends.

    Args:
        start_top_log_probs, start_top_index: [S], log-probabilities and positions of the best starts.
        end_top_log_probs, end_top_index: [S, E], those of the best ends for each start.
    """
    num_ends = end_top_index.shape[1]
    return Candidates(
        start_positions=np.repeat(start_top_index, num_ends),
        end_positions=end_top_index.ravel(),
        start_logits=np.repeat(start_top_log_probs, num_ends).astype(np.float64),
        end_logits=end_top_log_probs.ravel().astype(np.float64),
    )


def independent_candidates(start_logits: np.ndarray, end_logits: np.ndarray, n_best_size: int) -> Candidates:
    """Returns the spans of one window from every pair of the n_best_size best starts and ends.

    Args:
        start_logits, end_logits: [L], of the positions of the window.
        n_best_size: how many of each are looked at.
    """
    starts = np.argsort(-start_logits, kind="stable")[:n_best_size]
    ends = np.argsort(-end_logits, kind="stable")[:n_best_size]
    return Candidates(
        start_positions=np.repeat(starts, len(ends)),
        end_positions=np.tile(ends, len(starts)),
        start_logits=np.repeat(start_logits[starts], len(ends)).astype(np.float64),
        end_logits=np.tile(end_logits[ends], len(starts)).astype(np.float64),
    )


def allowed(candidates: Candidates, window: Window, max_answer_length: int) -> Candidates:
    """Returns the spans that can be answers: in the context, in order, not too long, starting on an owned token.

    Args:
        candidates: of the window; any positions.
        window: that they are in.
        max_answer_length: tokens.
    """
    starts, ends = (positions - window.first_context_position for positions in candidates[:2])
    num_tokens = len(window.token_starts)
    is_allowed = (starts >= 0) & (starts <= ends) & (ends < num_tokens) & (ends - starts < max_answer_length)
    is_allowed[is_allowed] = window.is_max_context[starts[is_allowed]]
    return Candidates(*(column[is_allowed] for column in candidates))


def decode(
    questions: Sequence[Question],
    windows: Iterable[Window],
    candidates: Iterable[Candidates],
    null_scores: Iterable[float] | None = None,
    *,
    n_best_size: int,
    max_answer_length: int,
    subtract_best: bool = False,
    answer_text: AnswerText = covered_text,
) -> Iterator[DecodedQuestion]:
    """Yields what the scores say of each question.

    Args:
        questions: of the windows.
        windows: all of them, in order.
        candidates: the spans of each window.
        null_scores: how much each window speaks for no answer, or None where every question has one. A question's null
            odds are the smallest of its windows: one window with the answer is enough.
        n_best_size: the longest n-best list.
        max_answer_length: tokens of the longest answer.
        subtract_best: whether the best answer's score is subtracted from the null score, which is then one of the same
            kind; a classifier's logit stands for itself.
        answer_text: returns the text of a span.
    """
    scores = iter(null_scores) if null_scores is not None else None
    rows = zip(windows, candidates, strict=True)
    for index, group in itertools.groupby(rows, key=lambda row: row[0].question_index):
        own_windows, own_candidates = zip(*group, strict=True)
        spans = list(map(allowed, own_candidates, own_windows, itertools.repeat(max_answer_length)))
        nbest = _nbest(questions[index], own_windows, spans, n_best_size, answer_text)
        null_odds = None
        if scores is not None:
            smallest = min(float(score) for score in itertools.islice(scores, len(own_windows)))
            null_odds = smallest - (nbest[0].score if subtract_best else 0.0)
        yield DecodedQuestion(questions[index].id, nbest[0].text, null_odds, nbest)


def answers_above_threshold(decoded: Iterable[DecodedQuestion], null_threshold: float) -> dict[str, str]:
    """Returns the answer of each question by its id, "" where its null odds are above the threshold."""
    return {row.id: "" if row.null_odds is not None and row.null_odds > null_threshold else row.text for row in decoded}


def joint_null_scores(start_log_probs: np.ndarray) -> np.ndarray:
    """Returns how much windows speak for no answer where start and end are predicted jointly; [W].

    Deviation: the original takes the raw logit of a start at position 0, and compares it with log-probabilities. Here
    it is a log-probability too. That of an end at 0 is left out: with the start there it is all but certain.

    Args:
        start_log_probs: [W, L], normalised over the positions.
    """
    return start_log_probs[:, 0]


def _nbest(
    question: Question,
    windows: Sequence[Window],
    spans: Sequence[Candidates],
    n_best_size: int,
    answer_text: AnswerText,
) -> list[ScoredAnswer]:
    """Returns the answers with different texts, best first; at least one."""
    window_numbers = np.repeat(np.arange(len(spans)), [len(rows.start_positions) for rows in spans])
    starts, ends, start_logits, end_logits = map(np.concatenate, zip(*spans, strict=True))
    found: dict[str, tuple[float, float]] = {}
    for row in np.argsort(-(start_logits + end_logits), kind="stable"):
        text = answer_text(question, windows[window_numbers[row]], int(starts[row]), int(ends[row]))
        if text and text not in found:
            found[text] = float(start_logits[row]), float(end_logits[row])
            if len(found) == n_best_size:
                break
    found = found or {NO_CANDIDATE: (0.0, 0.0)}
    exponentials = np.exp(np.array([sum(pair) for pair in found.values()]) - max(map(sum, found.values())))
    probabilities = exponentials / exponentials.sum()
    return [
        ScoredAnswer(text, float(probability), *pair)
        for (text, pair), probability in zip(found.items(), probabilities, strict=True)
    ]

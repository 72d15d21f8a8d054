"""Windows: what a model reads of a question and of a context that can be longer than its input.

A window is [CLS] question [SEP] a part of the context [SEP]. Windows of a context overlap; each of its tokens is owned
by the one window that shows most text on both sides of it.

Deviation: the original splits the context into words, and moves answers from code points to words and back to tokens.
Here both are code points all the way, so that an answer in the middle of a word is no more than its own tokens, and
every tokenizer will do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from finetune.qa.examples import Answer, Question

if TYPE_CHECKING:
    from electra_span.tokenization import Tokenizer

_BATCH_SIZE = 1024  # questions whose texts are tokenized at once
_NUM_SPECIAL_TOKENS = 3


class ContextTokens(NamedTuple):
    """The tokens of a context, and the code points [start, end) of it that each covers; int32 [T] each."""

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


class Window(NamedTuple):
    """What a model reads at once of a question and its context: L tokens, C of them from the context."""

    question_index: int  # among the questions the windows are of
    window_index: int  # among the question's own
    input_ids: np.ndarray  # int32 [L], without padding
    first_context_position: int  # the C tokens from here on are the context's
    token_starts: np.ndarray  # int32 [C], the first code point of the context that each covers
    token_ends: np.ndarray  # int32 [C], the code point behind the last one
    is_max_context: np.ndarray  # bool [C], whether this window owns the token: one of the context's windows does
    start_position: int  # of the answer, in input_ids; 0 where it is not wholly in this window, or there is none
    end_position: int  # its last token; inclusive

    @property
    def segment_ids(self) -> np.ndarray:
        """0 for the question and its special tokens, 1 for the context and the last [SEP]; int32 [L]."""
        return (np.arange(len(self.input_ids)) >= self.first_context_position).astype(np.int32)


def iter_windows(
    questions: Iterable[Question],
    tokenizer: Tokenizer,
    *,
    max_seq_length: int,
    doc_stride: int,
    max_query_length: int,
) -> Iterator[Window]:
    """Yields the windows of all questions, in order; every question has at least one.

    Args:
        questions: their first answers become the targets.
        tokenizer: of the model.
        max_seq_length: the most tokens of a window.
        doc_stride: tokens of the context from one window's first to the next one's.
        max_query_length: tokens of the question that are kept.

    Raises:
        ValueError: where a window has no room for the context.
    """
    if doc_stride < 1 or max_query_length < 0 or max_seq_length <= max_query_length + _NUM_SPECIAL_TOKENS:
        raise ValueError(
            "max_seq_length must be above max_query_length + 3, max_query_length at least 0 and doc_stride at least 1. "
            f"Received: {max_seq_length}, {max_query_length}, {doc_stride}"
        )
    iterator = iter(questions)
    num_before = 0
    while batch := list(itertools.islice(iterator, _BATCH_SIZE)):
        query_ids = tokenizer.encode([question.text for question in batch])
        contexts = tokenize_contexts([question.context for question in batch], tokenizer)
        for index, (question, ids) in enumerate(zip(batch, query_ids, strict=True), num_before):
            start_of_input = [tokenizer.cls_id, *ids[:max_query_length], tokenizer.sep_id]
            context = contexts[question.context]
            capacity = max_seq_length - len(start_of_input) - 1
            answer = question.answers[0] if question.answers and not question.is_impossible else None
            yield from _windows_of(index, start_of_input, context, answer, capacity, doc_stride, tokenizer.sep_id)
        num_before += len(batch)


def questions_without_target(questions: Sequence[Question], windows: Iterable[Window]) -> list[str]:
    """Returns the ids of questions with an answer that no window holds: it is too long, or has no token.

    Args:
        questions: of the windows.
        windows: all of them.
    """
    held = {window.question_index for window in windows if window.start_position}
    return [question.id for index, question in enumerate(questions) if not question.is_impossible and index not in held]


def tokenize_contexts(contexts: Sequence[str], tokenizer: Tokenizer) -> dict[str, ContextTokens]:
    """Returns the tokens of each context, each tokenized once however often it is there."""
    distinct = list(dict.fromkeys(contexts))
    ids, offsets = tokenizer.encode_with_offsets(distinct)
    tokens = {}
    for context, row_ids, row_offsets in zip(distinct, ids, offsets, strict=True):
        starts, ends = np.array(row_offsets, np.int32).reshape(-1, 2).T
        tokens[context] = ContextTokens(np.array(row_ids, np.int32), starts, ends)
    return tokens


def token_span(context: ContextTokens, answer: Answer) -> tuple[int, int] | None:
    """Returns the first and the last token that cover a part of an answer; None where there is none."""
    first = int(np.searchsorted(context.ends, answer.start, side="right"))
    last = int(np.searchsorted(context.starts, answer.end, side="left")) - 1
    return (first, last) if first <= last else None


def window_starts(num_tokens: int, capacity: int, doc_stride: int) -> list[int]:
    """Returns the first token of each window of a context: at least one window, the last with the last token.

    Args:
        num_tokens: of the context.
        capacity: tokens of it in a window.
        doc_stride: from one window's first to the next one's, at most capacity, so that no token is left out.
    """
    stride = min(doc_stride, capacity)
    num_more = -(-max(0, num_tokens - capacity) // stride)
    return [stride * number for number in range(num_more + 1)]


def _max_context(num_tokens: int, capacity: int, doc_stride: int) -> np.ndarray:
    """Returns which window owns each token of a context; int [num_tokens].

    A window's claim is the smaller number of tokens on either side, plus a hundredth of its length; the first of equal
    ones has it. Source: BERT's run_squad, whose arithmetic decides about near ties.
    """
    starts = np.array(window_starts(num_tokens, capacity, doc_stride))[:, None]
    lengths = np.minimum(capacity, num_tokens - starts)
    positions = np.arange(num_tokens)
    smaller_side = np.minimum(positions - starts, starts + lengths - 1 - positions)
    claims = np.where(smaller_side >= 0, smaller_side + 0.01 * lengths, -np.inf)  # [windows, num_tokens]
    return np.argmax(claims, axis=0)


def _windows_of(
    question_index: int,
    start_of_input: list[int],
    context: ContextTokens,
    answer: Answer | None,
    capacity: int,
    doc_stride: int,
    sep_id: int,
) -> Iterator[Window]:
    """Yields the windows of one question."""
    num_tokens = len(context.ids)
    span = token_span(context, answer) if answer else None
    owners = _max_context(num_tokens, capacity, doc_stride)
    offset = len(start_of_input)
    for window_index, start in enumerate(window_starts(num_tokens, capacity, doc_stride)):
        end = min(start + capacity, num_tokens)
        shift = offset - start
        is_inside = span is not None and start <= span[0] and span[1] < end
        yield Window(
            question_index=question_index,
            window_index=window_index,
            input_ids=np.array([*start_of_input, *context.ids[start:end], sep_id], np.int32),
            first_context_position=offset,
            token_starts=context.starts[start:end],
            token_ends=context.ends[start:end],
            is_max_context=owners[start:end] == window_index,
            start_position=span[0] + shift if span and is_inside else 0,
            end_position=span[1] + shift if span and is_inside else 0,
        )

"""Windows over contexts that are longer than a model's input, as graph operations.

A window is [CLS] question [SEP] a part of the context [SEP]. Windows of a context overlap; each of its tokens is owned
by the one window that shows most text on both sides of it. Source: BERT's run_squad.
"""

from typing import NamedTuple

import tensorflow as tf

from electra_span.tokenization import RaggedTokens, Tokenizer

NUM_SPECIAL_TOKENS = 3


class Reading(NamedTuple):
    """The tokens of n questions and of the m different contexts that they are asked of.

    Attributes:
        queries: int32 [n, None], ids.
        contexts: m rows.
        context_rows: int64 [n], the context of each question.
    """

    queries: tf.RaggedTensor
    contexts: RaggedTokens
    context_rows: tf.Tensor


class Windows(NamedTuple):
    """W windows, in the order of their questions; every question has at least one. All int64 [W].

    Attributes:
        questions: whose windows they are.
        numbers: among those of the question, from 0.
        counts: how many windows the question has.
        first_tokens: of the context.
        num_tokens: of the context.
        first_positions: where the context's tokens begin in the window.
        context_lengths: tokens of the whole context.
        capacities: the most tokens of the context in a window of the question.
        strides: tokens from one window's first to the next one's.
    """

    questions: tf.Tensor
    numbers: tf.Tensor
    counts: tf.Tensor
    first_tokens: tf.Tensor
    num_tokens: tf.Tensor
    first_positions: tf.Tensor
    context_lengths: tf.Tensor
    capacities: tf.Tensor
    strides: tf.Tensor

    @property
    def lengths(self) -> tf.Tensor:
        """All tokens of each window, int64 [W]."""
        return self.first_positions + self.num_tokens + 1

    def take(self, rows: tf.Tensor) -> "Windows":
        """Returns some of the windows, by their numbers [R]."""
        return Windows(*(tf.gather(column, rows) for column in self))


class WindowInputs(NamedTuple):
    """What a model reads of some windows; int32 [R, L] each, as long as the longest."""

    input_ids: tf.Tensor
    input_mask: tf.Tensor
    segment_ids: tf.Tensor


def read(questions: tf.Tensor, contexts: tf.Tensor, tokenizer: Tokenizer, *, max_query_length: int) -> Reading:
    """Returns the tokens of questions and contexts, a context that is there more than once tokenized once.

    Args:
        questions, contexts: string [n], UTF-8.
        tokenizer: of the model.
        max_query_length: tokens of a question that are kept.
    """
    distinct, context_rows = tf.unique(contexts, out_idx=tf.int64)
    queries = tokenizer.encode_ragged(questions)[:, :max_query_length]
    return Reading(queries, tokenizer.encode_ragged_with_offsets(distinct), context_rows)


def split(reading: Reading, *, max_seq_length: int, doc_stride: int) -> Windows:
    """Returns the windows of all questions.

    Args:
        reading: the questions and contexts.
        max_seq_length: the most tokens of a window; above those of every question, and 3.
        doc_stride: tokens of the context from one window's first to the next one's; less where a window has less.
    """
    query_lengths = reading.queries.row_lengths()
    context_lengths = tf.gather(reading.contexts.ids.row_lengths(), reading.context_rows)
    capacities = max_seq_length - NUM_SPECIAL_TOKENS - query_lengths
    strides = tf.minimum(tf.constant(doc_stride, tf.int64), capacities)
    counts = 1 + (tf.maximum(context_lengths - capacities, 0) + strides - 1) // strides
    numbers = tf.ragged.range(counts)
    questions = numbers.value_rowids()
    of_windows = (tf.gather(column, questions) for column in (counts, query_lengths, context_lengths))
    counts, query_lengths, context_lengths = of_windows
    capacities, strides = tf.gather(capacities, questions), tf.gather(strides, questions)
    first_tokens = strides * numbers.flat_values
    return Windows(
        questions=questions,
        numbers=numbers.flat_values,
        counts=counts,
        first_tokens=first_tokens,
        num_tokens=tf.minimum(capacities, context_lengths - first_tokens),
        first_positions=query_lengths + NUM_SPECIAL_TOKENS - 1,
        context_lengths=context_lengths,
        capacities=capacities,
        strides=strides,
    )


def inputs(windows: Windows, reading: Reading, tokenizer: Tokenizer) -> WindowInputs:
    """Returns what a model reads of some windows.

    Args:
        windows: R of them.
        reading: the questions and contexts.
        tokenizer: of the model.
    """
    context_ids = reading.contexts.ids
    context_starts = tf.gather(context_ids.row_starts(), tf.gather(reading.context_rows, windows.questions))
    first = context_starts + windows.first_tokens
    tokens = tf.ragged.range(first, first + windows.num_tokens)
    cls, sep = (
        tf.fill([tf.shape(windows.questions)[0], 1], tf.constant(token_id, tf.int32))
        for token_id in (tokenizer.cls_id, tokenizer.sep_id)
    )
    queries = tf.gather(reading.queries, windows.questions)
    parts = [cls, queries, sep, tokens.with_flat_values(tf.gather(context_ids.flat_values, tokens.flat_values)), sep]
    input_ids = tf.concat(parts, axis=1).to_tensor(tokenizer.pad_id)
    positions = tf.range(tf.shape(input_ids, out_type=tf.int64)[1])
    is_token = positions < windows.lengths[:, tf.newaxis]
    is_context = is_token & (positions >= windows.first_positions[:, tf.newaxis])
    return WindowInputs(input_ids, tf.cast(is_token, tf.int32), tf.cast(is_context, tf.int32))


def owns(windows: Windows, tokens: tf.Tensor) -> tf.Tensor:
    """Returns which of its context's tokens each window owns, bool [R, K].

    A window's claim is the smaller number of tokens on either side, plus a hundredth of its length; the first of equal
    ones has it. As in BERT's run_squad, 64-bit floating point decides about near ties.

    Args:
        windows: R of them.
        tokens: int64 [R, K], tokens of the windows.
    """
    reach = tf.reduce_max((windows.capacities - 1) // windows.strides)  # windows on either side that may overlap
    steps = tf.range(-reach, reach + 1)
    rivals = windows.numbers[:, tf.newaxis] + steps  # [R, D]
    first = windows.strides[:, tf.newaxis] * rivals
    lengths = tf.minimum(windows.capacities[:, tf.newaxis], windows.context_lengths[:, tf.newaxis] - first)
    before = tokens[:, :, tf.newaxis] - first[:, tf.newaxis]  # [R, K, D]
    smaller_side = tf.minimum(before, lengths[:, tf.newaxis] - 1 - before)
    is_rival = (rivals >= 0) & (rivals < windows.counts[:, tf.newaxis])
    is_claim = is_rival[:, tf.newaxis] & (smaller_side >= 0)
    size = tf.constant(0.01, tf.float64) * tf.cast(lengths, tf.float64)
    claims = tf.cast(smaller_side, tf.float64) + size[:, tf.newaxis]
    claims = tf.where(is_claim, claims, tf.constant(float("-inf"), tf.float64))
    return tf.equal(tf.argmax(claims, axis=-1), reach)

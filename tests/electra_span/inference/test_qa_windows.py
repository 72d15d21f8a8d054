"""Windows cover contexts, and each token has one owner."""

import types

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from electra_span.inference import qa_windows as windowing
from electra_span.tokenization import RaggedTokens

TOKENIZER = types.SimpleNamespace(cls_id=1, sep_id=2, pad_id=3)


def _reading(query_lengths, context_lengths, context_rows):
    """Returns questions of tokens from 100 on, and contexts of tokens from 1000 on."""
    queries = tf.ragged.range([100] * len(query_lengths), [100 + length for length in query_lengths])
    ids = tf.ragged.range([1000] * len(context_lengths), [1000 + length for length in context_lengths])
    return windowing.Reading(queries, RaggedTokens(ids, ids, ids), tf.constant(context_rows, tf.int64))


def _claim(token, window):
    """Returns how much a window (first token, number of tokens) claims a token; source: BERT's run_squad."""
    first, length = window
    if not first <= token < first + length:
        return -1.0
    return min(token - first, first + length - 1 - token) + 0.01 * length


@given(num_tokens=st.integers(1, 300), capacity=st.integers(1, 140), doc_stride=st.integers(1, 130))
@hypothesis_settings(deadline=None)
def test_each_token_is_owned_by_the_first_window_with_the_largest_claim(num_tokens, capacity, doc_stride):
    reading = _reading([4], [num_tokens], [0])
    windows = windowing.split(reading, max_seq_length=capacity + 7, doc_stride=doc_stride)
    places = list(zip(windows.first_tokens.numpy().tolist(), windows.num_tokens.numpy().tolist(), strict=True))
    owners = [np.argmax([_claim(token, place) for place in places]) for token in range(num_tokens)]
    owned = windowing.owns(windows, tf.tile(tf.range(num_tokens, dtype=tf.int64)[tf.newaxis], [len(places), 1])).numpy()
    inside = [[_claim(token, place) >= 0 for token in range(num_tokens)] for place in places]
    assert (owned & np.array(inside)).tolist() == [
        [owner == number for owner in owners] for number in range(len(places))
    ]


def test_a_hundredth_of_the_length_can_outweigh_a_token_of_text():
    windows = windowing.split(_reading([0], [400], [0]), max_seq_length=387, doc_stride=128)
    assert windows.first_tokens.numpy().tolist() == [0, 128]
    assert windows.num_tokens.numpy().tolist() == [384, 272]
    # Token 256 has 127 tokens on its smaller side in the first window, and 128 in the second.
    owned = windowing.owns(windows, tf.constant([[256, 257]] * 2, tf.int64))
    assert owned.numpy().tolist() == [[True, False], [False, True]]


def test_windows_hold_question_and_context_between_special_tokens():
    reading = _reading([2, 0, 1], [7, 0], [0, 1, 0])
    windows = windowing.split(reading, max_seq_length=9, doc_stride=3)
    assert windows.questions.numpy().tolist() == [0, 0, 1, 2, 2]
    inputs = windowing.inputs(windows, reading, TOKENIZER)
    assert inputs.input_ids.numpy().tolist() == [
        [1, 100, 101, 2, 1000, 1001, 1002, 1003, 2],
        [1, 100, 101, 2, 1003, 1004, 1005, 1006, 2],
        [1, 2, 2, 3, 3, 3, 3, 3, 3],
        [1, 100, 2, 1000, 1001, 1002, 1003, 1004, 2],
        [1, 100, 2, 1003, 1004, 1005, 1006, 2, 3],
    ]
    assert inputs.input_mask.numpy().sum(axis=1).tolist() == windows.lengths.numpy().tolist() == [9, 9, 3, 9, 8]
    segments = inputs.segment_ids.numpy()
    assert segments.argmax(axis=1).tolist() == windows.first_positions.numpy().tolist() == [4, 4, 2, 3, 3]
    assert segments.sum(axis=1).tolist() == [5, 5, 1, 6, 5]


def test_some_of_the_windows_are_read_as_they_are_among_all():
    reading = _reading([2, 5], [30, 12], [1, 0])
    windows = windowing.split(reading, max_seq_length=12, doc_stride=2)
    rows = tf.constant([7, 1])
    some = windowing.inputs(windows.take(rows), reading, TOKENIZER)
    everything = windowing.inputs(windows, reading, TOKENIZER)
    for part, whole in zip(some, everything, strict=True):
        assert part.numpy().tolist() == tf.gather(whole, rows).numpy().tolist()

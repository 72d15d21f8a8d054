"""The span heads see a span's outer boundary and a token's place in it, and nothing else."""

import math

import numpy as np
import pytest
import tensorflow as tf

from electra_span.encoder import ElectraEncoder
from electra_span.layers.heads import SpanBoundaryStates, SpanMaskedLMHead, SpanReplacedTokenHead, Spans
from tests.tiny_models import TINY, randomize

B, L, H, MAX_SPAN_LENGTH = 2, 11, TINY.hidden_size, 4
# Row 0 has the span 3..5, row 1 the spans 2..2 and 6..7 and an unused slot.
POSITIONS = np.array([[3, 4, 5, 0], [2, 6, 7, 0]])
SPANS = Spans(
    left=tf.constant([[2, 2, 2, 0], [1, 5, 5, 0]]),
    right=tf.constant([[6, 6, 6, 0], [3, 8, 8, 0]]),
    offset=tf.constant([[0, 1, 2, 0], [0, 0, 1, 0]]),
)


def _states(seed=0):
    return np.random.default_rng(seed).standard_normal((B, L, H)).astype(np.float32)


def _generative_head():
    encoder = ElectraEncoder(TINY)
    return SpanMaskedLMHead(TINY, encoder.embeddings, max_span_length=MAX_SPAN_LENGTH)


def _built(head):
    head.build()
    randomize(head)
    return head


HEADS = {
    "states": lambda: SpanBoundaryStates(TINY, max_span_length=MAX_SPAN_LENGTH),
    "sbgo": _generative_head,
    "sbpo": lambda: SpanReplacedTokenHead(TINY, max_span_length=MAX_SPAN_LENGTH),
}


@pytest.fixture(params=HEADS, ids=str)
def head(request):
    return _built(HEADS[request.param]())


def test_states_inside_a_span_change_nothing_and_those_at_its_boundary_do(head):
    states = _states()
    before = head(tf.constant(states), SPANS).numpy()
    inside = states.copy()
    inside[0, 3:6] += 1.0
    inside[1, [2, 6, 7]] -= 1.0
    np.testing.assert_array_equal(head(tf.constant(inside), SPANS).numpy()[:, :3], before[:, :3])
    for position in (2, 6):
        outside = states.copy()
        outside[0, position] += 1.0
        after = head(tf.constant(outside), SPANS).numpy()
        assert np.all(np.any(np.reshape(after[0, :3] != before[0, :3], [3, -1]), axis=-1))


def test_places_in_a_span_are_told_apart_from_its_first_token_on(head):
    states = head(tf.constant(_states()), SPANS).numpy()[0, :3]
    assert len(np.unique(np.round(np.reshape(states, [3, -1]), 6), axis=0)) == 3
    moved = Spans(SPANS.left, SPANS.right, tf.zeros_like(SPANS.offset))
    same = head(tf.constant(_states()), moved).numpy()[0, :3]
    np.testing.assert_array_equal(same, np.broadcast_to(states[:1], states.shape))


def test_places_beyond_the_longest_span_are_no_error(head):
    far = Spans(SPANS.left, SPANS.right, SPANS.offset + 100)
    assert np.all(np.isfinite(head(tf.constant(_states()), far)))


def test_generative_logits_are_tied_to_the_word_embeddings_with_a_bias():
    head = _built(_generative_head())
    table = head.embeddings.logits(tf.eye(TINY.embedding_size))  # [E, V]
    before = head(tf.constant(_states()), SPANS)
    head.output_bias.assign(head.output_bias + tf.one_hot(5, TINY.vocab_size))
    after = head(tf.constant(_states()), SPANS)
    np.testing.assert_allclose(after - before, tf.broadcast_to(tf.one_hot(5, TINY.vocab_size), after.shape), atol=1e-6)
    assert after.dtype == tf.float32
    x = head.boundary(tf.constant(_states()), SPANS)
    expected = tf.tensordot(head.projection(x), table, axes=1) + head.output_bias
    np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-5)


def test_boundary_states_are_two_dense_gelu_layer_norm_layers():
    head = _built(HEADS["states"]())
    values = {variable.path.split("/", 1)[-1]: variable.numpy().astype(np.float64) for variable in head.variables}
    states = _states().astype(np.float64)
    x = np.concatenate([states[0, 2], states[0, 6], values["position_embeddings"][1]])
    for index in range(2):
        x = x @ values[f"dense_{index}/kernel"] + values[f"dense_{index}/bias"]
        x = x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
        x = (x - x.mean()) / np.sqrt(x.var() + TINY.layer_norm_eps)
        x = x * values[f"norm_{index}/gamma"] + values[f"norm_{index}/beta"]
    np.testing.assert_allclose(head(tf.constant(_states()), SPANS)[0, 1], x, rtol=1e-4, atol=1e-5)

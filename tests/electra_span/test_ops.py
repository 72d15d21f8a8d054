"""Tensor functions against recorded numbers, and the sampling against what it is to sample from."""

import numpy as np
import pytest
import tensorflow as tf

from electra_span import ops
from electra_span.ops import gather_positions, rounded_up, sample_categorical, scatter_positions, share_of_mean

LARGEST_UNIFORM = np.float32(0.99999994)


@pytest.fixture(scope="module")
def helpers(golden):
    return dict(np.load(golden("tf1/helpers.npz")))


def test_counts_are_rounded_up_to_a_few_numbers_in_every_doubling():
    rounded = {count: int(rounded_up(tf.constant(count), per_doubling=4)) for count in range(300)}
    assert all(count <= found <= max(count + 1, 1.25 * count) for count, found in rounded.items())
    assert {found for found in rounded.values() if 64 < found <= 256} == {80, 96, 112, 128, 160, 192, 224, 256}
    assert [int(rounded_up(tf.constant(count), per_doubling=4, at_least=32)) for count in (0, 1, 33, 129)] == [
        0, 32, 64, 160
    ]  # fmt: skip
    assert int(rounded_up(tf.constant(2**30 - 1), per_doubling=4)) == 2**30


@pytest.mark.parametrize("rank", [2, 3])
def test_gathered_positions_are_the_originals(helpers, rank):
    gathered = gather_positions(helpers[f"gather/sequence{rank}"], helpers["gather/positions"])
    np.testing.assert_array_equal(gathered, helpers[f"gather/out{rank}"])


def test_scattered_updates_are_the_originals_where_no_position_repeats(helpers):
    tokens, positions = helpers["gather/sequence2"], helpers["gather/positions"]
    weights = positions > 0  # the original never writes to position 0
    scattered = scatter_positions(tokens, positions, helpers["scatter/updates2"], weights).numpy()
    num_updates = np.stack([np.sum(positions == column, axis=1) for column in range(tokens.shape[1])], axis=1)
    alone = num_updates * helpers["scatter/mask2"] <= 1
    assert not alone.all()
    np.testing.assert_array_equal(scattered[alone], helpers["scatter/out2"][alone])


def test_deviation_a_repeated_position_takes_the_last_update_instead_of_a_mean(helpers):
    tokens, positions = helpers["gather/sequence2"], helpers["gather/positions"]
    scattered = scatter_positions(tokens, positions, helpers["scatter/updates2"], positions > 0).numpy()
    assert positions[1].tolist() == [5, 5, 5, 2]
    assert helpers["scatter/updates2"][1].tolist() == [48, 35, 15, 17]
    assert helpers["scatter/out2"][1, 5] == (48 + 35 + 15) // 3
    assert scattered[1, 5] == 15


def test_a_slot_of_weight_0_writes_nothing_even_where_another_slot_writes():
    scattered = scatter_positions([[7, 8, 9]], [[0, 1, 1, 0]], [[20, 21, 22, 23]], [[0.0, 1.0, 0.0, 0.0]])
    assert scattered.numpy().tolist() == [[7, 21, 9]]
    assert scatter_positions([[7, 8, 9]], [[0]], [[20]], [[1]]).numpy().tolist() == [[20, 8, 9]]


def test_shares_of_a_mean_add_up_to_it():
    generator = np.random.default_rng(0)
    values, weights = generator.random((2, 6, 5)).astype(np.float32)
    shares = [share_of_mean(values[rows], weights[rows], weights) for rows in (slice(0, 1), slice(1, 4), slice(4, 6))]
    np.testing.assert_allclose(sum(shares), np.average(values, weights=weights), rtol=1e-6)


def test_a_mean_without_any_weight_is_0():
    assert share_of_mean(tf.ones([2, 3]), tf.zeros([2, 3]), tf.zeros([2, 3])) == 0.0


def _softmax(logits):
    odds = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def _chi_square_excess(counts, probs):
    """How many standard deviations the chi-square statistic of counts lies above its mean."""
    expected = counts.sum() * probs
    freedom = len(probs) - 1
    return (np.sum((counts - expected) ** 2 / expected) - freedom) / np.sqrt(2 * freedom)


def test_draws_from_a_small_vocabulary_follow_the_softmax():
    generator = np.random.default_rng(1)
    logits = 2 * generator.standard_normal(37).astype(np.float32)
    uniforms = generator.random(100_000).astype(np.float32)
    drawn = sample_categorical(np.broadcast_to(logits, (100_000, 37)), uniforms).numpy()
    assert abs(_chi_square_excess(np.bincount(drawn, minlength=37), _softmax(logits))) < 4


def test_draws_from_a_whole_vocabulary_follow_the_softmax():
    generator = np.random.default_rng(2)
    logits = 2 * generator.standard_normal(30522).astype(np.float32)
    sample = tf.function(lambda uniforms: sample_categorical(tf.broadcast_to(logits, [500, 30522]), uniforms))
    drawn = np.concatenate([sample(generator.random(500).astype(np.float32)).numpy() for _ in range(16)])
    group = generator.integers(0, 40, 30522)  # words put together at random, so that each class is expected often
    counts, probs = np.bincount(group[drawn], minlength=40), np.bincount(group, weights=_softmax(logits))
    assert abs(_chi_square_excess(counts, probs)) < 4


@pytest.mark.parametrize("vocab_size", [1, 2, 37, 1024, 30522])
def test_a_draw_inverts_the_cumulative_distribution(vocab_size):
    generator = np.random.default_rng(vocab_size)
    logits = 3 * generator.standard_normal((200, vocab_size)).astype(np.float32)
    uniforms = generator.random(200).astype(np.float32)
    uniforms[:2] = 0.0, LARGEST_UNIFORM
    drawn = sample_categorical(logits, uniforms).numpy()
    cumulative = np.cumsum(_softmax(logits), axis=-1)
    above = np.take_along_axis(cumulative, drawn[:, None], axis=-1)[:, 0]
    below = above - np.take_along_axis(_softmax(logits), drawn[:, None], axis=-1)[:, 0]
    assert np.all((below - 3e-6 <= uniforms) & (uniforms <= above + 3e-6))


@pytest.mark.parametrize("compile_draw", [False, True])
@pytest.mark.parametrize("vocab_size", [37, 3000])
def test_an_index_of_probability_0_is_never_drawn(vocab_size, compile_draw):
    generator = np.random.default_rng(3)
    num_rows = 400
    logits = generator.standard_normal((num_rows, vocab_size)).astype(np.float32)
    impossible = generator.random((num_rows, vocab_size)) < generator.random((num_rows, 1))
    impossible[: num_rows // 2, : vocab_size // 2] = True  # whole blocks, at either end
    impossible[num_rows // 2 :, vocab_size // 2 :] = True
    impossible[np.arange(num_rows), generator.integers(0, vocab_size, num_rows)] = False
    logits[impossible] -= 1000.0
    sample = tf.function(sample_categorical, jit_compile=compile_draw)
    edges = (0.0, 1e-45, 1e-30, 0.5, 0.999999, LARGEST_UNIFORM)
    for uniforms in (*(np.full(num_rows, edge) for edge in edges), *generator.random((20, num_rows))):
        drawn = sample(logits, uniforms.astype(np.float32)).numpy()
        assert drawn.min() >= 0
        assert drawn.max() < vocab_size
        assert not impossible[np.arange(num_rows), drawn].any()


def test_edge_uniforms_draw_the_first_and_the_last_possible_index():
    logits = np.log(np.array([[1e-30, 0.25, 0.5, 0.25, 1e-30]], np.float32))
    assert sample_categorical(logits, [0.0]).numpy() in (0, 1)
    logits = np.array([[-1000.0, 0.0, 1.0, 0.0, -1000.0]], np.float32)
    assert sample_categorical(logits, [0.0]).numpy() == [1]
    assert sample_categorical(logits, [LARGEST_UNIFORM]).numpy() == [3]


def test_logits_of_bfloat16_are_sampled_in_float32():
    generator = np.random.default_rng(4)
    logits = tf.cast(generator.standard_normal((3, 50, 300)), tf.bfloat16)
    uniforms = generator.random((3, 50)).astype(np.float32)
    drawn = sample_categorical(logits, uniforms)
    assert drawn.shape == (3, 50)
    assert drawn.dtype == tf.int32
    np.testing.assert_array_equal(drawn, sample_categorical(tf.cast(logits, tf.float32), uniforms))


def test_no_gradient_flows_through_a_draw():
    logits = tf.Variable(tf.random.stateless_normal([4, 37], seed=[0, 1]))
    with tf.GradientTape() as tape:
        drawn = tf.cast(sample_categorical(logits, tf.fill([4], 0.3)), tf.float32)
    assert tape.gradient(drawn, logits) is None


@pytest.mark.parametrize("compile_draw", [False, True])
def test_large_vocabularies_are_sampled_as_small_ones(compile_draw, monkeypatch):
    generator = np.random.default_rng(5)
    logits = 3 * generator.standard_normal((2, 30, 300)).astype(np.float32)
    uniforms = generator.random((2, 30)).astype(np.float32)
    expected = sample_categorical(logits, uniforms)
    monkeypatch.setattr(ops, "LARGE_VOCABULARY", 300)
    drawn = tf.function(sample_categorical, jit_compile=compile_draw)(logits, uniforms)
    assert drawn.dtype == tf.int32
    np.testing.assert_array_equal(drawn, expected)

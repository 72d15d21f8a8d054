"""Elementwise functions: against recorded numbers, compiled against plain, and what dropout drops."""

import numpy as np
import pytest
import tensorflow as tf

from electra_span.layers.kernels import bias_gelu, compiled_kernels, dropout, dropout_bits, layer_norm, plain_kernels

EPSILON = 1e-12
RATE = 0.25


@pytest.fixture(scope="module")
def helpers(golden):
    return dict(np.load(golden("tf1/helpers.npz")))


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_gelu_is_the_originals_by_erf(helpers):
    x = helpers["gelu/x"][None, :]
    np.testing.assert_allclose(bias_gelu(x, np.zeros_like(x[0]))[0], helpers["gelu/y"], rtol=0, atol=1e-6)
    by_tanh = tf.nn.gelu(x, approximate=True)[0]
    assert np.abs(by_tanh - helpers["gelu/y"]).max() > 1e-4  # the recorded points tell the two forms apart


def test_layer_norm_is_the_originals(helpers):
    x, gamma, beta = (helpers[f"layer_norm/{name}"] for name in ("x", "gamma", "beta"))
    normed = layer_norm(x, gamma, beta, epsilon=EPSILON)
    np.testing.assert_allclose(normed, helpers["layer_norm/y"], rtol=0, atol=2e-6)


def test_layer_norm_of_bfloat16_is_computed_in_float32():
    x = tf.cast(3 + _normal(5, 12), tf.bfloat16)
    gamma, beta = _normal(2, 12, seed=1)
    wide = layer_norm(tf.cast(x, tf.float32), gamma, beta, epsilon=EPSILON)
    np.testing.assert_array_equal(layer_norm(x, gamma, beta, epsilon=EPSILON), tf.cast(wide, tf.bfloat16))


def test_gelu_of_bfloat16_is_computed_in_float32():
    x, bias = tf.cast(_normal(5, 12), tf.bfloat16), tf.cast(_normal(12, seed=1), tf.bfloat16)
    wide = bias_gelu(tf.cast(x, tf.float32), bias)
    np.testing.assert_array_equal(bias_gelu(x, bias), tf.cast(wide, tf.bfloat16))


def _arguments(name, dtype, with_dropout):
    """Positional tensors and keyword constants for one kernel."""
    if name == "attention_probs":
        scores, mask_bias = _normal(2, 3, 5, 5), np.where(_normal(2, 1, 1, 5, seed=1) > 0.8, -10000.0, 0.0)
        tensors, constants = [tf.cast(scores, dtype), tf.constant(mask_bias, tf.float32)], {"scale": 0.5}
    elif name == "bias_gelu":
        return [tf.cast(_normal(7, 12), dtype), tf.cast(_normal(12, seed=1), dtype)], {}
    else:
        tensors = [tf.cast(_normal(*shape, seed=seed), dtype) for seed, shape in enumerate([(7, 12), (12,), (7, 12)])]
        tensors += [tf.constant(1 + _normal(12, seed=3)), tf.constant(_normal(12, seed=4))]
        constants = {"epsilon": EPSILON}
    (bits,) = dropout_bits(tf.constant([3, 4]) if with_dropout else None, (tf.shape(tensors[0]), RATE))
    return [*tensors, *bits], {**constants, "rate": RATE}


def _value_and_gradients(kernel, tensors, constants):
    floating = [tensor for tensor in tensors if tensor.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(floating)
        value = kernel(*tensors, **constants)
        weighted = tf.cast(value, tf.float32) * _normal(*value.shape, seed=9)
    return [value, *tape.gradient(weighted, floating)]


@pytest.mark.parametrize("with_dropout", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 1 / 64)])
@pytest.mark.parametrize("name", ["bias_gelu", "residual_norm", "attention_probs"])
def test_compiled_kernels_equal_plain_ones_in_value_and_gradient(name, dtype, tolerance, with_dropout):
    tensors, constants = _arguments(name, dtype, with_dropout)
    plain = _value_and_gradients(getattr(plain_kernels(), name), tensors, constants)
    compiled = _value_and_gradients(getattr(compiled_kernels(), name), tensors, constants)
    for ours, expected in zip(compiled, plain, strict=True):
        assert ours.dtype == expected.dtype
        expected = tf.cast(expected, tf.float32).numpy()
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(tf.cast(ours, tf.float32), expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_masked_positions_have_exactly_no_attention(dtype):
    scores = tf.cast(50 * _normal(2, 3, 5, 5), dtype)
    mask_bias = np.float32([0, -10000, 0, -10000, -10000]) * np.ones((2, 1, 1, 1), np.float32)
    probs = plain_kernels().attention_probs(scores, mask_bias, scale=0.5, rate=0.0).numpy().astype(np.float32)
    assert np.all(probs[..., [1, 3, 4]] == 0)
    np.testing.assert_allclose(probs.sum(axis=-1), 1.0, atol=1e-2)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(rate):
    shape = (401, 503)
    ((bits,),) = dropout_bits(tf.constant([1, 2]), (tf.constant(shape), rate))
    dropped = dropout(tf.ones(shape), bits, rate=rate).numpy()
    deviation = np.sqrt(rate * (1 - rate) / dropped.size)
    assert abs(np.mean(dropped == 0) - rate) < 3 * deviation + 2**-17  # the rate itself is rounded to 16 bits
    assert abs(dropped.mean() - 1) < 3 * deviation / (1 - rate)
    assert len(np.unique(dropped)) == 2


def test_dropout_in_rows_and_columns_is_independent():
    ((bits,),) = dropout_bits(tf.constant([1, 2]), (tf.constant([300, 400]), 0.5))
    dropped = dropout(tf.ones([300, 400]), bits, rate=0.5).numpy() - 1  # -1 or 1
    for other in (np.roll(dropped, 1, axis=1), np.roll(dropped, 1, axis=0), np.roll(dropped, 2, axis=1)):
        assert abs(np.mean(dropped * other)) < 4 / np.sqrt(dropped.size)


def test_the_same_seed_drops_the_same_and_another_does_not():
    wanted = (tf.constant([7, 9, 5]), RATE)
    first, again, other = (dropout_bits(tf.constant(seed), wanted)[0][0] for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    assert np.any(first.numpy() != other.numpy())


def test_no_seed_or_a_rate_of_0_draws_nothing_and_drops_nothing():
    shape, seed = tf.constant([3, 4]), tf.constant([1, 2])
    assert dropout_bits(None, (shape, RATE)) == [()]
    assert dropout_bits(seed, (shape, 0.0)) == [()]
    assert [len(bits) for bits in dropout_bits(seed, (shape, RATE), (shape, 0.0), (shape, RATE))] == [1, 0, 1]
    x = tf.constant(_normal(3, 4))
    np.testing.assert_array_equal(dropout(x, None, rate=RATE), x)


@pytest.mark.parametrize("kernels", [plain_kernels(), compiled_kernels()], ids=["plain", "compiled"])
def test_several_dropouts_of_one_seed_are_independent_and_the_same_compiled_or_not(kernels):
    shapes = [(2, 3, 7, 7), (41, 53), (41, 53)]
    wanted = [(tf.constant(shape), RATE) for shape in shapes]
    drawn = kernels.dropout_bits(tf.constant([1, 2]), *wanted)
    expected = dropout_bits(tf.constant([1, 2]), *wanted)
    assert [tuple(bits.shape) for (bits,) in drawn] == shapes
    for (bits,), (plain,) in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(bits, plain)
    first, second = (bits.numpy().ravel().astype(float) for (bits,) in drawn[1:])
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(first.size)

"""The encoder: what padding may not change, dropout, precision, shapes."""

import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from tests.tiny_models import TINY, randomize

UNPROJECTED = EncoderConfig(**{**vars(TINY), "embedding_size": TINY.hidden_size})
# The second row is padded, the third has holes, the fourth is an empty row, as evaluation has at its end.
INPUT_MASK = np.array(
    [[1] * 11, [1] * 6 + [0] * 5, [1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0], [0] * 11], np.int32
)  # fmt: skip
IS_REAL = INPUT_MASK == 1


def _inputs(seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(5, TINY.vocab_size, INPUT_MASK.shape), generator.integers(0, 2, INPUT_MASK.shape)


def _encoder(config=TINY, **options):
    encoder = ElectraEncoder(config, name="electra", **options)
    randomize(encoder)
    return encoder


@pytest.mark.parametrize("config", [TINY, UNPROJECTED], ids=["projected", "unprojected"])
@pytest.mark.parametrize("options", [{}, {"skips_padding": True}, {"compile_kernels": True, "skips_padding": True}])
def test_contents_of_padding_never_influence_real_tokens(options, config):
    encoder = _encoder(config, **options)
    input_ids, segment_ids = _inputs()
    other_ids, other_segments = _inputs(seed=1)
    assert np.all(np.any(other_ids != input_ids, axis=1))
    states = encoder(input_ids, INPUT_MASK, segment_ids).numpy()
    filled = encoder(
        np.where(IS_REAL, input_ids, other_ids), INPUT_MASK, np.where(IS_REAL, segment_ids, other_segments)
    ).numpy()
    np.testing.assert_array_equal(filled[IS_REAL], states[IS_REAL])
    assert np.isfinite(states).all()


@pytest.mark.parametrize("compile_kernels", [False, True])
def test_skipping_padding_gives_the_same_states_at_real_tokens(compile_kernels):
    input_ids, segment_ids = _inputs()
    expected = _encoder().hidden_states(input_ids, INPUT_MASK, segment_ids)
    skipping = _encoder(skips_padding=True, compile_kernels=compile_kernels)
    states = skipping.hidden_states(input_ids, INPUT_MASK, segment_ids)
    assert len(states) == len(expected) == TINY.num_hidden_layers + 1
    for ours, state in zip(states, expected, strict=True):
        np.testing.assert_allclose(ours.numpy()[IS_REAL], state.numpy()[IS_REAL], rtol=0, atol=2e-6)


def test_skipping_padding_gives_the_same_gradients():
    input_ids, segment_ids = _inputs()
    gradients = []
    for options in ({}, {"skips_padding": True, "compile_kernels": True}):
        encoder = _encoder(**options)
        variables = [variable.value for variable in encoder.trainable_variables]
        with tf.GradientTape() as tape:
            states = encoder(input_ids, INPUT_MASK, segment_ids)
            loss = tf.reduce_sum(tf.sin(states) * tf.cast(INPUT_MASK, tf.float32)[:, :, None])
        gradients.append([tf.convert_to_tensor(gradient).numpy() for gradient in tape.gradient(loss, variables)])
    for plain, skipping in zip(*gradients, strict=True):
        np.testing.assert_allclose(skipping, plain, rtol=0, atol=1e-5 * max(1, np.abs(plain).max()))


def test_padding_columns_change_no_real_token():
    encoder = _encoder()
    input_ids, segment_ids = _inputs()
    short = encoder(input_ids[1:2, :6], INPUT_MASK[1:2, :6], segment_ids[1:2, :6])
    np.testing.assert_allclose(encoder(input_ids[1:2], INPUT_MASK[1:2], segment_ids[1:2])[:, :6], short, atol=2e-6)


def test_all_tokens_of_the_first_segment_are_the_defaults():
    encoder = _encoder()
    input_ids, _ = _inputs()
    expected = encoder(input_ids, np.ones_like(input_ids), np.zeros_like(input_ids))
    np.testing.assert_array_equal(encoder(input_ids), expected)


@pytest.mark.parametrize("skips_padding", [False, True])
def test_dropout_is_decided_by_its_seed(skips_padding):
    encoder = _encoder(skips_padding=skips_padding)
    input_ids, segment_ids = _inputs()
    first, again, other, without = (
        encoder(input_ids, INPUT_MASK, segment_ids, dropout_seed=seed).numpy()
        for seed in ([1, 2], [1, 2], [1, 3], None)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert np.any(first != without)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("options", [{}, {"compile_kernels": True, "skips_padding": True}])
def test_half_precision_stays_close_to_float32_and_finite_on_padding(dtype, options):
    input_ids, segment_ids = _inputs()
    expected = _encoder()(input_ids, INPUT_MASK, segment_ids).numpy()
    encoder = _encoder(dtype=dtype, **options)
    states = encoder(input_ids, INPUT_MASK, segment_ids)
    assert states.dtype == dtype.removeprefix("mixed_")
    states = tf.cast(states, tf.float32).numpy()
    assert np.isfinite(states).all()
    assert {variable.dtype for variable in encoder.variables} == {"float32"}
    tolerance = {"mixed_bfloat16": 0.1, "mixed_float16": 0.015}[dtype]
    np.testing.assert_allclose(states[IS_REAL], expected[IS_REAL], rtol=0, atol=tolerance)


def test_sequences_longer_than_the_position_embeddings_are_an_error():
    longest = TINY.max_position_embeddings
    encoder = _encoder()
    assert encoder(np.full([1, longest], 5)).shape == (1, longest, TINY.hidden_size)
    with pytest.raises(ValueError, match=f"max_position_embeddings={longest}.*Received: {longest + 1}"):
        encoder(np.full([1, longest + 1], 5))

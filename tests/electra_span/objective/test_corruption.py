"""ELECTRA's objective around any two functions: what is drawn, written and labelled."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from electra_span.objective.corruption import (
    Corruption,
    HeadLogits,
    corrupt_batch,
    predict,
    replacement_logits,
)
from tests.tiny_models import VOCABULARY, tiny_batch

VOCAB_SIZE = len(VOCABULARY)


def _sure_of(batch, ids):
    """Logits [B, N, V] of a generator that draws these ids [B, N]."""
    return 100.0 * tf.one_hot(tf.broadcast_to(ids, batch.masked_lm_ids.shape), VOCAB_SIZE)


def _random_logits(batch, seed=0):
    return tf.random.stateless_normal([*batch.masked_lm_ids.shape, VOCAB_SIZE], seed=[0, seed])


def _used(batch):
    return batch.masked_lm_weights.numpy() > 0


def test_a_draw_that_hits_the_original_is_no_replacement():
    batch = tiny_batch()
    corruption = corrupt_batch(batch, _sure_of(batch, batch.masked_lm_ids))
    np.testing.assert_array_equal(
        corruption.sampled_ids.numpy()[_used(batch)], batch.masked_lm_ids.numpy()[_used(batch)]
    )
    np.testing.assert_array_equal(corruption.corrupted_ids, batch.input_ids)
    assert not np.any(corruption.is_replaced)


def test_draws_stand_at_the_masked_positions_and_the_original_tokens_elsewhere():
    batch = tiny_batch()
    corruption = corrupt_batch(batch, _random_logits(batch))
    masked = np.zeros(batch.input_ids.shape, bool)
    rows = np.broadcast_to(np.arange(3)[:, None], batch.masked_lm_positions.shape)
    masked[rows[_used(batch)], batch.masked_lm_positions.numpy()[_used(batch)]] = True
    corrupted, original = corruption.corrupted_ids.numpy(), batch.input_ids.numpy()
    np.testing.assert_array_equal(corrupted[~masked], original[~masked])
    drawn = np.take_along_axis(corrupted, batch.masked_lm_positions.numpy(), axis=1)
    np.testing.assert_array_equal(drawn[_used(batch)], corruption.sampled_ids.numpy()[_used(batch)])
    np.testing.assert_array_equal(corruption.is_replaced, corrupted != original)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_disallow_correct_never_draws_the_original(temperature):
    batch = tiny_batch((11,) * 40)
    confident = _random_logits(batch) + 20.0 * tf.one_hot(batch.masked_lm_ids, VOCAB_SIZE)
    for seed in range(10):
        drawn = batch._replace(sampling_uniforms=tf.random.stateless_uniform([40, 3], seed=[1, seed]))
        corruption = corrupt_batch(drawn, confident, temperature=temperature, disallow_correct=True)
        assert np.all(corruption.sampled_ids != batch.masked_lm_ids)
        assert np.sum(corruption.is_replaced) == batch.masked_lm_ids.shape.num_elements()
        allowed = corrupt_batch(drawn, confident, temperature=temperature)
        assert np.all(allowed.sampled_ids == batch.masked_lm_ids)


def test_temperature_divides_the_logits():
    batch = tiny_batch()
    logits = _random_logits(batch)
    half = replacement_logits(batch, logits, temperature=0.5, disallow_correct=False)
    np.testing.assert_allclose(half, 2 * logits, rtol=1e-6)
    sharp = corrupt_batch(batch, logits, temperature=1e-3)
    best = tf.argmax(logits, axis=-1, output_type=tf.int32)
    np.testing.assert_array_equal(sharp.sampled_ids, best)


def test_the_same_uniforms_draw_the_same_and_others_do_not():
    batch = tiny_batch((11,) * 20)
    logits = _random_logits(batch)
    other = batch._replace(sampling_uniforms=1 - batch.sampling_uniforms)
    first, again, different = (corrupt_batch(each, logits).sampled_ids.numpy() for each in (batch, batch, other))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != different)


def test_the_share_of_replaced_tokens_is_the_masked_share_times_the_share_of_wrong_draws():
    batch = tiny_batch((11,) * 200)
    logits = _random_logits(batch) + 3.0 * tf.one_hot(batch.masked_lm_ids, VOCAB_SIZE)
    corruption = corrupt_batch(batch, logits)
    masked_share = 3 / 11
    accuracy = np.mean(corruption.sampled_ids == batch.masked_lm_ids)
    assert 0.1 < accuracy < 0.9
    np.testing.assert_allclose(np.mean(corruption.is_replaced), masked_share * (1 - accuracy), rtol=1e-6)


def test_rows_without_masked_positions_stay_as_they_are():
    batch = tiny_batch((11, 2, 7))
    assert not _used(batch)[1].any()
    corruption = corrupt_batch(batch, _sure_of(batch, 36))
    np.testing.assert_array_equal(corruption.corrupted_ids[1], batch.input_ids[1])


def test_any_two_functions_can_be_generator_and_discriminator():
    """Two toys: a bigram table that sees the token before, a discriminator that flags even ids."""
    batch = tiny_batch()
    seen = {}

    def generator(batch):
        before = tf.gather(batch.masked_input_ids, tf.maximum(batch.masked_lm_positions - 1, 0), batch_dims=1)
        return HeadLogits(100.0 * tf.one_hot((before + 1) % VOCAB_SIZE, VOCAB_SIZE))

    def discriminator(input_ids, batch):
        seen.update(input_ids=input_ids, batch=batch)
        return HeadLogits(1.0 - 2.0 * tf.cast(input_ids % 2, tf.float32))

    predictions = predict(batch, generator=generator, discriminator=discriminator, corrupt=corrupt_batch)
    corruption = predictions.detection.corruption
    np.testing.assert_array_equal(seen["input_ids"], corruption.corrupted_ids)
    assert seen["batch"] is batch
    positions = batch.masked_lm_positions.numpy()
    expected = np.take_along_axis(batch.masked_input_ids.numpy(), np.maximum(positions - 1, 0), axis=1) + 1
    np.testing.assert_array_equal(corruption.sampled_ids.numpy()[_used(batch)], expected[_used(batch)])
    np.testing.assert_array_equal(predictions.detection.logits > 0, corruption.corrupted_ids % 2 == 0)


def test_without_a_discriminator_nothing_is_drawn():
    def never(batch, mlm_logits):
        raise AssertionError("nothing is to be corrupted")

    batch = tiny_batch()
    predictions = predict(
        batch, generator=lambda batch: HeadLogits(_random_logits(batch)), discriminator=None, corrupt=never
    )
    assert predictions.detection is None
    np.testing.assert_array_equal(predictions.mlm_logits, _random_logits(batch))


def test_no_gradient_flows_through_the_corruption_even_where_it_could():
    batch = tiny_batch()
    table = tf.Variable(_random_logits(batch))

    def leaky(batch, mlm_logits):
        drawn = corrupt_batch(batch, mlm_logits)
        return Corruption(tf.reduce_sum(mlm_logits, axis=-1), drawn.corrupted_ids, drawn.is_replaced)

    with tf.GradientTape() as tape:
        predictions = predict(
            batch,
            generator=lambda batch: HeadLogits(table * 1.0),
            discriminator=lambda ids, batch: HeadLogits(tf.cast(ids, tf.float32)),
            corrupt=leaky,
        )
        loss = tf.reduce_sum(predictions.detection.logits) + tf.reduce_sum(predictions.detection.corruption.sampled_ids)
    assert tape.gradient(loss, table) is None


def test_a_compiled_graph_draws_the_same():
    batch = tiny_batch((11,) * 20)
    corrupt = functools.partial(corrupt_batch, disallow_correct=True)
    expected = corrupt(batch, _random_logits(batch))
    compiled = tf.function(corrupt, jit_compile=True)(batch, _random_logits(batch))
    for ours, theirs in zip(compiled, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)

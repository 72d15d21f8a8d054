"""The pretraining model against recorded runs of the original's graph."""

import numpy as np
import pytest
import tensorflow as tf

from electra_span import models
from electra_span.objective.corruption import replacement_logits
from electra_span.objective.losses import LossWeights, joint_losses
from electra_span.ops import share_of_mean
from tests.golden_tf1 import read_variant, recorded_corruption, recorded_model, tf1_names

VARIANTS = ("small", "base", "small_pp", "tied", "untied_embeddings", "uniform", "mlm")
WITH_GRADIENTS = ("small", "base")


def _variant(golden, name):
    folder = golden(f"tf1/{name}", holding="io.npz")
    return folder, read_variant(folder)


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_and_losses_equal_the_originals(golden, name):
    folder, recorded = _variant(golden, name)
    model = recorded_model(recorded, folder / "model.ckpt", corrupt=recorded_corruption(recorded.tensors))
    predictions = model(recorded.batch)
    losses = joint_losses(predictions, recorded.batch, recorded.batch, weights=LossWeights(gen=1.0, disc=50.0))

    expected = recorded.tensors
    np.testing.assert_allclose(predictions.mlm_logits, expected["mlm/logits"], atol=2e-5)
    np.testing.assert_allclose(_mean(losses.mlm, recorded.batch.masked_lm_weights), expected["mlm/loss"], rtol=1e-6)
    np.testing.assert_allclose(losses.total, expected["total_loss"], rtol=1e-6)
    if model.discriminator is not None:
        np.testing.assert_allclose(predictions.detection.logits, expected["disc/logits"], atol=2e-5)
        np.testing.assert_allclose(_mean(losses.disc, recorded.batch.input_mask), expected["disc/loss"], rtol=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_hidden_states_equal_the_originals(golden, name):
    folder, recorded = _variant(golden, name)
    model = recorded_model(recorded, folder / "model.ckpt", corrupt=recorded_corruption(recorded.tensors))
    batch, expected = recorded.batch, recorded.tensors
    inputs = {"generator": batch.masked_input_ids}
    if model.discriminator is not None:
        inputs["discriminator"] = expected["fake/updated_input_ids"]
    for part, input_ids in inputs.items():
        if getattr(model, part) is None:
            continue
        states = getattr(model, part).encoder.hidden_states(input_ids, batch.input_mask, batch.segment_ids)
        np.testing.assert_allclose(states[0], expected[f"{part}/embedding_output"], atol=5e-6)
        np.testing.assert_allclose(states[1:], expected[f"{part}/all_layer_outputs"], atol=5e-6)


def _roll_as_the_original(before, behind, input_mask):
    """The original's surroundings: what is shifted out at one end of the block comes in at the other."""
    return tf.concat([tf.roll(before, 1, axis=1), tf.roll(behind, -1, axis=1)], axis=-1)


def _electric(golden, **options):
    folder, recorded = _variant(golden, "electric")
    model = recorded_model(recorded, folder / "model.ckpt", **options)
    predictions = model(recorded.batch)
    weights = LossWeights(gen=1.0, disc=50.0)
    losses = joint_losses(predictions, recorded.batch, recorded.batch, weights=weights, special_ids=(101, 102, 103))
    return recorded, model, predictions, losses


def test_towers_equal_the_originals(golden):
    recorded, model, _, _ = _electric(golden)
    batch, expected = recorded.batch, recorded.tensors
    is_real = batch.input_mask.numpy() == 1  # what the original's towers make of padding is a sum with -10,000 in it
    for name, tower in (("ltr", model.generator.left_to_right), ("rtl", model.generator.right_to_left)):
        states = tower.hidden_states(batch.input_ids, batch.input_mask, batch.segment_ids)
        np.testing.assert_allclose(states[0], expected[f"generator_{name}/embedding_output"], atol=5e-6)
        layers = expected[f"generator_{name}/all_layer_outputs"]
        np.testing.assert_allclose(np.stack(states[1:])[:, is_real], layers[:, is_real], atol=5e-6)


def test_electric_equals_the_original_where_ends_of_rows_are_joined_as_there(golden, monkeypatch):
    monkeypatch.setattr(models, "surroundings", _roll_as_the_original)
    with tf.GradientTape() as tape:
        recorded, model, predictions, losses = _electric(golden)
    batch, expected, detection = recorded.batch, recorded.tensors, predictions.detection
    is_real = batch.input_mask.numpy() == 1
    np.testing.assert_allclose(predictions.cloze_logits[is_real], expected["cloze/logits"][is_real], atol=2e-5)
    np.testing.assert_array_equal(losses.cloze_weights, expected["cloze/weights"])
    np.testing.assert_allclose(_mean(losses.cloze, losses.cloze_weights), expected["cloze/loss"], rtol=1e-6)
    np.testing.assert_allclose(_mean(losses.mlm, batch.masked_lm_weights), expected["mlm/loss"], rtol=1e-6)
    np.testing.assert_array_equal(detection.corruption.is_replaced, expected["fake/is_fake_tokens"])
    np.testing.assert_allclose(detection.logits[is_real], expected["disc/logits"][is_real], atol=2e-5)
    np.testing.assert_allclose(tf.sigmoid(detection.logits)[is_real], expected["disc/probs"][is_real], atol=2e-6)
    np.testing.assert_allclose(_mean(losses.disc, batch.input_mask), expected["disc/loss"], rtol=1e-6)
    np.testing.assert_allclose(losses.total, expected["total_loss"], rtol=1e-6)
    gradients = tape.gradient(losses.total, [variable.value for variable in model.trainable_variables])
    norm = tf.linalg.global_norm([tf.convert_to_tensor(gradient) for gradient in gradients])
    np.testing.assert_allclose(norm, expected["grad_global_norm"], rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"compile_kernels": True, "skips_padding": True}])
def test_electric_equals_the_original_but_at_the_first_and_last_token(golden, options):
    recorded, _, predictions, losses = _electric(golden, **options)
    batch, expected = recorded.batch, recorded.tensors
    mask = batch.input_mask.numpy()
    is_inner = (mask * np.roll(mask, 1, axis=1) * np.roll(mask, -1, axis=1) == 1) & (np.arange(mask.shape[1]) % 31 > 0)
    assert np.all(is_inner[expected["cloze/weights"] == 1])
    np.testing.assert_allclose(predictions.cloze_logits[is_inner], expected["cloze/logits"][is_inner], atol=2e-5)
    np.testing.assert_allclose(_mean(losses.cloze, losses.cloze_weights), expected["cloze/loss"], rtol=1e-6)
    logits = predictions.detection.logits
    np.testing.assert_allclose(logits[is_inner], expected["disc/logits"][is_inner], atol=2e-5)
    assert np.abs(logits[~is_inner & (mask == 1)] - expected["disc/logits"][~is_inner & (mask == 1)]).min() > 1e-3


def test_a_two_tower_generator_draws_as_the_original(golden):
    recorded, _, predictions, _ = _electric(golden)
    tensors, used = recorded.tensors, recorded.batch.masked_lm_weights.numpy() > 0
    noise = -np.log(-np.log(tensors["random/gumbel_uniform"] + 1e-9) + 1e-9)
    drawn = np.argmax(predictions.mlm_logits + noise, axis=-1)
    np.testing.assert_array_equal(drawn[used], tensors["fake/sampled_ids"][used])


@pytest.mark.parametrize("name", WITH_GRADIENTS)
@pytest.mark.parametrize("compile_kernels", [False, True])
def test_gradients_equal_the_originals(golden, name, compile_kernels):
    folder, recorded = _variant(golden, name)
    model = recorded_model(
        recorded,
        folder / "model.ckpt",
        corrupt=recorded_corruption(recorded.tensors),
        compile_kernels=compile_kernels,
        skips_padding=compile_kernels,
    )
    with tf.GradientTape() as tape:
        predictions = model(recorded.batch)
        losses = joint_losses(predictions, recorded.batch, recorded.batch, weights=LossWeights(gen=1.0, disc=50.0))
    gradients = tape.gradient(losses.total, [variable.value for variable in model.trainable_variables])
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]

    expected = np.load(folder / "grads.npz")
    names = tf1_names(model)
    assert len(gradients) == len(expected.files)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        recorded_gradient = expected[names[variable.path]]
        scale = max(1.0, np.abs(recorded_gradient).max())
        np.testing.assert_allclose(gradient, recorded_gradient, atol=2e-5 * scale, err_msg=variable.path)
    np.testing.assert_allclose(tf.linalg.global_norm(gradients), recorded.tensors["grad_global_norm"], rtol=1e-5)


def test_disallow_correct_and_temperature_draw_as_the_original(golden):
    folder, recorded = _variant(golden, "disallow_correct")
    model = recorded_model(recorded, folder.parent / "small" / "model.ckpt")
    tensors = recorded.tensors
    mlm_logits = model(recorded.batch).mlm_logits
    logits = replacement_logits(recorded.batch, mlm_logits, temperature=0.7, disallow_correct=True)
    noise = -np.log(-np.log(tensors["random/gumbel_uniform"] + 1e-9) + 1e-9)
    sampled_ids = np.argmax(logits + noise, axis=-1)
    np.testing.assert_array_equal(sampled_ids, tensors["fake/sampled_ids"])
    used = tensors["masked/masked_lm_weights"] > 0
    assert not np.any((sampled_ids == recorded.batch.masked_lm_ids)[used])


def _mean(values, weights):
    return share_of_mean(values, weights, weights)

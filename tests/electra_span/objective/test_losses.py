"""The losses: recorded values, what their means run over, and how parts of a batch add up."""

import math

import numpy as np
import pytest
import tensorflow as tf

from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import Corruption, Detection, Predictions, corrupt_batch
from electra_span.objective.losses import LossWeights, joint_losses, masked_lm_losses, replaced_token_losses
from electra_span.ops import share_of_mean
from electra_span.published.save_load import load_pretrained
from pretrain.model import build_model
from tests.tiny_models import TINY, TINY_GENERATOR, VOCABULARY, randomize, tiny_batch

WEIGHTS = LossWeights(gen=1.0, disc=50.0)


def _random_predictions(batch, seed=0):
    """Predictions of models that answer at random, about draws that are random too."""
    shape = batch.masked_lm_ids.shape
    mlm_logits = tf.random.stateless_normal([*shape, len(VOCABULARY)], seed=[1, seed])
    disc_logits = tf.random.stateless_normal(batch.input_ids.shape, seed=[2, seed])
    return Predictions(mlm_logits, Detection(disc_logits, corrupt_batch(batch, mlm_logits)))


@pytest.mark.parametrize("name", ["proj", "noproj", "tiny"])
def test_losses_of_published_models_are_those_of_transformers(golden, name):
    folder = golden(f"hf/{name}")
    recorded = dict(np.load(folder / "io.npz"))
    inputs = [recorded[key] for key in ("input_ids", "attention_mask", "token_type_ids")]
    discriminator, generator = (load_pretrained(folder / kind) for kind in ("discriminator", "generator"))

    disc = replaced_token_losses(discriminator(*inputs), recorded["disc_labels"])
    mask = recorded["attention_mask"]
    np.testing.assert_allclose(share_of_mean(disc, mask, mask), recorded["disc_loss"], rtol=1e-6)
    labels = recorded["mlm_labels"]
    mlm = masked_lm_losses(generator(*inputs), np.maximum(labels, 0))
    np.testing.assert_allclose(share_of_mean(mlm, labels >= 0, labels >= 0), recorded["gen_mlm_loss"], rtol=1e-6)


def test_masked_lm_loss_is_the_mean_over_used_slots():
    batch = tiny_batch()
    predictions = _random_predictions(batch)
    losses = joint_losses(predictions, batch, batch, weights=LossWeights(gen=1.0, disc=0.0))
    logits = predictions.mlm_logits.numpy().astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    nll = -np.take_along_axis(log_probs, batch.masked_lm_ids.numpy()[:, :, None], axis=-1)[:, :, 0]
    np.testing.assert_allclose(losses.mlm, nll, rtol=1e-5)
    used = batch.masked_lm_weights.numpy() > 0
    assert 0 < used.sum() < used.size
    np.testing.assert_allclose(losses.total, nll[used].mean(), rtol=1e-5)


def test_discriminator_loss_is_the_mean_over_all_real_tokens_the_special_ones_too():
    batch = tiny_batch()
    predictions = _random_predictions(batch)
    losses = joint_losses(predictions, batch, batch, weights=LossWeights(gen=0.0, disc=1.0))
    logits = predictions.detection.logits.numpy().astype(np.float64)
    labels = predictions.detection.corruption.is_replaced.numpy()
    bce = np.log1p(np.exp(np.where(labels, -logits, logits)))
    np.testing.assert_allclose(losses.disc, bce, rtol=1e-5)
    is_real = np.arange(11) < np.array([[11], [7], [3]])
    np.testing.assert_allclose(losses.total, bce[is_real].mean(), rtol=1e-5)


def test_total_is_the_weighted_sum():
    batch = tiny_batch()
    predictions = _random_predictions(batch)

    def total(gen_weight, disc_weight):
        return joint_losses(predictions, batch, batch, weights=LossWeights(gen=gen_weight, disc=disc_weight)).total

    mlm, disc = total(1.0, 0.0), total(0.0, 1.0)
    for weights in ((1.0, 50.0), (0.5, 3.0), (0.0, 0.0)):
        np.testing.assert_allclose(total(*weights), weights[0] * mlm + weights[1] * disc, rtol=1e-6)


def test_without_a_discriminator_the_total_is_the_masked_lm_loss():
    batch = tiny_batch()
    predictions = _random_predictions(batch)
    alone = joint_losses(predictions._replace(detection=None), batch, batch, weights=WEIGHTS)
    expected = joint_losses(predictions, batch, batch, weights=LossWeights(gen=1.0, disc=0.0)).total
    np.testing.assert_array_equal(alone.total, expected)
    assert alone.disc is None


@pytest.mark.parametrize("logit", [30.0, -30.0, 1e4, -1e4])
@pytest.mark.parametrize("label", [True, False])
def test_cross_entropy_of_extreme_logits_is_finite_and_right(logit, label):
    loss = replaced_token_losses(tf.constant([[logit]]), tf.constant([[label]]))
    wrong_by = max(0.0, -logit if label else logit)
    np.testing.assert_allclose(loss, [[wrong_by]], atol=1e-9)
    logits = tf.constant([[[logit, 0.0, 0.0]]])
    assert np.isfinite(masked_lm_losses(logits, tf.constant([[0]]))).all()


def test_an_undecided_discriminator_and_generator_lose_ln_2_and_ln_v():
    np.testing.assert_allclose(replaced_token_losses(tf.zeros([1, 2]), tf.constant([[True, False]])), math.log(2))
    np.testing.assert_allclose(masked_lm_losses(tf.zeros([1, 1, 30522]), tf.constant([[7]])), math.log(30522))


def _rows(batch, rows):
    return MaskedBatch(*(tf.gather(field, rows) for field in batch))


def _loss_and_gradients(model, parts, whole):
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.add_n([joint_losses(model(part), part, whole, weights=WEIGHTS).total for part in parts])
    return loss, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)]


def _add_padding(batch, num_columns, num_slots):
    """The same batch with more columns of padding and more slots without use."""
    return MaskedBatch(
        *(
            tf.pad(field, [[0, 0], [0, num_columns if field.shape == batch.input_ids.shape else num_slots]])
            for field in batch
        )
    )


def test_padding_order_and_parts_of_a_batch_change_neither_loss_nor_gradient():
    model = build_model(TINY, TINY_GENERATOR, corrupt=corrupt_batch)
    randomize(model)
    batch = tiny_batch((11, 7, 3, 9))
    reordered, padded = _rows(batch, [2, 0, 3, 1]), _add_padding(batch, num_columns=4, num_slots=2)
    variants = {
        "reordered": ([reordered], reordered),
        "padded": ([padded], padded),
        "two parts": ([_rows(batch, [0, 1]), _rows(batch, [2, 3])], batch),
        "four parts": ([_rows(batch, [row]) for row in range(4)], batch),
    }
    loss, gradients = _loss_and_gradients(model, [batch], batch)
    for name, (parts, whole) in variants.items():
        other_loss, other_gradients = _loss_and_gradients(model, parts, whole)
        np.testing.assert_allclose(other_loss, loss, rtol=1e-6, err_msg=name)
        for gradient, other in zip(gradients, other_gradients, strict=True):
            scale = max(1.0, np.abs(gradient).max())
            np.testing.assert_allclose(other, gradient, rtol=0, atol=1e-5 * scale, err_msg=name)


def test_a_batch_without_masked_positions_has_no_masked_lm_loss_and_finite_gradients():
    model = build_model(TINY, TINY_GENERATOR, corrupt=corrupt_batch)
    batch = tiny_batch((2, 2, 2))
    assert not np.any(batch.masked_lm_weights)
    loss, gradients = _loss_and_gradients(model, [batch], batch)
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    empty = batch._replace(input_mask=tf.zeros_like(batch.input_mask))
    assert joint_losses(model(empty), empty, empty, weights=WEIGHTS).total == 0.0


def test_only_the_draws_and_not_the_labels_of_unused_slots_matter():
    batch = tiny_batch()
    predictions = _random_predictions(batch)
    corruption = predictions.detection.corruption
    other_ids = tf.where(batch.masked_lm_weights > 0, batch.masked_lm_ids, 9)
    changed = batch._replace(masked_lm_ids=other_ids)
    same = Corruption(tf.where(batch.masked_lm_weights > 0, corruption.sampled_ids, 11), *corruption[1:])
    swapped = predictions._replace(detection=predictions.detection._replace(corruption=same))
    np.testing.assert_array_equal(
        joint_losses(swapped, changed, changed, weights=WEIGHTS).total,
        joint_losses(predictions, batch, batch, weights=WEIGHTS).total,
    )

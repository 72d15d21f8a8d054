"""Reported numbers: the original's streaming metrics where they are kept, and the AUC."""

import json

import numpy as np
import pytest
import tensorflow as tf

from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import Corruption, Detection, Predictions, corrupt_batch
from electra_span.objective.losses import LossWeights, joint_losses
from pretrain.model import area_under_curve, build_model, metric_sums, summarize
from tests.golden_tf1 import no_spans
from tests.tiny_models import TINY, TINY_GENERATOR, randomize, tiny_batch

WEIGHTS = LossWeights(gen=1.0, disc=50.0)
KEPT = {
    "masked_lm_accuracy": "mlm_accuracy",
    "sampled_masked_lm_accuracy": "sampled_mlm_accuracy",
    "disc_accuracy": "disc_accuracy",
    "disc_precision": "disc_precision",
    "disc_recall": "disc_recall",
}


@pytest.fixture(scope="module")
def recorded(golden):
    tensors = dict(np.load(golden("tf1/metrics.npz")))
    batches = [{key.split("/")[1]: tensors[key] for key in tensors if key.startswith(f"batch{n}/")} for n in (0, 1)]
    return batches, json.loads(golden("tf1/metrics.json").read_text())["after_each_batch"]


def _recorded_sums(tensors):
    """Our sums of a recorded batch; its predictions become one-hot logits, its probabilities logits."""
    unused = tf.zeros_like(tensors["masked_lm_ids"])
    batch = MaskedBatch(
        input_ids=tensors["input_ids"],
        masked_input_ids=tensors["input_ids"],
        input_mask=tensors["input_mask"],
        segment_ids=tf.zeros_like(tensors["input_ids"]),
        masked_lm_positions=unused,
        masked_lm_ids=tensors["masked_lm_ids"],
        masked_lm_weights=tensors["masked_lm_weights"],
        **no_spans(unused),
        sampling_uniforms=tf.cast(unused, tf.float32),
    )
    is_replaced = tf.constant(tensors["disc_labels"] == 1)
    disc_logits = np.log(tensors["disc_probs"] / (1 - tensors["disc_probs"]))
    predictions = Predictions(
        tf.one_hot(tensors["masked_lm_preds"], 5),
        Detection(tf.constant(disc_logits), Corruption(tensors["sampled_tokids"], tensors["input_ids"], is_replaced)),
    )
    return _sums(predictions, batch)


def _sums(predictions, batch):
    losses = joint_losses(predictions, batch, batch, weights=WEIGHTS)
    return {name: value.numpy() for name, value in metric_sums(predictions, losses, batch).items()}


def _added(sums):
    return {name: sum(each[name] for each in sums) for name in sums[0]}


def test_accuracies_precision_and_recall_are_the_originals(recorded):
    batches, after_each_batch = recorded
    sums = [_recorded_sums(batch) for batch in batches]
    for count, expected in enumerate(after_each_batch, start=1):
        numbers = summarize(_added(sums[:count]), weights=WEIGHTS)
        for theirs, ours in KEPT.items():
            np.testing.assert_allclose(numbers[ours], expected[theirs], rtol=1e-6, err_msg=theirs)


def test_deviation_the_auc_leaves_padding_out(recorded):
    batches, after_each_batch = recorded
    numbers = summarize(_added([_recorded_sums(batch) for batch in batches]), weights=WEIGHTS)
    np.testing.assert_allclose(numbers["disc_auc"], 0.653, atol=2e-3)
    np.testing.assert_allclose(after_each_batch[-1]["disc_auc"], 0.716, atol=1e-3)
    probs, labels, mask = (
        np.concatenate([b[name] for b in batches]) for name in ("disc_probs", "disc_labels", "input_mask")
    )
    np.testing.assert_allclose(numbers["disc_auc"], _auc_by_pairs(probs[mask == 1], labels[mask == 1] == 1), atol=2e-3)


def test_deviation_the_discriminators_loss_is_a_mean_over_tokens(recorded):
    batches, _ = recorded
    numbers = summarize(_added([_recorded_sums(batch) for batch in batches]), weights=WEIGHTS)
    probs, labels, mask = (
        np.concatenate([b[name] for b in batches]) for name in ("disc_probs", "disc_labels", "input_mask")
    )
    bce = -np.log(np.where(labels == 1, probs, 1 - probs))
    np.testing.assert_allclose(numbers["disc_loss"], bce[mask == 1].mean(), rtol=1e-5)
    np.testing.assert_allclose(numbers["replaced_rate"], labels[mask == 1].mean(), rtol=1e-6)


def _auc_by_pairs(scores, labels):
    """The share of pairs in which the positive scores higher; half of the equal ones."""
    positives, negatives = scores[labels][:, None], scores[~labels][None, :]
    return np.mean((positives > negatives) + 0.5 * (positives == negatives))


@pytest.mark.parametrize("separation", [0.0, 0.5, 2.0, -1.0])
def test_auc_is_the_share_of_pairs_in_order(separation):
    generator = np.random.default_rng(0)
    labels = generator.random(3000) < 0.15
    bins = np.clip(np.round(40 + 10 * (separation * labels + generator.standard_normal(3000))), 0, 79).astype(int)
    positives, negatives = (np.bincount(bins[chosen], minlength=80) for chosen in (labels, ~labels))
    np.testing.assert_allclose(area_under_curve(positives, negatives), _auc_by_pairs(bins, labels), rtol=1e-12)


def test_auc_of_perfect_reversed_constant_and_one_sided_scores():
    assert area_under_curve([0, 0, 3], [5, 1, 0]) == 1.0
    assert area_under_curve([3, 0, 0], [0, 1, 5]) == 0.0
    assert area_under_curve([0, 3, 0], [0, 5, 0]) == 0.5
    assert area_under_curve([0, 0, 0], [1, 2, 3]) == 0.5
    assert area_under_curve([1, 2, 3], [0, 0, 0]) == 0.5


@pytest.mark.parametrize("scale", [0.3, 3.0, 100.0])
def test_auc_of_a_discriminators_logits_is_close_to_that_of_their_order(scale):
    batch = tiny_batch((11, 10, 9, 8) * 200)
    is_replaced = tf.random.stateless_uniform(batch.input_ids.shape, seed=[0, 1]) < 0.3
    logits = scale * (tf.random.stateless_normal(batch.input_ids.shape, seed=[0, 2]) + tf.cast(is_replaced, tf.float32))
    corruption = Corruption(batch.masked_lm_ids, batch.input_ids, is_replaced)
    predictions = Predictions(tf.zeros([*batch.masked_lm_ids.shape, TINY.vocab_size]), Detection(logits, corruption))
    auc = summarize(_sums(predictions, batch), weights=WEIGHTS)["disc_auc"]
    is_real = batch.input_mask.numpy() == 1
    clipped = np.clip(logits.numpy(), -16, 16)  # beyond that the discriminator is certain
    np.testing.assert_allclose(auc, _auc_by_pairs(clipped[is_real], is_replaced.numpy()[is_real]), atol=2e-3)


@pytest.fixture(scope="module")
def tiny():
    model = build_model(TINY, TINY_GENERATOR, corrupt=corrupt_batch)
    randomize(model)
    return model


def test_sums_of_parts_add_up_to_those_of_the_batch(tiny):
    batch = tiny_batch((11, 7, 3, 9))
    parts = [MaskedBatch(*(field[rows] for field in batch)) for rows in (slice(0, 1), slice(1, 4))]
    whole = _sums(tiny(batch), batch)
    added = _added([_sums(tiny(part), part) for part in parts])
    assert whole.keys() == added.keys()
    for name in whole:
        np.testing.assert_allclose(added[name], whole[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_empty_rows_count_nowhere(tiny):
    batch = tiny_batch((11, 7, 3))
    filled = MaskedBatch(*(tf.concat([field, tf.zeros_like(field[:2])], axis=0) for field in batch))
    ours, expected = (summarize(_sums(tiny(each), each), weights=WEIGHTS) for each in (filled, batch))
    for name in expected:
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-5, err_msg=name)


def test_total_loss_is_what_is_minimised(tiny):
    batch = tiny_batch()
    numbers = summarize(_sums(tiny(batch), batch), weights=WEIGHTS)
    np.testing.assert_allclose(
        numbers["total_loss"], joint_losses(tiny(batch), batch, batch, weights=WEIGHTS).total, rtol=1e-5
    )


def test_the_replaced_rate_is_the_masked_share_of_wrong_draws(tiny):
    batch = tiny_batch((11, 9, 8, 6))
    sums = _sums(tiny(batch), batch)
    numbers = summarize(sums, weights=WEIGHTS)
    masked_share = sums["num_masked"] / sums["num_tokens"]
    np.testing.assert_allclose(
        numbers["replaced_rate"], masked_share * (1 - numbers["sampled_mlm_accuracy"]), rtol=1e-6
    )


def test_without_a_discriminator_only_the_generators_numbers_are_reported(tiny):
    batch = tiny_batch()
    numbers = summarize(_sums(tiny(batch)._replace(detection=None), batch), weights=WEIGHTS)
    assert set(numbers) == {"total_loss", "mlm_loss", "mlm_accuracy"}
    assert numbers["total_loss"] == numbers["mlm_loss"]


def test_numbers_of_nothing_are_finite(tiny):
    batch = tiny_batch((2, 2))
    empty = batch._replace(input_mask=tf.zeros_like(batch.input_mask))
    numbers = summarize(_sums(tiny(empty), empty), weights=WEIGHTS)
    assert np.isfinite(list(numbers.values())).all()
    assert numbers["disc_auc"] == 0.5

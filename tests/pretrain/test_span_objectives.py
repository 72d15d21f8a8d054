"""SBGO and SBPO in the objective: what replacements are drawn from, what is minimised, what is reported."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from electra_span.objective.corruption import (
    Detection,
    HeadLogits,
    Predictions,
    corrupt_batch,
    replacement_proposal,
)
from electra_span.objective.losses import LossWeights, joint_losses, masked_lm_losses, replaced_token_losses
from electra_span.published.save_load import load_pretrained
from pretrain.model import area_under_curve, build_model, make_loss_function, metric_sums, summarize
from pretrain.train import train
from tests.tiny_models import TINY, TINY_GENERATOR, VOCABULARY, randomize, tiny_batch
from tests.tiny_run import tiny_config, write_tiny_data

WEIGHTS = LossWeights(gen=1.0, disc=50.0, sbgo=0.7, sbpo=30.0)
MAX_SPAN_LENGTH = 4


@pytest.fixture
def batch():
    """A batch in which some spans have both boundaries, some have not, and some slots are unused."""
    made = tiny_batch((11, 7, 3))
    weights = made.masked_lm_weights.numpy() * np.array([[1, 0, 1], [0, 1, 1], [1, 1, 1]])
    assert 0 < weights.sum() < made.masked_lm_weights.numpy().sum()
    return made._replace(span_weights=tf.constant(weights, tf.float32))


def _normal(shape, seed):
    return tf.random.stateless_normal(shape, seed=[3, seed])


def _predictions(batch):
    shape = batch.masked_lm_ids.shape
    mlm, sbgo = (_normal([*shape, len(VOCABULARY)], seed) for seed in (0, 1))
    corruption = corrupt_batch(batch, mlm)
    return Predictions(
        mlm, Detection(_normal(batch.input_ids.shape, 2), corruption, _normal(shape, 3)), span_logits=sbgo
    )


@pytest.mark.parametrize(
    ("kind", "inside"),
    [("mlm", lambda tokens, spans: tokens), ("sbgo", lambda _, spans: spans), ("mean", lambda a, b: (a + b) / 2)],
)
def test_replacements_are_drawn_from_the_chosen_heads_and_from_the_token_heads_at_edges(batch, kind, inside):
    predictions = _predictions(batch)
    tokens, spans = predictions.mlm_logits.numpy(), predictions.span_logits.numpy()
    proposal = replacement_proposal(HeadLogits(tf.constant(tokens), tf.constant(spans)), batch, kind).numpy()
    has_boundary = batch.span_weights.numpy() > 0
    np.testing.assert_allclose(proposal[has_boundary], inside(tokens, spans)[has_boundary], rtol=1e-6)
    np.testing.assert_array_equal(proposal[~has_boundary], tokens[~has_boundary])


def test_without_a_span_head_replacements_are_drawn_from_the_token_head(batch):
    tokens = _predictions(batch).mlm_logits
    assert replacement_proposal(HeadLogits(tokens), batch, "mean") is tokens


def test_span_losses_are_means_over_positions_with_both_boundaries(batch):
    predictions = _predictions(batch)
    is_replaced = np.take_along_axis(
        predictions.detection.corruption.is_replaced.numpy(), batch.masked_lm_positions.numpy(), axis=1
    )
    weights = batch.span_weights.numpy()
    sbgo = masked_lm_losses(predictions.span_logits, batch.masked_lm_ids).numpy()
    sbpo = replaced_token_losses(predictions.detection.span_logits, is_replaced).numpy()
    expected = sum(
        factor * np.sum(values * weights) / np.sum(weights)
        for factor, values in ((WEIGHTS.sbgo, sbgo), (WEIGHTS.sbpo, sbpo))
    )
    total = joint_losses(predictions, batch, batch, weights=WEIGHTS).total
    plain = joint_losses(predictions, batch, batch, weights=WEIGHTS._replace(sbgo=0.0, sbpo=0.0)).total
    np.testing.assert_allclose(total - plain, expected, rtol=1e-4)


def test_no_boundary_anywhere_gives_no_span_loss_and_no_nan(batch):
    without = batch._replace(span_weights=tf.zeros_like(batch.span_weights))
    predictions = _predictions(without)
    total = joint_losses(predictions, without, without, weights=WEIGHTS).total
    plain = joint_losses(predictions, without, without, weights=WEIGHTS._replace(sbgo=0.0, sbpo=0.0)).total
    np.testing.assert_allclose(total, plain, rtol=1e-6)


def test_the_mean_of_both_heads_counts_inside_spans_and_the_token_head_elsewhere(batch):
    predictions = _predictions(batch)
    losses = joint_losses(predictions, batch, batch, weights=WEIGHTS)
    sums = {name: value.numpy() for name, value in metric_sums(predictions, losses, batch).items()}
    numbers = summarize(sums, weights=WEIGHTS)

    logits, corruption, span_logits = (
        np.asarray(each) if i != 1 else each for i, each in enumerate(predictions.detection)
    )
    mean = logits.copy()
    for row, slot in zip(*np.nonzero(batch.span_weights.numpy()), strict=True):
        position = batch.masked_lm_positions.numpy()[row, slot]
        mean[row, position] = (logits[row, position] + span_logits[row, slot]) / 2
    is_real, labels = batch.input_mask.numpy() > 0, corruption.is_replaced.numpy()
    assert numbers["disc_mean_accuracy"] == pytest.approx(np.mean((mean > 0)[is_real] == labels[is_real]))
    assert numbers["disc_accuracy"] == pytest.approx(np.mean((logits > 0)[is_real] == labels[is_real]))
    in_spans = batch.span_weights.numpy() > 0
    span_labels = np.take_along_axis(labels, batch.masked_lm_positions.numpy(), axis=1)[in_spans]
    assert numbers["sbpo_accuracy"] == pytest.approx(np.mean((span_logits[in_spans] > 0) == span_labels))
    expected = area_under_curve(*_sorted_counts(mean[is_real], labels[is_real]))
    assert numbers["disc_mean_auc"] == pytest.approx(expected, abs=0.02)
    np.testing.assert_allclose(numbers["total_loss"], losses.total, rtol=1e-5)


def _sorted_counts(scores, labels):
    """Each score in a bin of its own, in rising order: positives and negatives by bin."""
    order = np.argsort(scores)
    return labels[order].astype(float), (~labels[order]).astype(float)


def _span_model(**options):
    model = build_model(
        TINY,
        TINY_GENERATOR,
        corrupt=corrupt_batch,
        sbgo_span_length=MAX_SPAN_LENGTH,
        sbpo_span_length=MAX_SPAN_LENGTH,
        **options,
    )
    randomize(model)
    return model


def test_each_span_head_belongs_to_one_model_and_learns_from_its_loss_alone(batch):
    model = _span_model(embedding_sharing="generator_untied")
    gradients = {}
    for name in ("sbgo", "sbpo"):
        weights = LossWeights(gen=0.0, disc=0.0)._replace(**{name: 1.0})
        with tf.GradientTape() as tape:
            loss, _ = make_loss_function(model, weights=weights)(batch, batch, None, 0)
        found = tape.gradient(loss, model.trainable_variables)
        gradients[name] = {v.path for v, g in zip(model.trainable_variables, found, strict=True) if _is_nonzero(g)}
    generator, discriminator = ({v.path for v in part.variables} for part in (model.generator, model.discriminator))
    assert gradients["sbgo"] <= generator
    assert gradients["sbpo"] <= discriminator
    for name, part in (("sbgo", model.generator), ("sbpo", model.discriminator)):
        of_encoder, of_span_head, of_token_head = (
            {v.path for v in each.variables} for each in (part.encoder, part.span_head, part.head)
        )
        assert of_span_head - of_encoder <= gradients[name]
        assert not (of_token_head - of_encoder) & gradients[name]


def _is_nonzero(gradient):
    return gradient is not None and bool(tf.reduce_any(tf.convert_to_tensor(gradient) != 0))


@pytest.mark.parametrize("options", [{"compile_kernels": True, "skips_padding": True}])
def test_compiled_parts_and_skipped_padding_change_no_span_loss(batch, options):
    losses = []
    for chosen in ({}, options):
        loss, sums = make_loss_function(_span_model(**chosen), weights=WEIGHTS)(batch, batch, None, 0)
        losses.append([loss, sums["sbgo_loss"], sums["sbpo_loss"]])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_spanelectra_trains_reports_all_heads_and_is_published_with_them(tmp_path):
    data_dir = write_tiny_data(tmp_path / "data")
    spans = {"masking": "span", "max_span_length": MAX_SPAN_LENGTH, "sbgo_weight": 1.0, "sbpo_weight": 50.0}
    train(tiny_config(data_dir, "span", **spans, num_train_steps=4, log_steps=2, xla=False))
    model_dir = data_dir / "models" / "span"
    numbers = json.loads((model_dir / "train_log.jsonl").read_text().splitlines()[-1])
    for name in ("sbgo_loss", "sbgo_accuracy", "sbpo_loss", "disc_auc", "sbpo_auc", "disc_mean_auc"):
        assert math.isfinite(numbers[name]), name
    expected = numbers["mlm_loss"] + numbers["sbgo_loss"] + 50 * (numbers["disc_loss"] + numbers["sbpo_loss"])
    assert numbers["total_loss"] == pytest.approx(expected, rel=1e-5)
    for name in ("generator", "discriminator"):
        assert load_pretrained(model_dir / name).max_span_length == MAX_SPAN_LENGTH


def test_both_span_heads_have_variables_of_their_own_names():
    paths = [variable.path for variable in _span_model().variables]
    assert len(set(paths)) == len(paths)

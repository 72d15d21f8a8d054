"""Electric: labels, offsets, losses, gradients, and whole runs with a generator of two towers."""

import json

import numpy as np
import pytest
import tensorflow as tf

from electra_span.models import ElectraDiscriminator, TwoTowerGenerator
from electra_span.objective.corruption import corrupt_batch, is_drawn, noise_log_odds
from electra_span.objective.losses import LossWeights, joint_losses
from electra_span.published.save_load import load_pretrained
from pretrain.model import build_model, metric_sums, summarize
from pretrain.train import train
from tests.tiny_models import CLS, MASK, SEP, TINY, TINY_GENERATOR, randomize, tiny_batch
from tests.tiny_run import HPARAMS, tiny_config, write_tiny_data

WEIGHTS = LossWeights(gen=2.0, disc=30.0)
SPECIAL_IDS = (0, CLS, SEP, MASK)
NOISE_PROB = 0.25


def _build(**options):
    settings = {"corrupt": corrupt_batch, "has_two_towers": True, "noise_prob": NOISE_PROB, **options}
    model = build_model(TINY, TINY_GENERATOR, **settings)
    randomize(model)
    return model


def _losses(predictions, part, whole, weights=WEIGHTS):
    return joint_losses(predictions, part, whole, weights=weights, special_ids=SPECIAL_IDS)


def test_labels_are_the_positions_drawn_whether_the_token_changed_or_not():
    batch = tiny_batch()
    positions, used = batch.masked_lm_positions.numpy(), batch.masked_lm_weights.numpy() > 0
    drawn = np.zeros(batch.input_ids.shape, bool)
    rows = np.broadcast_to(np.arange(3)[:, None], positions.shape)
    drawn[rows[used], positions[used]] = True
    assert not used.all()
    np.testing.assert_array_equal(is_drawn(batch), drawn)

    def hit_the_original(batch, proposal, **settings):
        return corrupt_batch(batch, 100.0 * tf.one_hot(batch.masked_lm_ids, TINY.vocab_size))

    corruption = _build(corrupt=hit_the_original)(batch).detection.corruption
    np.testing.assert_array_equal(corruption.corrupted_ids, batch.input_ids)
    np.testing.assert_array_equal(corruption.is_replaced, drawn)
    corruption = _build(corrupt=hit_the_original, noise_prob=None)(batch).detection.corruption
    assert not np.any(corruption.is_replaced)


@pytest.mark.parametrize("noise_prob", [0.15, 0.25, 0.5])
def test_the_offset_of_a_discriminators_logit_is_log_q_plus_logit_of_mask_prob(noise_prob):
    batch = tiny_batch()
    model = _build(noise_prob=noise_prob)
    predictions = model(batch)
    corrupted = predictions.detection.corruption.corrupted_ids
    assert np.any(corrupted != batch.input_ids)
    logits = predictions.cloze_logits.numpy().astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    log_q = np.take_along_axis(log_probs, corrupted.numpy()[:, :, None], axis=-1)[:, :, 0]
    expected = log_q + np.log(noise_prob / (1 - noise_prob))
    offset = noise_log_odds(predictions.cloze_logits, corrupted, noise_prob)
    np.testing.assert_allclose(offset, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    alone = model.discriminator(input_ids=corrupted, input_mask=batch.input_mask, segment_ids=batch.segment_ids)
    np.testing.assert_array_equal(predictions.detection.logits, alone + offset)


def test_cloze_loss_is_the_mean_over_all_tokens_that_are_not_special():
    batch = tiny_batch()
    predictions = _build()(batch)
    losses = _losses(predictions, batch, batch, LossWeights(gen=1.0, disc=0.0))
    is_ordinary = (batch.input_mask.numpy() == 1) & (batch.input_ids.numpy() > MASK)
    np.testing.assert_array_equal(losses.cloze_weights, is_ordinary)
    log_probs = tf.nn.log_softmax(predictions.cloze_logits).numpy()
    nll = -np.take_along_axis(log_probs, batch.input_ids.numpy()[:, :, None], axis=-1)[:, :, 0]
    np.testing.assert_allclose(losses.total, nll[is_ordinary].mean(), rtol=1e-5)
    np.testing.assert_allclose(
        losses.mlm, np.take_along_axis(nll, batch.masked_lm_positions.numpy(), axis=1), rtol=1e-5
    )


def test_losses_of_parts_add_up_to_that_of_the_batch_and_numbers_to_its_total():
    batch, model = tiny_batch(), _build()
    predictions = model(batch)
    losses = _losses(predictions, batch, batch)
    parts = [type(batch)(*(field[rows] for field in batch)) for rows in (slice(0, 1), slice(1, 3))]
    total = sum(_losses(model(part), part, batch).total for part in parts)
    np.testing.assert_allclose(total, losses.total, rtol=1e-5)
    sums = {name: value.numpy() for name, value in metric_sums(predictions, losses, batch).items()}
    numbers = summarize(sums, weights=WEIGHTS)
    np.testing.assert_allclose(numbers["total_loss"], losses.total, rtol=1e-5)
    np.testing.assert_allclose(numbers["total_loss"], 2 * numbers["cloze_loss"] + 30 * numbers["disc_loss"], rtol=1e-6)
    assert numbers["mlm_loss"] != pytest.approx(numbers["cloze_loss"])
    used, real = batch.masked_lm_weights.numpy().sum(), batch.input_mask.numpy().sum()
    assert numbers["replaced_rate"] == pytest.approx(used / real)


@pytest.mark.parametrize("noise_prob", [None, NOISE_PROB])
@pytest.mark.parametrize("embedding_sharing", ["shared", "generator_untied", "gdes"])
def test_no_gradient_of_the_discriminators_loss_reaches_the_generators_own_weights(embedding_sharing, noise_prob):
    batch, model = tiny_batch(), _build(embedding_sharing=embedding_sharing, noise_prob=noise_prob)
    variables = model.trainable_variables
    of = {}
    for name, weights in (("cloze", LossWeights(gen=1.0, disc=0.0)), ("disc", LossWeights(gen=0.0, disc=1.0))):
        with tf.GradientTape() as tape:
            total = _losses(model(batch), batch, batch, weights).total
        found = tape.gradient(total, [variable.value for variable in variables], unconnected_gradients="zero")
        of[name] = {
            variable.path: np.any(tf.convert_to_tensor(gradient) != 0)
            for variable, gradient in zip(variables, found, strict=True)
        }
    of_generator = {variable.path for variable in model.generator.trainable_variables}
    of_discriminator = {variable.path for variable in model.discriminator.trainable_variables}
    shared = of_generator & of_discriminator
    assert bool(shared) == (embedding_sharing == "shared")
    for path in of_generator | of_discriminator:
        is_key_bias = path.endswith("key/bias")  # which shifts all scores of a query alike
        assert of["disc"][path] == (path in of_discriminator) or is_key_bias, path
        assert of["cloze"][path] == (path in of_generator) or is_key_bias, path


def test_compiled_parts_and_skipped_padding_change_no_loss():
    batch, options = tiny_batch(), {"compile_kernels": True, "skips_padding": True}
    expected, losses = (_losses(_build(**each)(batch), batch, batch) for each in ({}, options))
    np.testing.assert_allclose(losses.total, expected.total, rtol=1e-6)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_tiny_data(tmp_path_factory.mktemp("electric") / "data")


RUN = {
    **HPARAMS, "xla": False,
    "model_hparam_overrides": {**HPARAMS["model_hparam_overrides"], "num_hidden_layers": 1},
}  # fmt: skip


def test_a_run_learns_publishes_and_goes_on_as_if_never_stopped(data_dir):
    steps = {"num_train_steps": 40, "log_steps": 20, "save_checkpoints_steps": 20, "eval_every_steps": 40}
    config = tiny_config(data_dir, "electric", **{**RUN, **steps}, electric_objective=True)
    train(config)
    folder = data_dir / "models" / "electric"
    generator, discriminator = (load_pretrained(folder / name) for name in ("generator", "discriminator"))
    assert isinstance(generator, TwoTowerGenerator)
    assert isinstance(discriminator, ElectraDiscriminator)
    first, last = (json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines())
    assert last["cloze_loss"] < first["cloze_loss"] - 0.1
    assert last["disc_loss"] < first["disc_loss"]
    assert last["total_loss"] == pytest.approx(last["cloze_loss"] + 50 * last["disc_loss"], rel=1e-5)
    numbers = json.loads((folder / "results" / "unsup_results.json").read_text())
    assert np.isfinite(list(numbers.values())).all()

    published = [folder / name / "model.safetensors" for name in ("generator", "discriminator")]
    expected = [path.read_bytes() for path in published]
    for path in (folder / "checkpoints").glob("ckpt-40.*"):
        path.unlink()
    for path in published:
        path.unlink()
    train(config)
    assert [path.read_bytes() for path in published] == expected


def test_two_towers_generate_for_electra_too(data_dir):
    settings = {**RUN, "num_train_steps": 2, "log_steps": 2, "embedding_sharing": "generator_untied"}
    train(tiny_config(data_dir, "two_towers", **{**settings, "precision": "mixed_bfloat16"}, two_tower_generator=True))
    folder = data_dir / "models" / "two_towers"
    assert isinstance(load_pretrained(folder / "generator"), TwoTowerGenerator)
    line = json.loads((folder / "train_log.jsonl").read_text())
    assert line["total_loss"] == pytest.approx(line["cloze_loss"] + 50 * line["disc_loss"], rel=1e-5)
    assert line["replaced_rate"] < 0.25

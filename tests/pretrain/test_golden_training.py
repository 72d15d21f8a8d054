"""Six training steps against those of the original, from the same weights on the same batches and draws."""

import json
import math
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import EncoderConfig, from_hparams
from electra_span.convert.tf1 import load_tf1_weights
from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import Corruption
from electra_span.objective.losses import LossWeights, joint_losses
from electra_span.ops import share_of_mean
from electra_span.training.optimizer import AdamW, learning_rate_at
from electra_span.training.step import Update, make_train_step
from pretrain.model import build_model
from tests.golden_tf1 import recorded_batch, recorded_corruption, tf1_names

NUM_STEPS = 6
CONFIGS = ("bert_config", "generator_config")  # of discriminator and generator
# A batch that carries the draws recorded with it, so that they reach the step as the batch does.
RecordedStep = NamedTuple("RecordedStep", [(name, tf.Tensor) for name in MaskedBatch._fields + Corruption._fields])


def _recorded_draws(batch, mlm_logits):
    return Corruption(*(getattr(batch, name) for name in Corruption._fields))


def _recorded_step(recorded, index):
    batch = recorded_batch(recorded, index)
    return RecordedStep(*batch, *recorded_corruption(recorded, index)(batch, None))


def _load_model(folder, meta, **options):
    configs = [from_hparams(EncoderConfig, {**meta[name], "embedding_size": 16}) for name in CONFIGS]
    model = build_model(*configs, corrupt=_recorded_draws, **options)
    for part in (model.generator, model.discriminator):
        load_tf1_weights(part, folder / "init.ckpt")
    return model


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "compiled"])
def trained(golden, request):
    """Our run of the recorded steps, with the plain parts or with those for a CPU: model, optimizer, what it logged."""
    folder = golden("tf1/train_steps")
    recorded, meta = dict(np.load(folder / "steps.npz")), json.loads((folder / "meta.json").read_text())
    is_compiled = request.param
    model = _load_model(folder, meta, compile_kernels=is_compiled, skips_padding=is_compiled)
    settings = meta["optimizer"]
    variables = model.trainable_variables
    decay, compile_from = settings["weight_decay_rate"], 100 if is_compiled else math.inf
    optimizer = AdamW(variables, weight_decay_rate=decay, compile_from=compile_from)

    def learning_rate(step):
        return learning_rate_at(
            step,
            peak=settings["learning_rate"],
            num_train_steps=settings["num_train_steps"],
            num_warmup_steps=settings["warmup_steps"],
            decay_power=settings["lr_decay_power"],
        )

    def loss_function(part, whole, dropout_seed, step):
        predictions = model(part, dropout_seed=dropout_seed)
        losses = joint_losses(predictions, part, whole, weights=LossWeights(gen=1.0, disc=50.0))
        logits = {"mlm_logits": predictions.mlm_logits, "disc_logits": predictions.detection.logits}
        mlm = share_of_mean(losses.mlm, part.masked_lm_weights, whole.masked_lm_weights)
        disc = share_of_mean(losses.disc, part.input_mask, whole.input_mask)
        return losses.total, {"total": losses.total, "mlm": mlm, "disc": disc, **logits}

    strategy = tf.distribute.get_strategy()
    updates = [Update(loss_function, variables, optimizer)]
    step = make_train_step(updates, strategy=strategy, learning_rate=learning_rate, seed=0)
    log = []
    for index in range(NUM_STEPS):
        result = step(_recorded_step(recorded, index), tf.constant(index, tf.int64))
        log.append({**result.sums, "learning_rate": learning_rate(tf.constant(index, tf.int64))})
    return model, optimizer, {name: np.stack([np.asarray(line[name]) for line in log]) for name in log[0]}, recorded


def test_losses_are_the_originals(trained):
    _, _, log, recorded = trained
    for ours, theirs in (("mlm", "mlm/loss"), ("disc", "disc/loss"), ("total", "total_loss")):
        np.testing.assert_allclose(log[ours], recorded[theirs], rtol=1e-6, err_msg=ours)


def test_logits_are_the_originals(trained):
    _, _, log, recorded = trained
    np.testing.assert_allclose(log["mlm_logits"], recorded["mlm/logits"], rtol=0, atol=2e-5)
    is_real = np.broadcast_to(recorded["in/input_mask"] == 1, recorded["disc/logits"].shape)
    np.testing.assert_allclose(log["disc_logits"][is_real], recorded["disc/logits"][is_real], rtol=0, atol=2e-5)


def test_gradient_norms_and_learning_rates_are_the_originals(trained):
    _, _, log, recorded = trained
    np.testing.assert_allclose(log["gradient_norm"], recorded["grad_global_norm"], rtol=1e-5)
    np.testing.assert_allclose(log["learning_rate"], recorded["lr"], rtol=1e-6, atol=0)
    assert log["learning_rate"][0] == 0.0


def test_parameters_after_all_steps_are_the_originals(trained, golden):
    model = trained[0]
    after = tf.train.load_checkpoint(str(golden("tf1/train_steps/after6.ckpt")))
    before = tf.train.load_checkpoint(str(golden("tf1/train_steps/init.ckpt")))
    names = tf1_names(model)
    assert set(names.values()) == {name for name in after.get_variable_to_shape_map() if name in _weights(after)}
    for variable in model.trainable_variables:
        name = names[variable.path]
        # A bias of attention's keys changes nothing, so its gradient is 0 but for rounding: ours and theirs.
        tolerance = 6e-6 if name.endswith("self/key/bias") else 3e-6
        np.testing.assert_allclose(variable.value, after.get_tensor(name), rtol=0, atol=tolerance, err_msg=name)
    moved = max(np.abs(after.get_tensor(name) - before.get_tensor(name)).max() for name in names.values())
    assert moved > 1000 * 3e-6


def test_adam_moments_after_all_steps_are_the_originals(trained, golden):
    model, optimizer, _, _ = trained
    after = tf.train.load_checkpoint(str(golden("tf1/train_steps/after6.ckpt")))
    for path, name in tf1_names(model).items():
        for moments, suffix in ((optimizer.first_moments, "adam_m"), (optimizer.second_moments, "adam_v")):
            expected = after.get_tensor(f"{name}/{suffix}")
            np.testing.assert_allclose(moments[path], expected, rtol=0, atol=1e-7, err_msg=f"{name}/{suffix}")


def _weights(reader):
    names = reader.get_variable_to_shape_map()
    return {name for name in names if f"{name}/adam_m" in names}

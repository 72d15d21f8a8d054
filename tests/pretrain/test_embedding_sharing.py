"""What generator and discriminator share of their embeddings, of either type: from gradients to published models."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from configure_pretraining import PretrainingConfig
from electra_span.objective.corruption import corrupt_batch
from electra_span.objective.losses import LossWeights, joint_losses
from electra_span.published.save_load import load_pretrained, save_pretrained
from electra_span.training.checkpoints import Checkpoints
from electra_span.training.devices import make_strategy
from electra_span.training.optimizer import AdamW
from electra_span.training.step import Update, make_train_step
from pretrain.model import build_model, make_loss_function
from pretrain.train import evaluate, train
from scripts.describe_model import run_parameters
from tests.tiny_models import TINY, TINY_GENERATOR, randomize, tiny_batch
from tests.tiny_run import tiny_config, write_tiny_data

SHARING = ("shared", "generator_untied", "gdes", "encoder")
TYPES = {
    "full": {},
    "multiply": {"embedding_type": "compositional"},
    "add": {"embedding_type": "compositional", "compositional_operation": "add", "compositional_num_buckets": 5},
    "concat": {"embedding_type": "compositional", "compositional_operation": "concat"},
}
MLM, DISC = LossWeights(gen=1.0, disc=0.0), LossWeights(gen=0.0, disc=1.0)


def _build(embedding_sharing, embedding_type="full", **options):
    configs = (dataclasses.replace(config, **TYPES[embedding_type]) for config in (TINY, TINY_GENERATOR))
    return build_model(*configs, corrupt=corrupt_batch, embedding_sharing=embedding_sharing, **options)


def _tables(part):
    return [table.variable for table in part.encoder.embeddings.tables.values()]


def _gradients(model, variables, weights):
    """The gradients of a loss in some variables, exactly 0 where nothing leads there."""
    batch = tiny_batch()
    with tf.GradientTape() as tape:
        loss = joint_losses(model(batch), batch, batch, weights=weights).total
    values = [variable.value for variable in variables]
    gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


@pytest.mark.parametrize("embedding_type", TYPES)
def test_disentangled_tables_learn_each_from_its_own_models_loss_alone(embedding_type):
    model = _build("gdes", embedding_type)
    randomize(model)
    bases, deltas = _tables(model.generator), _tables(model.discriminator)
    assert all(np.all(gradient == 0) for gradient in _gradients(model, bases, DISC))
    assert all(np.all(gradient == 0) for gradient in _gradients(model, deltas, MLM))
    assert all(np.any(gradient != 0) for gradient in _gradients(model, bases, MLM))
    assert all(np.any(gradient != 0) for gradient in _gradients(model, deltas, DISC))


@pytest.mark.parametrize("embedding_type", TYPES)
def test_shared_tables_learn_from_both_losses(embedding_type):
    model = _build("shared", embedding_type)
    randomize(model)
    tables = _tables(model.generator)
    assert [id(table) for table in tables] == [id(table) for table in _tables(model.discriminator)]
    for weights in (MLM, DISC):
        assert all(np.any(gradient != 0) for gradient in _gradients(model, tables, weights))


@pytest.mark.parametrize("embedding_type", TYPES)
def test_disentangled_tables_start_equal_with_layer_norms_of_their_own(embedding_type):
    model = _build("gdes", embedding_type)
    ours, theirs = model.discriminator.encoder.embeddings, model.generator.encoder.embeddings
    for name, table in ours.tables.items():
        np.testing.assert_array_equal(table.whole(), theirs.tables[name].whole())
    np.testing.assert_array_equal(ours.words.full_table(), theirs.words.full_table())
    paths = [{variable.path for variable in part.variables} for part in (model.generator, model.discriminator)]
    assert not paths[0] & paths[1]
    assert {variable.path for variable in model.variables} == paths[0] | paths[1]


@pytest.mark.parametrize("embedding_type", TYPES)
@pytest.mark.parametrize("embedding_sharing", SHARING)
def test_an_update_trains_every_variable(embedding_sharing, embedding_type):
    model = _build(embedding_sharing, embedding_type)
    before = {variable.path: variable.numpy() for variable in model.variables}
    assert len(before) == len(model.variables)
    optimizer = AdamW(model.trainable_variables, weight_decay_rate=0.01)
    assert optimizer.first_moments.keys() == before.keys()
    gradients = _gradients(model, model.trainable_variables, LossWeights())
    optimizer.apply([tf.constant(gradient) for gradient in gradients], tf.constant(1e-3))
    # A key's bias adds the same to all of a query's scores, which changes no attention.
    unmoved = {variable.path for variable in model.variables if np.array_equal(variable, before[variable.path])}
    assert all(path.endswith("/key/bias") for path in unmoved)


def _trainer(model):
    optimizer = AdamW(model.trainable_variables, weight_decay_rate=0.01)
    step = make_train_step(
        [Update(make_loss_function(model, weights=LossWeights()), model.trainable_variables, optimizer)],
        strategy=make_strategy(["CPU:0"]),
        learning_rate=lambda step: tf.constant(1e-3),
        seed=1,
    )
    return step, optimizer


def test_a_restored_run_of_disentangled_compositional_embeddings_goes_on_with_the_same_bits(tmp_path):
    keras.utils.set_random_seed(1)
    model, restored = _build("gdes", "multiply"), _build("gdes", "multiply")
    (step, optimizer), (restored_step, restored_optimizer) = _trainer(model), _trainer(restored)
    step(tiny_batch(), tf.constant(0, tf.int64))
    Checkpoints(tmp_path, model.variables, optimizer=optimizer).save(1)
    assert Checkpoints(tmp_path, restored.variables, optimizer=restored_optimizer).restore_latest() == 1
    for take_step in (step, restored_step):
        take_step(tiny_batch(seed=1), tf.constant(1, tf.int64))
    for ours, theirs in zip(model.variables, restored.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


@pytest.mark.parametrize("embedding_type", TYPES)
@pytest.mark.parametrize("embedding_sharing", SHARING)
def test_published_models_compute_what_the_trained_ones_do(embedding_sharing, embedding_type, tmp_path):
    model, batch = _build(embedding_sharing, embedding_type), tiny_batch()
    randomize(model)
    inputs = {"input_ids": batch.input_ids, "input_mask": batch.input_mask, "segment_ids": batch.segment_ids}
    for name in ("generator", "discriminator"):
        part = getattr(model, name)
        save_pretrained(part, None, tmp_path / name)
        loaded = load_pretrained(tmp_path / name)
        assert loaded.config == part.config
        np.testing.assert_array_equal(loaded(**inputs), part(**inputs))
        np.testing.assert_array_equal(
            load_file(tmp_path / name / "model.safetensors")["electra.embeddings.word_embeddings.weight"],
            part.encoder.embeddings.words.full_table(),
        )


def test_a_disentangled_discriminator_is_published_as_any_other(tmp_path):
    for embedding_sharing in ("gdes", "generator_untied"):
        model = _build(embedding_sharing)
        randomize(model)
        save_pretrained(model.discriminator, None, tmp_path / embedding_sharing)
    gdes, untied = (load_file(tmp_path / name / "model.safetensors") for name in ("gdes", "generator_untied"))
    assert {name: value.shape for name, value in gdes.items()} == {name: value.shape for name, value in untied.items()}
    assert (tmp_path / "gdes/config.json").read_text() == (tmp_path / "generator_untied/config.json").read_text()


@pytest.mark.parametrize("embedding_type", TYPES)
@pytest.mark.parametrize("embedding_sharing", SHARING)
def test_described_parameters_are_those_of_the_built_model(embedding_sharing, embedding_type):
    hparams = {
        **TYPES[embedding_type], "embedding_sharing": embedding_sharing, "vocab_size": 37, "embedding_size": 12,
        "model_hparam_overrides": {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3},
        "generator_hidden_size": 1.0 if embedding_sharing == "encoder" else 0.5,
    }  # fmt: skip
    config = PretrainingConfig.from_hparams(model_name="m", data_dir="d", hparams=hparams)
    model = build_model(
        config.discriminator_encoder(),
        config.generator_encoder(),
        corrupt=corrupt_batch,
        embedding_sharing=embedding_sharing,
    )
    num_parameters = sum(math.prod(variable.shape) for variable in model.variables)
    assert run_parameters(config)["all trained"] == num_parameters


def test_a_run_with_disentangled_compositional_embeddings_goes_on_publishes_and_is_evaluated(tmp_path):
    data_dir = write_tiny_data(tmp_path / "data")
    hparams = {
        "embedding_sharing": "gdes",
        "embedding_type": "compositional",
        "save_checkpoints_steps": 2,
        "xla": False,
    }
    for num_train_steps in (2, 4):
        train(tiny_config(data_dir, num_train_steps=num_train_steps, **hparams))
    config = tiny_config(data_dir, do_train=False, do_eval=True, **hparams)
    assert evaluate(config)["step"] == 4
    generator, discriminator = (
        load_pretrained(f"{config.model_dir}/{name}") for name in ("generator", "discriminator")
    )
    assert discriminator.config == config.discriminator_encoder()
    tables = [model.encoder.embeddings.words.full_table().numpy() for model in (generator, discriminator)]
    assert np.any(tables[0] != tables[1])
    assert np.abs(tables[0] - tables[1]).max() < 0.5 * np.abs(tables[0]).max()

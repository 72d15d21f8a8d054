"""What changes in the course of a run: scheduled hparams, lengths of sequences; and two updates a step."""

import json

import numpy as np
import pytest
import tensorflow as tf

from configure_pretraining import PretrainingConfig
from electra_span.objective.corruption import corrupt_batch
from electra_span.objective.losses import LossWeights
from electra_span.objective.masking import MaskingConfig
from electra_span.training.optimizer import AdamW
from electra_span.training.step import Update, make_train_step
from pretrain.data import RunData
from pretrain.dataset.records import input_files
from pretrain.input_pipeline import evaluation_dataset, training_dataset
from pretrain.model import build_model, make_loss_function
from pretrain.train import evaluate, train
from tests.tiny_models import CLS, MASK, SEP, TINY, TINY_GENERATOR, randomize, tiny_batch
from tests.tiny_run import HPARAMS, MAX_SEQ_LENGTH, tiny_config, write_tiny_data

RUN = {
    **HPARAMS, "num_train_steps": 6, "log_steps": 1, "xla": False, "num_eval_examples": 8,
    "model_hparam_overrides": {**HPARAMS["model_hparam_overrides"], "num_hidden_layers": 1},
}  # fmt: skip


@pytest.fixture
def data_dir(tmp_path):
    return write_tiny_data(tmp_path / "data")


def _lines(model_dir, name="train_log.jsonl"):
    return [json.loads(line) for line in (model_dir / name).read_text().splitlines()]


def test_the_number_of_masked_tokens_follows_the_schedule_of_mask_prob(data_dir):
    masking = MaskingConfig(
        mask_prob=[[1, 0.1], [3, 0.46]], max_predictions_per_seq=8, mask_id=MASK, special_ids=(0, CLS, SEP, MASK)
    )
    files = input_files(str(data_dir / "pretrain_tfrecords" / "*"))
    settings = {"max_seq_length": MAX_SEQ_LENGTH, "batch_size": 8, "masking": masking, "seed": 1, "num_held_out": 8}
    batches = list(training_dataset(files, shuffle_buffer_size=9, **settings).take(5))
    batches += list(training_dataset(files, shuffle_buffer_size=9, first_step=2, **settings).take(1))
    probs = [0.1, 0.1, 0.28, 0.46, 0.46, 0.28]
    for batch, prob in zip([*batches, *evaluation_dataset(files, **settings)], [*probs, 0.46], strict=True):
        lengths = batch.input_mask.numpy().sum(axis=1)
        counts = np.clip(np.round(lengths * np.float32(prob)), 1, 8)
        np.testing.assert_array_equal(batch.masked_lm_weights.numpy().sum(axis=1), counts)


def test_weights_and_temperature_of_a_step_are_those_of_its_schedule():
    batch = tiny_batch()
    temperatures, weights = [[0, 0.5], [10, 3.0]], [[0, 0.0], [10, 20.0]]
    drawn = []

    def corrupt(batch, proposal, *, temperature):
        drawn.append(float(temperature))
        return corrupt_batch(batch, proposal, temperature=temperature)

    model = build_model(TINY, TINY_GENERATOR, corrupt=corrupt, temperature=temperatures)
    randomize(model)
    loss_function = make_loss_function(model, weights=LossWeights(gen=0.0, disc=weights))
    losses = {}
    for step in (0, 4, 10):
        total, sums = loss_function(batch, batch, None, tf.constant(step, tf.int64))
        losses[step] = (float(total), float(sums["disc_loss"]) / float(sums["num_tokens"]))
    assert drawn == pytest.approx([0.5, 1.5, 3.0])
    assert losses[0][0] == 0.0
    for step, weight in ((4, 8.0), (10, 20.0)):
        assert losses[step][0] == pytest.approx(weight * losses[step][1], rel=1e-5)


def test_the_reported_total_has_the_weights_of_its_step(data_dir):
    config = tiny_config(data_dir, "weights", **RUN, disc_weight=[[0, 0.0], [5, 10.0]], temperature=[[0, 1.0], [5, 2]])
    train(config)
    for line in _lines(data_dir / "models" / "weights"):
        weight = 2.0 * (line["step"] - 1)
        assert line["total_loss"] == pytest.approx(line["mlm_loss"] + weight * line["disc_loss"], rel=1e-5)


def _parts(**options):
    model = build_model(TINY, TINY_GENERATOR, corrupt=corrupt_batch, **options)
    randomize(model)
    return model, {"generator": model.generator, "discriminator": model.discriminator}


def _updates(model, parts):
    return [
        Update(make_loss_function(model, weights=LossWeights(), learner=name), part.trainable_variables, optimizer)
        for name, part in parts.items()
        for optimizer in [AdamW(part.trainable_variables, weight_decay_rate=0.01)]
    ]


def _step(updates):
    return make_train_step(
        updates,
        strategy=tf.distribute.get_strategy(),
        learning_rate=lambda step: tf.constant(1e-3),
        seed=0,
        clip_norm=1e9,
    )


def test_decoupled_updates_train_each_model_with_its_own_loss_the_discriminator_last():
    batch, (model, parts) = tiny_batch(), _parts(embedding_sharing="gdes")
    other, other_parts = _parts(embedding_sharing="gdes")
    _step(_updates(model, parts))(batch, tf.constant(0, tf.int64))

    generator, discriminator = _updates(other, other_parts)
    _step([generator])(batch, tf.constant(0, tf.int64))
    np.testing.assert_array_equal(_flat(model.generator), _flat(other.generator))
    assert not np.array_equal(_flat(model.discriminator), _flat(other.discriminator))
    _step([discriminator])(batch, tf.constant(0, tf.int64))
    np.testing.assert_array_equal(_flat(model.discriminator), _flat(other.discriminator))
    np.testing.assert_array_equal(_flat(model.generator), _flat(other.generator))


def test_shared_tables_are_updated_twice_a_step():
    batch, (model, parts) = tiny_batch(), _parts()
    tables = [variable for variable in model.generator.variables if "embeddings" in variable.path]
    states = [np.concatenate([np.ravel(table) for table in tables])]
    for update in _updates(model, parts):
        _step([update])(batch, tf.constant(0, tf.int64))
        states.append(np.concatenate([np.ravel(table) for table in tables]))
    assert not np.array_equal(states[0], states[1])
    assert not np.array_equal(states[1], states[2])


def _flat(part):
    return np.concatenate([np.ravel(variable) for variable in part.trainable_variables])


def test_a_decoupled_run_reports_both_models_and_differs_from_a_joint_one(data_dir):
    for name, decoupled in (("joint", False), ("decoupled", True)):
        train(tiny_config(data_dir, name, **RUN, decoupled_generator_update=decoupled))
    joint, decoupled = (_lines(data_dir / "models" / name) for name in ("joint", "decoupled"))
    assert [line.keys() for line in joint] == [line.keys() for line in decoupled]
    assert decoupled[0]["mlm_loss"] == joint[0]["mlm_loss"]  # before the first update
    assert decoupled[-1]["mlm_loss"] != joint[-1]["mlm_loss"]


@pytest.fixture
def two_lengths(tmp_path):
    """A data folder with records of 12 and of 16 tokens, each where a phase looks for it."""
    data_dir = write_tiny_data(tmp_path / "data")
    (data_dir / "pretrain_tfrecords").rename(data_dir / f"pretrain_tfrecords_{MAX_SEQ_LENGTH}")
    write_tiny_data(tmp_path / "short", max_seq_length=12)
    (tmp_path / "short" / "pretrain_tfrecords").rename(data_dir / "pretrain_tfrecords_12")
    return data_dir


PHASES = [
    {"max_seq_length": 12, "num_train_steps": 4, "train_batch_size": 16},
    {"max_seq_length": 16, "num_train_steps": 3},
]


def _phased(data_dir, name, **changes):
    settings = {key: value for key, value in RUN.items() if key not in ("num_train_steps", "max_seq_length")}
    hparams = {**settings, "phases": PHASES, **changes}
    return PretrainingConfig.from_hparams(model_name=name, data_dir=str(data_dir), hparams=hparams)


def test_phases_make_one_run_of_sequences_of_several_lengths(two_lengths):
    config = _phased(two_lengths, "phased", eval_every_steps=4)
    assert (config.num_train_steps, config.max_seq_length, config.phase_ends) == (7, 16, [4, 7])
    data = RunData(config)
    shapes = [batch.masked_lm_positions.shape for batch in data.training_batches(data.training_iterators(), 0)]
    resumed = [batch.input_ids.shape for batch in data.training_batches(data.training_iterators(), 3)]
    assert resumed == [(16, 12), (8, 16), (8, 16), (8, 16)]
    assert [data.batch_tokens(step) for step in (1, 4, 5, 7, 9)] == [16 * 12, 16 * 12, 8 * 16, 8 * 16, 8 * 16]
    assert shapes == [(16, 3)] * 4 + [(8, 4)] * 3
    train(config)
    model_dir = two_lengths / "models" / "phased"
    lines = _lines(model_dir)
    assert [line["step"] for line in lines] == list(range(1, 8))
    rates = [line["learning_rate"] for line in lines]
    assert rates[-1] == pytest.approx(1e-2 * (1 - 6 / 7), rel=1e-5)  # one schedule for the whole run
    assert [line["step"] for line in _lines(model_dir, "eval_log.jsonl")] == [0, 4, 7]
    results = evaluate(_phased(two_lengths, "phased", do_train=False, do_eval=True))
    assert results["step"] == 7
    assert results["mlm_loss"] == _lines(model_dir, "eval_log.jsonl")[-1]["mlm_loss"]

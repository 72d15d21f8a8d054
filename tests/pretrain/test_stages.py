"""Training modes: what each one trains, publishes and reports."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from electra_span.convert.word_map import InitialWeightsError
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel, make_two_towers
from electra_span.objective.corruption import corrupt_at_random
from electra_span.published.names import relative_path
from electra_span.published.save_load import save_pretrained
from pretrain.train import train
from pretrain.warm_start import start_from_generator
from tests.tiny_models import MASK, TINY, TINY_GENERATOR, VOCABULARY, randomize, tiny_batch
from tests.tiny_run import HPARAMS, tiny_config, write_tiny_data

RUN = {
    **HPARAMS, "num_train_steps": 6, "log_steps": 3, "xla": False,
    "model_hparam_overrides": {**HPARAMS["model_hparam_overrides"], "num_hidden_layers": 1},
}  # fmt: skip


@pytest.fixture
def data_dir(tmp_path):
    return write_tiny_data(tmp_path / "data")


def _last_line(folder):
    return json.loads((folder / "train_log.jsonl").read_text().splitlines()[-1])


def test_two_stages_train_the_generator_then_the_discriminator_alone(data_dir):
    settings = {**RUN, "training_mode": "two_stage", "stage_steps": [6, 3]}
    train(tiny_config(data_dir, "two", **settings))
    model_dir = data_dir / "models" / "two"
    first, second = (
        folder / "generator" / "model.safetensors" for folder in (model_dir / "generator_stage", model_dir)
    )
    assert first.read_bytes() == second.read_bytes()
    assert not (model_dir / "generator_stage" / "discriminator").exists()
    assert _last_line(model_dir / "generator_stage")["step"] == 6
    line = _last_line(model_dir)
    assert line["step"] == 3
    assert line["disc_loss"] > 0


def test_a_published_generator_takes_the_first_stages_place(data_dir):
    train(tiny_config(data_dir, "first", **RUN, training_mode="generator"))
    first = data_dir / "models" / "first"
    assert (first / "generator").is_dir()
    assert not (first / "discriminator").exists()
    assert "disc_loss" not in _last_line(first)
    settings = {**RUN, "training_mode": "two_stage", "generator_checkpoint": str(first / "generator")}
    train(tiny_config(data_dir, "second", **settings))
    second = data_dir / "models" / "second"
    ours, theirs = (load_file(folder / "generator" / "model.safetensors") for folder in (first, second))
    for name, tensor in ours.items():
        np.testing.assert_array_equal(theirs[name], tensor)
    assert not (second / "generator_stage").exists()


def test_without_a_generator_half_of_the_masked_tokens_are_replaced(data_dir):
    train(tiny_config(data_dir, "alone", **RUN, training_mode="discriminator"))
    model_dir = data_dir / "models" / "alone"
    line = _last_line(model_dir)
    assert "mlm_loss" not in line
    assert 0.25 / 2 * 0.5 < line["replaced_rate"] < 0.25 / 2 * 1.5
    assert line["total_loss"] == pytest.approx(50 * line["disc_loss"], rel=1e-5)
    assert not (model_dir / "generator").exists()


def test_random_replacements_are_ordinary_words_and_no_replacement_where_they_hit_the_original():
    batch = tiny_batch((11,) * 400)
    corruption = corrupt_at_random(batch, None, token_counts=(np.arange(len(VOCABULARY)) > MASK).astype(np.int64))
    sampled, original = corruption.sampled_ids.numpy(), batch.masked_lm_ids.numpy()
    assert sampled.min() > MASK
    drawn = batch.sampling_uniforms.numpy() < 0.5
    np.testing.assert_array_equal(sampled[~drawn], original[~drawn])
    counts = np.bincount(sampled[drawn], minlength=len(VOCABULARY))[MASK + 1 :]
    expected = drawn.sum() / len(counts)
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))
    changed = np.take_along_axis(corruption.is_replaced.numpy(), batch.masked_lm_positions.numpy(), axis=1)
    np.testing.assert_array_equal(changed, sampled != original)
    assert np.sum(drawn & (sampled == original)) > 0


def _published(folder, model_class, config, **options):
    model = model_class(ElectraEncoder(config, name="electra"), **options)
    randomize(model)
    save_pretrained(model, None, folder)
    return {relative_path(variable): variable.numpy() for variable in model.variables}


@pytest.mark.parametrize(("config", "takes_layers"), [(TINY, True), (TINY_GENERATOR, False)])
def test_the_discriminator_starts_from_what_of_the_generator_fits_it(tmp_path, config, takes_layers):
    trained = _published(tmp_path, ElectraGenerator, config)
    generator = ElectraGenerator(ElectraEncoder(config, name="generator"))
    discriminator = ElectraDiscriminator(ElectraEncoder(TINY, name="electra"))
    start_from_generator(generator, discriminator, str(tmp_path), beside=tmp_path)
    for variable in generator.variables:
        np.testing.assert_array_equal(variable, trained[relative_path(variable)])
    taken = {
        relative_path(variable)
        for variable in discriminator.encoder.variables
        if np.array_equal(variable, trained.get(relative_path(variable)))
    }
    assert {"embeddings/word_embeddings", "embeddings/norm/gamma"} <= taken
    assert ("layer_1/query/kernel" in taken) == takes_layers
    assert (len(taken) == len(discriminator.encoder.variables)) == takes_layers


def test_a_checkpoint_that_is_no_such_generator_is_an_error(tmp_path):
    _published(tmp_path / "discriminator", ElectraDiscriminator, TINY)
    _published(tmp_path / "small", ElectraGenerator, TINY_GENERATOR)
    models = ElectraGenerator(ElectraEncoder(TINY)), ElectraDiscriminator(ElectraEncoder(TINY))
    with pytest.raises(InitialWeightsError, match="must hold a generator, not a discriminator"):
        start_from_generator(*models, str(tmp_path / "discriminator"), beside=tmp_path)
    save_pretrained(make_two_towers(ElectraEncoder, TINY), None, tmp_path / "towers")
    with pytest.raises(InitialWeightsError, match="must hold a generator, not a two-tower one"):
        start_from_generator(*models, str(tmp_path / "towers"), beside=tmp_path)
    tagger = ElectraTaskModel(ElectraEncoder(TINY), [HeadConfig(task="tags", kind="tagging", labels=("O", "B"))])
    save_pretrained(tagger, None, tmp_path / "tagger")
    with pytest.raises(InitialWeightsError, match="must hold a generator, not a model for tasks"):
        start_from_generator(*models, str(tmp_path / "tagger"), beside=tmp_path)
    with pytest.raises(InitialWeightsError, match=r"hidden_size must be 12, by the sizes.*Received: 6"):
        start_from_generator(*models, str(tmp_path / "small"), beside=tmp_path)

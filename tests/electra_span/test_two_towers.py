"""The generator of two towers: what each position reads, and its published form."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.model_cost import count_parameters
from electra_span.models import ElectraGenerator, TwoTowerGenerator, make_two_towers, surroundings
from electra_span.published.names import names_of, relative_path
from electra_span.published.save_load import PublishedModelError, load_pretrained, save_pretrained
from tests.tiny_models import TINY, TINY_GENERATOR, randomize, tiny_batch

OPTIONS = [{}, {"skips_padding": True}, {"compile_kernels": True, "skips_padding": True}]
COMPOSITIONAL = EncoderConfig(**{**vars(TINY), "embedding_type": "compositional", "compositional_num_buckets": 5})
UNPROJECTED = EncoderConfig(**{**vars(TINY), "embedding_size": TINY.hidden_size})
LENGTHS = np.array([11, 6, 1, 0])
INPUT_MASK = (np.arange(11) < LENGTHS[:, None]).astype(np.int32)


def _towers(config=TINY, **options):
    model = make_two_towers(functools.partial(ElectraEncoder, **options), config)
    randomize(model)
    return model


def _ids(seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(5, TINY.vocab_size, INPUT_MASK.shape).astype(np.int32)


def _changed(function, row, position):
    """Which positions of a row the function [B, L] -> [B, L, ...] gives something else for, if one token changes."""
    ids, other = _ids(), _ids()
    other[row, position] = 5 + (ids[row, position] - 4) % (TINY.vocab_size - 5)
    assert other[row, position] != ids[row, position]
    before, after = (function(input_ids=each, input_mask=INPUT_MASK).numpy()[row] for each in (ids, other))
    return np.any(before != after, axis=-1)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("direction", ["left_to_right", "right_to_left"])
def test_an_encoder_of_one_direction_reads_a_token_and_what_lies_on_one_side(direction, options):
    encoder = ElectraEncoder(TINY, direction=direction, **options)
    randomize(encoder)
    for row, length in enumerate(LENGTHS):
        for position in range(length):
            ahead = np.arange(length) - position
            reads_it = ahead >= 0 if direction == "left_to_right" else ahead <= 0
            np.testing.assert_array_equal(_changed(encoder, row, position)[:length], reads_it)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_position_reads_every_other_token_of_its_row_and_not_its_own(options):
    model = _towers(**options)
    for row, length in enumerate(LENGTHS):
        for position in range(length):
            changed = _changed(model, row, position)[:length]
            np.testing.assert_array_equal(changed, np.arange(length) != position)


@pytest.mark.parametrize("options", OPTIONS)
def test_padding_does_not_matter(options):
    model, ids, other, is_real = _towers(**options), _ids(), _ids(seed=1), INPUT_MASK == 1
    logits = model(input_ids=ids, input_mask=INPUT_MASK).numpy()
    filled = model(input_ids=np.where(is_real, ids, other), input_mask=INPUT_MASK).numpy()
    np.testing.assert_array_equal(filled[is_real], logits[is_real])
    short = model(input_ids=ids[1:2, :6], input_mask=INPUT_MASK[1:2, :6]).numpy()
    np.testing.assert_allclose(logits[1:2, :6], short, rtol=0, atol=2e-5)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("options", OPTIONS[1:])
def test_skipped_padding_and_compiled_parts_change_no_logits(options):
    expected, logits = (_towers(**each)(input_ids=_ids(), input_mask=INPUT_MASK).numpy() for each in ({}, options))
    np.testing.assert_allclose(logits[INPUT_MASK == 1], expected[INPUT_MASK == 1], rtol=0, atol=2e-5)


def test_surroundings_are_the_neighbours_that_are_tokens():
    before, behind = (tf.reshape(tf.range(start, start + 8.0), [2, 4, 1]) for start in (1.0, 11.0))
    both = surroundings(before, behind, tf.constant([[1, 1, 1, 1], [1, 1, 0, 0]]))
    np.testing.assert_array_equal(both[0], [[0, 12], [1, 13], [2, 14], [3, 0]])
    np.testing.assert_array_equal(both[1, :2], [[0, 16], [5, 0]])


def test_a_batch_is_read_as_it_was_before_masking():
    model, batch = _towers(), tiny_batch()
    generated = model.generate(batch)
    expected = model(input_ids=batch.input_ids, input_mask=batch.input_mask, segment_ids=batch.segment_ids)
    np.testing.assert_array_equal(generated.cloze, expected)
    positions = batch.masked_lm_positions.numpy()[:, :, None]
    np.testing.assert_array_equal(generated.tokens, np.take_along_axis(expected.numpy(), positions, axis=1))
    assert generated.spans is None


def test_dropout_of_the_two_towers_is_drawn_apart_and_from_the_seed():
    model, ids = _towers(), _ids()
    first, again, other, without = (
        model(input_ids=ids, dropout_seed=seed).numpy() for seed in ([1, 2], [1, 2], [1, 3], None)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert np.any(first != without)


@pytest.mark.parametrize("config", [TINY, TINY_GENERATOR, UNPROJECTED, COMPOSITIONAL])
def test_variables_are_those_expected_and_counted(config):
    model = _towers(config)
    assert {name.ours: name.shape for name in names_of(model)} == {
        relative_path(variable): tuple(variable.shape) for variable in model.variables
    }
    for names in zip(*names_of(model), strict=True):
        if isinstance(names[0], str):
            assert len(set(names)) == len(names)
    assert model.count_params() == sum(count_parameters(config, "cloze").values())


@pytest.mark.parametrize("config", [TINY, COMPOSITIONAL])
def test_the_published_form_is_read_back_and_names_a_model_of_its_own(config, tmp_path):
    model = _towers(config)
    save_pretrained(model, None, tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["architectures"] == ["TwoTowerElectraForMaskedLM"]
    assert settings["model_type"] == "two_tower_electra"
    loaded = load_pretrained(tmp_path)
    assert isinstance(loaded, TwoTowerGenerator)
    inputs = {"input_ids": _ids(), "input_mask": INPUT_MASK}
    np.testing.assert_array_equal(loaded(**inputs), model(**inputs))


def test_a_published_model_that_lacks_a_tower_is_an_error(tmp_path):
    generator = ElectraGenerator(ElectraEncoder(TINY, name="electra"))
    save_pretrained(generator, None, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace("ElectraForMaskedLM", "TwoTowerElectraForMaskedLM"))
    with pytest.raises(PublishedModelError, match=r"lacks the tensor generator_ltr\.embeddings_project\.weight"):
        load_pretrained(tmp_path)


def test_transformers_does_not_take_it_for_an_electra(tmp_path):
    transformers = pytest.importorskip("transformers")
    save_pretrained(_towers(), None, tmp_path)
    with pytest.raises(ValueError, match="two_tower_electra"):
        transformers.AutoModel.from_pretrained(tmp_path)

"""Built models: how many parameters, which are shared, and how they start."""

import itertools
import math

import keras
import numpy as np
import pytest

from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.model_cost import count_parameters
from electra_span.models import ElectraDiscriminator, ElectraGenerator
from electra_span.published.names import expected_names, names_of, relative_path
from tests.tiny_models import TINY, TINY_GENERATOR

UNPROJECTED = EncoderConfig(**{**vars(TINY), "embedding_size": TINY.hidden_size})
COMPOSITIONAL = EncoderConfig(**{**vars(TINY), "embedding_type": "compositional", "compositional_num_buckets": 5})
JOINED = EncoderConfig(**{**vars(COMPOSITIONAL), "compositional_operation": "concat"})
HEADS = {"discriminator": ElectraDiscriminator, "masked_lm": ElectraGenerator}


def _build(model_class, config, **options):
    return model_class(ElectraEncoder(config, name="electra"), **options)


@pytest.mark.parametrize("config", [TINY, TINY_GENERATOR, UNPROJECTED, COMPOSITIONAL, JOINED])
@pytest.mark.parametrize("head", HEADS)
def test_parameters_of_a_built_model_are_those_counted_by_arithmetic(head, config):
    model = _build(HEADS[head], config)
    assert model.count_params() == sum(count_parameters(config, head).values())
    assert model.encoder.count_params() == sum(count_parameters(config).values())


@pytest.mark.parametrize(
    ("size", "discriminator", "generator_hidden_size", "own_of_generator"),
    [
        ("small", 13_549_057, 64, 608_064 + 39_098),
        ("small", 13_549_057, 256, 13_483_008 - 3_972_864 + 63_674),
        ("base", 109_483_009, 256, 33_511_168 - 23_837_184 + 229_434),
        ("large", 335_142_913, 256, 50_999_552 - 31_782_912 + 295_738),
    ],
)
def test_variables_of_the_published_sizes_have_the_published_counts(
    size, discriminator, generator_hidden_size, own_of_generator
):
    config = EncoderConfig.of_size(size)
    names = list(expected_names(ElectraDiscriminator, config))
    assert sum(math.prod(name.shape) for name in names) == discriminator
    generator = EncoderConfig.of_size(size, hidden_size=generator_hidden_size, embedding_size=config.embedding_size)
    own = [name for name in expected_names(ElectraGenerator, generator) if not name.ours.startswith("embeddings/")]
    assert sum(math.prod(name.shape) for name in own) == own_of_generator


@pytest.mark.parametrize("size", ["small"])
def test_a_built_model_of_a_published_size_has_the_published_count(size):
    model = _build(ElectraDiscriminator, EncoderConfig.of_size(size))
    assert (model.encoder.count_params(), model.head.count_params()) == (13_483_008, 66_049)


@pytest.mark.parametrize("max_span_length", [0, 4])
@pytest.mark.parametrize("config", [TINY, UNPROJECTED, COMPOSITIONAL, JOINED])
@pytest.mark.parametrize("head", HEADS)
def test_expected_names_are_those_of_the_built_variables(head, config, max_span_length):
    model = _build(HEADS[head], config, max_span_length=max_span_length)
    assert (model.span_head is not None) == bool(max_span_length)
    assert {name.ours: name.shape for name in names_of(model)} == {
        relative_path(variable): tuple(variable.shape) for variable in model.variables
    }
    for names in zip(*names_of(model), strict=True):
        if isinstance(names[0], str):
            assert len(set(names)) == len(names)


def test_a_generators_output_table_is_its_word_embeddings():
    generator = _build(ElectraGenerator, TINY)
    vocabulary_sized = [variable for variable in generator.variables if TINY.vocab_size in variable.shape]
    assert [variable.name for variable in vocabulary_sized] == ["word_embeddings", "output_bias"]
    before = generator(input_ids=[[2, 7, 3]])
    table = generator.encoder.embeddings.tables["word_embeddings"].variable
    table.assign(table.numpy() * np.where(np.arange(TINY.vocab_size) == 30, 100.0, 1.0)[:, None])
    changed = np.any(generator(input_ids=[[2, 7, 3]]).numpy() != before.numpy(), axis=(0, 1))
    assert np.flatnonzero(changed).tolist() == [30]


@pytest.fixture(scope="module")
def wide():
    """A discriminator and a generator wide enough to measure how their weights are spread."""
    config = EncoderConfig(
        vocab_size=500, embedding_size=80, hidden_size=120, num_hidden_layers=2, num_attention_heads=3
    )
    encoder = ElectraEncoder(config, name="electra")
    return {
        relative_path(variable): variable.numpy()
        for model in (ElectraDiscriminator(encoder), ElectraGenerator(encoder))
        for variable in model.variables
    }


# Variables whose initialiser the original leaves at its framework's default.
GLOROT = ("embeddings_project/kernel", "discriminator_predictions/prediction/kernel")


def test_matrices_start_from_a_truncated_normal_of_deviation_002(wide):
    matrices = {path: value for path, value in wide.items() if value.ndim == 2 and path not in GLOROT}
    assert len(matrices) == 3 + 2 * 6 + 2
    for path, value in matrices.items():
        deviation = 0.02 * 0.87963  # of a normal distribution cut off at two deviations
        error = deviation / math.sqrt(2 * value.size)
        assert abs(value.std() - deviation) < 4 * error, path
        assert abs(value.mean()) < 4 * deviation / math.sqrt(value.size), path
        assert 0.036 < np.abs(value).max() <= 0.04, path


@pytest.mark.parametrize("path", GLOROT)
def test_projection_and_last_dense_layer_start_from_glorots_uniform_as_the_originals(wide, path):
    value = wide[path]
    limit = math.sqrt(6 / sum(value.shape))
    assert np.abs(value).max() <= limit
    assert abs(value.std() - limit / math.sqrt(3)) < 4 * limit / math.sqrt(value.size)


def test_layer_norms_start_as_the_identity_and_biases_at_0(wide):
    for path, value in wide.items():
        if value.ndim == 1:
            assert np.all(value == (1.0 if path.endswith("gamma") else 0.0)), path


def test_no_two_matrices_start_equal(wide):
    kernels = [value for value in wide.values() if value.ndim == 2]
    for first, second in itertools.combinations(kernels, 2):
        assert first.shape != second.shape or not np.array_equal(first, second)


def test_the_same_seed_gives_the_same_start():
    starts = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        starts.append([variable.numpy() for variable in _build(ElectraDiscriminator, TINY).variables])
    assert all(np.array_equal(first, second) for first, second in zip(*starts[:2], strict=True))
    assert not np.array_equal(starts[0][0], starts[2][0])

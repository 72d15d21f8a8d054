"""What layers and models tell Keras about themselves, and what it makes of that."""

import importlib
import json
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import EncoderConfig, HparamError
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.keras_registration import MODULE_OF, register_names
from electra_span.layers.embeddings import Embeddings
from electra_span.layers.heads import (
    ClassificationHead,
    MaskedLMHead,
    ReplacedTokenHead,
    SpanBoundaryStates,
    SpanMaskedLMHead,
    SpanReplacedTokenHead,
    TaggingHead,
)
from electra_span.layers.question_head import QuestionHead
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel, make_two_towers
from tests.tiny_models import TINY, randomize, tiny_batch

COMPOSITIONAL = EncoderConfig(
    **{
        **vars(TINY),
        "embedding_type": "compositional",
        "compositional_operation": "concat",
        "compositional_num_buckets": 5,
    }
)
LABELS = HeadConfig(task="mood", kind="classification", labels=("good", "bad"), classifier="dense")
NUMBER = HeadConfig(task="stars", kind="regression", score_range=(1.0, 5.0))
TAGS = HeadConfig(task="tags", kind="tagging", labels=("O", "B", "I"))
ANSWERS = HeadConfig(task="answers", kind="questions", answerable_uses_start_logits=False)


def _encoder(config=TINY, **options):
    return ElectraEncoder(config, name="electra", **options)


def _embeddings(config=TINY):
    embeddings = Embeddings(config, name="words")
    embeddings.build()
    return embeddings


LAYERS = {
    "encoder": lambda: _encoder(COMPOSITIONAL, direction="right_to_left", skips_padding=True, seed=3),
    "compiled_encoder": lambda: _encoder(compile_kernels=True, dtype="mixed_bfloat16"),
    "embeddings": lambda: _embeddings(COMPOSITIONAL),
    "masked_lm_head": lambda: MaskedLMHead(TINY, _embeddings(), num_states=2, name="head"),
    "replaced_token_head": lambda: ReplacedTokenHead(TINY, name="head", dtype="mixed_float16"),
    "span_states": lambda: SpanBoundaryStates(TINY, max_span_length=4, name="head"),
    "span_masked_lm_head": lambda: SpanMaskedLMHead(TINY, _embeddings(), max_span_length=4, name="head"),
    "span_replaced_token_head": lambda: SpanReplacedTokenHead(TINY, max_span_length=5, name="head"),
    "classification_head": lambda: ClassificationHead(TINY, LABELS, seed=7, name="head"),
    "regression_head": lambda: ClassificationHead(TINY, NUMBER, name="head"),
    "tagging_head": lambda: TaggingHead(TINY, TAGS, name="head"),
    "question_head": lambda: QuestionHead(TINY, ANSWERS, compile_kernels=True, name="head"),
}
MODELS = {
    "generator": lambda: ElectraGenerator(_encoder(COMPOSITIONAL), max_span_length=3, name="generator_model"),
    "discriminator": lambda: ElectraDiscriminator(
        _encoder(dtype="mixed_bfloat16"), max_span_length=2, dtype="mixed_bfloat16"
    ),
    "two_towers": lambda: make_two_towers(ElectraEncoder, TINY),
    "task_model": lambda: ElectraTaskModel(_encoder(), (LABELS, NUMBER, TAGS, ANSWERS)),
}


def _built(layer):
    if not layer.built:
        layer.build()
    return layer


@pytest.mark.parametrize("make", [*LAYERS.values(), *MODELS.values()], ids=[*LAYERS, *MODELS])
def test_a_config_makes_the_same_layer_again(make):
    layer = _built(make())
    config = json.loads(json.dumps(layer.get_config()))
    again = _built(type(layer).from_config(config))
    assert json.loads(json.dumps(again.get_config())) == config
    for name in layer.saved_arguments:
        if not isinstance(getattr(layer, name), keras.layers.Layer):
            assert getattr(again, name) == getattr(layer, name)
    assert again.dtype_policy.name == layer.dtype_policy.name
    if "embeddings" not in layer.saved_arguments or isinstance(layer, ElectraEncoder):  # else those are not its own
        described = [[(each.path, each.shape, each.trainable) for each in some.weights] for some in (layer, again)]
        assert described[0] == described[1]


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_model_comes_back_from_a_file(make, tmp_path):
    model, batch = make(), tiny_batch()
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [each.path for each in loaded.variables] == [each.path for each in model.variables]
    inputs = batch.input_ids, batch.input_mask, batch.segment_ids
    tf.nest.map_structure(np.testing.assert_array_equal, loaded(*inputs), model(*inputs))
    assert loaded.tokenizer is None
    if not isinstance(model, ElectraTaskModel):
        assert loaded.max_span_length == model.max_span_length


def test_what_is_frozen_stays_frozen(tmp_path):
    model = MODELS["discriminator"]()
    model.encoder.embeddings.trainable = False
    model.encoder.blocks[1].query.trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    frozen = [each.path for each in model.weights if not each.trainable]
    assert len(frozen) == 7
    assert [each.path for each in loaded.weights if not each.trainable] == frozen
    assert not loaded.encoder.embeddings.trainable
    assert loaded.encoder.trainable


def test_all_layers_and_models_are_registered_with_keras():
    for name, module in MODULE_OF.items():
        layer_class = getattr(importlib.import_module(module), name)
        assert keras.saving.get_registered_name(layer_class) == f"electra_span>{name}"
    made = {type(make()).__name__ for make in (*LAYERS.values(), *MODELS.values())}
    assert made | {"Electra"} == set(MODULE_OF)


def test_a_class_is_imported_when_keras_first_needs_it():
    objects = {}

    class Keras:
        class saving:
            get_custom_objects = staticmethod(lambda: objects)

    register_names(Keras)
    encoder = objects["electra_span>ElectraEncoder"].from_config(_encoder().get_config())
    assert isinstance(encoder, ElectraEncoder)
    objects["electra_span>ElectraEncoder"] = ElectraEncoder
    register_names(Keras)
    assert objects["electra_span>ElectraEncoder"] is ElectraEncoder


def test_differences_from_other_tables_are_no_part_of_a_file():
    base = _embeddings()
    encoder = _encoder(bases=base.tables)
    with pytest.raises(ValueError, match=r"differences.*save_pretrained"):
        encoder.get_config()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("hidden_size", 0, "hidden_size must be at least 1"), ("num_layers", 3, "unknown hparam 'num_layers'")],
)
def test_impossible_sizes_in_a_config_are_named(name, value, message):
    config = _encoder().get_config()
    config["config"] = {**config["config"], name: value}
    with pytest.raises(HparamError, match=message):
        ElectraEncoder.from_config(config)


def test_a_seed_of_its_own_changes_no_other_random_number():
    random.seed(3)
    _encoder(TINY)
    drawn = random.random()
    random.seed(3)
    _encoder(TINY, seed=5)
    assert random.random() == drawn

"""Encoders as layers of Keras models of a user's own: called, trained by fit, saved to a file and loaded from it."""

import io
import pathlib
import re
import subprocess
import sys
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span import Electra, ElectraEncoder, EncoderConfig, save_pretrained
from electra_span.head_config import HeadConfig
from electra_span.layers.heads import ClassificationHead, MaskedLMHead
from electra_span.layers.kernels import NOT_QUANTIZED
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel
from tests.tiny_models import MASK, TINY, randomize, tiny_batch

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "using_models.md"
COMPOSITIONAL = EncoderConfig(**{**vars(TINY), "embedding_type": "compositional"})
ONE_BLOCK = EncoderConfig(**{**vars(TINY), "num_hidden_layers": 1})
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _toy(num_rows=96):
    """Rows of 9 ids, each labelled by whether its second id is odd."""
    ids = np.random.default_rng(0).integers(5, TINY.vocab_size, (num_rows, 9)).astype(np.int32)
    return ids, ids[:, 1] % 2


def _classifier(**options):
    ids = keras.Input([None], dtype="int32")
    states = ElectraEncoder(ONE_BLOCK, name="electra", **options)(ids)
    return keras.Model(ids, keras.layers.Dense(2, dtype="float32", name="label")(states[:, 1]))


def _towers(config):
    """A model of two encoders that share their embeddings, which a masked LM head uses as well."""
    ids, mask, segments = inputs = [
        keras.Input([None], dtype="int32", name=name) for name in ("input_ids", "input_mask", "segment_ids")
    ]
    first = ElectraEncoder(config, name="first")
    second = ElectraEncoder(config, first.embeddings, direction="left_to_right", name="second")
    head = MaskedLMHead(config, first.embeddings, num_states=2, name="words")
    both = keras.layers.Concatenate()([first(ids, mask, segments), second(ids, input_mask=mask)])
    return keras.Model(inputs, [head(both), keras.layers.Dense(3, name="label")(both[:, 0])])


def _run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("options", [{}, {"skips_padding": True}])
def test_a_functional_models_states_are_the_encoders(options):
    encoder = ElectraEncoder(TINY, name="electra", **options)
    randomize(encoder)
    batch = tiny_batch()
    values = {"input_ids": batch.input_ids, "segment_ids": batch.segment_ids, "input_mask": batch.input_mask}
    for length in (None, 11):
        inputs = {name: keras.Input([length], dtype="int32", name=name) for name in values}
        output = encoder(**inputs)
        assert output.shape == (None, length, TINY.hidden_size)
        states = keras.Model(inputs, output)(values)
        np.testing.assert_array_equal(
            states, encoder(*(values[name] for name in ("input_ids", "input_mask", "segment_ids")))
        )
    assert keras.Model(inputs["input_ids"], encoder(inputs["input_ids"]))(batch.input_ids).shape == (3, 11, 12)
    assert encoder.compute_output_shape((4, 7)) == (4, 7, TINY.hidden_size)


def test_a_functional_models_states_have_the_policys_dtype():
    ids = keras.Input([None], dtype="int32")
    assert ElectraEncoder(TINY, dtype="mixed_bfloat16")(ids).dtype == "bfloat16"


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (lambda: keras.Input([None]), "integers.*dtype='int32'.*Received: float32"),
        (lambda: keras.Input([None, 3], dtype="int32"), r"integers \[B, L\].*shape \(None, None, 3\)"),
        (lambda: keras.Input([17], dtype="int32"), "max_position_embeddings=16.*Received: 17"),
    ],
)
def test_inputs_that_are_no_ids_are_refused_where_they_are_joined(ids, message):
    with pytest.raises(ValueError, match=message):
        ElectraEncoder(TINY)(ids())


@pytest.mark.parametrize(
    ("options", "compiled"),
    [({}, True), ({"dtype": "mixed_bfloat16"}, "auto"), ({"skips_padding": True, "compile_kernels": True}, "auto")],
    ids=["xla", "bfloat16", "packed"],
)
def test_fit_learns(options, compiled):
    keras.utils.set_random_seed(0)
    model = _classifier(**options)
    model.compile(keras.optimizers.Adam(0.01), LOSS, metrics=["accuracy"], jit_compile=compiled)
    history = model.fit(*_toy(), batch_size=48, epochs=25, verbose=0).history
    assert history["accuracy"][-1] > 0.95
    assert np.mean(history["loss"][:2]) > 0.5 > 0.2 > history["loss"][-1]


def test_an_encoder_of_varying_shapes_is_not_compiled():
    assert ElectraEncoder(TINY).supports_jit
    assert not ElectraEncoder(TINY, skips_padding=True).supports_jit


def test_dropout_acts_in_training_alone_and_is_another_at_each_step():
    keras.utils.set_random_seed(1)
    model, (ids, _) = _classifier(), _toy(8)
    first, second = (model(ids, training=True).numpy() for _ in range(2))
    assert np.any(first != second)
    np.testing.assert_array_equal(model(ids), model(ids, training=False))
    np.testing.assert_array_equal(model(ids), model.predict(ids, verbose=0))
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(_classifier()(ids, training=True), first)
    keras.utils.set_random_seed(2)
    other = _classifier(seed=5)
    other.set_weights(model.get_weights())
    again = _classifier(seed=5)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(other(ids, training=True), again(ids, training=True))


def test_a_seed_that_is_given_decides_alone():
    encoder, (ids, _) = ElectraEncoder(TINY), _toy(8)
    states = [encoder(ids, dropout_seed=[3, 4], training=training).numpy() for training in (None, True, False)]
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(states[0], states[2])
    assert np.any(states[0] != encoder(ids).numpy())


@pytest.mark.parametrize("model_class", [ElectraDiscriminator, ElectraTaskModel])
def test_keras_training_reaches_the_layers_of_a_model(model_class):
    head = HeadConfig(task="mood", kind="classification", labels=("good", "bad"))
    rates = {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.0}
    encoder = ElectraEncoder(EncoderConfig(**{**vars(TINY), **rates}))
    model = model_class(encoder, *([(head,)] if model_class is ElectraTaskModel else []))
    ids = keras.Input([None], dtype="int32")
    functional, rows = keras.Model(ids, model(ids)), _toy(8)[0]
    still, again = (tf.nest.flatten(functional(rows, training=False))[0] for _ in range(2))
    np.testing.assert_array_equal(still, again)
    assert np.any(tf.nest.flatten(functional(rows, training=True))[0] != still)


def test_a_classification_heads_own_dropout_acts_in_training():
    head = ClassificationHead(TINY, HeadConfig(task="mood", kind="classification", labels=("good", "bad")))
    states = np.random.default_rng(0).normal(size=(5, 3, TINY.hidden_size)).astype(np.float32)
    assert np.any(head(states, training=True) != head(states))
    assert np.any(head(states, training=True) != head(states, training=True))


@pytest.mark.parametrize("config", [TINY, COMPOSITIONAL], ids=["full", "compositional"])
def test_shared_tables_are_saved_once_and_shared_again(config, tmp_path):
    model, batch = _towers(config), tiny_batch()
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    first, second, head = (loaded.get_layer(name) for name in ("first", "second", "words"))
    assert first.embeddings is second.embeddings is head.embeddings
    assert [each.path for each in loaded.weights] == [each.path for each in model.weights]
    inputs = [batch.input_ids, batch.input_mask, batch.segment_ids]
    tf.nest.map_structure(np.testing.assert_array_equal, loaded(inputs), model(inputs))
    saved = _shapes_in(tmp_path / "model.keras")
    for shape in config.embedding_tables.values():
        assert saved.count(shape) == 1


def _shapes_in(file):
    """The shapes of all that a .keras file holds."""
    with zipfile.ZipFile(file) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        shapes = []
        weights.visititems(lambda name, item: shapes.append(item.shape) if isinstance(item, h5py.Dataset) else None)
    return shapes


def test_fit_goes_on_from_a_file_as_it_would_have(tmp_path):
    model, (ids, labels) = _classifier(), _toy()
    model.compile(keras.optimizers.AdamW(0.01), LOSS)
    model.fit(ids, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 3
    expected = model.fit(ids, labels, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert loaded.fit(ids, labels, epochs=2, shuffle=False, verbose=0).history["loss"] == expected
    for ours, theirs in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def test_another_process_loads_a_file_by_importing_the_package_alone(tmp_path):
    model, (ids, _) = _classifier(), _toy(4)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "ids.npy", ids)
    code = (
        "import electra_span, keras, numpy as np; "
        f"model = keras.saving.load_model({str(tmp_path / 'model.keras')!r}); "
        f"print(type(model.layers[1]).__name__, model(np.load({str(tmp_path / 'ids.npy')!r})).numpy().tolist())"
    )
    name, logits = _run(code).split(" ", 1)
    assert name == "ElectraEncoder"
    np.testing.assert_allclose(np.array(eval(logits)), model(ids), rtol=0, atol=1e-6)


def test_the_lines_of_the_guide_run(tmp_path, monkeypatch):
    section = GUIDE.read_text(encoding="utf-8").partition("## Keras layers\n")[2]
    lines = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    encoder = ElectraEncoder(ONE_BLOCK, name="electra")
    save_pretrained(ElectraDiscriminator(encoder), None, tmp_path / "data/mine/models/mine/discriminator")
    monkeypatch.chdir(tmp_path)
    rows, labels = _toy(8)
    namespace = {"rows": rows, "labels": labels}
    exec(lines, namespace)
    assert isinstance(namespace["model"].get_layer("electra"), ElectraEncoder)
    assert namespace["model"].get_layer("electra") is not namespace["encoder"]


def _quantized(model, mode):
    """Quantizes a model, and returns its warnings about layers of ours."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.quantize(mode)
    return {str(each.message) for each in caught if "electra_span" in str(each.message)}


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantize_leaves_our_layers_as_they_are_with_a_warning_and_the_model_is_saved_and_loaded(mode, tmp_path):
    ids = keras.Input([None], dtype="int32")
    encoder = ElectraEncoder(TINY, name="electra")
    states = encoder(ids)
    heads = [ClassificationHead(TINY, HeadConfig(task="a", kind="classification", labels=("x", "y")), name="ours")]
    heads.append(MaskedLMHead(TINY, encoder.embeddings, name="words"))
    model = keras.Model(ids, [head(states) for head in heads] + [keras.layers.Dense(4, name="theirs")(states)])
    rows, _ = _toy(4)
    before = model.predict(rows, verbose=0)
    assert _quantized(model, mode) == {NOT_QUANTIZED}
    assert model.get_layer("theirs").quantization_mode == mode
    after = model.predict(rows, verbose=0)
    for index in range(2):
        np.testing.assert_array_equal(after[index], before[index])
    model.save(tmp_path / "quantized.keras")
    loaded = keras.saving.load_model(tmp_path / "quantized.keras")
    for first, second in zip(loaded.predict(rows, verbose=0), after, strict=True):
        np.testing.assert_array_equal(first, second)


def test_models_of_ours_are_not_quantized():
    encoder = ElectraEncoder(ONE_BLOCK, name="electra")
    discriminator = ElectraDiscriminator(encoder)
    both = Electra(ElectraGenerator(encoder), discriminator, mask_id=MASK, pad_id=0)
    both(_toy(2)[0])
    for model, message in ((discriminator, "does not quantize encoders"), (both, "Quantize the discriminator alone")):
        with pytest.raises(NotImplementedError, match=message):
            model.quantize("int8")
    with pytest.raises(ValueError, match=r"does not quantize encoders.*Received: dtype='int8_from_float32'"):
        ElectraEncoder(ONE_BLOCK, dtype="int8_from_float32")


@pytest.mark.parametrize("second", ["mixed_float16", "float32"])
def test_an_optimizer_under_mixed_float16_goes_on_only_under_the_same_policy(second, tmp_path):
    # Under another policy the loss scale is missing, and Keras drops the whole state (docs/using_models.md).
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        model = _classifier()
        model.compile("adam", LOSS)
        model.fit(*_toy(8), verbose=0)
        model.save(tmp_path / "half.keras")
        keras.config.set_dtype_policy(second)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = keras.saving.load_model(tmp_path / "half.keras")
    finally:
        keras.config.set_dtype_policy(before)
    assert int(loaded.optimizer.iterations) == (1 if second == "mixed_float16" else 0)

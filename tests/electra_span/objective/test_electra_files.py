"""ELECTRA's objective around two models as one .keras file."""

import keras
import numpy as np
import pytest

from electra_span.encoder import ElectraEncoder
from electra_span.models import ElectraDiscriminator, ElectraGenerator
from electra_span.objective.electra import Electra
from electra_span.objective.masking import MaskingConfig
from electra_span.objective.wiring import WiringError
from tests.tiny_keras_models import PAD, VOCAB_SIZE, tiny_convolution, tiny_electra, tiny_ids, tiny_mlp
from tests.tiny_models import MASK, TINY

IS_CONTINUATION = np.arange(VOCAB_SIZE) % 3 == 0
WORDS = MaskingConfig(
    mask_prob=0.4,
    max_predictions_per_seq=4,
    mask_id=MASK,
    special_ids=(PAD, MASK),
    masking="whole_word",
    is_continuation=IS_CONTINUATION,
)


@keras.saving.register_keras_serializable("tests")
def moved(input_ids, input_mask):
    """What a discriminator reads that knows ids from another place on."""
    return (input_ids + input_mask) % VOCAB_SIZE


def _with_table():
    embedding = keras.layers.Embedding(VOCAB_SIZE, 5, name="words")
    return tiny_electra(
        tiny_mlp(5, embedding=embedding), tiny_mlp(3), word_embeddings=embedding, discriminator_layer="hidden", seed=4
    )


def _of_words():
    models = tiny_convolution(VOCAB_SIZE), tiny_convolution(1)
    return Electra(
        *models, mask_id=MASK, pad_id=PAD, masking=WORDS, gen_weight=2.0, temperature=0.5, discriminator_inputs=moved
    )


def _of_encoders():
    encoder = ElectraEncoder(TINY, name="electra")
    generator = ElectraGenerator(ElectraEncoder(TINY, encoder.embeddings, name="generator"))
    return tiny_electra(generator, ElectraDiscriminator(encoder), replace_probs=(0.5, 0.5, 0.0), vocab_size=VOCAB_SIZE)


@pytest.mark.parametrize("make", [_with_table, _of_words, _of_encoders], ids=["table", "words", "encoders"])
def test_training_goes_on_from_a_file_as_it_would_have(make, tmp_path):
    keras.utils.set_random_seed(5)
    model, ids = make(), tiny_ids(num_rows=8)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    model.fit(ids, batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.step) == 2
    assert len(loaded.variables) == len(model.variables)
    for other in (model, loaded):
        other.fit(ids, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_array_equal(loaded.predict(ids, verbose=0), model.predict(ids, verbose=0))
    for ours, theirs in zip(model.trainable_variables, loaded.trainable_variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
    settings = model.get_config().keys() - {"generator", "discriminator", "word_embeddings"}
    assert {"masking", "temperature", "gen_weight", "discriminator_layer", "seed"} <= settings
    for name in settings:
        assert loaded.get_config()[name] == model.get_config()[name], name


def test_what_two_models_share_is_shared_again(tmp_path):
    model = _of_encoders()
    model(tiny_ids())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.generator.encoder.embeddings is loaded.discriminator.encoder.embeddings
    model = _with_table()
    model(tiny_ids())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.word_embeddings is loaded.generator.get_layer("words")


def test_layers_of_two_functional_models_are_refused():
    embedding = keras.layers.Embedding(VOCAB_SIZE, 5, name="words")
    model = tiny_electra(tiny_mlp(VOCAB_SIZE, embedding=embedding), tiny_mlp(1, embedding=embedding))
    with pytest.raises(WiringError, match=r"share no layers.*Received: \['words'\].*save_weights"):
        model.get_config()


@pytest.mark.parametrize(
    "options", [{"word_embeddings": 0}, {"word_embeddings": 1, "output_bias": np.zeros(VOCAB_SIZE)}]
)
def test_bare_tables_are_refused(options):
    table = np.ones([VOCAB_SIZE, 5], np.float32)
    embedding = keras.layers.Embedding(VOCAB_SIZE, 5)
    embedding.build()
    model = tiny_electra(tiny_mlp(5), **{**options, "word_embeddings": (table, embedding)[options["word_embeddings"]]})
    with pytest.raises(WiringError, match=r"an embedding layer there.*save_weights"):
        model.get_config()

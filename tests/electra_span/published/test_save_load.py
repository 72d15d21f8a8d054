"""Published models: recorded outputs of transformers, saving and loading, and folders that are not in order."""

import concurrent.futures
import dataclasses
import json

import keras
import numpy as np
import pytest

import electra_span
from electra_span.config import COMPOSITIONAL_FIELDS, EncoderConfig, UserError
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator, make_two_towers
from electra_span.published import save_load, weights
from electra_span.published.save_load import PublishedModelError, load_pretrained, load_task_model, save_pretrained
from electra_span.tokenization import WordPieceTokenizer
from tests.tiny_models import TINY, VOCABULARY, randomize

KINDS = {"discriminator": ElectraDiscriminator, "generator": ElectraGenerator}
HEAD = HeadConfig(task="a", kind="regression")
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")


@pytest.fixture(scope="module", params=["proj", "noproj", "tiny"])
def recorded(golden, request):
    """The folder of two published models and transformers' outputs of them."""
    folder = golden(f"hf/{request.param}")
    return folder, dict(np.load(folder / "io.npz"))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return electra_span.load_tokenizer(path, do_lower_case=False)


def _inputs(tensors, prefix=""):
    names = {"input_ids": "input_ids", "input_mask": "attention_mask", "segment_ids": "token_type_ids"}
    return {ours: tensors[f"{prefix}{theirs}"] for ours, theirs in names.items()}


def _tiny(kind, seed=0, **options):
    model = KINDS[kind](ElectraEncoder(TINY, name="electra"), **options)
    randomize(model, seed)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_states_are_those_of_transformers(recorded, kind):
    folder, tensors = recorded
    model = load_pretrained(folder / kind)
    prefix = {"discriminator": "disc", "generator": "gen"}[kind]
    states = model.encoder.hidden_states(**_inputs(tensors))
    np.testing.assert_allclose(states, tensors[f"{prefix}_hidden_states"], rtol=0, atol=5e-6)
    last = model.encoder(**_inputs(tensors))
    np.testing.assert_allclose(last, tensors[f"{prefix}_last_hidden_state"], rtol=0, atol=5e-6)


def test_discriminator_logits_are_those_of_transformers(recorded):
    folder, tensors = recorded
    model = load_pretrained(folder / "discriminator")
    assert isinstance(model, ElectraDiscriminator)
    assert model.tokenizer is None
    np.testing.assert_allclose(model(**_inputs(tensors)), tensors["disc_logits"], rtol=0, atol=2e-5)
    long = _inputs(tensors, "long_")
    np.testing.assert_allclose(model(**long), tensors["long_disc_logits"], rtol=0, atol=2e-5)
    np.testing.assert_allclose(model.encoder(**long), tensors["long_disc_last_hidden_state"], rtol=0, atol=5e-6)
    defaults = model(input_ids=tensors["input_ids"])
    np.testing.assert_allclose(defaults, tensors["disc_logits_defaults"], rtol=0, atol=2e-5)


def test_generator_logits_are_those_of_transformers(recorded):
    folder, tensors = recorded
    model = load_pretrained(folder / "generator")
    logits = model(**_inputs(tensors))
    np.testing.assert_allclose(logits, tensors["gen_logits"], rtol=0, atol=2e-5)
    positions = np.array([[3, 0, 9], [1, 1, 2], [5, 4, 0], [23, 0, 0]], np.int32)
    at_positions = np.take_along_axis(tensors["gen_logits"], positions[:, :, None], axis=1)
    np.testing.assert_allclose(model(**_inputs(tensors), positions=positions), at_positions, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_write_of_their_model_has_their_names_shapes_and_settings(recorded, kind, tmp_path):
    folder, _ = recorded
    save_pretrained(load_pretrained(folder / kind), None, tmp_path)
    ours, theirs = (dict(_tensors(where)) for where in (tmp_path, folder / kind))
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    settings, published = (json.loads((where / "config.json").read_text()) for where in (tmp_path, folder / kind))
    assert settings.items() <= published.items()
    assert _sizes(published).items() <= settings.items()


def _tensors(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def _sizes(settings):
    """What in a config.json does not have transformers' default, and its kind."""
    extra = {"architectures", "model_type", "dtype", "pad_token_id", "tie_word_embeddings"}
    fields = set(EncoderConfig.__dataclass_fields__) - set(COMPOSITIONAL_FIELDS)
    return {name: settings[name] for name in extra | fields}


def _compositional(kind, **changes):
    config = EncoderConfig(**{**vars(TINY), "embedding_type": "compositional", **changes})
    model = KINDS[kind](ElectraEncoder(config, name="electra"))
    randomize(model)
    return model


@pytest.mark.parametrize("operation", ["multiply", "add", "concat"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_compositional_model_loads_bit_for_bit_and_holds_the_full_table_too(kind, operation, tmp_path):
    model = _compositional(kind, compositional_operation=operation, compositional_num_buckets=5)
    save_pretrained(model, None, tmp_path)
    loaded = load_pretrained(tmp_path)
    assert loaded.config == model.config
    for before, after in zip(model.variables, loaded.variables, strict=True):
        assert before.path == after.path
        np.testing.assert_array_equal(before.numpy(), after.numpy())
    settings, tensors = json.loads((tmp_path / "config.json").read_text()), _tensors(tmp_path)
    assert {name: settings[name] for name in COMPOSITIONAL_FIELDS} == {
        "embedding_type": "compositional", "compositional_operation": operation, "compositional_num_buckets": 5
    }  # fmt: skip
    table = model.encoder.embeddings.words.full_table()
    np.testing.assert_array_equal(tensors["electra.embeddings.word_embeddings.weight"], table)
    _change_config(tmp_path, {"embedding_type": "full"})
    np.testing.assert_allclose(
        load_pretrained(tmp_path)(input_ids=[[2, 7, 3]]), model(input_ids=[[2, 7, 3]]), rtol=1e-4
    )


def test_a_compositional_model_without_its_two_tables_can_be_read_as_a_full_one(tmp_path):
    from safetensors.numpy import save_file

    save_pretrained(_compositional("discriminator"), None, tmp_path)
    tensors = {name: value for name, value in _tensors(tmp_path).items() if "quotients" not in name}
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(PublishedModelError, match=r"lacks .*word_quotients\.weight; .*set embedding_type to \"full\""):
        load_pretrained(tmp_path)
    _change_config(tmp_path, {"embedding_type": "full"})
    assert load_pretrained(tmp_path).config == TINY


@pytest.mark.parametrize("max_span_length", [0, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_loads_bit_for_bit(kind, max_span_length, tokenizer, tmp_path):
    model = _tiny(kind, max_span_length=max_span_length)
    electra_span.save_pretrained(model, tokenizer, tmp_path / "a" / "model")
    loaded = electra_span.load_pretrained(tmp_path / "a" / "model")
    assert type(loaded) is KINDS[kind]
    assert (loaded.config, loaded.max_span_length) == (TINY, max_span_length)
    assert loaded.tokenizer.settings == tokenizer.settings
    assert loaded.tokenizer.fingerprint == tokenizer.fingerprint
    assert len(loaded.variables) == len(model.variables)
    for before, after in zip(model.variables, loaded.variables, strict=True):
        assert before.path == after.path
        np.testing.assert_array_equal(before.numpy(), after.numpy())
    ids = [[2, 7, 8, 3], [2, 30, 3, 0]]
    np.testing.assert_array_equal(model(input_ids=ids), loaded(input_ids=ids))


@pytest.mark.parametrize("kind", [ElectraGenerator, ElectraDiscriminator, TwoTowerGenerator])
def test_a_model_made_in_an_open_name_scope_is_published_and_loaded_as_any(kind, tmp_path):
    with keras.name_scope("left_open"):
        if kind is TwoTowerGenerator:
            model = make_two_towers(ElectraEncoder, TINY)
        else:
            model = kind(ElectraEncoder(TINY), max_span_length=3)
        save_pretrained(model, None, tmp_path)
        loaded = load_pretrained(tmp_path)
    for ours, theirs in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_logits_are_float32_of_the_documented_shapes_under_any_precision(tmp_path):
    ids = np.array([[2, 7, 8, 3], [2, 30, 3, 0]])
    for kind, shape in (("discriminator", (2, 4)), ("generator", (2, 4, TINY.vocab_size))):
        save_pretrained(_tiny(kind), None, tmp_path / kind)
        for dtype in ("float32", "mixed_bfloat16", "mixed_float16"):
            model = load_pretrained(tmp_path / kind, dtype=dtype)
            logits = model(input_ids=ids, input_mask=(ids > 0).astype(int))
            assert (logits.shape, logits.dtype.name) == (shape, "float32")
            assert model.encoder(input_ids=ids).shape == (2, 4, TINY.hidden_size)


def test_saving_replaces_the_older_model_and_nothing_else(tokenizer, tmp_path):
    (tmp_path / f".{'0a' * 16}.unfinished").mkdir()
    (tmp_path / f".{'0a' * 16}.unfinished" / "left_by_a_killed_run").touch()
    (tmp_path / "notes.txt").write_text("mine")
    save_pretrained(_tiny("discriminator"), tokenizer, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted((*FILES, "notes.txt"))
    save_pretrained(_tiny("generator"), None, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors", "notes.txt"]
    assert isinstance(load_pretrained(tmp_path), ElectraGenerator)


def _with_rate(rate, number):
    """Returns a model whose config, weights and vocabulary tell that they belong together."""
    model = ElectraDiscriminator(ElectraEncoder(dataclasses.replace(TINY, hidden_dropout_prob=rate), name="electra"))
    for variable in model.variables:
        variable.assign(np.full(variable.shape, rate))
    words = [f"model{number}" if word == VOCABULARY[-1] else word for word in VOCABULARY]
    return model, WordPieceTokenizer(words, do_lower_case=False)


def _of_one_writing(model):
    """Returns which model a loaded one is; 0 where it is a mixture."""
    rate = model.config.hidden_dropout_prob
    number = round(rate * 10)
    is_whole = all(np.allclose(variable.numpy(), rate) for variable in model.variables)
    return number if is_whole and model.tokenizer.vocabulary[-1] == f"model{number}" else 0


@pytest.mark.parametrize("moment", ["read_settings", "open_published", "read_tensors", "read_tokenizer"])
@pytest.mark.parametrize("load", [load_pretrained, lambda folder: load_task_model(folder, [HEAD])])
def test_a_model_that_is_replaced_while_it_is_read_is_read_whole(moment, load, tmp_path, monkeypatch):
    save_pretrained(*_with_rate(0.1, 1), tmp_path)
    newer = _with_rate(0.2, 2)
    module = weights if moment == "read_settings" else save_load
    read, replaced = getattr(module, moment), []

    def read_late(*arguments):
        result = read(*arguments)
        if not replaced:
            replaced.append(save_pretrained(*newer, tmp_path))
        return result

    monkeypatch.setattr(module, moment, read_late)
    loaded = load(tmp_path)
    assert loaded.config.hidden_dropout_prob == 0.2
    assert loaded.tokenizer.vocabulary[-1] == "model2"
    assert np.allclose(loaded.encoder.variables[0].numpy(), 0.2)


def test_writers_of_one_folder_at_once_leave_one_of_their_models(tmp_path):
    models = [_with_rate(rate, number) for rate, number in ((0.1, 1), (0.2, 2))]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        writings = [pool.submit(save_pretrained, *models[turn % 2], tmp_path) for turn in range(12)]
        for writing in writings:
            writing.result()
    assert _of_one_writing(load_pretrained(tmp_path)) in (1, 2)
    assert sorted(file.name for file in tmp_path.iterdir()) == list(FILES)


class _TokenizerOnAFullDisk:
    pad_id = 0

    def save(self, directory, model_max_length=None):
        raise OSError(28, "No space left on device", str(directory))


def test_a_full_disk_leaves_the_older_model_whole(tokenizer, tmp_path):
    model = _tiny("discriminator")
    save_pretrained(model, tokenizer, tmp_path)
    with pytest.raises(PublishedModelError, match=r"cannot write a model to .*No space left on device"):
        save_pretrained(_tiny("generator"), _TokenizerOnAFullDisk(), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == list(FILES)
    loaded = load_pretrained(tmp_path)
    np.testing.assert_array_equal(loaded.variables[0].numpy(), model.variables[0].numpy())


def test_saving_where_a_file_is_in_the_way_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PublishedModelError, match="file"):
        save_pretrained(_tiny("generator"), None, tmp_path / "file")


def test_a_vocabulary_in_tokenizer_json_alone_is_found(tokenizer, tmp_path):
    save_pretrained(_tiny("generator"), tokenizer, tmp_path)
    (tmp_path / "vocab.txt").unlink()
    assert load_pretrained(tmp_path).tokenizer.vocabulary == tokenizer.vocabulary


# What is done to a published folder's config.json, and what the error must say.
BAD_CONFIGS = [
    ({"architectures": ["BertForMaskedLM"]}, r"architectures must be one of .*ElectraForMaskedLM.*Received.*Bert"),
    ({"architectures": None}, "Received: None"),
    ({"architectures": 7}, "Received: 7"),
    ({"architectures": [["ElectraForMaskedLM"]]}, "architectures must be"),
    ({"hidden_size": "12"}, r"hidden_size must be an integer. Received: '12'"),
    ({"hidden_size": 13}, "multiple of num_attention_heads"),
    ({"hidden_act": "relu"}, "hidden_act"),
    ({"num_hidden_layers": -1}, "num_hidden_layers must be at least 1"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_CONFIGS)
def test_a_bad_config_is_an_error_that_names_the_file_and_the_setting(changes, message, tmp_path):
    save_pretrained(_tiny("discriminator"), None, tmp_path)
    _change_config(tmp_path, changes)
    with pytest.raises(PublishedModelError, match=message) as caught:
        load_pretrained(tmp_path)
    assert str(tmp_path / "config.json") in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "tensor"),
    [
        ({"vocab_size": 2**31 - 1}, "word_embeddings"),
        ({"max_position_embeddings": 2**31 - 1}, "position_embeddings"),
        ({"intermediate_size": 2**31 - 1}, "layer.0.intermediate"),
        ({"num_hidden_layers": 2**31 - 1}, "layer.2.attention"),
        ({"embedding_size": 12}, "word_embeddings"),
    ],
)
def test_sizes_that_the_file_does_not_hold_are_found_before_anything_is_made(changes, tensor, tmp_path):
    save_pretrained(_tiny("discriminator"), None, tmp_path)
    _change_config(tmp_path, changes)
    with pytest.raises(PublishedModelError, match=tensor) as caught:
        load_pretrained(tmp_path)
    assert str(tmp_path / "model.safetensors") in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"\x00\xff" * 20, b"[]"])
def test_a_missing_or_foreign_file_is_an_error_that_names_it(name, content, tmp_path):
    save_pretrained(_tiny("discriminator"), None, tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PublishedModelError) as caught:
        load_pretrained(tmp_path)
    assert str(tmp_path / name) in str(caught.value)


def test_a_truncated_safetensors_file_is_an_error(tmp_path):
    save_pretrained(_tiny("discriminator"), None, tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(PublishedModelError, match=r"model\.safetensors: is not a safetensors file"):
        load_pretrained(tmp_path)


def test_a_missing_tensor_is_named(tmp_path):
    from safetensors.numpy import save_file

    save_pretrained(_tiny("discriminator"), None, tmp_path)
    tensors = _tensors(tmp_path)
    del tensors["electra.encoder.layer.1.output.dense.bias"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(PublishedModelError, match=r"lacks the tensor electra\.encoder\.layer\.1\.output\.dense\.bias"):
        load_pretrained(tmp_path)


def test_a_config_with_fewer_layers_than_the_weights_is_an_error(tmp_path):
    save_pretrained(_tiny("discriminator"), None, tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**settings, "num_hidden_layers": 1}), encoding="utf-8")
    with pytest.raises(PublishedModelError, match=r"has 2 layers, by the config\.json .* num_hidden_layers is 1"):
        load_pretrained(tmp_path)


def test_a_vocabulary_larger_than_the_model_is_an_error(tokenizer, tmp_path):
    save_pretrained(_tiny("discriminator"), tokenizer, tmp_path)
    WordPieceTokenizer([*tokenizer.vocabulary, "one_more"]).save(tmp_path)
    with pytest.raises(PublishedModelError, match="at least the tokenizer's 38 tokens"):
        load_pretrained(tmp_path)


def test_the_errors_of_published_models_are_the_users(tmp_path):
    with pytest.raises(UserError, match=r"config\.json: cannot be read \(No such file"):
        load_pretrained(tmp_path / "nowhere")


def _change_config(folder, changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

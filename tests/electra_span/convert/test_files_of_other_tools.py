"""Models that other tools wrote: read with the numbers that transformers reads, or refused in one line."""

import json
import logging
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from electra_span.config import EncoderConfig, UserError
from electra_span.convert.source_models import build
from electra_span.convert.warm_start import opened_source
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel
from electra_span.published.save_load import PublishedModelError, load_pretrained, load_task_model, save_pretrained
from tests.converted import split_model
from tests.tiny_models import TINY, randomize

KINDS = {"discriminator": ElectraDiscriminator, "generator": ElectraGenerator}
COMPOSITIONAL = EncoderConfig(**{**vars(TINY), "embedding_type": "compositional"})
INPUTS = {"input_ids": np.array([[2, 7, 36, 8, 3], [2, 30, 3, 0, 0]])}
INPUTS["input_mask"] = (INPUTS["input_ids"] > 0).astype(np.int32)
WORDS, HEAD = "electra.embeddings.word_embeddings.weight", "generator_lm_head.weight"
BIAS = "electra.encoder.layer.1.output.dense.bias"


def _save(folder, kind, config=TINY, max_span_length=0):
    model = KINDS[kind](ElectraEncoder(config, name="electra"), max_span_length=max_span_length)
    randomize(model)
    save_pretrained(model, None, folder)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Published folders and their models, by kind and what they have."""
    root, models = tmp_path_factory.mktemp("published"), {}
    for kind in KINDS:
        models[kind] = root / kind, _save(root / kind, kind)
        models[f"span {kind}"] = root / f"span {kind}", _save(root / f"span {kind}", kind, max_span_length=4)
        models[f"compositional {kind}"] = root / f"c {kind}", _save(root / f"c {kind}", kind, COMPOSITIONAL)
    return models


def _rewrite(source, target, change=dict, settings=None):
    """Copies a published folder, its tensors and settings changed."""
    shutil.copytree(source, target)
    save_file(change(load_file(source / "model.safetensors")), target / "model.safetensors")
    content = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**content, **(settings or {})}))
    return target


def _renamed(*pairs):
    def change(tensors):
        for old, new in pairs:
            tensors = {name.replace(old, new): value for name, value in tensors.items()}
        return tensors

    return change


def _without(*parts):
    return lambda tensors: {name: value for name, value in tensors.items() if not any(part in name for part in parts)}


def _with(**added):
    """Adds tensors, made of all others; dots in their names are written as __."""
    return lambda tensors: {**tensors, **{name.replace("__", "."): make(tensors) for name, make in added.items()}}


def _started_from(folder):
    """The model that init_checkpoint and convert_checkpoint.py read in a folder."""
    with opened_source("init_checkpoint", folder, beside=folder.parent / "new") as source:
        (half,) = source.halves
        return build(half)


def _assert_read_as(model, folder):
    for again in (load_pretrained(folder), _started_from(folder)):
        np.testing.assert_array_equal(again(**INPUTS), model(**INPUTS))


WRITTEN_OTHERWISE = {
    "old names of LayerNorms": _renamed(("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")),
    "torch.compile": lambda tensors: {f"_orig_mod.{name}": value for name, value in tensors.items()},
    "torch.compile of the encoder": _renamed(("electra.", "electra._orig_mod.")),
    "DataParallel": lambda tensors: {f"module.{name}": value for name, value in tensors.items()},
    "an encoder without prefix": _renamed(("electra.", "")),
    "a prefix twice": lambda tensors: {f"electra.{name}": value for name, value in tensors.items()},
    "buffers": _with(
        electra__embeddings__position_ids=lambda tensors: np.arange(16)[None],
        electra__embeddings__token_type_ids=lambda tensors: np.zeros([1, 16], np.int64),
    ),
    "an equal output table": lambda tensors: {**tensors, HEAD: tensors[WORDS].copy()},
}


@pytest.mark.parametrize("written", WRITTEN_OTHERWISE)
def test_names_that_other_tools_give_are_read_as_transformers_reads_them(written, saved, tmp_path):
    folder, model = saved["generator"]
    _assert_read_as(model, _rewrite(folder, tmp_path / "model", WRITTEN_OTHERWISE[written]))


def test_an_output_table_alone_is_the_words_vectors(saved, tmp_path):
    folder, model = saved["generator"]
    _assert_read_as(model, _rewrite(folder, tmp_path / "model", _renamed((WORDS, HEAD))))


def _added_to(name, what=1):
    return lambda tensors: {**tensors, name: tensors[name] + what}


# What is done to a published folder, and what the error must say.
REFUSED = {
    "another output table": (
        "generator", _with(generator_lm_head__weight=lambda tensors: tensors[WORDS] + 1), {}, "must equal .*word_embed"
    ),
    "an untied output table": (
        "generator", _with(generator_lm_head__weight=lambda tensors: tensors[WORDS] + 1),
        {"tie_word_embeddings": False}, "must equal .*word_embed",
    ),
    "no output table": ("generator", dict, {"tie_word_embeddings": False}, "lacks generator_lm_head.weight, which tie"),
    "two LayerNorms": (
        "discriminator", _with(electra__embeddings__LayerNorm__gamma=lambda tensors: np.ones(8, np.float32)), {},
        "two tensors for electra.embeddings.LayerNorm.weight",
    ),
    "two encoders": (
        "discriminator", lambda tensors: {**tensors, BIAS.removeprefix("electra."): tensors[BIAS] + 1}, {},
        f"two tensors for {BIAS}",
    ),
    "a part of a span head": ("span discriminator", _without("boundary.dense_1"), {}, r"boundary\.dense_1"),
    "a span head without its positions": ("span generator", _without("position_embeddings_"), {"max_span_length": 5},
                                          "boundary.position_embeddings|max_span_length"),
    "a span head that is not described": ("span generator", dict, {"max_span_length": 0}, "has a span head, but"),
    "one compositional table": ("compositional generator", _without("quotients"), {}, "lacks .*word_quotients"),
    "a full table of its own": ("compositional generator", _added_to(WORDS), {}, "must follow from the compositional"),
    "integers": (
        "discriminator", lambda tensors: {**tensors, BIAS: tensors[BIAS].astype(np.int8)}, {}, "must be of floating"
    ),
    "a decoder": ("discriminator", dict, {"is_decoder": True}, "is_decoder must be False"),
    "relative positions": (
        "discriminator", dict, {"position_embedding_type": "relative_key"}, "position_embedding_type must be absolute"
    ),
    "pruned heads": ("discriminator", dict, {"pruned_heads": {"0": [1]}}, "pruned_heads must be"),
    "quantized": (
        "discriminator", dict, {"quantization_config": {"quant_method": "gptq"}}, "quantization_config must be None"
    ),
    "names of another model": (
        "discriminator", lambda tensors: {f"bert.{name}": value for name, value in tensors.items()}, {}, "lacks"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_transformers_reads_otherwise_or_guesses_is_refused_in_one_line(case, saved, tmp_path):
    kind, change, settings, message = REFUSED[case]
    folder = _rewrite(saved[kind][0], tmp_path / "model", change, settings)
    for error, read in ((PublishedModelError, load_pretrained), (UserError, _started_from)):
        with pytest.raises(error, match=message) as caught:
            read(folder)
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)


def test_an_adapter_is_refused_by_name(saved, tmp_path):
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora/adapter_config.json").write_text('{"peft_type": "LORA"}')
    save_file({"base_model.model.x": np.ones(3, np.float32)}, tmp_path / "lora/adapter_model.safetensors")
    beside = _rewrite(saved["generator"][0], tmp_path / "beside")
    shutil.copy(tmp_path / "lora/adapter_config.json", beside)
    for folder in (tmp_path / "lora", beside):
        for read in (load_pretrained, _started_from):
            with pytest.raises(UserError, match=r"adapter of PEFT .*merge_and_unload"):
                read(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_any_tensor_of_its_span_head_is_read_without_one(kind, saved, tmp_path, caplog):
    folder, model = saved[f"span {kind}"]
    again = _rewrite(folder, tmp_path / "model", _without("_span_predictions"))
    with caplog.at_level(logging.WARNING, logger="absl"):
        _assert_read_as(model, again)
    assert "has no span head, of which max_span_length in its config.json tells" in caplog.text
    assert load_pretrained(again).max_span_length == 0
    encoder = load_task_model(again, [HeadConfig(task="a", kind="regression")]).encoder
    np.testing.assert_array_equal(encoder(**INPUTS), model.encoder(**INPUTS))


def test_a_head_for_a_task_whose_config_still_describes_a_span_head_is_read(tmp_path, caplog):
    model = ElectraTaskModel(
        ElectraEncoder(TINY, name="electra"), [HeadConfig(task="a", kind="tagging", labels=("O", "B"))]
    )
    randomize(model)
    save_pretrained(model, None, tmp_path / "ours")
    again = _rewrite(tmp_path / "ours", tmp_path / "theirs", dict, {"max_span_length": 4})
    for read in (load_pretrained, _started_from):
        np.testing.assert_array_equal(read(again)(**INPUTS)["a"], model(**INPUTS)["a"])
    assert caplog.text == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_its_compositional_tables_is_read_with_the_full_one(kind, saved, tmp_path):
    folder, model = saved[f"compositional {kind}"]
    again = _rewrite(folder, tmp_path / "model", _without("quotients", "remainders"))
    for read in (load_pretrained, _started_from):
        loaded = read(again)
        assert loaded.config.embedding_type == "full"
        np.testing.assert_allclose(loaded(**INPUTS), model(**INPUTS), rtol=0, atol=1e-5)


def test_compositional_tables_that_were_rounded_one_by_one_are_read(saved, tmp_path):
    folder, model = saved["compositional discriminator"]
    again = _rewrite(folder, tmp_path / "model", lambda tensors: {n: v.astype("float16") for n, v in tensors.items()})
    np.testing.assert_allclose(load_pretrained(again)(**INPUTS), model(**INPUTS), rtol=0, atol=0.05)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_other_precisions_are_read_as_the_numbers_they_hold(dtype, saved, tmp_path):
    folder, _ = saved["discriminator"]
    rounded = _rewrite(folder, tmp_path / "a", lambda tensors: {n: v.astype(dtype) for n, v in tensors.items()})
    widened = _rewrite(
        folder, tmp_path / "b", lambda tensors: {n: v.astype(dtype).astype("float32") for n, v in tensors.items()}
    )
    _assert_read_as(load_pretrained(widened), rounded)


def test_several_files_are_read_by_load_pretrained(saved, tmp_path):
    folder, model = saved["generator"]
    split_model(folder, tmp_path / "split")
    _assert_read_as(model, tmp_path / "split")
    (tmp_path / "split/model-00002-of-00002.safetensors").unlink()
    with pytest.raises(PublishedModelError, match=r"model-00002-of-00002\.safetensors: is not a safetensors file"):
        load_pretrained(tmp_path / "split")


def test_unknown_tensors_are_counted(saved, tmp_path, caplog):
    folder, model = saved["discriminator"]
    unknown = _with(sentence__head=lambda tensors: np.ones(3, np.float32), other=lambda tensors: np.ones(2, np.float32))
    again = _rewrite(folder, tmp_path / "model", unknown)
    with caplog.at_level(logging.WARNING, logger="absl"):
        np.testing.assert_array_equal(load_pretrained(again)(**INPUTS), model(**INPUTS))
    assert "has 2 tensors that are not known here and not read, such as other" in caplog.text


def test_a_number_of_labels_alone_names_them_as_transformers_does(tmp_path):
    model = ElectraTaskModel(
        ElectraEncoder(TINY, name="electra"),
        [HeadConfig(task="a", kind="classification", labels=("x", "y", "z"), classifier="dense")],
    )
    save_pretrained(model, None, tmp_path / "ours")
    changes = {"heads": None, "id2label": None, "label2id": None, "num_labels": 3}
    again = load_pretrained(_rewrite(tmp_path / "ours", tmp_path / "theirs", dict, changes))
    assert again.head_configs[0].labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    for number in (0, "3", 10**9, True):
        shutil.rmtree(tmp_path / "theirs")
        _rewrite(tmp_path / "ours", tmp_path / "theirs", dict, {**changes, "num_labels": number})
        with pytest.raises(PublishedModelError, match="num_labels must be from 1"):
            load_pretrained(tmp_path / "theirs")

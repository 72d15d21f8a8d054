"""The sources that a run can start from, and those that are refused."""

import dataclasses
import json
import shutil
import zipfile

import numpy as np
import pytest

from electra_span.config import HparamError
from electra_span.convert.source_models import build
from electra_span.convert.sources import read_source
from electra_span.convert.word_map import InitialWeightsError
from electra_span.encoder import ElectraEncoder
from electra_span.models import make_two_towers
from electra_span.tokenization import WordPieceTokenizer
from electra_span.training.devices import resolve_execution
from pretrain.run import build_configured_model
from pretrain.warm_start import start_from_checkpoint
from tests.converted import split_model
from tests.pretrain.tiny_starts import (
    GENERATOR,
    TOKENIZER,
    WORDS,
    assert_taken,
    configure,
    discriminator,
    generator,
    publish,
    started,
    values,
)
from tests.tiny_models import TINY, VOCABULARY


@pytest.mark.parametrize("part", ["discriminator", "generator", "both"])
def test_other_sizes_are_refused_with_the_hparams_that_fit(tmp_path, part):
    larger = dataclasses.replace(TINY, hidden_size=128, num_attention_heads=4, num_hidden_layers=3, embedding_size=16)
    smaller = dataclasses.replace(larger, hidden_size=64, num_attention_heads=1, intermediate_size=256)
    networks = {"discriminator": [discriminator(larger)], "generator": [generator(GENERATOR)]}
    if part == "generator":
        networks["generator"] = [
            generator(dataclasses.replace(GENERATOR, hidden_size=4, intermediate_size=16, num_hidden_layers=1))
        ]
    publish(tmp_path, *networks.get(part, [discriminator(larger), generator(smaller)]))
    with pytest.raises(
        InitialWeightsError, match=r"init_checkpoint: hidden_size of its .*these hparams fit it"
    ) as error:
        started(tmp_path)
    message = str(error.value)
    received = {"generator": "is 4, and of this run's generator 6, by generator_hidden_size"}
    assert received.get(part, "is 128, and of this run's discriminator 12, by model_hparam_overrides") in message
    started(tmp_path, **json.loads(message.partition("these hparams fit it: ")[2]))


def test_sizes_that_no_hparams_give_are_refused(golden, tmp_path):
    shutil.copytree(golden("hf/tiny"), tmp_path / "pair")
    with pytest.raises(InitialWeightsError, match="no hparams give such a network; name the folder of the other one"):
        started(tmp_path / "pair", vocab_size=61, init_vocabulary="same")


@pytest.mark.parametrize("form", ["shards", "folder"])
def test_hugging_faces_folders_are_taken_bit_for_bit(golden, form, tmp_path):
    source = golden("hf/tiny/discriminator")
    folder = tmp_path / "source"
    if form == "shards":
        split_model(source, folder)
    else:
        shutil.copytree(source, folder)
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
    model = started(
        folder, vocab_size=61, embedding_size=10, init_vocabulary="same",
        model_hparam_overrides={**sizes, "max_position_embeddings": 40},
    )  # fmt: skip
    (half,) = read_source(folder, {"discriminator": None, "generator": None}).halves
    assert_taken(model.discriminator, build(half))


@pytest.mark.parametrize("variant", ["small", "small_pp", "tied", "untied_embeddings", "electric", "zip"])
def test_checkpoints_of_the_original_are_taken_bit_for_bit(golden, variant, tmp_path):
    folder = golden(f"tf1/{variant.replace('zip', 'small')}", holding="model.ckpt.index")
    meta = json.loads((folder / "meta.json").read_text())
    files = [folder / "checkpoint", *folder.glob("model.ckpt*")]
    path = tmp_path / f"electra.{variant}"
    if variant == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in files:
                archive.write(file, f"electra_small/{file.name}")
    else:
        path.mkdir()
        for file in files:
            shutil.copy(file, path)
        (path / "vocab.txt").write_text("not read\n")  # where ids are said to be the same
    config = configure(tmp_path, **{**_hparams_of(meta), "init_checkpoint": str(path)})
    model = build_configured_model(config, resolve_execution("float32", False), None)
    start_from_checkpoint(model, config, TOKENIZER)
    for half in read_source(folder, _heads_of(meta)).halves:
        assert_taken(getattr(model, half.part), build(half))
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("operation", ["multiply", "add", "concat"])
def test_compositional_words_become_full_ones(tmp_path, operation):
    config = dataclasses.replace(TINY, embedding_type="compositional", compositional_operation=operation)
    theirs = publish(tmp_path, discriminator(config))
    model = started(tmp_path)
    full = theirs.encoder.embeddings.words.full_table().numpy()
    np.testing.assert_array_equal(values(model.discriminator)[WORDS], full)
    model = started(tmp_path, WordPieceTokenizer(VOCABULARY[::-1]))
    np.testing.assert_array_equal(values(model.discriminator)[WORDS], full[::-1])


def test_compositional_words_stay_what_they_are_or_are_drawn_anew(tmp_path):
    compositional = {"embedding_type": "compositional"}
    theirs = publish(tmp_path / "c", discriminator(dataclasses.replace(TINY, **compositional)))
    assert_taken(started(tmp_path / "c", **compositional).discriminator, theirs)
    publish(tmp_path / "full", discriminator())
    for folder, other in (("full", {}), ("c", {"compositional_num_buckets": 3}), ("c", {"vocab_size": 38})):
        with pytest.raises(InitialWeightsError, match="compositional embeddings can be taken over only"):
            started(tmp_path / folder, **compositional, **other)
        model = started(tmp_path / folder, **compositional, **other, init_vocabulary="new")
        assert "embeddings/word_quotients" in values(model.discriminator)


def test_other_kinds_of_generators_are_refused(tmp_path):
    towers = make_two_towers(ElectraEncoder, GENERATOR)
    publish(tmp_path / "towers", discriminator(), towers)
    with pytest.raises(InitialWeightsError, match=r"its generator has two towers.*Set two_tower_generator to true"):
        started(tmp_path / "towers")
    model = started(tmp_path / "towers", two_tower_generator=True)
    assert_taken(model.generator, towers, but=["embeddings/"])
    publish(tmp_path / "one", discriminator(), generator())
    with pytest.raises(InitialWeightsError, match=r"its generator has one encoder.*Set two_tower_generator to false"):
        started(tmp_path / "one", two_tower_generator=True)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InitialWeightsError, match=r"init_checkpoint: .* is no folder, no zip"):
        started(tmp_path, init_checkpoint=str(tmp_path / "nothing"))
    (tmp_path / "model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(InitialWeightsError, match="a pickle"):
        started(tmp_path, init_checkpoint=str(tmp_path / "model.bin"))
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../model.ckpt.index", "x")
    with pytest.raises(InitialWeightsError, match="leaves the folder"):
        started(tmp_path, init_checkpoint=str(tmp_path / "evil.zip"))


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"init_step": 9, "num_train_steps": 9}, "init_step, num_train_steps: training goes from the one to the other"),
        ({"init_step": 5, "init_checkpoint": None}, "these are about init_checkpoint; leave them out, or name it"),
        ({"init_vocabulary": "new", "init_checkpoint": None}, "these are about init_checkpoint"),
        ({"init_vocabulary": "old"}, "unknown init_vocabulary 'old'"),
        ({"init_step": -1}, "init_step must be at least 0"),
        ({"training_mode": "two_stage"}, "its first stage is a run with training_mode generator"),
    ],
)
def test_hparams_of_the_start_that_do_not_go_together_are_refused(tmp_path, hparams, message):
    with pytest.raises(HparamError, match=message):
        configure(tmp_path, **hparams)


def _heads_of(meta):
    return {
        "discriminator": meta["bert_config"]["num_attention_heads"],
        "generator": meta["generator_config"]["num_attention_heads"],
    }


def _hparams_of(meta):
    """Returns the hparams of a recorded variant."""
    theirs, bert = meta["config"], meta["bert_config"]
    overrides = (
        "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings",
    )  # fmt: skip
    switches = (
        "generator_hidden_size", "generator_layers", "untied_generator", "untied_generator_embeddings",
        "electra_objective", "electric_objective", "two_tower_generator",
    )  # fmt: skip
    return {
        "vocab_size": bert["vocab_size"],
        "embedding_size": theirs["embedding_size"],
        "init_vocabulary": "same",
        "model_hparam_overrides": {name: bert[name] for name in overrides},
        **{name: theirs[name] for name in switches},
    }

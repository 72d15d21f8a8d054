"""What trials start from, whatever it was published as."""

import dataclasses
import json
import shutil
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file

from electra_span.config import HparamError
from electra_span.convert.source_models import read_values
from electra_span.convert.sources import read_source
from electra_span.convert.word_map import InitialWeightsError
from electra_span.encoder import ElectraEncoder
from electra_span.models import ElectraDiscriminator, ElectraGenerator, make_two_towers
from electra_span.published.names import relative_path
from electra_span.published.save_load import load_pretrained, save_pretrained
from electra_span.tokenization import WordPieceTokenizer
from finetune import train
from finetune.run import Run
from tests.finetune.tiny_tasks import CONFIG, VOCABULARY, configure, write_tasks
from tests.tiny_models import randomize

WORDS = "embeddings/word_embeddings"
POSITIONS = "embeddings/position_embeddings"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("start"))


def publish(folder, network, seed=0):
    """Writes a network with values of its own; returns them by path."""
    randomize(network, seed=seed)
    save_pretrained(network, WordPieceTokenizer(VOCABULARY), folder)
    return {relative_path(variable): variable.numpy() for variable in network.variables}


def discriminator(config=CONFIG):
    return ElectraDiscriminator(ElectraEncoder(config, name="electra"))


def generator(config=CONFIG):
    return ElectraGenerator(ElectraEncoder(config, name="electra"))


def started(data_dir, folder, **hparams):
    """Returns the values of the encoder that a trial starts from, by path, and its config."""
    model = Run(configure(data_dir, "sst", init_checkpoint=str(folder), **hparams)).build_model(0)
    return {relative_path(variable): variable.numpy() for variable in model.encoder.variables}, model.config


def assert_equal(ours, theirs, *, but=()):
    for path, value in ours.items():
        assert np.array_equal(value, theirs[path]) != (path in but), path


def test_of_a_pair_the_discriminator_is_taken_and_a_generator_where_it_is_alone(data_dir, tmp_path):
    theirs = publish(tmp_path / "pair" / "discriminator", discriminator())
    other = publish(tmp_path / "pair" / "generator", generator(), seed=1)
    assert_equal(started(data_dir, tmp_path / "pair")[0], theirs)
    (tmp_path / "alone").mkdir()
    (tmp_path / "pair" / "generator").rename(tmp_path / "alone" / "generator")
    assert_equal(started(data_dir, tmp_path / "alone")[0], other)


def test_an_encoder_without_a_head_is_taken(data_dir, tmp_path):
    theirs = publish(tmp_path, discriminator())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["ElectraModel"]}))
    assert_equal(started(data_dir, tmp_path)[0], theirs)


@pytest.mark.parametrize("form", ["folder", "prefix", "zip"])
def test_a_checkpoint_of_the_original_is_taken_with_the_vocabulary_beside_it(golden, data_dir, tmp_path, form):
    source = golden("tf1/small")
    heads = json.loads((source / "meta.json").read_text())["bert_config"]["num_attention_heads"]
    for file in source.glob("model.ckpt*"):
        shutil.copy(file, tmp_path)
    vocabulary = [*VOCABULARY, *(f"word{number}" for number in range(300 - len(VOCABULARY)))]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    path = {"folder": tmp_path, "prefix": tmp_path / "model.ckpt", "zip": tmp_path / "electra.zip"}[form]
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in (*tmp_path.glob("model.ckpt*"), tmp_path / "vocab.txt"):
                archive.write(file, f"electra/{file.name}")
    settings = {"model_hparam_overrides": {"num_attention_heads": heads}}
    ours, config = started(data_dir, path, **settings)
    half = read_source(source, {"discriminator": heads, "generator": None}).halves[0]
    assert_equal(ours, dict(read_values(half)))
    assert config.num_attention_heads == heads
    run = Run(configure(data_dir, "sst", init_checkpoint=str(path), **settings))
    assert run.tokenizer.vocab_size == 300
    digest = run.digest_of_sources()
    changed = path if form == "zip" else tmp_path / "model.ckpt.data-00000-of-00001"
    changed.write_bytes(changed.read_bytes() + b"x")
    assert run.digest_of_sources() != digest


def test_words_of_the_tasks_own_vocabulary_are_found_by_their_tokens(data_dir, tmp_path):
    theirs = publish(tmp_path / "model", discriminator())
    vocabulary = [*reversed(VOCABULARY), "orange"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    settings = {"vocab_file": str(tmp_path / "vocab.txt")}
    ours, config = started(data_dir, tmp_path / "model", **settings)
    assert config.vocab_size == len(vocabulary)
    np.testing.assert_array_equal(ours.pop(WORDS)[:-1], theirs[WORDS][::-1])
    assert_equal(ours, theirs)
    (result,) = train.train(
        configure(
            data_dir, "sst", model_name="words", init_checkpoint=str(tmp_path / "model"), num_train_epochs=1, **settings
        )
    )
    assert result.num_train_steps == 8
    published = load_pretrained(data_dir / "models" / "words" / "finetuning_models" / "sst_model_1")
    assert published.tokenizer.vocabulary == tuple(vocabulary)


def test_words_are_kept_by_id_or_drawn_where_that_is_asked_for(data_dir, tmp_path):
    theirs = publish(tmp_path / "model", discriminator())
    (tmp_path / "vocab.txt").write_text("\n".join([*VOCABULARY[:-1], "orange"]) + "\n")
    settings = {"vocab_file": str(tmp_path / "vocab.txt")}
    assert_equal(started(data_dir, tmp_path / "model", init_vocabulary="same", **settings)[0], theirs)
    ours, _ = started(data_dir, tmp_path / "model", init_vocabulary="new", **settings)
    assert_equal(ours, theirs, but=[WORDS])


def test_compositional_words_of_another_vocabulary_become_full_ones(data_dir, tmp_path):
    network = discriminator(dataclasses.replace(CONFIG, embedding_type="compositional"))
    publish(tmp_path / "model", network)
    (tmp_path / "vocab.txt").write_text("\n".join(reversed(VOCABULARY)) + "\n")
    ours, config = started(data_dir, tmp_path / "model", vocab_file=str(tmp_path / "vocab.txt"))
    assert config.embedding_type == "full"
    np.testing.assert_array_equal(ours[WORDS], network.encoder.embeddings.words.full_table().numpy()[::-1])
    assert started(data_dir, tmp_path / "model")[1].embedding_type == "compositional"


def test_longer_rows_get_positions_that_repeat_the_sources(data_dir, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    theirs = publish(tmp_path, discriminator())
    ours, config = started(data_dir, tmp_path, max_seq_length=50)
    assert config.max_position_embeddings == 50
    np.testing.assert_array_equal(ours.pop(POSITIONS), np.concatenate([theirs[POSITIONS]] * 2)[:50])
    assert_equal(ours, theirs)
    assert "50 positions, those from 32 on repeat the source's 32" in caplog.text


def test_a_fine_tuned_model_is_taken_as_it_is(data_dir, tmp_path):
    train.train(configure(data_dir, "sst", model_name="tuned", num_train_epochs=1))
    folder = data_dir / "models" / "tuned" / "finetuning_models" / "sst_model_1"
    before = load_file(folder / "model.safetensors")
    settings = {"init_checkpoint": str(folder), "do_train": False}
    with pytest.raises(HparamError, match="max_seq_length must be at most 32, the positions of"):
        train.evaluate(configure(data_dir, "sst", model_name="again", max_seq_length=50, **settings))
    with pytest.raises(HparamError, match="a fine-tuned model has its own vocabulary"):
        configure(data_dir, "sst", vocab_file="v.txt", **settings)
    ours, _ = started(data_dir, folder)
    np.testing.assert_array_equal(ours[WORDS], before["electra.embeddings.word_embeddings.weight"])


def test_sources_without_an_encoder_for_tasks_are_refused(data_dir, tmp_path):
    publish(tmp_path / "towers", make_two_towers(ElectraEncoder, CONFIG))
    with pytest.raises(InitialWeightsError, match="init_checkpoint: is a two-tower generator"):
        started(data_dir, tmp_path / "towers")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InitialWeightsError, match="must have a TensorFlow checkpoint"):
        started(data_dir, tmp_path / "empty")
    publish(tmp_path / "model", discriminator())
    with pytest.raises(InitialWeightsError, match=r"num_attention_heads of its config\.json is 2. Received: 4"):
        started(data_dir, tmp_path / "model", model_hparam_overrides={"num_attention_heads": 4})
    with pytest.raises(HparamError, match="init_vocabulary, vocab_file: it is about a vocabulary other than"):
        configure(data_dir, "sst", init_vocabulary="new")

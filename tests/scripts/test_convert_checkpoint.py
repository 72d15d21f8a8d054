"""Conversions of whole checkpoints: what goes in comes out, bit for bit."""

import dataclasses
import json
import pathlib
import shutil
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from electra_span.config import UserError
from electra_span.encoder import ElectraEncoder
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator, make_two_towers
from electra_span.published.save_load import load_pretrained, save_pretrained
from electra_span.tokenization import load_tokenizer
from tests.converted import convert, split_model
from tests.tiny_models import TINY, TINY_GENERATOR, randomize

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c"]
HUGGING_FACE_MODELS = [
    f"{recording}{model}"
    for recording, models in (("", ("proj/discriminator", "proj/generator")), ("tiny/", ("discriminator", "generator")))
    for model in (*models, "seqcls", "seqreg", "qa", "tokcls")
]
VARIANTS = ("small", "small_pp", "tied", "untied_embeddings", "uniform", "mlm", "electric")
DISCRIMINATOR, GENERATOR = "discriminator", "generator"


def heads_of(golden, variant) -> list[str]:
    heads = json.loads(golden(f"tf1/{variant}/meta.json").read_text())["bert_config"]["num_attention_heads"]
    return ["--num-attention-heads", str(heads)]


def variables(prefix) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_equal(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name].dtype == value.dtype
        np.testing.assert_array_equal(ours[name], value, err_msg=name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_recorded_checkpoint_comes_back_bit_for_bit(golden, variant, tmp_path, capsys):
    convert(golden(f"tf1/{variant}", holding="model.ckpt.index"), tmp_path / "published", *heads_of(golden, variant))
    printed, num_halves = capsys.readouterr().out, 1 if variant in ("uniform", "mlm") else 2
    assert printed.count("logits differ from the source's by at most 0\n") == num_halves
    assert "left out" not in printed
    convert(tmp_path / "published", tmp_path / "tf1", "--to", "tf1")
    assert capsys.readouterr().out.count("by at most 0\n") == num_halves
    assert_equal(variables(tmp_path / "tf1/model.ckpt"), variables(golden(f"tf1/{variant}/model.ckpt")))
    convert(tmp_path / "tf1", tmp_path / "again")  # heads by the config.json beside it
    for file in (tmp_path / "published").rglob("*.*"):
        again = tmp_path / "again" / file.relative_to(tmp_path / "published")
        assert again.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("variant", "kinds"),
    [
        ("small", {DISCRIMINATOR: ElectraDiscriminator, GENERATOR: ElectraGenerator}),
        ("electric", {DISCRIMINATOR: ElectraDiscriminator, GENERATOR: TwoTowerGenerator}),
        ("uniform", {"": ElectraDiscriminator}),
        ("mlm", {"": ElectraGenerator}),
    ],
)
def test_each_half_that_a_checkpoint_holds_is_published(golden, variant, kinds, tmp_path):
    convert(golden(f"tf1/{variant}", holding="model.ckpt.index"), tmp_path / "out", *heads_of(golden, variant))
    for part, kind in kinds.items():
        assert isinstance(load_pretrained(tmp_path / "out" / part), kind)
    assert {file.parent for file in (tmp_path / "out").rglob("config.json")} == {
        tmp_path / "out" / part for part in kinds
    }


def test_published_halves_give_the_originals_recorded_logits(golden, tmp_path):
    convert(golden("tf1/small"), tmp_path / "out", *heads_of(golden, "small"))
    recorded = np.load(golden("tf1/small/io.npz"))
    rest = {"input_mask": recorded["in/input_mask"], "segment_ids": recorded["in/segment_ids"]}
    discriminator = load_pretrained(tmp_path / "out/discriminator")
    logits = discriminator(input_ids=recorded["fake/updated_input_ids"], **rest)
    np.testing.assert_allclose(logits, recorded["disc/logits"], atol=2e-5)
    generator = load_pretrained(tmp_path / "out/generator")
    logits = generator(input_ids=recorded["masked/input_ids"], positions=recorded["masked/masked_lm_positions"], **rest)
    np.testing.assert_allclose(logits, recorded["mlm/logits"], atol=2e-5)


def test_optimizer_is_left_out_and_said_to_be(golden, tmp_path, capsys):
    convert(golden("tf1/train_steps/after6.ckpt"), tmp_path / "out")
    names = variables(golden("tf1/train_steps/after6.ckpt"))
    slots = [name for name in names if name.endswith(("/adam_m", "/adam_v"))]
    assert f"(optimizer, step, copies): {len(slots) + 1}," in capsys.readouterr().out


def test_unknown_variables_are_listed_and_missing_ones_refused(golden, tmp_path, capsys):
    whole = variables(golden("tf1/small_pp/model.ckpt"))
    write_checkpoint(tmp_path / "more/m.ckpt", {**whole, "electra/pooler/\x1b[1m": np.ones(3, np.float32)})
    convert(tmp_path / "more", tmp_path / "out", "--num-attention-heads", "2")
    assert "left out, unknown: electra/pooler/\ufffd[1m\n" in capsys.readouterr().out
    gone = ("generator/encoder/layer_1/output/dense/bias", "electra/encoder/layer_1/attention/self/query/kernel")
    write_checkpoint(tmp_path / "less/m.ckpt", {name: value for name, value in whole.items() if name != gone[0]})
    with pytest.raises(UserError, match=f"lacks {gone[0]}"):
        convert(tmp_path / "less", tmp_path / "out2")
    write_checkpoint(tmp_path / "last/m.ckpt", {name: value for name, value in whole.items() if name != gone[1]})
    with pytest.raises(UserError, match=f"lacks {gone[1]}"):
        convert(tmp_path / "last", tmp_path / "out3")


def write_checkpoint(prefix, tensors) -> None:
    prefix.parent.mkdir()
    names = list(tensors)
    values = [tf.constant(tensors[name]) for name in names]
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=values)


@pytest.mark.parametrize("model", HUGGING_FACE_MODELS)
def test_hugging_face_model_comes_back_bit_for_bit(golden, model, tmp_path, capsys):
    source = golden(f"hf/{model}")
    convert(source, tmp_path / "tf1", "--to", "tf1")
    assert "logits differ from the source's by at most 0\n" in capsys.readouterr().out
    convert(source, tmp_path / "published")
    assert "logits differ from the source's by at most 0\n" in capsys.readouterr().out
    assert_equal(load_file(tmp_path / "published/model.safetensors"), load_file(source / "model.safetensors"))
    if model.endswith(("discriminator", "generator")):
        convert(tmp_path / "tf1", tmp_path / "back")
        assert_equal(load_file(tmp_path / "back/model.safetensors"), load_file(source / "model.safetensors"))


def test_two_hugging_face_models_go_into_one_checkpoint_and_come_back(golden, tmp_path):
    convert(golden("hf/tiny"), tmp_path / "tf1", "--to", "tf1")
    assert tf.train.latest_checkpoint(tmp_path / "tf1") == str(tmp_path / "tf1/model.ckpt")
    assert "generator/embeddings/word_embeddings" in variables(tmp_path / "tf1/model.ckpt")  # they differ
    convert(tmp_path / "tf1", tmp_path / "back")
    for part in (DISCRIMINATOR, GENERATOR):
        ours, theirs = (load_file(path / part / "model.safetensors") for path in (tmp_path / "back", golden("hf/tiny")))
        assert_equal(ours, theirs)


def test_model_in_several_files_is_read(golden, tmp_path):
    source = golden("hf/tiny/generator")
    split_model(source, tmp_path / "shards")
    convert(tmp_path / "shards", tmp_path / "out")
    assert_equal(load_file(tmp_path / "out/model.safetensors"), load_file(source / "model.safetensors"))


def zipped(folder, path, *, inside="electra_small") -> pathlib.Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.glob("*")):
            if not file.name.endswith((".npz", ".json")):
                archive.write(file, f"{inside}/{file.name}")
    return path


def test_zip_as_released_is_unpacked_beside_the_target_and_removed(golden, tmp_path):
    folder = tmp_path / "release"
    shutil.copytree(golden("tf1/small"), folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    zipped(folder, tmp_path / "electra_small.zip")
    (tmp_path / "there").mkdir()
    convert(tmp_path / "electra_small.zip", tmp_path / "there/out", "--num-attention-heads", "4")
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["out"]
    for part in (DISCRIMINATOR, GENERATOR):
        assert load_pretrained(tmp_path / "there/out" / part).tokenizer.vocab_size == len(WORDS)


def test_vocabulary_that_is_named_is_published(golden, tmp_path):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("\n".join(WORDS) + "\n")
    convert(golden("tf1/small"), tmp_path / "out", "--num-attention-heads", "4", "--vocab-file", vocabulary)
    for part in (DISCRIMINATOR, GENERATOR):
        assert load_pretrained(tmp_path / "out" / part).tokenizer.encode(["A bc"]) == [[5, 6, 7]]
    vocabulary.write_text("\n".join([*WORDS, *(f"w{number}" for number in range(300))]))
    with pytest.raises(UserError, match="at most the model's 300 tokens"):
        convert(golden("tf1/small"), tmp_path / "out2", "--vocab-file", vocabulary)


def test_fewer_tokens_than_the_table_has_rows_are_told(golden, tmp_path, capsys):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("\n".join(WORDS) + "\n")
    convert(golden("tf1/small"), tmp_path / "out", "--num-attention-heads", "4", "--vocab-file", vocabulary)
    told = "the tokenizer has 8 tokens, the table 300 rows; those from 8 on are of no token"
    assert told in capsys.readouterr().out
    vocabulary.write_text("\n".join([*WORDS, *(f"w{number}" for number in range(292))]))
    convert(golden("tf1/small"), tmp_path / "out2", "--num-attention-heads", "4", "--vocab-file", vocabulary)
    assert "the tokenizer has" not in capsys.readouterr().out


@pytest.mark.parametrize(("flags", "ids"), [((), [5]), (("--do-lower-case", "false"), [1])])
def test_a_folder_without_settings_follows_the_flag_for_case(tmp_path, flags, ids):
    model = ElectraDiscriminator(ElectraEncoder(TINY, name="any"))
    randomize(model)
    save_pretrained(model, None, tmp_path / "model")
    (tmp_path / "model" / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    convert(tmp_path / "model", tmp_path / "out", *flags)
    assert load_tokenizer(tmp_path / "out").encode(["A"]) == [ids]


def test_sizes_are_read_from_the_weights_without_a_config(golden, tmp_path):
    expected, model = load_pretrained(golden("hf/tiny/generator")).config, tmp_path / "model"
    model.mkdir()
    shutil.copy(golden("hf/tiny/generator/model.safetensors"), model)
    convert(model, tmp_path / "out", "--num-attention-heads", "2")
    assert load_pretrained(tmp_path / "out").config == expected


@pytest.mark.parametrize("kind", [ElectraDiscriminator, ElectraGenerator])
def test_models_of_ours_keep_span_heads_and_compositional_words(kind, tmp_path):
    config = dataclasses.replace(TINY, embedding_type="compositional", compositional_operation="concat")
    model = kind(ElectraEncoder(config, name="any"), max_span_length=3)
    randomize(model)
    (tmp_path / "words.txt").write_text("\n".join(WORDS) + "\n")
    tokenizer = load_tokenizer(tmp_path / "words.txt", do_lower_case=False)
    save_pretrained(model, tokenizer, tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "tf1", "--to", "tf1")
    convert(tmp_path / "tf1", tmp_path / "back")
    assert_equal(load_file(tmp_path / "back/model.safetensors"), load_file(tmp_path / "ours/model.safetensors"))
    back = load_pretrained(tmp_path / "back")
    assert (back.config, back.max_span_length) == (config, 3)
    assert back.tokenizer.encode(["A a"]) == [[1, 5]]  # still cased


def test_numbers_of_heads_can_be_said(golden, tmp_path):
    flags = ("--num-attention-heads", 2, "--generator-num-attention-heads", 4)
    convert(golden("tf1/small_pp", holding="model.ckpt.index"), tmp_path / "a", *flags)
    assert load_pretrained(tmp_path / "a/discriminator").config.num_attention_heads == 2
    assert load_pretrained(tmp_path / "a/generator").config.num_attention_heads == 4
    convert(golden("tf1/tied", holding="model.ckpt.index"), tmp_path / "b", "--num-attention-heads", 2)
    assert load_pretrained(tmp_path / "b/generator").config.num_attention_heads == 2  # the same network
    with pytest.raises(UserError, match="hidden_size must be a multiple of num_attention_heads"):
        convert(golden("tf1/tied", holding="model.ckpt.index"), tmp_path / "c", "--num-attention-heads", 3)


def test_half_precision_is_read_as_the_numbers_it_holds(golden, tmp_path):
    (tmp_path / "half").mkdir()
    shutil.copy(golden("hf/tiny/generator/config.json"), tmp_path / "half")
    tensors = load_file(golden("hf/tiny/generator/model.safetensors"))
    halves = {name: value.astype(tf.bfloat16.as_numpy_dtype) for name, value in tensors.items()}
    save_file(halves, tmp_path / "half/model.safetensors")
    convert(tmp_path / "half", tmp_path / "out")
    expected = {name: value.astype(np.float32) for name, value in halves.items()}
    assert_equal(load_file(tmp_path / "out/model.safetensors"), expected)


def publish_halves(generator, folder) -> ElectraDiscriminator:
    """Publishes a generator and a discriminator whose embeddings are as wide as its states; returns the latter."""
    discriminator = ElectraDiscriminator(ElectraEncoder(dataclasses.replace(TINY, embedding_size=12), name="electra"))
    randomize(generator, seed=1)
    randomize(discriminator, seed=2)
    save_pretrained(generator, None, folder / GENERATOR)
    save_pretrained(discriminator, None, folder / DISCRIMINATOR)
    return discriminator


def test_networks_share_embeddings_in_a_checkpoint_where_they_are_equal(tmp_path):
    encoder = ElectraEncoder(dataclasses.replace(TINY_GENERATOR, embedding_size=12), name="generator")
    generator = ElectraGenerator(encoder)
    discriminator = publish_halves(generator, tmp_path / "ours")
    for ours, theirs in zip(encoder.embeddings.variables, discriminator.encoder.embeddings.variables, strict=True):
        ours.assign(theirs)
    save_pretrained(generator, None, tmp_path / "ours" / GENERATOR)
    convert(tmp_path / "ours", tmp_path / "tf1", "--to", "tf1")
    names = variables(tmp_path / "tf1/model.ckpt").keys()
    assert not any(name.startswith(("generator/embeddings/", "electra/embeddings_project")) for name in names)
    assert "generator/embeddings_project/kernel" in names  # as in the original's base size
    convert(tmp_path / "tf1", tmp_path / "back")
    for part in (DISCRIMINATOR, GENERATOR):
        folders = (tmp_path / "back", tmp_path / "ours")
        assert_equal(*(load_file(folder / part / "model.safetensors") for folder in folders))


def test_two_towers_with_embeddings_of_their_own_go_into_no_checkpoint(tmp_path):
    publish_halves(make_two_towers(ElectraEncoder, TINY_GENERATOR), tmp_path / "ours")
    with pytest.raises(UserError, match="two-tower generator and a discriminator with embeddings of their own"):
        convert(tmp_path / "ours", tmp_path / "tf1", "--to", "tf1")
    convert(tmp_path / "ours/generator", tmp_path / "alone", "--to", "tf1")
    convert(tmp_path / "alone", tmp_path / "back")
    weights = "model.safetensors"
    assert_equal(load_file(tmp_path / "back" / weights), load_file(tmp_path / "ours/generator" / weights))

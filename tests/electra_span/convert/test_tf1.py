"""The original's checkpoints: every variable finds its place, and what is missing is named."""

import json

import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import EncoderConfig, UserError, from_hparams
from electra_span.convert.tf1 import load_tf1_weights
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel
from electra_span.published.names import ConversionError, names_of, relative_path
from tests.tiny_models import TINY, randomize

KINDS = {"electra": ElectraDiscriminator, "generator": ElectraGenerator}


def _write_checkpoint(path, tensors):
    """A checkpoint of the original's format: variables by name, no objects."""
    names = list(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )


def _tf1_tensors(model, scope):
    names = {name.ours: name.tf1 for name in names_of(model)}
    tf1 = {names[relative_path(variable)]: variable.numpy() for variable in model.variables}
    return {name if "_predictions/" in name else f"{scope}/{name}": value for name, value in tf1.items()}


@pytest.mark.parametrize("scope", KINDS)
def test_every_variable_is_read_from_its_name_in_the_originals_scope(scope, tmp_path):
    saved, loaded = (KINDS[scope](ElectraEncoder(TINY, name="any")) for _ in range(2))
    randomize(saved)
    _write_checkpoint(tmp_path / "model.ckpt", _tf1_tensors(saved, scope))
    load_tf1_weights(loaded, tmp_path / "model.ckpt")
    for before, after in zip(saved.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(before.numpy(), after.numpy(), err_msg=before.path)


def _fine_tuned():
    heads = [
        HeadConfig(task="tags", kind="tagging", labels=("O", "B", "I")),
        HeadConfig(task="answers", kind="questions", joint_prediction=False),
    ]
    return ElectraTaskModel(ElectraEncoder(TINY, name="any"), heads)


def _fine_tuned_tensors(model):
    """The tensors of a fine-tuned checkpoint, in which starts and ends of answers have variables of their own."""
    tensors = {}
    names = {name.ours: name.tf1.split() for name in names_of(model)}
    for variable in model.variables:
        parts = names[relative_path(variable)]
        for part, value in zip(parts, np.split(variable.numpy(), len(parts), axis=-1), strict=True):
            tensors[part if part.startswith("task_specific/") else f"electra/{part}"] = value
    return tensors


def test_heads_for_tasks_are_read_from_the_originals_names_of_their_layers(tmp_path):
    saved, loaded = _fine_tuned(), _fine_tuned()
    randomize(saved)
    tensors = _fine_tuned_tensors(saved)
    assert tensors["task_specific/tags/dense/kernel"].shape == (TINY.hidden_size, 3)
    for layer in ("dense", "dense_1"):
        assert tensors[f"task_specific/answers/{layer}/kernel"].shape == (TINY.hidden_size, 1)
    _write_checkpoint(tmp_path / "model.ckpt", tensors)
    load_tf1_weights(loaded, tmp_path / "model.ckpt")
    for before, after in zip(saved.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(before.numpy(), after.numpy(), err_msg=before.path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "has no variable task_specific/answers/dense_1/kernel"),
        (np.zeros([5, 1], np.float32), r"task_specific/answers/dense_1/kernel has shape \[5, 1\], not \[12, 1\]"),
    ],
)
def test_what_is_wrong_with_a_heads_variable_is_named(value, message, tmp_path):
    model = _fine_tuned()
    tensors = {**_fine_tuned_tensors(model), "task_specific/answers/dense_1/kernel": value}
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    _write_checkpoint(tmp_path / "model.ckpt", tensors)
    with pytest.raises(ConversionError, match=message):
        load_tf1_weights(model, tmp_path / "model.ckpt")


def test_all_weights_of_the_originals_discriminator_are_used(golden):
    folder = golden("tf1/small")
    meta = json.loads((folder / "meta.json").read_text())
    size = meta["config"]["embedding_size"]
    config = from_hparams(EncoderConfig, {**meta["bert_config"], "embedding_size": size})
    model = ElectraDiscriminator(ElectraEncoder(config, name="electra"))
    ours = set(_tf1_tensors(model, "electra"))
    theirs = tf.train.load_checkpoint(str(folder / "model.ckpt")).get_variable_to_shape_map()
    unused = {name for name in theirs if name not in ours and not name.startswith("generator")}
    assert all("pooler" in name or name == "global_step" for name in unused), unused
    assert ours <= set(theirs)


def test_a_missing_variable_is_named(tmp_path):
    model = ElectraDiscriminator(ElectraEncoder(TINY, name="electra"))
    tensors = _tf1_tensors(model, "electra")
    del tensors["electra/encoder/layer_1/output/dense/bias"]
    _write_checkpoint(tmp_path / "model.ckpt", tensors)
    with pytest.raises(ConversionError, match="has no variable electra/encoder/layer_1/output/dense/bias"):
        load_tf1_weights(model, tmp_path / "model.ckpt")


def test_a_variable_of_another_shape_is_named(tmp_path):
    model = ElectraDiscriminator(ElectraEncoder(TINY, name="electra"))
    tensors = _tf1_tensors(model, "electra")
    tensors["electra/embeddings/word_embeddings"] = np.zeros([38, 8], np.float32)
    _write_checkpoint(tmp_path / "model.ckpt", tensors)
    with pytest.raises(ConversionError, match=r"word_embeddings has shape \[38, 8\], not \[37, 8\]"):
        load_tf1_weights(model, tmp_path / "model.ckpt")


@pytest.mark.parametrize("name", ["nothing.ckpt", "text.ckpt"])
def test_a_path_without_a_checkpoint_is_the_users_mistake(name, tmp_path):
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    model = ElectraDiscriminator(ElectraEncoder(TINY, name="electra"))
    with pytest.raises(UserError, match=name):
        load_tf1_weights(model, tmp_path / name)

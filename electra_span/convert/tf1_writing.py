"""Writing models as the original's TensorFlow 1 checkpoints."""

import json
import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from electra_span.convert.halves import CONFIG_OF_PART
from electra_span.convert.names import Model, names_of, relative_path
from electra_span.convert.tf1 import ConversionError
from electra_span.models import TwoTowerGenerator
from electra_span.published_config import CONFIG_FILE, published_config
from electra_span.tokenization import Tokenizer

CHECKPOINT = "model.ckpt"
_SCOPED = ("embeddings", "embeddings_project", "encoder")  # first parts of names that stand below a network's


def write_tf1(models: Mapping[str, Model], tokenizer: Tokenizer | None, folder: pathlib.Path) -> pathlib.Path:
    """Writes models as one checkpoint, and returns its path before ".index".

    Beside it lie their config.json (the generator's as generator_config.json where there are both), which the original
    does not read, but which tell the numbers of attention heads, and the tokenizer's files.

    Args:
        models: by part, "discriminator" and "generator", or one alone of any kind.
        tokenizer: theirs, or None.
        folder: made if it is not there.

    Raises:
        ConversionError: the models cannot be held in one checkpoint, or the folder not be written.
    """
    tensors = tf1_tensors(models)
    prefix = folder / CHECKPOINT
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(tensors)
    try:
        tf.raw_ops.SaveV2(
            prefix=str(prefix),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.constant(tensors[name]) for name in names],
        )
    except tf.errors.OpError as error:
        raise ConversionError(f"cannot write a checkpoint to {folder}: {error.message}") from error
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{CHECKPOINT}"\n', encoding="utf-8")  # for TensorFlow
    for part, model in models.items():
        file = CONFIG_FILE if len(models) == 1 else CONFIG_OF_PART[part]
        text = json.dumps(published_config(model, tokenizer), indent=2, sort_keys=True)
        (folder / file).write_text(text + "\n", encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(folder, min(model.config.max_position_embeddings for model in models.values()))
    return prefix


def tf1_tensors(models: Mapping[str, Model]) -> dict[str, np.ndarray]:
    """Returns the variables of models by their names in one checkpoint, those they share once; see `write_tf1`.

    Raises:
        ConversionError: for two towers whose embeddings are not the discriminator's, which the original cannot read.
    """
    tensors: dict[str, np.ndarray] = {}
    first, *others = sorted(models)  # a discriminator before a generator
    tensors.update(_tensors(models[first], dict.fromkeys(_SCOPED, "electra")))
    for part in others:
        tensors.update(_tensors(models[part], _generator_scopes(models[part], tensors)))
    return tensors


def _generator_scopes(generator: Model, tensors: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Returns below which network's name each kind of a generator's variables stands: its own, or what it shares."""
    shared = _tensors(generator, dict.fromkeys(_SCOPED, "electra"))

    def is_shared(*kinds: str) -> bool:
        prefixes = tuple(f"electra/{kind}/" for kind in kinds)
        ours, theirs = ({name for name in each if name.startswith(prefixes)} for each in (shared, tensors))
        return ours == theirs and all(np.array_equal(shared[name], tensors[name]) for name in ours)

    if is_shared(*_SCOPED):
        return dict.fromkeys(_SCOPED, "electra")
    has_shared_embeddings = is_shared("embeddings")
    if isinstance(generator, TwoTowerGenerator) and not has_shared_embeddings:
        raise ConversionError(
            "a two-tower generator and a discriminator with embeddings of their own have no form of the original's; "
            "convert one of them"
        )
    scopes = dict.fromkeys(_SCOPED, "generator")
    return {**scopes, "embeddings": "electra"} if has_shared_embeddings else scopes


def _tensors(model: Model, scopes: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Returns a model's variables by the original's names, split where the original has several."""
    names = {name.ours: name.tf1.split() for name in names_of(model)}
    tensors = {}
    for variable in model.variables:
        parts = names[relative_path(variable)]
        for part, value in zip(parts, np.split(variable.numpy(), len(parts), axis=-1), strict=True):
            scope = scopes.get(part.split("/")[0])
            tensors[part if scope is None else f"{scope}/{part}"] = value
    return tensors

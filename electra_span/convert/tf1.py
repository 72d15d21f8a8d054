"""Reading the original's TensorFlow 1 checkpoints."""

import json
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from electra_span.convert.source_models import CONFIG_OF_PART
from electra_span.models import ElectraDiscriminator, ElectraTaskModel, TwoTowerGenerator
from electra_span.published.config import CONFIG_FILE, published_config
from electra_span.published.names import ConversionError, Model, names_of, relative_path
from electra_span.tokenization import Tokenizer


def load_tf1_weights(model: Model, checkpoint: str | pathlib.Path) -> None:
    """Assigns a model's weights from a checkpoint of the original's pretraining, or of its fine-tuning.

    A generator's variables stand under "generator" in it, a two-tower generator's under "generator_ltr" and
    "generator_rtl", and under "electra" as far as they are shared with the discriminator: its embeddings or, where both
    are one network, all.

    Args:
        model: of the checkpoint's sizes.
        checkpoint: the path before ".index".

    Raises:
        ConversionError: there is no checkpoint, or a variable in it is missing or of another shape.
    """
    try:
        reader = tf.train.load_checkpoint(str(checkpoint))
    except (tf.errors.OpError, ValueError) as error:
        raise ConversionError(f"{checkpoint}: is not a TensorFlow checkpoint: {error}") from error
    shapes = reader.get_variable_to_shape_map()
    is_first = isinstance(model, ElectraDiscriminator | ElectraTaskModel)
    scopes = ("electra",) if is_first else ("generator", "electra")
    tf1_names = {name.ours: name.tf1 for name in names_of(model)}
    for variable in model.variables:
        names = [_name_in(shapes, name, scopes, checkpoint) for name in tf1_names[relative_path(variable)].split()]
        shape = [*variable.shape[:-1], variable.shape[-1] // len(names)]
        for name in names:
            if shapes[name] != shape:
                raise ConversionError(f"{checkpoint}: {name} has shape {shapes[name]}, not {shape}")
        variable.assign(np.concatenate([reader.get_tensor(name) for name in names], axis=-1))


def _name_in(shapes: Mapping[str, list[int]], name: str, scopes: Sequence[str], checkpoint: str | pathlib.Path) -> str:
    """Returns the name of a variable in a checkpoint, below one of the scopes or at the top level."""
    found = next((full for full in (name, *(f"{scope}/{name}" for scope in scopes)) if full in shapes), None)
    if found is None:
        missing = name if name.startswith("task_specific/") else f"{scopes[0]}/{name}"
        raise ConversionError(f"{checkpoint}: has no variable {missing}")
    return found


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

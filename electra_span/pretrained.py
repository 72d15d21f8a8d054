"""The published form of a model: Hugging Face's layout, so that transformers reads ours and we read theirs.

A folder holds config.json, model.safetensors and the tokenizer's files.
"""

import dataclasses
import json
import os
import pathlib
import shutil
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from electra_span.config import EncoderConfig, HparamError, UserError
from electra_span.convert.names import Model, Name, names_of, relative_path
from electra_span.encoder import ElectraEncoder
from electra_span.models import ElectraDiscriminator, ElectraGenerator
from electra_span.tokenization import Tokenizer, load_tokenizer

_CONFIG, _WEIGHTS, _VOCABULARY = "config.json", "model.safetensors", "vocab.txt"
_ARCHITECTURES: dict[str, type] = {
    "ElectraForPreTraining": ElectraDiscriminator,
    "ElectraForMaskedLM": ElectraGenerator,
}


class PublishedModelError(UserError):
    """A folder that does not hold a model in its published form."""


def save_pretrained(model: Model, tokenizer: Tokenizer | None, directory: str | pathlib.Path) -> None:
    """Writes a model in its published form; an older one in the folder is replaced once the new one is whole.

    Args:
        model: an ElectraDiscriminator or ElectraGenerator.
        tokenizer: its tokenizer, or None to leave that out.
        directory: the folder to write.
    """
    target = pathlib.Path(directory)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    names = {name.ours: name for name in names_of(model)}
    tensors = {}
    for variable in model.variables:
        name = names[relative_path(variable)]
        value = np.asarray(variable.numpy(), dtype=np.float32)
        tensors[name.hugging_face] = np.ascontiguousarray(value.T if name.is_transposed else value)
    save_file(tensors, partial / _WEIGHTS, metadata={"format": "pt"})
    (partial / _CONFIG).write_text(json.dumps(_published_config(model, tokenizer), indent=2, sort_keys=True) + "\n")
    if tokenizer is not None:
        tokenizer.save(partial)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)


def load_pretrained(directory: str | pathlib.Path, *, dtype: str = "float32") -> Model:
    """Returns the model of a published folder, with its tokenizer (None where there is none) as `.tokenizer`.

    Called as model(input_ids=..., input_mask=..., segment_ids=...), of which the last two may be left out, a
    discriminator returns float32 logits [B, L] and a generator [B, L, V]; `.encoder(...)` returns [B, L, H].

    Args:
        directory: as `save_pretrained` or transformers wrote it.
        dtype: a Keras dtype policy, such as "mixed_bfloat16".

    Raises:
        PublishedModelError: names the file and what is missing in it or wrong.
    """
    directory = pathlib.Path(directory)
    settings = _read_config(directory / _CONFIG)
    architecture = (settings.get("architectures") or [None])[0]
    if architecture not in _ARCHITECTURES:
        raise PublishedModelError(
            f"{directory / _CONFIG}: architectures must be one of {sorted(_ARCHITECTURES)}. Received: {architecture!r}"
        )
    try:
        config = EncoderConfig.from_published(settings)
    except HparamError as error:
        raise PublishedModelError(f"{directory / _CONFIG}: {error}") from error
    model: Model = _ARCHITECTURES[architecture](ElectraEncoder(config, name="electra", dtype=dtype), dtype=dtype)
    _assign(model, directory / _WEIGHTS)
    model.tokenizer = load_tokenizer(directory) if (directory / _VOCABULARY).exists() else None
    return model


def _published_config(model: Model, tokenizer: Tokenizer | None) -> dict[str, Any]:
    """Returns the contents of config.json."""
    architecture = next(name for name, kind in _ARCHITECTURES.items() if isinstance(model, kind))
    return {
        **dataclasses.asdict(model.config),
        "architectures": [architecture],
        "model_type": "electra",
        "dtype": "float32",
        "pad_token_id": 0 if tokenizer is None else tokenizer.pad_id,
        "tie_word_embeddings": True,
    }


def _read_config(path: pathlib.Path) -> dict[str, Any]:
    """Returns the settings in config.json."""
    if not path.is_file():
        raise PublishedModelError(f"{path}: no such file; a published model has one")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PublishedModelError(f"{path}: is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise PublishedModelError(f"{path}: must hold an object. Received: {type(settings).__name__}")
    return settings


def _assign(model: Model, path: pathlib.Path) -> None:
    """Assigns a model's weights from a safetensors file, which must hold all of them in their shapes."""
    if not path.is_file():
        raise PublishedModelError(f"{path}: no such file; a published model has one")
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise PublishedModelError(f"{path}: is not a safetensors file: {error}") from error
    names = {name.ours: name for name in names_of(model)}
    missing = sorted({name.hugging_face for name in names.values()} - set(tensors))
    if missing:
        raise PublishedModelError(f"{path}: lacks {len(missing)} tensors, {missing[0]} the first of them")
    for variable in model.variables:
        name = names[relative_path(variable)]
        value = tensors[name.hugging_face].T if name.is_transposed else tensors[name.hugging_face]
        if value.shape != tuple(variable.shape):
            raise PublishedModelError(
                f"{path}: {name.hugging_face} must have shape {_stored_shape(variable, name)}. "
                f"Received: {tensors[name.hugging_face].shape}"
            )
        variable.assign(value)


def _stored_shape(variable: keras.Variable, name: Name) -> tuple[int, ...]:
    """Returns the shape in which a variable is stored."""
    shape = tuple(variable.shape)
    return shape[::-1] if name.is_transposed else shape

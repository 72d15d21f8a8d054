"""The config.json of a published model: what it says of the model, and what it holds for transformers."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from electra_span.config import COMPOSITIONAL_FIELDS, EncoderConfig, HparamError, UserError
from electra_span.containers import check_hub_snapshot
from electra_span.encoder import ElectraEncoder
from electra_span.files import FileError, read_json_object, shown
from electra_span.head_config import TASK_ARCHITECTURES, HeadConfig, architecture_of, head_settings, read_heads
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel, TwoTowerGenerator
from electra_span.published.names import Model, ModelClass
from electra_span.tokenization import Tokenizer

CONFIG_FILE = "config.json"
MAX_SPAN_LENGTH = "max_span_length"  # there, where there is a span head
_MODEL_CLASSES: Mapping[str, ModelClass] = {
    "ElectraForPreTraining": ElectraDiscriminator,
    "ElectraForMaskedLM": ElectraGenerator,
    "TwoTowerElectraForMaskedLM": TwoTowerGenerator,
    "ElectraModel": ElectraEncoder,  # transformers', without a head
    **dict.fromkeys(TASK_ARCHITECTURES, ElectraTaskModel),
}
# Settings of transformers by which a model computes something else, and their values by which it does not.
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "is_decoder": (False, None),
    "position_embedding_type": ("absolute", None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
}


class Architecture(NamedTuple):
    """What a model is, in the order that `expected_names` takes it."""

    model_class: ModelClass
    config: EncoderConfig
    max_span_length: int = 0
    heads: tuple[HeadConfig, ...] = ()


class PublishedModelError(UserError):
    """A folder that does not hold a model in its published form, or cannot take one."""


def published_config(model: Model, tokenizer: Tokenizer | None) -> dict[str, Any]:
    """Returns the contents of config.json."""
    settings = dataclasses.asdict(model.config)
    if model.config.embedding_type == "full":  # as transformers has it, without a word
        settings = {name: value for name, value in settings.items() if name not in COMPOSITIONAL_FIELDS}
    if model.max_span_length:
        settings[MAX_SPAN_LENGTH] = model.max_span_length
    if isinstance(model, ElectraTaskModel):
        settings.update(head_settings(model.head_configs))
    return {
        **settings,
        "architectures": [_architecture_of(model)],
        "model_type": "two_tower_electra" if isinstance(model, TwoTowerGenerator) else "electra",
        "dtype": "float32",
        "pad_token_id": 0 if tokenizer is None else tokenizer.pad_id,
        "tie_word_embeddings": True,
    }


def has_pretraining_head(settings: Mapping[str, Any]) -> bool:
    """Returns whether a config.json, which describes a known model, is a discriminator's or a generator's."""
    return issubclass(_MODEL_CLASSES[settings["architectures"][0]], ElectraDiscriminator | ElectraGenerator)


def _architecture_of(model: Model) -> str:
    """Returns the name of a model's architecture."""
    if isinstance(model, ElectraTaskModel):
        return architecture_of(model.head_configs)
    return next(name for name, kind in _MODEL_CLASSES.items() if isinstance(model, kind))


def read_config(path: pathlib.Path) -> Architecture:
    """Returns what a config.json says.

    Raises:
        PublishedModelError: it cannot be read, or describes no model that is known here.
    """
    return architecture_in(read_settings(path), path)


def read_settings(path: pathlib.Path) -> dict[str, Any]:
    """Returns the contents of a config.json; raises PublishedModelError where it cannot be read."""
    check_hub_snapshot(path.parent)
    try:
        return read_json_object(path)
    except FileError as error:
        raise PublishedModelError(f"{error}; a published model has this file" if not path.exists() else error) from None


def architecture_in(settings: Mapping[str, Any], path: pathlib.Path) -> Architecture:
    """Returns what the contents of a config.json say.

    Args:
        settings: the contents.
        path: of the file, for errors.

    Raises:
        PublishedModelError: they describe no model that is known here.
    """
    architectures = settings.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else None
    model_class = _MODEL_CLASSES.get(str(architecture))
    if model_class is None:
        raise PublishedModelError(
            f"{path}: architectures must be one of {sorted(_MODEL_CLASSES)}. Received: {architectures!r}"
        )
    for name, plain in _PLAIN.items():
        if settings.get(name) not in plain:
            received = shown(repr(settings[name]))
            raise PublishedModelError(f"{path}: {name} must be {plain[0]}; no other is read here. Received: {received}")
    max_span_length = settings.get(MAX_SPAN_LENGTH, 0)
    if type(max_span_length) is not int or max_span_length < 0:
        raise PublishedModelError(f"{path}: {MAX_SPAN_LENGTH} must be a length. Received: {max_span_length!r}")
    try:
        heads = read_heads(settings, str(architecture)) if architecture in TASK_ARCHITECTURES else ()
        return Architecture(model_class, EncoderConfig.from_published(settings), max_span_length, heads)
    except HparamError as error:
        raise PublishedModelError(f"{path}: {error}") from error

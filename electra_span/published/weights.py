"""The model.safetensors of a published model: the values of its variables, under Hugging Face's names."""

import pathlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from electra_span.files import FileError, shown
from electra_span.layers.embeddings import Embeddings
from electra_span.models import TwoTowerGenerator
from electra_span.published.config import CONFIG_FILE, Architecture, PublishedModelError, architecture_in, read_settings
from electra_span.published.names import (
    COMPOSITIONAL_TENSORS,
    WORD_EMBEDDINGS,
    ConversionError,
    Model,
    expected_names,
    names_of,
    relative_path,
)
from electra_span.published.settling import check_copies, report_unused, settled
from electra_span.published.tensor_files import Weights, check_no_adapter, open_hugging_face

_LAYER = re.compile(r"\blayer\.(\d+)\.")


def write_tensors(model: Model, path: pathlib.Path) -> None:
    """Writes the values of a model's variables, and the full table of words where embeddings are compositional."""
    names = {name.ours: name for name in names_of(model)}
    tensors = {}
    for ours, tensor in _values_of(model).items():
        value = np.asarray(tensor, dtype=np.float32)
        tensors[names[ours].hugging_face] = np.ascontiguousarray(value.T if names[ours].is_transposed else value)
    tensors[WORD_EMBEDDINGS] = embeddings_of(model).words.full_table().numpy()
    save_file(tensors, path, metadata={"format": "pt"})


class PublishedModel(NamedTuple):
    """What a published folder holds, of which no tensor has been read.

    Attributes:
        settings: the contents of config.json, but for parts that have no tensors.
        architecture: what they say.
        weights: the tensors.
    """

    settings: Mapping[str, Any]
    architecture: Architecture
    weights: Weights


def open_published(folder: pathlib.Path) -> PublishedModel:
    """Returns what a folder holds that `save_pretrained` or transformers wrote.

    Raises:
        PublishedModelError: names the file and what is missing in it or wrong.
    """
    try:
        check_no_adapter(folder)
        settings = read_settings(folder / CONFIG_FILE)
        architecture_in(settings, folder / CONFIG_FILE)  # wrong settings are wrong whatever the tensors are
        weights = open_hugging_face(folder)
        settings = settled(settings, weights)
    except (ConversionError, FileError) as error:
        raise PublishedModelError(str(error)) from error
    return PublishedModel(settings, architecture_in(settings, folder / CONFIG_FILE), weights)


def read_tensors(published: PublishedModel, architecture: Architecture) -> dict[str, np.ndarray]:
    """Returns the value of each variable of a model by its path, from files that must hold all of them.

    Nothing is made before they are known to hold it, whatever sizes the config asks for.

    Args:
        published: the model.
        architecture: its own, or that of the encoder in it that is to be read alone.

    Raises:
        PublishedModelError: names the file and the tensor that is missing or of another shape.
    """
    weights = published.weights
    _check_tensors(weights.shapes, weights.path, architecture)
    names = list(expected_names(*architecture))
    try:
        check_copies(architecture, published.settings, weights)
        values = {name: weights.read(name.hugging_face) for name in names}
    except ConversionError as error:
        raise PublishedModelError(str(error)) from error
    if architecture == published.architecture:
        report_unused(weights, {name.hugging_face for name in names})
    return {name.ours: value.T if name.is_transposed else value for name, value in values.items()}


def _values_of(model: Model) -> dict[str, np.ndarray]:
    """Returns the values of a model's variables by their path below it, of embeddings their whole tables."""
    tables = embeddings_of(model).tables
    of_tables = {table.variable.path for table in tables.values()}
    values = {relative_path(each): each.numpy() for each in model.variables if each.path not in of_tables}
    return {**values, **{f"embeddings/{name}": table.whole().numpy() for name, table in tables.items()}}


def embeddings_of(model: Model) -> Embeddings:
    """Returns the layer that a model reads its tokens by."""
    return (model if isinstance(model, TwoTowerGenerator) else model.encoder).embeddings


def _check_tensors(shapes: Mapping[str, tuple[int, ...]], path: pathlib.Path, architecture: Architecture) -> None:
    """Raises PublishedModelError if a tensor is missing or of another shape, or there are more layers than needed."""
    num_layers = architecture.config.num_hidden_layers
    found = {int(match[1]) for match in map(_LAYER.search, shapes) if match}
    if found and max(found) >= num_layers:  # transformers leaves them out, with a warning
        raise PublishedModelError(
            f"{path}: has {max(found) + 1} layers, by the config.json beside it num_hidden_layers is {num_layers}. "
            "Correct it there"
        )
    for name in expected_names(*architecture):
        shape = shapes.get(name.hugging_face)
        if shape is None:
            remedy = _remedy(name.hugging_face, shapes)
            raise PublishedModelError(f"{path}: lacks the tensor {name.hugging_face}{remedy}")
        if shape != name.hugging_face_shape:
            raise PublishedModelError(
                f"{path}: {name.hugging_face} must have the shape {name.hugging_face_shape}, by the config.json "
                f"beside it. Received: {shape}"
            )


def _remedy(missing: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Returns what to do about a missing table of words; "" for other tensors."""
    if missing in COMPOSITIONAL_TENSORS and WORD_EMBEDDINGS in shapes:
        return '; to read the full table of words instead, set embedding_type to "full" in the config.json beside it'
    if missing in (WORD_EMBEDDINGS, *COMPOSITIONAL_TENSORS) and shapes:
        return f"; it has {len(shapes)} tensors, such as {shown(min(shapes))}"
    return ""

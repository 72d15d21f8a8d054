"""The model.safetensors of a published model: the values of its variables, under Hugging Face's names."""

import pathlib
from collections.abc import Mapping

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from electra_span.convert.names import (
    COMPOSITIONAL_TENSORS,
    WORD_EMBEDDINGS,
    Model,
    expected_names,
    names_of,
    relative_path,
)
from electra_span.layers.embeddings import Embeddings
from electra_span.models import TwoTowerGenerator
from electra_span.published_config import Architecture, PublishedModelError

WEIGHTS_FILE = "model.safetensors"
_ENCODER = "electra."  # in front of an encoder's names, but where transformers wrote it without a head


def write_tensors(model: Model, path: pathlib.Path) -> None:
    """Writes the values of a model's variables, and the full table of words where embeddings are compositional."""
    names = {name.ours: name for name in names_of(model)}
    tensors = {}
    for ours, tensor in _values_of(model).items():
        value = np.asarray(tensor, dtype=np.float32)
        tensors[names[ours].hugging_face] = np.ascontiguousarray(value.T if names[ours].is_transposed else value)
    tensors[WORD_EMBEDDINGS] = embeddings_of(model).words.full_table().numpy()
    save_file(tensors, path, metadata={"format": "pt"})


def read_tensors(path: pathlib.Path, architecture: Architecture) -> dict[str, np.ndarray]:
    """Returns the value of each variable of a model by its path, from a safetensors file that must hold all of them.

    Nothing is made before the file is known to hold it, whatever sizes the config asks for.

    Args:
        path: the file.
        architecture: of the model, or of the encoder in it that is to be read alone.

    Raises:
        PublishedModelError: names the file and the tensor that is missing or of another shape.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _check_tensors(shapes, path, architecture)
            tensors = {}
            for name in expected_names(*architecture):
                value = file.get_tensor(name_in(shapes, name.hugging_face)).astype(np.float32)
                tensors[name.ours] = value.T if name.is_transposed else value
            return tensors
    except FileNotFoundError as error:
        raise PublishedModelError(f"{path}: no such file; a published model has one") from error
    except (OSError, SafetensorError) as error:
        raise PublishedModelError(f"{path}: is not a safetensors file: {error}") from error


def _values_of(model: Model) -> dict[str, np.ndarray]:
    """Returns the values of a model's variables by their path below it, of embeddings their whole tables."""
    tables = embeddings_of(model).tables
    of_tables = {table.variable.path for table in tables.values()}
    values = {relative_path(each): each.numpy() for each in model.variables if each.path not in of_tables}
    return {**values, **{f"embeddings/{name}": table.whole().numpy() for name, table in tables.items()}}


def embeddings_of(model: Model) -> Embeddings:
    """Returns the layer that a model reads its tokens by."""
    return (model if isinstance(model, TwoTowerGenerator) else model.encoder).embeddings


def name_in(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    """Returns a tensor's name in a file, which may be that of an encoder alone."""
    bare = name.removeprefix(_ENCODER)
    return bare if name not in shapes and bare in shapes else name


def _check_tensors(shapes: Mapping[str, tuple[int, ...]], path: pathlib.Path, architecture: Architecture) -> None:
    """Raises PublishedModelError where a tensor that the model needs is missing, or of another shape."""
    for name in expected_names(*architecture):
        shape = shapes.get(name_in(shapes, name.hugging_face))
        if shape is None:
            remedy = _remedy(name.hugging_face, shapes)
            raise PublishedModelError(f"{path}: lacks the tensor {name.hugging_face}{remedy}")
        if shape != name.hugging_face_shape:
            raise PublishedModelError(
                f"{path}: {name.hugging_face} must have the shape {name.hugging_face_shape}, by the config.json "
                f"beside it. Received: {shape}"
            )


def _remedy(missing: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Returns what to do about a missing tensor, where the full table of words that transformers wrote can stand in."""
    if missing in COMPOSITIONAL_TENSORS and WORD_EMBEDDINGS in shapes:
        return '; to read the full table of words instead, set embedding_type to "full" in the config.json beside it'
    return ""

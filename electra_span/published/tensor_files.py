"""The tensors of a checkpoint or of a Hugging Face folder, by the names they have there."""

import importlib.util
import math
import pathlib
import pickle
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from safetensors import SafetensorError, safe_open

from electra_span.files import read_json
from electra_span.published.names import ConversionError, names_in_file

WEIGHTS_FILE = "model.safetensors"
SHARD_INDEX = f"{WEIGHTS_FILE}.index.json"
PICKLE_FILE = "pytorch_model.bin"
WEIGHT_SUFFIXES = (".safetensors", ".bin")
ADAPTER_FILE = "adapter_config.json"
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class Weights(NamedTuple):
    """Tensors that are read when they are asked for.

    Attributes:
        path: the file, or what stands for several, which errors name.
        shapes: by name.
        read: returns the tensor of a name.
        is_tf1: whether names and layouts are the original's, else Hugging Face's.
    """

    path: pathlib.Path
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]
    is_tf1: bool = False


def open_tf1(prefix: pathlib.Path) -> Weights:
    """Returns the variables of a TensorFlow checkpoint, the path before ".index".

    Raises:
        ConversionError: it is none, its index asks for more than its files hold, or it is of a training run of ours.
    """
    try:
        reader = tf.train.load_checkpoint(str(prefix))
    except (tf.errors.OpError, ValueError) as error:
        raise ConversionError(f"{prefix}: is not a TensorFlow checkpoint: {error}") from error
    shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
    if _OBJECT_GRAPH in shapes:
        raise ConversionError(
            f"{prefix}: is the state of a training run, optimizer and all; take the folder of the model it published"
        )
    dtypes = reader.get_variable_to_dtype_map()
    if any(size < 0 for shape in shapes.values() for size in shape):
        raise ConversionError(f"{prefix}: its index has variables of negative sizes")
    claimed = sum(math.prod(shape) * dtypes[name].size for name, shape in shapes.items() if dtypes[name] != tf.string)
    held = sum(file.stat().st_size for file in prefix.parent.glob(f"{prefix.name}.data-*"))
    if claimed > held:
        raise ConversionError(f"{prefix}: its index claims {claimed:,} bytes, its data files have {held:,}")

    def read(name: str) -> np.ndarray:
        try:
            return _float32(reader.get_tensor(name))
        except (tf.errors.OpError, ValueError) as error:
            raise ConversionError(f"{prefix}: cannot read {name}: {error}") from error

    return Weights(prefix, shapes, read, is_tf1=True)


def open_hugging_face(folder: pathlib.Path) -> Weights:
    """Returns the tensors of a Hugging Face folder: of one file, of several with their index, or of a pickle.

    Their names are those that transformers gives them, whatever they are in the file; see `names_in_file`.

    Raises:
        ConversionError: there is none, or one is not what it says, or torch is needed to read it safely.
    """
    weights = _open(folder)
    names = names_in_file(weights.path, weights.shapes)
    shapes = {name: weights.shapes[in_file] for name, in_file in names.items()}
    return weights._replace(shapes=shapes, read=lambda name: weights.read(names[name]))


def check_no_adapter(folder: pathlib.Path) -> None:
    """Raises ConversionError for a folder of PEFT, whose weights are differences from another model's."""
    if (folder / ADAPTER_FILE).exists():
        raise ConversionError(
            f"{folder}: has an {ADAPTER_FILE}: it holds an adapter of PEFT (as LoRA), not a model. Merge it into its "
            "model with merge_and_unload() and save_pretrained() of peft, and take the folder of the result"
        )


def _open(folder: pathlib.Path) -> Weights:
    """Returns the tensors of a Hugging Face folder by their names in its files."""
    check_no_adapter(folder)
    if (folder / WEIGHTS_FILE).is_file():
        file = folder / WEIGHTS_FILE
        return _of_files(file, dict.fromkeys(_safetensors_shapes(file), file))
    if (folder / SHARD_INDEX).is_file():
        return _of_files(folder / SHARD_INDEX, _read_index(folder / SHARD_INDEX))
    if (folder / PICKLE_FILE).is_file():
        return _of_pickle(folder / PICKLE_FILE)
    raise ConversionError(f"{folder / WEIGHTS_FILE}: no such file, and no {SHARD_INDEX} or {PICKLE_FILE} either")


def _float32(value: Any) -> np.ndarray:
    """Returns a tensor's values as float32; raises ValueError where they are no numbers of floating point."""
    value = np.asarray(value)
    if not tf.as_dtype(value.dtype).is_floating:  # quantized weights are not their values
        raise ValueError(f"must be of floating point. Received: {value.dtype}")
    return value.astype(np.float32)


def _of_files(path: pathlib.Path, file_of: Mapping[str, pathlib.Path]) -> Weights:
    """Returns tensors of safetensors files, from the file of each name."""
    held = {file: _safetensors_shapes(file) for file in sorted(set(file_of.values()))}
    for name, file in file_of.items():
        if name not in held[file]:
            raise ConversionError(f"{path}: says that {file.name} holds {name}, which it does not")
    inside = {name for shapes in held.values() for name in shapes}
    if inside - set(file_of):
        raise ConversionError(f"{path}: does not say where {min(inside - set(file_of))} is, which a file holds")

    def read(name: str) -> np.ndarray:
        try:
            with safe_open(file_of[name], framework="numpy") as tensors:
                return _float32(tensors.get_tensor(name))
        except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
            raise ConversionError(f"{file_of[name]}: cannot read {name}: {error}") from error

    return Weights(path, {name: held[file][name] for name, file in file_of.items()}, read)


def _safetensors_shapes(file: pathlib.Path) -> dict[str, tuple[int, ...]]:
    """Returns the shapes in a safetensors file, whose header the library holds against the file's size."""
    try:
        with safe_open(file, framework="numpy") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ConversionError(f"{file}: is not a safetensors file: {error}") from error


def _read_index(path: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the file of each tensor, by the index of a model in several files, which must lie beside it."""
    index: Any = read_json(path)
    files = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(files, dict) or not files:
        raise ConversionError(f"{path}: must have weight_map, an object of the file of each tensor")
    for file in files.values():
        if not isinstance(file, str) or pathlib.PurePath(file).name != file or not file.endswith(".safetensors"):
            raise ConversionError(f"{path}: weight_map must name safetensors files beside it. Received: {file!r}")
    return {name: path.parent / file for name, file in files.items()}


def _of_pickle(path: pathlib.Path) -> Weights:
    """Returns the tensors of a pickle, which torch reads without running what stands in it."""
    if importlib.util.find_spec("torch") is None:
        raise ConversionError(
            f"{path}: is a pickle, which may run anything when read; only torch can read it safely, and is not "
            f"installed here. Install it, or get the model's {WEIGHTS_FILE}"
        )
    torch: Any = importlib.import_module("torch")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
        raise ConversionError(f"{path}: torch does not load it: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ConversionError(f"{path}: must hold tensors by name. Received: {type(state).__name__}")
    strange = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise ConversionError(f"{path}: holds what is no tensor: {strange[0]}")
    shapes = {name: tuple(value.shape) for name, value in state.items()}

    def read(name: str) -> np.ndarray:
        value = state[name]
        if not value.is_floating_point():
            raise ConversionError(f"{path}: cannot read {name}: must be of floating point. Received: {value.dtype}")
        return np.asarray(value.float().numpy())

    return Weights(path, shapes, read)

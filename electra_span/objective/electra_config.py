"""How `Electra` is written into Keras' configs, of which a .keras file is made, and made from them again."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from electra_span.layers.keras_serialization import written
from electra_span.objective.masking import MaskingConfig
from electra_span.objective.wiring import WiringError

_ARRAYS = {"is_continuation": np.bool_, "random_token_counts": np.int64}
_TUPLES = ("special_ids", "replace_probs")


def written_models(generator: keras.Model, discriminator: keras.Model, *, is_tapped: bool) -> dict[str, Any]:
    """Returns the arguments of `Electra` that are models, as Keras' configs hold them.

    Args:
        generator: of any kind.
        discriminator: of any kind.
        is_tapped: whether the discriminator's output is that of the layer that has a head.

    Raises:
        WiringError: they share layers that Keras could not share again.
    """
    shared = sorted(_graph_layers(generator).keys() & _graph_layers(discriminator).keys())
    if shared:
        names = [_graph_layers(generator)[key] for key in shared]
        raise WiringError(
            f"two functional models in one .keras file share no layers, for Keras cannot load them. Received: {names}. "
            "Save weights, by save_weights, or each model by itself"
        )
    layer = discriminator.outputs[0]._keras_history.operation.name if is_tapped else None
    return {
        "generator": written(generator),
        "discriminator": written(discriminator),
        "discriminator_layer": layer,
    }


def written_table(table: Any, bias: Any) -> dict[str, Any]:
    """Returns the arguments of `Electra` that make logits of a generator's hidden states.

    Raises:
        WiringError: they are bare variables or arrays.
    """
    if bias is not None or not (table is None or isinstance(table, keras.layers.Layer)):
        raise WiringError(
            "a .keras file holds layers: word_embeddings is an embedding layer there, and output_bias is left out. "
            f"Received: word_embeddings={type(table).__name__}, output_bias={type(bias).__name__}. Save weights, by "
            "save_weights, or each model by itself"
        )
    return {"word_embeddings": written(table)}


def written_masking(masking: MaskingConfig) -> dict[str, Any]:
    """Returns a masking as JSON has it."""
    values = dataclasses.asdict(masking)
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def read_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of `Electra` that a config holds."""
    read = {name: _read(value) if name != "dtype" else value for name, value in config.items()}
    masking = dict(config["masking"])
    for name, dtype in _ARRAYS.items():
        masking[name] = None if masking[name] is None else np.array(masking[name], dtype)
    for name in _TUPLES:
        masking[name] = tuple(masking[name])
    return {**read, "masking": MaskingConfig(**masking)}


def _read(value: Any) -> Any:
    """Returns an argument as it was before it was written."""
    is_object = isinstance(value, Mapping) and "class_name" in value
    return keras.saving.deserialize_keras_object(value) if is_object else value


def _graph_layers(model: keras.Model) -> dict[int, str]:
    """Returns the names of the layers of all functional and sequential models in a model, by what they are."""
    graphs = [each for each in model._flatten_layers() if getattr(each, "inputs", None)]
    return {id(layer): layer.name for graph in graphs for layer in graph.layers}

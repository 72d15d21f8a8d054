"""How layers and models are written into Keras' configs, of which a .keras file is made, and made from them again."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import keras

from electra_span.config import EncoderConfig, from_hparams
from electra_span.head_config import read_head
from electra_span.keras_registration import PACKAGE
from electra_span.layers.kernels import NOT_QUANTIZED

register = keras.saving.register_keras_serializable(PACKAGE)


class KerasConfig:
    """The config of a layer whose constructor's arguments are its attributes, of the same names.

    Attributes:
        saved_arguments: their names. Layers among them that others use too are the same again after loading.
    """

    saved_arguments: ClassVar[tuple[str, ...]] = ()

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, as JSON knows them, and which of the layers inside are frozen."""
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        arguments = {name: written(getattr(self, name)) for name in self.saved_arguments}
        frozen = [index for index, layer in enumerate(_layers_of(self)) if not layer.trainable]
        return {**config, **arguments, "frozen_layers": frozen}

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Raises NotImplementedError, as `Dense.quantize` does for each layer inside."""
        raise NotImplementedError(NOT_QUANTIZED)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """Returns an untrained layer of a config that `get_config` returned."""
        arguments = dict(config)
        frozen = arguments.pop("frozen_layers", [])
        layer = cls(**{name: _read(name, value) for name, value in arguments.items()})
        for index, inner in enumerate(_layers_of(layer)):
            inner.trainable = index not in frozen
        return layer


def written(value: Any) -> Any:
    """Returns an argument of a constructor as Keras' configs hold it."""
    if isinstance(value, keras.layers.Layer):
        # Keras marks an object as shared once it meets it a second time, on what may be a copy of the first dictionary
        # by then. Met twice here, it is marked everywhere.
        keras.saving.serialize_keras_object(value)
        return keras.saving.serialize_keras_object(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return [written(item) for item in value] if isinstance(value, tuple) else value


def _read(name: str, value: Any) -> Any:
    """Returns the argument of that name that `written` wrote."""
    if name == "config":
        return from_hparams(EncoderConfig, value)
    if name == "head":
        return read_head(value)
    if name == "heads":
        return tuple(map(read_head, value))
    is_layer = name != "dtype" and isinstance(value, Mapping) and "class_name" in value
    return keras.saving.deserialize_keras_object(value) if is_layer else value


def _layers_of(layer: Any) -> list[keras.layers.Layer]:
    """Returns the layers inside of a layer, in the order in which it got them, those that hold others first."""
    return layer._flatten_layers(include_self=False)


def built_at_root(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Returns a layer, built so that its variables' paths start with its own name, whatever scopes are open.

    By their paths, variables are published, restored and decayed. Keras leaves a scope open for good where TensorFlow
    refuses its name, as that of a user's model.
    """
    with keras.name_scope("", override_parent=""):
        layer.build()
    return layer

"""The dense layers of encoders and heads, and the refusal of Keras' quantization."""

from typing import Any

import keras

NOT_QUANTIZED = (
    "electra_span does not quantize encoders and their heads: they keep their weights and precision. Export the model "
    "with export_onnx.py and quantize the file instead, for example with onnxruntime.quantization"
)


class Dense(keras.layers.Dense):
    """Keras' dense layer, whose kernel is read by the layer that holds it.

    Keras would quantize the kernel alone, and restore it into a layer that expects another type.

    Raises:
        ValueError: its policy is a quantized one.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        if self.quantization_mode is not None:
            raise ValueError(f"{NOT_QUANTIZED}. Received: dtype={self.dtype_policy.name!r}")

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Raises NotImplementedError, upon which `keras.Model.quantize` warns and leaves the layer as it is."""
        raise NotImplementedError(NOT_QUANTIZED)

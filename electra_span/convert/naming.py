"""What the table of variable names is made of."""

from collections.abc import Iterator
from typing import NamedTuple

Modules = tuple[str, str, str]  # a layer's name: ours, TF1's (or several), Hugging Face's


class Name(NamedTuple):
    """The names of one variable.

    Attributes:
        ours: the variable's path below its model, `relative_path`.
        tf1: below "electra" or "generator" in a TF1 checkpoint; heads and towers stand at the top level. Where the
            original has several variables, which ours holds side by side along its last axis: all, with spaces between.
        hugging_face: in a safetensors file, where dense kernels are transposed.
        shape: the variable's.
    """

    ours: str
    tf1: str
    hugging_face: str
    shape: tuple[int, ...]

    @property
    def is_transposed(self) -> bool:
        """Whether Hugging Face stores the transposed matrix."""
        return self.ours.endswith("/kernel")

    @property
    def hugging_face_shape(self) -> tuple[int, ...]:
        """The shape in a safetensors file."""
        return self.shape[::-1] if self.is_transposed else self.shape


def dense_names(modules: Modules, shape: tuple[int, int]) -> Iterator[Name]:
    """Yields the names of a dense layer's kernel, of that shape, and bias."""
    ours, tf1, hugging_face = modules
    kernel, bias = (" ".join(f"{name}/{kind}" for name in tf1.split()) for kind in ("kernel", "bias"))
    yield Name(f"{ours}/kernel", kernel, f"{hugging_face}.weight", shape)
    yield Name(f"{ours}/bias", bias, f"{hugging_face}.bias", shape[1:])


def norm_names(modules: Modules, size: int) -> Iterator[Name]:
    """Yields the names of a LayerNorm's two vectors of that size."""
    ours, tf1, hugging_face = modules
    yield Name(f"{ours}/gamma", f"{tf1}/gamma", f"{hugging_face}.weight", (size,))
    yield Name(f"{ours}/beta", f"{tf1}/beta", f"{hugging_face}.bias", (size,))

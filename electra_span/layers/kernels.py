"""The elementwise parts of a transformer, as plain functions or each compiled into a single loop.

On a CPU, TensorFlow runs every elementwise operation as its own pass over memory, and together they outweigh the
matrix products. There XLA compiles each of these functions, and its gradient, into one loop. Where the whole step is
compiled already (on a GPU), or nothing is to be compiled, the plain functions serve.
"""

import functools
import random
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from electra_span.ops import rounded_up

_LEVELS = 2**16  # of a random uint16


class Kernels(NamedTuple):
    """The functions that a transformer block is made of, beside its matrix products."""

    bias_gelu: Callable[..., tf.Tensor]
    residual_norm: Callable[..., tf.Tensor]
    attention_probs: Callable[..., tf.Tensor]
    dropout_bits: Callable[..., list[tuple[tf.Tensor, ...]]]


def plain_kernels() -> Kernels:
    """Returns the functions as they stand."""
    return Kernels(bias_gelu, residual_norm, attention_probs, dropout_bits)


def compiled_kernels() -> Kernels:
    """Returns the functions, each compiled by XLA into one loop forward and one backward."""
    compiled_draw = tf.function(_random_words, jit_compile=True, autograph=False)

    def draw(size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return compiled_draw(rounded_up(size, per_doubling=4), seed)  # is compiled anew for each size

    bits = functools.partial(dropout_bits, draw=draw)
    return Kernels(compiled(bias_gelu_by_erf), compiled(residual_norm), compiled(attention_probs), bits)


def bias_gelu(x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Returns GELU(x + bias) in its exact form, not tanh's, computed in float32, in x's dtype."""
    wide = tf.cast(x, tf.float32) + tf.cast(bias, tf.float32)
    return tf.cast(tf.nn.gelu(wide, approximate=False), x.dtype)


def bias_gelu_by_erf(x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Returns `bias_gelu` by erf instead of erfc: compiled, in half the time, with 2e-7 more of rounding."""
    wide = tf.cast(x, tf.float32) + tf.cast(bias, tf.float32)
    return tf.cast(0.5 * wide * (1.0 + tf.math.erf(wide * 0.5**0.5)), x.dtype)


def residual_norm(
    x: tf.Tensor,
    bias: tf.Tensor,
    residual: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    bits: tf.Tensor | None = None,
    *,
    rate: float,
    epsilon: float,
) -> tf.Tensor:
    """Returns layer_norm(dropout(x + bias) + residual)."""
    return layer_norm(dropout(x + bias, bits, rate=rate) + residual, gamma, beta, epsilon=epsilon)


def attention_probs(
    scores: tf.Tensor, mask_bias: tf.Tensor, bits: tf.Tensor | None = None, *, scale: float, rate: float
) -> tf.Tensor:
    """Returns dropout(softmax(scale * scores + mask_bias)) over the last axis, in float32 inside, in scores' dtype."""
    probs = tf.nn.softmax(tf.cast(scores, tf.float32) * scale + tf.cast(mask_bias, tf.float32))
    return dropout(tf.cast(probs, scores.dtype), bits, rate=rate)


def layer_norm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, *, epsilon: float) -> tf.Tensor:
    """Returns x normalised over its last axis, computed in float32, in x's dtype."""
    wide = tf.cast(x, tf.float32)
    centred = wide - tf.reduce_mean(wide, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    return tf.cast(centred * tf.math.rsqrt(variance + epsilon) * gamma + beta, x.dtype)


def dropout(x: tf.Tensor, bits: tf.Tensor | None = None, *, rate: float) -> tf.Tensor:
    """Returns x with a share `rate` of its elements (to 1 in 65536) set to 0 and the others scaled up for it.

    Args:
        x: float, any shape.
        bits: uint16 of x's shape, from `dropout_bits`; None leaves x as it is.
        rate: at least 0, below 1.
    """
    if bits is None:
        return x
    threshold = round(rate * _LEVELS)
    kept = tf.cast(bits, tf.int32) >= threshold
    return tf.where(kept, x * tf.cast(_LEVELS / (_LEVELS - threshold), x.dtype), tf.zeros([], x.dtype))


def dropout_bits(
    seed: tf.Tensor | None,
    *wanted: tuple[tf.Tensor, float],
    draw: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> list[tuple[tf.Tensor, ...]]:
    """Returns the random numbers of each wanted dropout: (uint16 of its shape,), or () where nothing is to be dropped.

    A pair of them is cut out of every 32 random bits: drawing floats took a quarter of a training step on a CPU.

    Args:
        seed: int32 [2], or None for no dropout.
        wanted: the shape, int32 [rank], and rate of each.
        draw: returns that many random int32, or more, for a seed.
    """
    shapes = [shape for shape, rate in wanted if rate > 0]
    if seed is None or not shapes:
        return [()] * len(wanted)
    sizes = tf.stack([tf.reduce_prod(shape) for shape in shapes])
    size = tf.reduce_sum(sizes)
    words = (draw or _random_words)((size + 1) // 2, seed)
    halves = tf.reshape(tf.bitcast(words, tf.uint16), [-1])
    pieces = zip(tf.split(halves[:size], sizes, num=len(shapes)), shapes, strict=True)
    return [(tf.reshape(*next(pieces)),) if rate > 0 else () for _, rate in wanted]


def _random_words(size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns int32 [size] of random bits. XLA's own choice of an algorithm is a hundred times slower on a CPU."""
    return tf.random.stateless_uniform([size], seed, minval=None, maxval=None, dtype=tf.int32, alg="philox")


def compiled(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Returns function compiled; its gradient, compiled too, computes the inner values again instead of keeping them.

    Args:
        function: of positional tensors, differentiated where they are floating, and of keyword constants.
    """
    forward = tf.function(function, jit_compile=True, autograph=False)

    @tf.function(jit_compile=True, autograph=False)
    def backward(tensors: tuple[tf.Tensor, ...], upstream: tf.Tensor, constants: dict[str, Any]) -> list[tf.Tensor]:
        floating = [tensor for tensor in tensors if tensor.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(floating)
            result = function(*tensors, **constants)
        return tape.gradient(result, floating, upstream)

    @functools.wraps(function)
    def compiled_function(*tensors: tf.Tensor, **constants: Any) -> tf.Tensor:
        @tf.custom_gradient
        def apply(*tensors: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor | None]]]:
            def gradient(upstream: tf.Tensor) -> list[tf.Tensor | None]:
                found = iter(backward(tensors, upstream, constants))
                return [next(found) if tensor.dtype.is_floating else None for tensor in tensors]

            return forward(*tensors, **constants), gradient

        return apply(*(tf.convert_to_tensor(tensor) for tensor in tensors))  # variables are not to be seen inside

    return compiled_function


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


_STATE = "dropout_seeds"


class DropoutSeeds:
    """The seeds of a layer's dropout where Keras' `training` asks for it and none is given.

    Keras does not see the generator inside, so that a layer's variables are its weights.

    Args:
        seed: where they start; None for one that follows from Python's random numbers, as in Keras' own layers.
    """

    def __init__(self, seed: int | None) -> None:
        self._generator = keras.random.SeedGenerator(_next_number() if seed is None else seed, name=_STATE)

    def of_call(self, dropout_seed: tf.Tensor | None, training: bool | None) -> tf.Tensor | None:
        """Returns what a call's dropout is drawn from: the seed given, or a new one in training, int32 [2]; else None.

        Args:
            dropout_seed: int32 [2], or None.
            training: Keras' argument.
        """
        if dropout_seed is not None or not training:
            return dropout_seed
        return tf.cast(self._generator.next(), tf.int32)

    def save(self, store: MutableMapping[str, Any]) -> None:
        """Writes where the seeds stand, for a layer's `save_own_variables`."""
        store[_STATE] = self._generator.state

    def load(self, store: Mapping[str, Any]) -> None:
        """Goes on where the saved seeds stood."""
        if _STATE in store:
            self._generator.state.assign(store[_STATE])


def _next_number() -> int:
    """Returns what Python would draw next, without drawing it: what others draw does not depend on this layer."""
    numbers = random.Random()
    numbers.setstate(random.getstate())
    return numbers.randint(1, 10**9)

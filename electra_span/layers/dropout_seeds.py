"""Seeds of dropout for layers in models that Keras trains."""

import random
from collections.abc import Mapping, MutableMapping
from typing import Any

import keras
import tensorflow as tf

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

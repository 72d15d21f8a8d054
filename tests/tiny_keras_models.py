"""Keras models so small that they cost nothing, none of them an encoder of ours, and ids for them."""

import keras
import numpy as np

from electra_span import Electra
from tests.tiny_models import CLS, MASK, SEP, TINY

VOCAB_SIZE, LENGTH, PAD = TINY.vocab_size, 11, 0
SPECIAL = {"mask_id": MASK, "pad_id": PAD, "special_ids": (CLS, SEP)}


def tiny_ids(num_rows=6, seed=0):
    """Returns ordinary words between [CLS] and [SEP], in rows of different lengths: int32 [num_rows, 11]."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(MASK + 1, VOCAB_SIZE, [num_rows, LENGTH]).astype(np.int32)
    for row, length in enumerate(generator.integers(6, LENGTH + 1, num_rows)):
        ids[row, 0], ids[row, length - 1], ids[row, length:] = CLS, SEP, PAD
    return ids


def tiny_mlp(outputs, *, embedding=None, activation=None, regularizer=None):
    """Returns a functional model of ids: an embedding, a layer "hidden" of 8 and a layer "last"; [B, 11, outputs]."""
    ids = keras.Input([LENGTH], dtype="int32")
    x = (embedding or keras.layers.Embedding(VOCAB_SIZE, 5))(ids)
    x = keras.layers.Dense(8, activation="tanh", kernel_regularizer=regularizer, name="hidden")(x)
    return keras.Model(ids, keras.layers.Dense(outputs, activation=activation, name="last")(x))


def tiny_convolution(outputs):
    """Returns a sequential model of ids; [B, 11, outputs]."""
    return keras.Sequential(
        [
            keras.Input([LENGTH], dtype="int32"),
            keras.layers.Embedding(VOCAB_SIZE, 6),
            keras.layers.Conv1D(9, 3, padding="same", activation="relu"),
            keras.layers.Dense(outputs),
        ]
    )


def tiny_electra(generator=None, discriminator=None, **options):
    """Returns the objective around two models, by default two of `tiny_mlp`; 30 % are masked."""
    models = generator or tiny_mlp(VOCAB_SIZE), discriminator or tiny_mlp(1)
    return Electra(*models, **{**SPECIAL, "mask_prob": 0.3, **options})

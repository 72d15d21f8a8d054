"""Reading the original's TensorFlow 1 checkpoints."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from electra_span.config import UserError
from electra_span.convert.names import Model, names_of, relative_path
from electra_span.models import ElectraDiscriminator
from electra_span.task_model import ElectraTaskModel


class ConversionError(UserError):
    """A checkpoint that does not hold what the model needs."""


def load_tf1_weights(model: Model, checkpoint: str | pathlib.Path) -> None:
    """Assigns a model's weights from a checkpoint of the original's pretraining, or of its fine-tuning.

    A generator's variables stand under "generator" in it, a two-tower generator's under "generator_ltr" and
    "generator_rtl", and under "electra" as far as they are shared with the discriminator: its embeddings or, where both
    are one network, all.

    Args:
        model: of the checkpoint's sizes.
        checkpoint: the path before ".index".

    Raises:
        ConversionError: there is no checkpoint, or a variable in it is missing or of another shape.
    """
    try:
        reader = tf.train.load_checkpoint(str(checkpoint))
    except (tf.errors.OpError, ValueError) as error:
        raise ConversionError(f"{checkpoint}: is not a TensorFlow checkpoint: {error}") from error
    shapes = reader.get_variable_to_shape_map()
    is_first = isinstance(model, ElectraDiscriminator | ElectraTaskModel)
    scopes = ("electra",) if is_first else ("generator", "electra")
    tf1_names = {name.ours: name.tf1 for name in names_of(model)}
    for variable in model.variables:
        names = [_name_in(shapes, name, scopes, checkpoint) for name in tf1_names[relative_path(variable)].split()]
        shape = [*variable.shape[:-1], variable.shape[-1] // len(names)]
        for name in names:
            if shapes[name] != shape:
                raise ConversionError(f"{checkpoint}: {name} has shape {shapes[name]}, not {shape}")
        variable.assign(np.concatenate([reader.get_tensor(name) for name in names], axis=-1))


def _name_in(shapes: Mapping[str, list[int]], name: str, scopes: Sequence[str], checkpoint: str | pathlib.Path) -> str:
    """Returns the name of a variable in a checkpoint, below one of the scopes or at the top level."""
    found = next((full for full in (name, *(f"{scope}/{name}" for scope in scopes)) if full in shapes), None)
    if found is None:
        missing = name if name.startswith("task_specific/") else f"{scopes[0]}/{name}"
        raise ConversionError(f"{checkpoint}: has no variable {missing}")
    return found

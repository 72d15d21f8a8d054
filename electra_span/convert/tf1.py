"""Reading the original's TensorFlow 1 checkpoints."""

import pathlib

import tensorflow as tf

from electra_span.config import UserError
from electra_span.convert.names import Model, names_of, relative_path
from electra_span.models import ElectraDiscriminator


class ConversionError(UserError):
    """A checkpoint that does not hold what the model needs."""


def load_tf1_weights(model: Model, checkpoint: str | pathlib.Path) -> None:
    """Assigns a model's weights from a checkpoint of the original's pretraining.

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
    scopes = ("electra",) if isinstance(model, ElectraDiscriminator) else ("generator", "electra")
    tf1_names = {name.ours: name.tf1 for name in names_of(model)}
    for variable in model.variables:
        name = tf1_names[relative_path(variable)]
        found = next((full for full in (name, *(f"{scope}/{name}" for scope in scopes)) if full in shapes), None)
        if found is None:
            raise ConversionError(f"{checkpoint}: has no variable {scopes[0]}/{name}")
        if shapes[found] != list(variable.shape):
            raise ConversionError(f"{checkpoint}: {found} has shape {shapes[found]}, not {list(variable.shape)}")
        variable.assign(reader.get_tensor(found))

"""How two Keras models are joined to ELECTRA's objective: what they return, and of which shape it is."""

from typing import Any

import keras
import tensorflow as tf

from electra_span.config import UserError


class WiringError(UserError, ValueError):
    """Two models that do not fit ELECTRA's objective, or each other."""


def tap_layer(model: keras.Model, layer: str | int) -> keras.Model:
    """Returns the part of a model up to one layer, of the same variables.

    Args:
        model: functional or sequential.
        layer: name or index.

    Raises:
        WiringError: the model is of another kind, or has no such layer.
    """
    if not getattr(model, "inputs", None):
        raise WiringError(
            "discriminator_layer needs a functional model, or a sequential one that starts with keras.Input: in "
            f"others no layer's output can be taken. Received: {type(model).__name__}. Have the discriminator return "
            "that output, followed by Dense(1), and leave discriminator_layer out"
        )
    names = [each.name for each in model.layers]
    if layer not in (names if isinstance(layer, str) else range(-len(names), len(names))):
        raise WiringError(f"discriminator_layer is the name or index of one of {names}. Received: {layer!r}")
    found = model.layers[layer] if isinstance(layer, int) else model.get_layer(layer)
    try:
        if model.outputs == [found.output]:
            return model
        return keras.Model(getattr(model, "input", model.inputs), found.output, name=f"{model.name}_to_{found.name}")
    except (AttributeError, ValueError) as error:
        raise WiringError(
            "discriminator_layer must be called once, in the discriminator. "
            f"Received: {found.name!r}, which other models use too. Name a layer of the discriminator's own"
        ) from error


def word_logits(states: tf.Tensor, *, table: Any, bias: Any = None) -> tf.Tensor:
    """Returns the scores of all words for states [B, N, D]: float32 [B, N, V].

    Args:
        states: of the generator.
        table: [V, D], a variable, array or embedding layer.
        bias: [V], a variable or array; None for none.
    """
    table = table_values(table)
    rows = tf.reshape(tf.cast(states, tf.float32), [-1, table.shape[1]])  # [B * N, D]
    logits = tf.matmul(rows, table, transpose_b=True)  # [B * N, V]
    if bias is not None:
        logits += table_values(bias)
    return tf.reshape(logits, [*tf.unstack(tf.shape(states)[:2]), table.shape[0]])  # [B, N, V]


def table_values(table: Any) -> tf.Tensor:
    """Returns the float32 values of a variable, an array, or an embedding layer's table."""
    return tf.cast(tf.convert_to_tensor(getattr(table, "embeddings", table)), tf.float32)


def checked_states(output: Any, input_ids: tf.Tensor, *, table: Any, vocab_size: int | None) -> tf.Tensor:
    """Returns what a generator gave for ids [B, L], once its shape is seen to be [B, L, V], or [B, L, D] with a table.

    Args:
        output: of the generator.
        input_ids: [B, L].
        table: [V, D], a variable, array or embedding layer; None for none.
        vocab_size: V; None if not known.
    """
    name = "[B, L, D] hidden states" if table is not None else "[B, L, V] logits"
    _check_shape(output, input_ids, 3, f"the generator returns one tensor of {name}")
    width, expected = output.shape[2], vocab_size
    if table is not None:
        num_words, expected = getattr(table, "embeddings", table).shape
        if vocab_size not in (None, num_words):
            raise WiringError(f"word_embeddings has vocab_size={vocab_size} rows. Received: {num_words}")
    if width is None or expected not in (None, width):
        remedy = "" if table is not None else "; for hidden states, give the table as word_embeddings"
        raise WiringError(f"the generator's last axis has the static size {expected}. Received: {width}{remedy}")
    return output


def checked_scores(output: Any, input_ids: tf.Tensor) -> tf.Tensor:
    """Returns the float32 logits [B, L] that a discriminator gave for ids [B, L], as [B, L] or [B, L, 1]."""
    rule = "the discriminator returns one tensor of [B, L] logits"
    if len(getattr(output, "shape", ())) == 3 and output.shape[2] == 1:
        output = tf.squeeze(output, axis=2)
    _check_shape(output, input_ids, 2, rule, "; for a head on hidden states, name their layer as discriminator_layer")
    return tf.cast(output, tf.float32)


def _check_shape(output: Any, input_ids: tf.Tensor, rank: int, rule: str, remedy: str = "") -> None:
    """Raises an error unless an output is a float tensor of that rank with the ids' [B, L]."""
    if isinstance(output, dict | list | tuple):
        parts = list(output) if isinstance(output, dict) else f"{len(output)} outputs"
        raise WiringError(f"{rule}. Received: {parts}. Take one: keras.Model(model.input, model.output[...])")
    is_fitting = len(output.shape) == rank and output.shape[:2].is_compatible_with(input_ids.shape)
    if not is_fitting:
        raise WiringError(f"{rule}, for ids of {input_ids.shape}. Received: {output.shape}{remedy}")
    if not output.dtype.is_floating:
        raise WiringError(f"{rule}, of floats. Received: {output.dtype.name}")


def check_rank(input_ids: tf.Tensor) -> None:
    """Raises an error unless ids are [B, L]."""
    if len(input_ids.shape) != 2:
        raise WiringError(f"input_ids are [B, L]. Received: {input_ids.shape}. Pad the rows of a batch to one length")

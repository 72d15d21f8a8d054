"""How two Keras models are joined to ELECTRA's objective: what they return, and of which shape it is."""

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
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


_PROBABILITIES = ("sigmoid", "hard_sigmoid", "softmax")
# What may stand behind the activation of a model's last layer without changing the values' range.
_RESHAPING = ("reshape", "flatten", "squeeze", "expanddims", "transpose", "permute", "getitem", "dropout", "cast")
_SUM_TOLERANCE = 1e-2  # of a row of probabilities: they may be of 16 bits


def check_ids(input_ids: tf.Tensor, *, vocab_size: int, **named_ids: int) -> None:
    """Raises an error unless all ids are among the generator's words.

    Args:
        input_ids: [B, L].
        vocab_size: V.
        named_ids: the arguments that are ids, by name.
    """
    if not input_ids.dtype.is_integer:
        raise WiringError(f"ids are integers. Received: {input_ids.dtype.name}. Give the tokenizer's ids as they are")
    for name, value in named_ids.items():
        if not 0 <= value < vocab_size:
            raise WiringError(f"{name} is one of the generator's {vocab_size} ids. Received: {value}")
    lowest, highest = int(tf.reduce_min(input_ids)), int(tf.reduce_max(input_ids))
    if lowest < 0 or highest >= vocab_size:
        wrong = lowest if lowest < 0 else highest
        raise WiringError(
            f"ids are from 0 to {vocab_size - 1}, as the generator scores {vocab_size} words. Received: {wrong}. "
            "Give the generator as many outputs as the tokenizer has ids"
        )


def check_word_logits(logits: tf.Tensor) -> None:
    """Raises an error where the generator's scores [B, N, V] are probabilities."""
    values = logits.numpy()
    if np.all(values >= 0) and np.all(np.abs(values.sum(-1) - 1) < _SUM_TOLERANCE):
        raise WiringError(
            "the generator returns logits, of which the objective takes the softmax. Received: probabilities (rows of "
            "numbers from 0 on that sum to 1). Leave out its last softmax"
        )


def check_token_logits(logits: tf.Tensor, model: keras.Model) -> None:
    """Raises an error where the discriminator's scores are probabilities, and warns where that is not sure.

    Args:
        logits: float32, those of real tokens.
        model: the discriminator.
    """
    values = logits.numpy()
    if np.any((values < 0) | (values > 1)):
        return
    activation = last_activation(model)
    if activation in _PROBABILITIES:
        raise WiringError(
            "the discriminator returns logits, of which the objective takes the sigmoid. Received: probabilities (its "
            f"last activation is {activation}). Leave that out: two sigmoids hold the loss near ln 2"
        )
    if activation is None and np.ptp(values) > 0:
        warnings.warn(
            "All scores of the discriminator lie between 0 and 1. They are taken for logits: make sure that its last "
            "step is no sigmoid.",
            stacklevel=3,
        )


def last_activation(model: keras.Model) -> str | None:
    """Returns the name of the activation that a model ends with, "linear" among them; None where it does not show."""
    for operation in reversed(getattr(model, "operations", None) or model.layers):
        kind = type(operation).__name__.lower()
        if kind in _RESHAPING:
            continue
        if isinstance(operation, keras.Model):
            return last_activation(operation)
        inner = getattr(operation, "layer", operation)  # of TimeDistributed
        activation = getattr(inner, "activation", None)
        return kind if kind in _PROBABILITIES else getattr(activation, "__name__", None)
    return None


def check_gradients(
    tape: tf.GradientTape,
    *,
    mlm_loss: tf.Tensor,
    disc_loss: tf.Tensor,
    of_generator: Sequence[keras.Variable],
    of_discriminator: Sequence[keras.Variable],
) -> None:
    """Raises an error unless each loss trains its own model, and the discriminator's nothing of the generator's own.

    Args:
        tape: persistent, on which the losses were computed.
        mlm_loss: float32 [].
        disc_loss: float32 [].
        of_generator: its trainable variables.
        of_discriminator: its trainable variables, those that it shares with the generator among them.
    """
    shared = {id(variable) for variable in of_discriminator}
    own = [variable for variable in of_generator if id(variable) not in shared]
    leaks = [each.path for each, gradient in zip(own, _gradients(tape, disc_loss, own), strict=True) if gradient]
    if leaks:
        raise WiringError(
            "the discriminator's loss has no gradient into the generator's own weights. "
            f"Received: one into {', '.join(leaks[:3])}. Make the discriminator read its ids alone, or share that layer"
        )
    if not any(_gradients(tape, disc_loss, of_discriminator)):
        raise WiringError(
            "the discriminator's loss has a gradient into the discriminator. Received: none in "
            f"{len(of_discriminator)} trainable variables. Let its output depend on trainable layers"
        )
    if of_generator and not any(_gradients(tape, mlm_loss, of_generator)):
        raise WiringError(
            "the generator's loss has a gradient into the generator. Received: none in "
            f"{len(of_generator)} trainable variables. Let its output depend on them, or set its trainable to False"
        )


def _gradients(tape: tf.GradientTape, loss: tf.Tensor, variables: Iterable[keras.Variable]) -> list[bool]:
    """Returns for each variable whether a loss has a gradient other than 0 into it."""
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    dense = [each.values if isinstance(each, tf.IndexedSlices) else each for each in gradients]
    return [each is not None and bool(tf.reduce_any(each != 0)) for each in dense]


def trainable_of(*parts: Any) -> list[keras.Variable]:
    """Returns the trainable variables of models, layers and variables, each once; None and arrays have none."""
    variables: dict[int, keras.Variable] = {}
    for part in parts:
        of_part = [part] if isinstance(part, keras.Variable) else getattr(part, "trainable_variables", [])
        variables |= {id(variable): variable for variable in of_part if variable.trainable}
    return list(variables.values())


def checked_first(
    step_function: Callable[[Iterator[Any]], Any], check: Callable[[Any], None]
) -> Callable[[Iterator[Any]], Any]:
    """Returns Keras' function of an iterator, which has the first batch checked before it runs."""
    is_first = True

    def checked(iterator: Iterator[Any]) -> Any:
        nonlocal is_first
        if is_first:
            data = next(iterator)
            check(data)
            is_first, iterator = False, itertools.chain([data], iterator)
        return step_function(iterator)

    return checked

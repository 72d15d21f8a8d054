"""Checks on a real batch that two models fit ELECTRA's objective, each with its remedy."""

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from electra_span.wiring import WiringError

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

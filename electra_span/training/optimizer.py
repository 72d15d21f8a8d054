"""ELECTRA's optimizer: AdamW without bias correction, its schedule, and per-variable rates and decay.

Sources: Clark et al. 2020, appendices A and B; Clark et al.'s code, where it differs, under `Deviation`.
"""

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

# Which variables are decayed, by the last part of their path. Every variable must be in this table.
_DECAYED = {
    "kernel": True,
    "word_embeddings": True,
    "word_quotients": True,
    "word_remainders": True,
    "position_embeddings": True,
    "segment_embeddings": True,
    "word_embeddings_delta": True,
    "word_quotients_delta": True,
    "word_remainders_delta": True,
    "position_embeddings_delta": True,
    "segment_embeddings_delta": True,
    "bias": False,
    "output_bias": False,
    "gamma": False,
    "beta": False,
}


def is_decayed(path: str) -> bool:
    """Returns whether weight decay applies to the variable of that path: not to biases and LayerNorms.

    Raises:
        KeyError: the path's last part is in no row of the table.
    """
    return _DECAYED[path.rpartition("/")[2]]


def learning_rate_at(
    step: tf.Tensor, *, peak: float, num_train_steps: int, num_warmup_steps: float, decay_power: float = 1.0
) -> tf.Tensor:
    """Returns the learning rate of the update after `step` updates: float32 [].

    The decay counts from step 0 and the warmup multiplies it, so that the peak is never quite reached.
    Deviation: without warmup steps the original divides 0 by 0.

    Args:
        step: int64 [], 0 for the first update.
        peak: what the schedule is scaled by.
        num_train_steps: where the rate reaches 0, and stays.
        num_warmup_steps: over which the factor rises linearly from 0 to 1; may be 0.
        decay_power: of the polynomial decay.
    """
    step = tf.cast(step, tf.float32)
    progress = tf.minimum(step / num_train_steps, 1.0)
    rate = peak * tf.pow(1.0 - progress, decay_power)
    return rate * tf.minimum(1.0, step / num_warmup_steps) if num_warmup_steps else rate


def layerwise_rate(path: str, *, num_layers: int, decay: float, compat: bool = False) -> float:
    """Returns the factor on the learning rate of the variable of that path, by its depth in the encoder.

    Task heads have 1, the top layer `decay`, each layer below `decay` times that, the embeddings the least.
    Deviation: the original's code gives every encoder variable one power more (`compat`), against its paper.

    Args:
        path: of the variable, below its model or whole.
        num_layers: of the encoder.
        decay: the factor from one layer to the one below.
        compat: as the original's code.
    """
    depth = depth_of(path)
    return 1.0 if depth is None else decay ** (num_layers - depth + compat)


def depth_of(path: str) -> int | None:
    """Returns the layer of the encoder that a variable belongs to, -1 for the embeddings, None for what is above it."""
    layer = re.search(r"(?:^|/)layer_(\d+)/", path)
    if layer:
        return int(layer.group(1))
    return -1 if re.search(r"(?:^|/)embeddings(?:_project)?/", path) else None


class AdamW(tf.Module):
    """Adam without bias correction and with decoupled weight decay, as ELECTRA and BERT train.

    m and v are running means of the gradient and its square; the update is lr * (m / (sqrt(v) + epsilon) + decay * w).

    Args:
        variables: what is trained.
        weight_decay_rate: for the variables that `is_decayed` names.
        rate_of: a factor on the learning rate for each path; by default 1.
        compile_from: elements from which on XLA compiles a variable's update, all of them together; by default none's.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        *,
        weight_decay_rate: float,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        rate_of: Callable[[str], float] = lambda path: 1.0,
        compile_from: float = math.inf,
    ) -> None:
        super().__init__()
        paths = [variable.path for variable in variables]
        if len(set(paths)) < len(paths):
            raise ValueError(f"variables must have paths of their own. Received: {paths}")
        self._trained = [variable.value for variable in variables]
        self._rates = [rate_of(variable.path) for variable in variables]
        self._decays = [weight_decay_rate * is_decayed(variable.path) for variable in variables]
        self.first_moments = {v.path: self._slot(v.value) for v in variables}
        self.second_moments = {v.path: self._slot(v.value) for v in variables}
        self._updated: Any = functools.partial(_updated, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        self._updated_compiled = tf.function(self._updated, jit_compile=True, autograph=False)
        self._compiled_from = compile_from

    def apply(
        self,
        gradients: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
        *,
        factor: tf.Tensor | float = 1.0,
        when: tf.Tensor | bool = True,
    ) -> None:
        """Updates all variables once. To be called outside of replicas, with the gradients that all of them share.

        Args:
            gradients: dense, one a variable, equal on all replicas.
            learning_rate: float32 [].
            factor: float32 [], on all gradients.
            when: bool []; where False, everything stays as it is, whatever the gradients.
        """
        states = list(
            zip(self._trained, self.first_moments.values(), self.second_moments.values(), gradients, strict=True)
        )
        scalars = (learning_rate, tf.convert_to_tensor(factor), tf.convert_to_tensor(when))
        strategy = tf.distribute.get_strategy()
        strategy.extended.update(self._trained[0], self._update, args=(states, scalars), group=True)

    def _update(
        self, first: tf.Variable, states: list[tuple[tf.Variable, ...]], scalars: tuple[tf.Tensor, ...]
    ) -> None:
        """Updates all variables on one device, which is the first one's."""
        del first
        is_large = [state[0].shape.num_elements() >= self._compiled_from for state in states]
        for group, updated in ((False, self._updated), (True, self._updated_compiled)):
            chosen = [index for index, large in enumerate(is_large) if large == group]
            if not chosen:
                continue
            before = [[tf.convert_to_tensor(tensor) for tensor in states[index]] for index in chosen]
            rates = [(self._rates[index], self._decays[index]) for index in chosen]
            for index, after in zip(chosen, updated(before, rates, *scalars), strict=True):
                for target, value in zip(states[index], after, strict=False):
                    target.assign(value)

    @staticmethod
    def _slot(variable: tf.Variable) -> tf.Variable:
        return tf.Variable(tf.zeros(variable.shape), trainable=False)


def _updated(
    states: list[list[tf.Tensor]],
    rates: list[tuple[float, float]],
    learning_rate: tf.Tensor,
    factor: tf.Tensor,
    when: tf.Tensor,
    *,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Returns weights and moments after one update, or as they were.

    Args:
        states: weight, moments and gradient of each variable.
        rates: each one's factor on the learning rate, and its decay.
        learning_rate, factor, when: see `AdamW.apply`.
    """
    after = []
    for (weight, first, second, gradient), (rate, decay) in zip(states, rates, strict=True):
        scaled = gradient * factor
        new_first = beta_1 * first + (1.0 - beta_1) * scaled
        new_second = beta_2 * second + (1.0 - beta_2) * tf.square(scaled)
        update = new_first / (tf.sqrt(new_second) + epsilon) + decay * weight
        new = (weight - learning_rate * rate * update, new_first, new_second)
        after.append(tuple(tf.where(when, *pair) for pair in zip(new, (weight, first, second), strict=True)))
    return after

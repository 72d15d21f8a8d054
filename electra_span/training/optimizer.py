"""ELECTRA's optimizer: AdamW without bias correction, its schedule, and rates and decay of each variable.

Sources: Clark et al. 2020, appendices A and B; differences from Clark et al.'s code are marked `Deviation`.
"""

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

# Whether a variable is decayed, by the last part of its path. A variable that is not in the table is an error: with a
# pattern, a new layer would be decayed, or not, unnoticed. As in the original, embeddings are decayed.
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
    """Returns whether weight decay applies to the variable of a path: not to biases and LayerNorms.

    Raises:
        KeyError: the path's last part is in no row of the table.
    """
    return _DECAYED[path.rpartition("/")[2]]


def learning_rate_at(
    step: tf.Tensor, *, peak: float, num_train_steps: int, num_warmup_steps: float, decay_power: float = 1.0
) -> tf.Tensor:
    """Returns the learning rate of the update after `step` updates: float32 [].

    Args:
        step: int64 [], 0 for the first update.
        peak: factor of the whole schedule.
        num_train_steps: number of steps after which the rate is 0.
        num_warmup_steps: number of steps over which the rate rises linearly to the schedule's; may be 0.
        decay_power: exponent of the polynomial decay.
    """
    step = tf.cast(step, tf.float32)
    # Deviation: lr(t) always belongs to update t, from 0. The original reads it before or after its step counter moves.
    progress = tf.minimum(step / num_train_steps, 1.0)
    rate = peak * tf.pow(1.0 - progress, decay_power)
    # As in the original, the decay counts from step 0 and the warmup multiplies it: the peak is never quite reached.
    # Deviation: without warmup steps the original divides 0 by 0.
    return rate * tf.minimum(1.0, step / num_warmup_steps) if num_warmup_steps else rate


def layerwise_rate(path: str, *, num_layers: int, decay: float, compat: bool = False) -> float:
    """Returns the factor on the learning rate of a variable, by its depth in the encoder.

    Task heads have 1, the top layer `decay`, each layer below `decay` times that, the embeddings the least.

    Args:
        path: path of the variable, relative to its model or whole.
        num_layers: number of layers of the encoder.
        decay: factor from one layer to the one below.
        compat: the rule of the original's code.
    """
    depth = depth_of(path)
    # Deviation: the original's code has one power too many for every layer (`compat`); its paper does not.
    return 1.0 if depth is None else decay ** (num_layers - depth + compat)


def depth_of(path: str) -> int | None:
    """Returns the layer of a variable in the encoder, -1 for the embeddings, None for heads."""
    layer = re.search(r"(?:^|/)layer_(\d+)/", path)
    if layer:
        return int(layer.group(1))
    return -1 if re.search(r"(?:^|/)embeddings(?:_project)?/", path) else None


# Not Keras' AdamW: it corrects the bias, clips before the all-reduce, and sums gradients again under a strategy.
class AdamW(tf.Module):
    """Adam without bias correction and with decoupled weight decay, as ELECTRA and BERT use it.

    m and v are running means of the gradient and its square; the update is lr * (m / (sqrt(v) + epsilon) + decay * w).

    Args:
        variables: the trained variables.
        weight_decay_rate: weight decay of the variables for which `is_decayed` is true.
        beta_1: decay of the running mean of the gradient.
        beta_2: decay of the running mean of its square.
        epsilon: added to the root of v.
        rate_of: function of a variable's path to a factor on the learning rate; by default 1.
        compile_from: number of elements from which on XLA compiles a variable's update; by default none is compiled.
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
            raise ValueError(f"variables must have different paths. Received: {paths}")
        # The attributes are the names of a checkpoint: renamed, older checkpoints do not load.
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
        """Updates all variables once. Call it in cross-replica context, with the sum of all replicas' gradients.

        Args:
            gradients: one dense gradient for each variable, equal on all replicas.
            learning_rate: float32 [].
            factor: float32 [], factor on all gradients.
            when: bool []; if False, nothing changes, whatever the gradients are.
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
        """Updates the copies of all variables on one device, the device of `first`."""
        del first
        # All large variables in one compiled call: on 2 cores an update of electra-small took 57 instead of 98 ms.
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
    """Returns the new weight and moments of each variable; the old ones if `when` is False.

    Args:
        states: weight, both moments and gradient of each variable.
        rates: factor on the learning rate and weight decay of each variable.
        learning_rate: see `AdamW.apply`.
        factor: see `AdamW.apply`.
        when: see `AdamW.apply`.
        beta_1: see `AdamW`.
        beta_2: see `AdamW`.
        epsilon: see `AdamW`.
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

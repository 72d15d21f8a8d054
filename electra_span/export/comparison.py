"""What a model says of fixed inputs, to hold a written model against the one it was made from."""

import numpy as np
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.published.names import ConversionError, Model

_SHAPE = (2, 24)


def logits_of(model: Model) -> list[np.ndarray]:
    """Returns a model's logits of fixed inputs: two rows of ids of its vocabulary, one of them padded.

    Args:
        model: of any kind; one for tasks says several things.
    """
    logits = model(**fixed_inputs(model.config, _SHAPE))
    return [each.numpy() for each in tf.nest.flatten(logits) if each is not None]


def fixed_inputs(config: EncoderConfig, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Returns inputs of a model, int32 [B, L] each, by name: the same for the same shape.

    Args:
        config: of the model.
        shape: B, 2 or more, and L, which is cut to the longest length that the model reads.
    """
    length = min(shape[1], config.max_position_embeddings)
    generator = np.random.default_rng(0)
    input_ids = generator.integers(0, config.vocab_size, (shape[0], length)).astype(np.int32)
    input_mask = np.ones_like(input_ids)
    input_mask[1, -(length // 3) or length :] = 0
    segment_ids = np.zeros_like(input_ids)
    segment_ids[:, length // 2 :] = min(1, config.type_vocab_size - 1)
    return {"input_ids": input_ids, "input_mask": input_mask, "segment_ids": segment_ids}


def largest_difference(written: list[np.ndarray], source: list[np.ndarray]) -> float:
    """Returns the largest difference of logits.

    Raises:
        ConversionError: there are others, or some that are no numbers.
    """
    if [each.shape for each in written] != [each.shape for each in source]:
        raise ConversionError("what was written has logits of other shapes than the source")
    if not all(np.isfinite(each).all() for each in source):
        raise ConversionError("the source's logits of fixed inputs are not all finite; its weights are broken")
    return max(float(np.abs(ours - theirs).max()) for ours, theirs in zip(written, source, strict=True))

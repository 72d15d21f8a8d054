"""What a model says of fixed inputs, to hold a written model against the one it was made from."""

import numpy as np
import tensorflow as tf

from electra_span.convert.names import Model
from electra_span.convert.tf1 import ConversionError

_SHAPE = (2, 24)


def logits_of(model: Model) -> list[np.ndarray]:
    """Returns a model's logits of fixed inputs: two rows of ids of its vocabulary, one of them padded.

    Args:
        model: of any kind; one for tasks says several things.
    """
    length = min(_SHAPE[1], model.config.max_position_embeddings)
    generator = np.random.default_rng(0)
    input_ids = generator.integers(0, model.config.vocab_size, (_SHAPE[0], length)).astype(np.int32)
    input_mask = np.ones_like(input_ids)
    input_mask[1, -(length // 3) or length :] = 0
    segment_ids = np.zeros_like(input_ids)
    segment_ids[:, length // 2 :] = min(1, model.config.type_vocab_size - 1)
    logits = model(input_ids=input_ids, input_mask=input_mask, segment_ids=segment_ids)
    return [each.numpy() for each in tf.nest.flatten(logits) if each is not None]


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

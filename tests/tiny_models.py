"""Models and batches so small that they cost nothing, of sizes that all differ."""

import numpy as np
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.objective.batches import MaskedBatch

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{number}" for number in range(32)))
CLS, SEP, MASK = (VOCABULARY.index(token) for token in ("[CLS]", "[SEP]", "[MASK]"))
TINY = EncoderConfig(
    vocab_size=len(VOCABULARY),
    embedding_size=8,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=20,
    max_position_embeddings=16,
)
TINY_GENERATOR = EncoderConfig(
    vocab_size=len(VOCABULARY),
    embedding_size=8,
    hidden_size=6,
    num_hidden_layers=1,
    num_attention_heads=1,
    intermediate_size=10,
    max_position_embeddings=16,
)


def randomize(model, seed: int = 0, scale: float = 0.3) -> None:
    """Gives every variable of a model values of its own, biases and LayerNorms too."""
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        centre = 1.0 if variable.path.endswith("gamma") else 0.0
        variable.assign(centre + scale * generator.standard_normal(tuple(variable.shape)).astype(np.float32))


def tiny_batch(
    lengths: tuple[int, ...] = (11, 7, 3), *, vocab_size: int = len(VOCABULARY), seed: int = 0
) -> MaskedBatch:
    """Returns a batch of 11 columns with 3 slots a row, as many of them in use as the row has words, at most."""
    generator = np.random.default_rng(seed)
    shape, num_slots = (len(lengths), 11), 3
    input_mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int32)
    input_ids = generator.integers(MASK + 1, vocab_size, shape) * input_mask
    positions, weights = np.zeros((2, shape[0], num_slots))
    for row, length in enumerate(lengths):
        input_ids[row, 0], input_ids[row, length - 1] = CLS, SEP
        chosen = generator.permutation(np.arange(1, length - 1))[:num_slots]
        positions[row, : len(chosen)], weights[row, : len(chosen)] = chosen, 1
    positions = positions.astype(np.int32)
    masked_lm_ids = np.take_along_axis(input_ids, positions, axis=1) * weights
    masked_input_ids = input_ids.copy()
    rows = np.broadcast_to(np.arange(shape[0])[:, None], positions.shape)
    masked_input_ids[rows[weights > 0], positions[weights > 0]] = MASK
    left, right = ((positions + side) * (weights > 0) for side in (-1, 1))  # each position is a span of one
    is_ordinary = (masked_input_ids > MASK).astype(np.float32)
    has_both = np.take_along_axis(is_ordinary, left, axis=1) * np.take_along_axis(is_ordinary, right, axis=1)
    return MaskedBatch(
        input_ids=tf.constant(input_ids, tf.int32),
        masked_input_ids=tf.constant(masked_input_ids, tf.int32),
        input_mask=tf.constant(input_mask),
        segment_ids=tf.constant(np.arange(shape[1]) > 4, tf.int32) * input_mask,
        masked_lm_positions=tf.constant(positions),
        masked_lm_ids=tf.constant(masked_lm_ids, tf.int32),
        masked_lm_weights=tf.constant(weights, tf.float32),
        span_left=tf.constant(left, tf.int32),
        span_right=tf.constant(right, tf.int32),
        span_offset=tf.zeros(positions.shape, tf.int32),
        span_weights=tf.constant(has_both * weights, tf.float32),
        sampling_uniforms=tf.constant(generator.random(positions.shape), tf.float32),
    )

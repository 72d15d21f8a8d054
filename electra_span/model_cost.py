"""Parameters and floating-point operations of encoders, by arithmetic on their configs alone.

Two counts of operations are kept apart:

* `training_flops` follows the convention of the ELECTRA paper's published figures (Clark et al. 2020, appendix on
  FLOPs): every elementwise operation counts, looking a token up counts as a product with a one-hot vector, the
  backward pass costs as much as the forward pass, and 5/32 of the positions are predicted, by a cloze model all. It
  compares recipes.
* `matmul_flops_per_step` counts what the matrix units of a device have to do: matrix products only, lookups are free,
  the backward pass costs twice the forward pass, and positions are predicted as configured. Utilisation is measured
  with it.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from electra_span.config import SPAN_OFFSET_SIZE, EncoderConfig, HparamError


class Network(NamedTuple):
    """What a step runs: an encoder with its heads, or a cloze model's two.

    Attributes:
        config: the encoder's.
        head: "masked_lm", "discriminator" or "cloze", which stands on two encoders that share their embeddings.
        has_span_head: whether it has the span boundary objective's head, too.
        is_trained: False where it runs forward only.
    """

    config: EncoderConfig
    head: str
    has_span_head: bool = False
    is_trained: bool = True


# Operations an element costs, in the convention of the published figures.
_DROPOUT = 4
_GELU = 8
_LAYER_NORM = 5
_SOFTMAX = 5
_PREDICTED_PROB = 5 / 32

_BYTES_PER_PARAMETER = 16  # weight, gradient and two moments, of float32
_BYTES_PER_STATE = 2  # of bfloat16; of each layer at least one state is kept for the backward pass


def count_parameters(config: EncoderConfig, head: str | None = None) -> dict[str, int]:
    """Returns the number of parameters of each part of an encoder, and of its head where one is named.

    Args:
        config: the encoder's.
        head: "masked_lm" (its output matrix is the word table, not counted again), "discriminator" or None; for
            "cloze", its counts are of two encoders with the same embeddings.
    """
    embedding, hidden, intermediate = config.embedding_size, config.hidden_size, config.intermediate_size
    tables = sum(rows * width for rows, width in config.embedding_tables.values())
    attention = 4 * _dense(hidden, hidden)
    feed_forward = _dense(hidden, intermediate) + _dense(intermediate, hidden)
    layer_norm = 2 * hidden
    parts = {
        "embeddings": tables + 2 * embedding,
        "embeddings_project": 0 if embedding == hidden else _num_encoders(head) * _dense(embedding, hidden),
        "encoder_layers": _num_encoders(head) * config.num_hidden_layers * (attention + feed_forward + 2 * layer_norm),
    }
    if head == "discriminator":
        parts["discriminator_head"] = _dense(hidden, hidden) + _dense(hidden, 1)
    if head in ("masked_lm", "cloze"):
        states = _num_encoders(head) * hidden
        parts[f"{head}_head"] = _dense(states, embedding) + 2 * embedding + config.vocab_size
    return parts


def training_bytes(networks: Sequence[Network], *, num_tokens: int) -> int:
    """Returns a lower bound of the memory that training takes: that of the largest trained network.

    Args:
        networks: what runs at every step.
        num_tokens: tokens that a device works through at once.
    """
    return max(
        _BYTES_PER_PARAMETER * sum(count_parameters(network.config, network.head).values())
        + _BYTES_PER_STATE * num_tokens * network.config.num_hidden_layers * network.config.hidden_size
        for network in networks
        if network.is_trained
    )


def check_memory(networks: Sequence[Network], *, num_tokens: int) -> None:
    """Checks, before anything is allocated, that this machine's memory can hold what training needs.

    Args:
        networks: what runs at every step.
        num_tokens: tokens that are worked through at once in this memory; 0 where they are in that of GPUs.

    Raises:
        HparamError: it cannot; the message says how much is needed and how much there is.
    """
    needed = training_bytes(networks, num_tokens=num_tokens)
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > available:
        raise HparamError(
            f"training needs at least {-(-needed // 10**9):,} GB of memory for weights, gradients, moments and hidden "
            f"states, and this machine has {available // 10**9:,} GB. Reduce vocab_size, max_seq_length, "
            "train_batch_size or the sizes of the model, or raise gradient_accumulation_steps"
        )


def training_flops(networks: Sequence[Network], *, seq_length: int, num_sequences: int) -> float:
    """Returns the operations of a training run, in the convention of the published figures.

    Args:
        networks: what runs at every step.
        seq_length: tokens a sequence, padding included.
        num_sequences: sequences trained on, batch size times steps.
    """
    per_token = sum(
        (2 if network.is_trained else 1) * _forward_flops_per_token(network, seq_length) for network in networks
    )
    return per_token * seq_length * num_sequences


def matmul_flops_per_step(
    networks: Sequence[Network], *, batch_size: int, seq_length: int, num_predictions: int
) -> int:
    """Returns the operations of the matrix products of one training step, forward and backward.

    Args:
        networks: what runs at every step.
        batch_size: sequences a step.
        seq_length: tokens a sequence, padding included.
        num_predictions: masked positions a sequence, empty slots included.
    """
    operations = 0
    for config, head, has_span_head, is_trained in networks:
        embedding, hidden = config.embedding_size, config.hidden_size
        projection = 0 if embedding == hidden else 2 * embedding * hidden
        layer = _layer_products(config, seq_length)
        forward = _num_encoders(head) * seq_length * (projection + config.num_hidden_layers * layer)
        if head == "discriminator":
            forward += seq_length * (2 * hidden * hidden + 2 * hidden)
        if head == "masked_lm":
            forward += num_predictions * (2 * hidden * embedding + _vocabulary_products(config))
        if head == "cloze":
            forward += seq_length * (2 * 2 * hidden * embedding + _vocabulary_products(config))
        if has_span_head:
            forward += num_predictions * _span_head_products(config, head)
        operations += (3 if is_trained else 1) * forward
    return batch_size * operations


def _num_encoders(head: str | None) -> int:
    return 2 if head == "cloze" else 1


def _dense(num_inputs: int, num_outputs: int) -> int:
    return num_inputs * num_outputs + num_outputs


def _vocabulary_products(config: EncoderConfig) -> int:
    """Returns the operations of the products of one vector with all words' vectors.

    A product with a sum or a join of two rows is the sum of a product with each: it takes one a row and not one a word.
    """
    if config.compositional_operation == "multiply" or config.embedding_type == "full":
        return 2 * config.embedding_size * config.vocab_size
    return 2 * _word_parameters(config)


def _span_head_products(config: EncoderConfig, head: str) -> int:
    """Returns the operations of a span head's products, a predicted position."""
    hidden, embedding = config.hidden_size, config.embedding_size
    boundary = 2 * hidden * (2 * hidden + SPAN_OFFSET_SIZE) + 2 * hidden * hidden
    if head == "discriminator":
        return boundary + 2 * hidden
    projection = 0 if embedding == hidden else 2 * embedding * hidden
    return boundary + projection + _vocabulary_products(config)


def _word_parameters(config: EncoderConfig) -> int:
    return sum(rows * width for name, (rows, width) in config.embedding_tables.items() if name.startswith("word_"))


def _layer_products(config: EncoderConfig, seq_length: int) -> int:
    """Returns the operations of one layer's matrix products, a token."""
    hidden, intermediate = config.hidden_size, config.intermediate_size
    weights = 4 * hidden * hidden + 2 * hidden * intermediate
    attention = 2 * seq_length * hidden
    return 2 * (weights + attention)


def _forward_flops_per_token(network: Network, seq_length: int) -> float:
    config, head = network.config, network.head
    layers = config.num_hidden_layers * _layer_flops(config, seq_length)
    heads = {
        "discriminator": _discriminator_head_flops(config),
        "masked_lm": _PREDICTED_PROB * _masked_lm_head_flops(config),
        "cloze": _masked_lm_head_flops(config, num_states=2),
    }
    span_head = _PREDICTED_PROB * _span_head_flops(config, head) if network.has_span_head else 0
    encoders = _num_encoders(head) * (_embedding_flops(config, seq_length) + layers)
    return encoders + heads[head] + span_head


def _layer_flops(config: EncoderConfig, seq_length: int) -> int:
    """Returns all operations of one layer, a token, counted as in the published figures.

    The attention's LayerNorm counts once a token and not once an element there; so it does here.
    """
    hidden, intermediate = config.hidden_size, config.intermediate_size
    biases = 5 * hidden + intermediate
    residuals = 2 * hidden
    dropouts = 2 * _DROPOUT * hidden
    layer_norms = _LAYER_NORM + _LAYER_NORM * hidden
    attention_scale = 1
    attention = (attention_scale + _SOFTMAX + _DROPOUT) * seq_length * config.num_attention_heads
    return (
        _layer_products(config, seq_length)
        + attention
        + biases
        + residuals
        + dropouts
        + layer_norms
        + _GELU * intermediate
    )


def _embedding_flops(config: EncoderConfig, seq_length: int) -> int:
    embedding, hidden = config.embedding_size, config.hidden_size
    one_hot_products = 2 * (_word_parameters(config) + embedding * (seq_length + config.type_vocab_size))
    sums = 2 * embedding
    projection = 0 if embedding == hidden else 2 * embedding * hidden + hidden
    return one_hot_products + sums + (_LAYER_NORM + _DROPOUT) * embedding + projection


def _discriminator_head_flops(config: EncoderConfig) -> int:
    hidden = config.hidden_size
    return 2 * hidden * hidden + hidden + _GELU * hidden + 2 * hidden


def _span_head_flops(config: EncoderConfig, head: str) -> int:
    """Returns the operations of one position predicted from its span's boundary."""
    layers = 2 * (1 + _GELU + _LAYER_NORM) * config.hidden_size
    loss = (_SOFTMAX + 2) * config.vocab_size if head == "masked_lm" else 0
    return _span_head_products(config, head) + layers + loss


def _masked_lm_head_flops(config: EncoderConfig, *, num_states: int = 1) -> int:
    """Returns the operations of one token, predicted from num_states hidden states.

    They are those of the hidden layer, the vocabulary product, softmax and loss.
    """
    embedding, vocab_size = config.embedding_size, config.vocab_size
    bias = embedding
    hidden_layer = 2 * num_states * config.hidden_size * embedding + bias + (_GELU + _LAYER_NORM) * embedding
    loss = 2 * vocab_size
    return hidden_layer + _vocabulary_products(config) + _SOFTMAX * vocab_size + loss

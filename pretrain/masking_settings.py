"""The masking of one configured run: hparams, vocabulary and records made into a MaskingConfig."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from configure_pretraining import PretrainingConfig
from electra_span.objective.masking import MaskingConfig
from electra_span.tokenization import Tokenizer
from pretrain.records import parse_records

_NUM_COUNTED_EXAMPLES = 100_000
_COUNTED_BATCH = 1000


def make_masking(config: PretrainingConfig, tokenizer: Tokenizer, files: Sequence[str]) -> MaskingConfig:
    """Returns the masking of a run; reads records where random tokens are drawn by their frequency.

    Args:
        config: the effective configuration.
        tokenizer: the tokenizer of the records.
        files: the files of training, in shard order.
    """
    mask_share, random_share, kept_share = config.replace_probs
    draws_words = random_share > 0 or config.training_mode == "discriminator"
    return MaskingConfig(
        mask_prob=config.mask_prob,
        max_predictions_per_seq=config.max_predictions_per_seq,
        mask_id=tokenizer.mask_id,
        special_ids=tokenizer.special_ids,
        masking=config.masking,
        span_geometric_p=config.span_geometric_p,
        max_span_length=config.max_span_length,
        span_whole_words=config.span_whole_words,
        is_continuation=tokenizer.is_continuation,
        replace_probs=(mask_share, random_share, kept_share),
        replace_unit=config.replace_unit,
        random_token_counts=_random_token_counts(config, tokenizer, files) if draws_words else None,
    )


def _random_token_counts(config: PretrainingConfig, tokenizer: Tokenizer, files: Sequence[str]) -> np.ndarray:
    """Returns how often each id is drawn as a random token, int64 [vocab_size of the tokenizer]: specials never."""
    counts = np.ones(tokenizer.vocab_size, np.int64)
    if config.random_tokens == "frequency":
        counts = count_tokens(
            files,
            max_seq_length=config.max_seq_length,
            vocab_size=tokenizer.vocab_size,
            num_held_out=config.num_held_out,
        )
    counts[list(tokenizer.special_ids)] = 0
    return counts


def count_tokens(files: Sequence[str], *, max_seq_length: int, vocab_size: int, num_held_out: int) -> np.ndarray:
    """Returns how often each id occurs in the first 100,000 records of training, int64 [vocab_size].

    Args:
        files: files of records, in shard order.
        max_seq_length: L of the records.
        vocab_size: ids of the vocabulary.
        num_held_out: leading records that are no part of training.
    """

    def count(counts: tf.Tensor, serialized: tf.Tensor) -> tf.Tensor:
        examples = parse_records(serialized, max_seq_length)
        ids = tf.boolean_mask(examples.input_ids, examples.input_mask > 0)
        return counts + tf.math.bincount(ids, minlength=vocab_size, maxlength=vocab_size, dtype=tf.int64)

    records = tf.data.TFRecordDataset(list(files)).skip(num_held_out).take(_NUM_COUNTED_EXAMPLES)
    counts = records.batch(_COUNTED_BATCH).reduce(tf.zeros([vocab_size], tf.int64), count).numpy()
    logging.info("Random tokens are drawn by the frequency of %d tokens", counts.sum())
    return counts

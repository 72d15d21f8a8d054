"""Data of one configured run: its tokenizer, its masking, and batches of its records."""

import contextlib
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from configure_pretraining import PretrainingConfig
from electra_span.config import HparamError
from electra_span.objective.masking import MaskingConfig
from electra_span.tokenization import Tokenizer, load_tokenizer
from pretrain.dataset.manifest import read_manifest
from pretrain.dataset.record_files import RecordError, check_files, input_files
from pretrain.dataset.records import check_records, find_corruption, find_misfit, parse_records
from pretrain.input_pipeline import evaluation_dataset, training_dataset

_NUM_COUNTED_EXAMPLES = 100_000
_COUNTED_BATCH = 1000


def make_masking(config: PretrainingConfig, tokenizer: Tokenizer, files: Sequence[str]) -> MaskingConfig:
    """Returns the masking of a run; if random tokens are drawn by frequency, reads records to count them.

    Args:
        config: the effective configuration.
        tokenizer: tokenizer of the records.
        files: files of training records, in shard order.
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
    """Returns the weight of each id as a random token: int64 [V], with V the size of the tokenizer's vocabulary."""
    counts = np.ones(tokenizer.vocab_size, np.int64)
    if config.random_tokens == "frequency":
        counts = count_tokens(
            files,
            max_seq_length=config.max_seq_length,
            vocab_size=tokenizer.vocab_size,
            num_held_out=config.num_held_out,
        )
    counts[list(tokenizer.special_ids)] = (
        0  # Deviation: BERT draws from all ids; a special token in a sentence is noise
    )
    return counts


def count_tokens(files: Sequence[str], *, max_seq_length: int, vocab_size: int, num_held_out: int) -> np.ndarray:
    """Returns the number of occurrences of each id in the first 100,000 training records: int64 [V].

    Args:
        files: files of records, in shard order.
        max_seq_length: length L of the records.
        vocab_size: size V of the vocabulary.
        num_held_out: number of leading records held out of training.
    """

    def count(counts: tf.Tensor, serialized: tf.Tensor) -> tf.Tensor:
        examples = parse_records(serialized, max_seq_length)
        ids = tf.boolean_mask(examples.input_ids, examples.input_mask > 0)
        return counts + tf.math.bincount(ids, minlength=vocab_size, maxlength=vocab_size, dtype=tf.int64)

    records = tf.data.TFRecordDataset(list(files)).skip(num_held_out).take(_NUM_COUNTED_EXAMPLES)
    counts = records.batch(_COUNTED_BATCH).reduce(tf.zeros([vocab_size], tf.int64), count).numpy()
    logging.info("Random tokens are drawn by the frequency of %d tokens", counts.sum())
    return counts


class Phase(NamedTuple):
    """Consecutive steps of a run on records of one length; a run without `phases` has one.

    Attributes:
        config: configuration of the phase; its num_train_steps is that of the whole run.
        first_step: number of steps made before, init_step included.
        last_step: number of steps made at the end.
        files: files of training records.
        evaluation_files: files of evaluation records; by default the held-out head of the training records.
        masking: masking of the records.
    """

    config: PretrainingConfig
    first_step: int
    last_step: int
    files: list[str]
    evaluation_files: list[str]
    masking: MaskingConfig


class RunData:
    """Tokenizer, phases and batches of a run.

    Args:
        config: the effective configuration.

    Raises:
        UserError: vocabulary, records and configuration do not fit.
    """

    def __init__(self, config: PretrainingConfig) -> None:
        configs, ends = config.in_phases(), config.phase_ends
        check_files(each for phase in configs for each in (phase.pretrain_tfrecords, phase.eval_tfrecords) if each)
        self.tokenizer = _load_tokenizer(config, input_files(configs[0].pretrain_tfrecords))
        self.phases = [
            _make_phase(each, max(start, config.init_step), end, self.tokenizer)
            for each, start, end in zip(configs, [0, *ends[:-1]], ends, strict=True)
        ]

    @property
    def files(self) -> list[str]:
        """Paths of all files of records that the run reads, sorted."""
        return sorted({file for phase in self.phases for file in (*phase.files, *phase.evaluation_files)})

    def evaluation_batches(self, step: int) -> tf.data.Dataset:
        """Returns the batches of one evaluation.

        Args:
            step: number of updates made; the phase that it belongs to has the evaluation set.
        """
        phase = self._phase_of(step)
        batches = evaluation_dataset(
            phase.evaluation_files,
            batch_size=phase.config.eval_batch_size,
            num_held_out=phase.config.num_held_out,
            **_data_settings(phase),
        )
        return batches.take(phase.config.num_eval_steps)

    def batch_tokens(self, step: int) -> int:
        """Returns the number of tokens in the batch of a step, from 1, padding included."""
        config = self._phase_of(step).config
        return config.train_batch_size * config.max_seq_length

    def training_iterators(self) -> list[Iterator[Any]]:
        """Returns endless batches of each phase, as iterators whose position `tf.train.Checkpoint` saves."""
        # Iterators of plain datasets: one of a distributed dataset cannot be checkpointed.
        return [
            iter(
                training_dataset(
                    phase.files,
                    batch_size=phase.config.train_batch_size,
                    num_held_out=phase.config.num_held_out,
                    shuffle_buffer_size=phase.config.shuffle_buffer_size,
                    first_step=phase.first_step,
                    **_data_settings(phase),
                )
            )
            for phase in self.phases
        ]

    def training_batches(self, iterators: Sequence[Iterator[Any]], first_step: int) -> Iterator[Any]:
        """Yields the batches of training after first_step steps, of each phase those of its steps."""
        for phase, iterator in zip(self.phases, iterators, strict=True):
            num_left = phase.last_step - max(first_step, phase.first_step)
            yield from itertools.islice(iterator, max(num_left, 0))

    @contextlib.contextmanager
    def damaged_records_named(self) -> Iterator[None]:
        """Raises RecordError with file and offset if TensorFlow meets a damaged record inside the block.

        The files are searched only then: reading all records before a training would take minutes.
        """
        try:
            yield
        except tf.errors.DataLossError as error:
            raise RecordError(find_corruption(self.files) or str(error)) from error
        except tf.errors.InvalidArgumentError as error:
            if "ParseExample" not in str(error):
                raise
            for phase in self.phases:
                found = find_misfit([*phase.files, *phase.evaluation_files], phase.config.max_seq_length)
                if found:
                    raise RecordError(found) from error
            raise

    def _phase_of(self, step: int) -> Phase:
        """Returns the phase of a step; after the last step, the last phase."""
        return next((phase for phase in self.phases if step <= phase.last_step), self.phases[-1])


def _make_phase(config: PretrainingConfig, first_step: int, last_step: int, tokenizer: Tokenizer) -> Phase:
    """Returns a phase after checking its records."""
    files = input_files(config.pretrain_tfrecords)
    evaluation_files = input_files(config.eval_tfrecords) if config.eval_tfrecords else files
    for each in (files, evaluation_files):
        check_records(each, max_seq_length=config.max_seq_length, tokenizer=tokenizer)
    return Phase(config, first_step, last_step, files, evaluation_files, make_masking(config, tokenizer, files))


def _data_settings(phase: Phase) -> dict[str, Any]:
    """Returns the arguments that training and evaluation datasets share."""
    return {"max_seq_length": phase.config.max_seq_length, "masking": phase.masking, "seed": phase.config.seed}


def _load_tokenizer(config: PretrainingConfig, files: list[str]) -> Tokenizer:
    """Returns the tokenizer of the vocabulary, with the settings in the manifest of the records."""
    manifest = read_manifest(pathlib.Path(files[0]).parent)
    strip_accents = (manifest or {}).get("tokenizer", {}).get("strip_accents")
    tokenizer = load_tokenizer(config.vocab_file, do_lower_case=config.do_lower_case, strip_accents=strip_accents)
    if tokenizer.vocab_size > config.vocab_size:
        raise HparamError(
            f"vocab_size must be at least the {tokenizer.vocab_size} entries of {config.vocab_file}. "
            f"Received: {config.vocab_size}"
        )
    return tokenizer

"""A dataset and a configuration so small that a pretraining run takes seconds."""

import contextlib
import pathlib
import resource
from collections.abc import Iterator
from typing import Any

import numpy as np

from configure_pretraining import PretrainingConfig
from pretrain.dataset.examples import PackedExamples
from pretrain.dataset.records import write_records
from tests.tiny_models import CLS, MASK, SEP, VOCABULARY

MAX_SEQ_LENGTH = 16

# What makes a run small. Dropout is on, and a checkpoint falls between two lines of the log.
HPARAMS: dict[str, Any] = {
    "vocab_size": len(VOCABULARY), "max_seq_length": MAX_SEQ_LENGTH, "mask_prob": 0.25, "embedding_size": 12,
    "model_hparam_overrides": {
        "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 36,
        "max_position_embeddings": 20,
    },
    "generator_hidden_size": 0.5, "train_batch_size": 8, "eval_batch_size": 8, "learning_rate": 1e-2,
    "num_warmup_steps": 5, "num_train_steps": 30, "log_steps": 3, "save_checkpoints_steps": 4, "num_eval_examples": 12,
    "precision": "float32", "shuffle_buffer_size": 20, "masking": "token",
}  # fmt: skip


def write_tiny_data(
    folder: pathlib.Path,
    *,
    vocabulary: tuple[str, ...] = VOCABULARY,
    max_seq_length: int = MAX_SEQ_LENGTH,
    num_files: int = 3,
    num_examples: int = 92,
) -> pathlib.Path:
    """Returns the folder after writing a vocabulary and records of training to it."""
    records = folder / "pretrain_tfrecords"
    records.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    examples = tiny_examples(num_examples, max_seq_length=max_seq_length, vocab_size=len(vocabulary))
    for shard, rows in enumerate(np.array_split(np.arange(num_examples), num_files)):
        path = records / f"pretrain_data.tfrecord-{shard}-of-{num_files}"
        write_records(path, [PackedExamples(*(field[rows] for field in examples))])
    return folder


def tiny_examples(
    num_examples: int, *, max_seq_length: int = MAX_SEQ_LENGTH, vocab_size: int = len(VOCABULARY), seed: int = 0
) -> PackedExamples:
    """Returns examples of two segments and of several lengths, in which each word tells much about the next."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(max_seq_length // 2, max_seq_length, num_examples, endpoint=True)
    first_lengths = lengths // 2
    positions = np.arange(max_seq_length)
    first_words = generator.integers(0, vocab_size, (num_examples, 1))
    input_ids = MASK + 1 + (first_words + positions * 3) % (vocab_size - MASK - 1)
    input_ids[:, 0] = CLS
    for ends in (first_lengths, lengths):
        input_ids[np.arange(num_examples), ends - 1] = SEP
    input_ids[positions >= lengths[:, None]] = 0
    return PackedExamples(input_ids.astype(np.int32), first_lengths.astype(np.int32), lengths.astype(np.int32))


def tiny_config(data_dir: pathlib.Path, model_name: str = "tiny", **hparams: Any) -> PretrainingConfig:
    """Returns the configuration of a run on `write_tiny_data`'s folder, with some hparams changed."""
    return PretrainingConfig.from_hparams(model_name=model_name, data_dir=str(data_dir), hparams={**HPARAMS, **hparams})


@contextlib.contextmanager
def limited_file_size(num_bytes: int) -> Iterator[None]:
    """Makes every write past so many bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

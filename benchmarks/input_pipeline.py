"""Speed of the input of training, from records to masked batches, on CPU: prints one JSON line a measurement.

Speeds are of processor time: what one core does alone. A measurement is the best of some runs: what else the machine
does only ever adds time.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pretrain.examples import PackedExamples
from pretrain.input_pipeline import training_dataset
from pretrain.masking import MaskingConfig, mask_tokens
from pretrain.records import parse_records, serialize, write_records

MAX_SEQ_LENGTH, BATCH_SIZE = 128, 128
CLS_ID, SEP_ID, MASK_ID, FIRST_WORD_ID, VOCAB_SIZE = 101, 102, 103, 1000, 30522
MASKING = MaskingConfig(
    mask_prob=0.15, max_predictions_per_seq=19, mask_id=MASK_ID, special_ids=(0, CLS_ID, SEP_ID, MASK_ID)
)
NUM_FILES, NUM_RECORDS_PER_FILE = 8, 2500
NUM_MASKED_BATCHES, NUM_READ_BATCHES = 200, 300
SHUFFLE_BUFFER_SIZE = 10_000


def measure_masking(*, num_runs: int) -> dict[str, Any]:
    """Returns the speed of masking parsed examples, alone and with parsing, a second of one core's time."""
    serialized = tf.constant(serialize(_examples(BATCH_SIZE)))
    examples = parse_records(serialized, MAX_SEQ_LENGTH)
    seeds = tf.data.Dataset.range(NUM_MASKED_BATCHES).map(lambda index: tf.stack([tf.constant(0, tf.int64), index]))
    masked = seeds.map(lambda seed: mask_tokens(examples, seed=seed, config=MASKING))
    parsed = seeds.map(lambda seed: mask_tokens(parse_records(serialized, MAX_SEQ_LENGTH), seed=seed, config=MASKING))
    num_sequences = NUM_MASKED_BATCHES * BATCH_SIZE
    return {
        "name": "mask_tokens",
        "sequences_per_core_second": round(num_sequences / _fewest_core_seconds(masked, num_runs)),
        "with_parsing_sequences_per_core_second": round(num_sequences / _fewest_core_seconds(parsed, num_runs)),
        "max_seq_length": MAX_SEQ_LENGTH,
        "batch_size": BATCH_SIZE,
    }


def measure_training_input(*, num_runs: int) -> dict[str, Any]:
    """Returns the speed of the whole input of training, and the time and size of saving its position."""
    with tempfile.TemporaryDirectory() as folder:
        files = _write_files(Path(folder))
        dataset = _training_dataset(files)
        batches = dataset.take(NUM_READ_BATCHES)
        num_sequences = NUM_READ_BATCHES * BATCH_SIZE
        return {
            "name": "training_dataset",
            "sequences_per_core_second": round(num_sequences / _fewest_core_seconds(batches, num_runs)),
            **_position_costs(dataset, _training_dataset(files), Path(folder), num_runs),
            "max_seq_length": MAX_SEQ_LENGTH,
            "batch_size": BATCH_SIZE,
            "shuffle_buffer_size": SHUFFLE_BUFFER_SIZE,
        }


def _position_costs(
    dataset: tf.data.Dataset, resumed_dataset: tf.data.Dataset, folder: Path, num_runs: int
) -> dict[str, float]:
    """Returns seconds and size of saving an iterator, and seconds until one restored from it gives a batch."""
    iterator = iter(dataset)
    next(iterator)
    save_seconds, resume_seconds = [], []
    for _ in range(num_runs):
        start = time.perf_counter()
        path = tf.train.Checkpoint(iterator=iterator).write(str(folder / "position"))
        save_seconds.append(time.perf_counter() - start)
        resumed = iter(resumed_dataset)
        start = time.perf_counter()
        tf.train.Checkpoint(iterator=resumed).read(path)
        next(resumed)
        resume_seconds.append(time.perf_counter() - start)
    num_bytes = sum(file.stat().st_size for file in folder.glob("position*"))
    return {
        "save_seconds": round(min(save_seconds), 3),
        "resume_seconds": round(min(resume_seconds), 3),
        "saved_megabytes": round(num_bytes / 1e6, 1),
    }


def _fewest_core_seconds(batches: tf.data.Dataset, num_runs: int) -> float:
    """Returns the processor time, of all threads, of reading a dataset once; the least of some runs."""
    seconds = []
    for _ in range(num_runs):
        start = time.process_time()
        batches.reduce(tf.constant(0), lambda count, *_: count)
        seconds.append(time.process_time() - start)
    return min(seconds)


def _training_dataset(files: Sequence[str]) -> tf.data.Dataset:
    return training_dataset(
        files,
        max_seq_length=MAX_SEQ_LENGTH,
        batch_size=BATCH_SIZE,
        masking=MASKING,
        seed=0,
        num_held_out=1000,
        shuffle_buffer_size=SHUFFLE_BUFFER_SIZE,
    )


def _write_files(folder: Path) -> list[str]:
    paths = [folder / f"pretrain_data.tfrecord-{number}-of-{NUM_FILES}" for number in range(NUM_FILES)]
    for path in paths:
        write_records(path, [_examples(NUM_RECORDS_PER_FILE)])
    return [str(path) for path in paths]


def _examples(num_examples: int) -> PackedExamples:
    """Returns full examples of random words."""
    lengths = np.full(num_examples, MAX_SEQ_LENGTH, np.int32)
    input_ids = np.random.default_rng(0).integers(FIRST_WORD_ID, VOCAB_SIZE, (num_examples, MAX_SEQ_LENGTH), np.int32)
    input_ids[:, 0] = CLS_ID
    input_ids[:, [MAX_SEQ_LENGTH // 2 - 1, -1]] = SEP_ID
    return PackedExamples(input_ids=input_ids, first_lengths=lengths // 2, lengths=lengths)


def main() -> None:
    """Prints all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-runs", type=int, default=5, help="runs a measurement is the best of (%(default)s)")
    arguments = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    for measure in (measure_masking, measure_training_input):
        print(json.dumps({"device": "cpu", **measure(num_runs=arguments.num_runs)}), flush=True)


if __name__ == "__main__":
    main()

"""Speed of the steps that bring records to the model, on CPU: prints one JSON line a measurement.

Speeds are of processor time: what one core does alone. A measurement is the best of some runs: what else the machine
does only ever adds time.
"""

import argparse
import functools
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from electra_span.objective.batches import MaskedBatch, PretrainingExamples
from electra_span.objective.masking import MaskingConfig, mask_tokens
from pretrain.dataset.examples import PackedExamples
from pretrain.dataset.record_files import digest_of_ends, extent_of
from pretrain.dataset.records import parse_records, serialize, write_records
from pretrain.input_pipeline import training_dataset

PARTS = ("masking", "parsing", "input", "checking")
MAX_SEQ_LENGTH, BATCH_SIZE = 128, 128
CLS_ID, SEP_ID, MASK_ID, FIRST_WORD_ID, VOCAB_SIZE = 101, 102, 103, 1000, 30522
SPECIAL_IDS = (0, CLS_ID, SEP_ID, MASK_ID)
CONTINUATION_SHARE = 0.2  # of the tokens, as in English text
NUM_FILES, NUM_RECORDS_PER_FILE, NUM_HELD_OUT = 8, 2500, 1000
NUM_MASKED_BATCHES, NUM_READ_BATCHES = 500, 300
SHUFFLE_BUFFER_SIZE = 10_000
NUM_COPIES = 512  # of a file of records, to one of about 0.8 GB

# What a run takes where its hparams say no more than the kind of masking.
KINDS: dict[str, dict[str, Any]] = {
    "token": {"masking": "token"},
    "whole_word": {"masking": "whole_word", "replace_probs": (0.8, 0.1, 0.1)},
    "span": {"masking": "span", "replace_probs": (0.8, 0.1, 0.1), "replace_unit": "span"},
    "span_whole_words": {
        "masking": "span", "replace_probs": (0.8, 0.1, 0.1), "replace_unit": "span", "span_whole_words": True,
    },
}  # fmt: skip


def measure_masking(kind: str, *, num_runs: int) -> dict[str, Any]:
    """Returns the speed of masking examples that are parsed already."""
    examples = parse_records(tf.constant(serialize(_examples(BATCH_SIZE))), MAX_SEQ_LENGTH)
    return _measure_batches("mask_tokens", kind, lambda: examples, num_runs)


def measure_parsing(kind: str, *, num_runs: int) -> dict[str, Any]:
    """Returns the speed of parsing records and masking them."""
    serialized = tf.constant(serialize(_examples(BATCH_SIZE)))
    return _measure_batches("parse_and_mask", kind, lambda: parse_records(serialized, MAX_SEQ_LENGTH), num_runs)


def measure_input(kind: str, *, num_runs: int) -> dict[str, Any]:
    """Returns the speed of the whole input of training, and the time and size of saving its position."""
    with tempfile.TemporaryDirectory() as folder:
        files = _write_files(Path(folder))
        dataset = _training_dataset(files, kind)
        seconds = _fewest_core_seconds(dataset.take(NUM_READ_BATCHES), num_runs)
        return {
            **_speed("training_dataset", kind, NUM_READ_BATCHES, seconds),
            **_position_costs(dataset, _training_dataset(files, kind), Path(folder), num_runs),
            "shuffle_buffer_size": SHUFFLE_BUFFER_SIZE,
        }


def _measure_batches(
    name: str, kind: str, examples: Callable[[], PretrainingExamples], num_runs: int
) -> dict[str, Any]:
    """Returns the speed of masking what a function of the graph gives, and the time until the first batch."""
    masking = _masking(kind)

    def mask(index: tf.Tensor) -> MaskedBatch:
        return mask_tokens(examples(), seed=tf.stack([tf.constant(0, tf.int64), index]), config=masking)

    batches = tf.data.Dataset.range(1 + NUM_MASKED_BATCHES).map(mask)
    # Starting an iterator, once a run, takes as long as masking some hundred batches.
    start_seconds = _fewest_core_seconds(batches.take(1), num_runs)
    seconds = _fewest_core_seconds(batches, num_runs) - start_seconds
    return {**_speed(name, kind, NUM_MASKED_BATCHES, seconds), "start_seconds": round(start_seconds, 3)}


def _speed(name: str, kind: str, num_batches: int, core_seconds: float) -> dict[str, Any]:
    return {
        "name": name,
        "masking": kind,
        "sequences_per_core_second": round(num_batches * BATCH_SIZE / core_seconds),
        "max_seq_length": MAX_SEQ_LENGTH,
        "batch_size": BATCH_SIZE,
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


def measure_checking(*, num_runs: int) -> dict[str, Any]:
    """Returns the time of comparing a file with its manifest: by its size and ends, and by the lengths of records."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "records")
        content = Path(_write_files(Path(folder))[0]).read_bytes()
        file.write_bytes(content * NUM_COPIES)
        seconds: dict[str, list[float]] = {}
        for _ in range(num_runs):
            for name, check in (("size_and_ends", digest_of_ends), ("lengths", extent_of)):
                start = time.perf_counter()
                check(file)
                seconds.setdefault(name, []).append(time.perf_counter() - start)
        gigabytes = file.stat().st_size / 1e9
    return {
        "name": "check_records",
        "size_and_ends_seconds_a_file": round(min(seconds["size_and_ends"]), 6),
        "lengths_seconds_a_gigabyte": round(min(seconds["lengths"]) / gigabytes, 3),
    }


def _fewest_core_seconds(batches: tf.data.Dataset, num_runs: int) -> float:
    """Returns the processor time, of all threads, of reading a dataset once; the least of some runs."""
    seconds = []
    for _ in range(num_runs):
        start = time.process_time()
        batches.reduce(tf.constant(0), lambda count, *_: count)
        seconds.append(time.process_time() - start)
    return min(seconds)


def _training_dataset(files: Sequence[str], kind: str) -> tf.data.Dataset:
    return training_dataset(
        files,
        max_seq_length=MAX_SEQ_LENGTH,
        batch_size=BATCH_SIZE,
        masking=_masking(kind),
        seed=0,
        num_held_out=NUM_HELD_OUT,
        shuffle_buffer_size=SHUFFLE_BUFFER_SIZE,
    )


def _masking(kind: str) -> MaskingConfig:
    is_word = ~np.isin(np.arange(VOCAB_SIZE), SPECIAL_IDS)
    return MaskingConfig(
        mask_prob=0.15,
        max_predictions_per_seq=19,
        mask_id=MASK_ID,
        special_ids=SPECIAL_IDS,
        is_continuation=np.random.default_rng(0).random(VOCAB_SIZE) < CONTINUATION_SHARE,
        random_token_counts=is_word.astype(np.int64),
        **KINDS[kind],
    )


def _write_files(folder: Path) -> list[str]:
    paths = [folder / f"pretrain_data.tfrecord-{number}-of-{NUM_FILES}" for number in range(NUM_FILES)]
    for path in paths:
        write_records(path, [_examples(NUM_RECORDS_PER_FILE)])
    return [str(path) for path in paths]


def _examples(num_examples: int) -> PackedExamples:
    """Returns full examples of two segments of random words."""
    lengths = np.full(num_examples, MAX_SEQ_LENGTH, np.int32)
    input_ids = np.random.default_rng(0).integers(FIRST_WORD_ID, VOCAB_SIZE, (num_examples, MAX_SEQ_LENGTH), np.int32)
    input_ids[:, 0] = CLS_ID
    input_ids[:, [MAX_SEQ_LENGTH // 2 - 1, -1]] = SEP_ID
    return PackedExamples(input_ids=input_ids, first_lengths=lengths // 2, lengths=lengths)


def _measurements(arguments: argparse.Namespace) -> Iterator[Callable[..., dict[str, Any]]]:
    """Yields the measurements that the command line asks for, as functions of num_runs."""
    for part, measure in (("masking", measure_masking), ("parsing", measure_parsing), ("input", measure_input)):
        for kind in arguments.masking if part in arguments.parts else ():
            yield functools.partial(measure, kind)
    if "checking" in arguments.parts:
        yield measure_checking


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (all)")
    parser.add_argument("--masking", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of masking (all)")
    parser.add_argument("--num-runs", type=int, default=5, help="runs a measurement is the best of (%(default)s)")
    arguments = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    for measure in _measurements(arguments):
        print(json.dumps({"device": "cpu", **measure(num_runs=arguments.num_runs)}), flush=True)


if __name__ == "__main__":
    main()

"""Speed of one ELECTRA pretraining step, input included: prints one JSON line a round.

With `--peer transformers` each round also measures the peer on the same batches, in a process of its own, and the line
holds both and their ratio: a machine whose speed drifts changes both. Without records, random ones are made, as full
as the original's examples are.

On a GPU the line also holds the FLOPs utilisation: those of the step's matrix products over what large bfloat16
matrix products, measured in the same process, reach.
"""

import argparse
import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from configure_pretraining import PretrainingConfig
from electra_span.model_cost import matmul_flops_per_step
from electra_span.objective.batches import MaskedBatch
from electra_span.objective.masking import MaskingConfig
from electra_span.training.devices import Execution, make_strategy, resolve_execution
from electra_span.training.optimizer import learning_rate_at
from electra_span.training.session import make_update
from electra_span.training.step import StepResult, make_train_step
from pretrain.dataset.examples import PackedExamples
from pretrain.dataset.records import input_files, write_records
from pretrain.input_pipeline import training_dataset
from pretrain.model import make_loss_function
from pretrain.run import build_configured_model, loss_weights

_PEER = Path(__file__).with_name("peer_transformers.py")
# Of BERT's vocabulary, which the random records follow.
_CLS_ID, _SEP_ID, _MASK_ID, _FIRST_WORD_ID = 101, 102, 103, 1000
_FILL_RATE = 0.81  # of the original's examples of 128 tokens

TrainStep = Callable[[MaskedBatch, tf.Tensor], StepResult]


def make_step(config: PretrainingConfig, execution: Execution) -> TrainStep:
    """Returns the train step of a configuration, as pretraining runs it."""
    strategy = make_strategy()
    with strategy.scope():
        model = build_configured_model(config, execution, None)
    loss_function = make_loss_function(
        model,
        weights=loss_weights(config),
        compile_kernels=execution.compile_kernels,
    )
    update = make_update(
        loss_function,
        model.trainable_variables,
        strategy=strategy,
        execution=execution,
        weight_decay_rate=config.weight_decay_rate,
    )
    rate = functools.partial(
        learning_rate_at, peak=config.learning_rate, num_train_steps=10**6, num_warmup_steps=config.num_warmup_steps
    )
    return make_train_step(
        [update],
        strategy=strategy,
        learning_rate=rate,
        seed=config.seed,
        compile_step=execution.compile_step,
    )


def write_random_records(folder: Path, max_seq_length: int, vocab_size: int, num_examples: int = 4096) -> list[str]:
    """Writes examples of random words, 81 % full on average, and returns their files."""
    generator = np.random.default_rng(0)
    shortest = round((2 * _FILL_RATE - 1) * max_seq_length)
    lengths = generator.integers(shortest, max_seq_length, num_examples, np.int32, endpoint=True)
    input_ids = generator.integers(_FIRST_WORD_ID, vocab_size, (num_examples, max_seq_length), np.int32)
    input_ids[np.arange(max_seq_length) >= lengths[:, None]] = 0
    input_ids[:, 0] = _CLS_ID
    np.put_along_axis(input_ids, lengths[:, None] - 1, _SEP_ID, axis=1)
    path = folder / "pretrain_data.tfrecord-0-of-1"
    write_records(path, [PackedExamples(input_ids=input_ids, first_lengths=lengths, lengths=lengths)])
    return [str(path)]


def read_batches(config: PretrainingConfig, files: list[str]) -> Iterator[MaskedBatch]:
    """Returns the batches of training, as the input pipeline makes them."""
    masking = MaskingConfig(
        mask_prob=config.mask_prob,
        max_predictions_per_seq=config.max_predictions_per_seq,
        mask_id=_MASK_ID,
        special_ids=(0, _CLS_ID, _SEP_ID, _MASK_ID),
    )
    dataset = training_dataset(
        files,
        max_seq_length=config.max_seq_length,
        batch_size=config.train_batch_size,
        masking=masking,
        seed=config.seed,
        num_held_out=0,
        shuffle_buffer_size=config.shuffle_buffer_size,
    )
    return iter(dataset)


def time_steps(train_step: TrainStep, batches: Iterator[MaskedBatch], num_steps: int) -> dict[str, float]:
    """Returns the median seconds of a step, and the share of a batch's tokens that are no padding."""
    seconds, fill_rates = [], []
    for index in range(num_steps):
        start = time.perf_counter()
        batch = next(batches)
        result = train_step(batch, tf.constant(index, tf.int64))
        float(result.sums["mlm_loss"])  # waits until the device has finished the step
        seconds.append(time.perf_counter() - start)
        fill_rates.append(float(np.mean(batch.input_mask)))
    return {"step_seconds": statistics.median(seconds), "fill_rate": statistics.mean(fill_rates)}


def measure_peer(config: PretrainingConfig, files: list[str], *, python: str, precision: str, num_steps: int) -> Any:
    """Returns the peer's JSON line for the same batches."""
    batches = list(itertools.islice(read_batches(config, files), 4))
    fields = zip(MaskedBatch._fields, zip(*batches, strict=True), strict=True)
    arrays: dict[str, Any] = {name: np.stack(values) for name, values in fields}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batches.npz"
        np.savez(path, **arrays)
        command = [python, str(_PEER), "--model-size", config.model_size, "--precision", precision]
        command += ["--max-seq-length", str(config.max_seq_length), "--batch-size", str(config.train_batch_size)]
        command += ["--num-steps", str(num_steps), "--batches", str(path)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def matmul_flops_per_second(size: int = 8192, num_runs: int = 20) -> float:
    """Returns the rate of large bfloat16 matrix products on the first GPU."""
    matrix = tf.cast(tf.random.normal([size, size]), tf.bfloat16)
    multiply = tf.function(lambda x, y: tf.matmul(x, y) * tf.constant(1e-2, tf.bfloat16), jit_compile=True)
    product = multiply(matrix, matrix)
    _ = product.numpy()
    start = time.perf_counter()
    for _ in range(num_runs):
        product = multiply(product, matrix)
    _ = product[0, 0].numpy()
    return 2 * size**3 * num_runs / (time.perf_counter() - start)


def describe(config: PretrainingConfig, execution: Execution, timing: dict[str, float]) -> dict[str, Any]:
    """Returns our part of a line."""
    gpus = tf.config.list_physical_devices("GPU")
    tokens = config.train_batch_size * config.max_seq_length / timing["step_seconds"]
    flops = matmul_flops_per_step(
        config.networks(),
        batch_size=config.train_batch_size,
        seq_length=config.max_seq_length,
        num_predictions=config.max_predictions_per_seq,
    )
    line: dict[str, Any] = {
        "name": "pretraining_step",
        "tokens_per_second": tokens,
        "real_tokens_per_second": tokens * timing["fill_rate"],
        **timing,
        "device": tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "cpu",
        "threads": os.cpu_count(),
        "precision": execution.dtype,
        "xla": "step" if execution.compile_step else "kernels" if execution.compile_kernels else "none",
        "model_size": config.model_size,
        "preset": config.preset,
        "max_seq_length": config.max_seq_length,
        "batch_size": config.train_batch_size,
        "flops_per_second": flops / timing["step_seconds"],
    }
    if gpus:
        line["flops_utilisation"] = flops / timing["step_seconds"] / matmul_flops_per_second()
    return line


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-size", default="small")
    parser.add_argument("--preset", help="as the hparam, electra-MODEL_SIZE by default; sizes stay those of the flags")
    parser.add_argument("--max-seq-length", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--precision", default="auto", help="as the hparam")
    parser.add_argument("--xla", default="auto", help="as the hparam: auto, true or false")
    parser.add_argument("--num-steps", type=int, default=10, help="timed steps of a round")
    parser.add_argument("--num-warmup-steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pretrain-tfrecords", help="globs of records of BERT's vocabulary; random ones by default")
    parser.add_argument("--peer", choices=["transformers"], help="measure it beside ours")
    parser.add_argument("--peer-precision", default=None, help="float32 or mixed_bfloat16; by default ours")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python with the extra [peer]")
    return parser


def main() -> None:
    """Measures what the command line asks for and prints one JSON line a round."""
    arguments = make_parser().parse_args()
    xla: bool | str = {"true": True, "false": False}.get(arguments.xla, arguments.xla)
    hparams = {
        "model_size": arguments.model_size,
        "max_seq_length": arguments.max_seq_length,
        "train_batch_size": arguments.batch_size,
        "precision": arguments.precision,
        "xla": xla,
        "preset": arguments.preset or f"electra-{arguments.model_size}",
    }
    config = PretrainingConfig.from_hparams(model_name="benchmark", data_dir="", hparams=hparams)
    execution = resolve_execution(config.precision, config.xla)
    with tempfile.TemporaryDirectory() as folder:
        files = (
            input_files(arguments.pretrain_tfrecords)
            if arguments.pretrain_tfrecords
            else write_random_records(Path(folder), config.max_seq_length, config.vocab_size)
        )
        train_step, batches = make_step(config, execution), read_batches(config, files)
        time_steps(train_step, batches, arguments.num_warmup_steps)
        for _ in range(arguments.rounds):
            line = describe(config, execution, time_steps(train_step, batches, arguments.num_steps))
            if arguments.peer:
                precision = arguments.peer_precision or execution.dtype
                peer = measure_peer(
                    config, files, python=arguments.peer_python, precision=precision, num_steps=arguments.num_steps
                )
                line |= {
                    "peer": arguments.peer,
                    "peer_precision": precision,
                    "peer_tokens_per_second": peer["tokens_per_second"],
                    "ratio": line["tokens_per_second"] / peer["tokens_per_second"],
                }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

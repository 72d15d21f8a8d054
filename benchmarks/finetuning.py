"""Speed of fine-tuning, on the task's own files: prints one JSON line a measurement.

    python -m benchmarks.finetuning --task sst --task-dir SST-2 --vocab-file VOCAB --peer-python PYTHON_WITH_TORCH
    python -m benchmarks.finetuning --task squadv1 --task-dir SQUAD --vocab-file VOCAB --peer-python PYTHON_WITH_TORCH

- training: examples a second of a run's training step; of the same model with every batch padded to max_seq_length and
  nothing skipped, which is what the original does; and of transformers with its dynamic padding. All take turns, a few
  steps each: a machine whose speed drifts changes all of them. The batches are some of an epoch's, of sizes like those
  of all; the time of each is the lower quartile of its rounds, and making it is part of it.
- start: what an epoch takes beyond that, once a process: tracing, and compiling for every new shape of a batch.

Times are by the clock, and of the processor. Where other work has the cores too, threads wait for each other, and the
ratios to trust are the processor's with one thread each: `--num-threads 1`.
"""

import argparse
import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from electra_span.layers.packing import skip_padding
from electra_span.training.step import make_train_step
from finetune.batches import BatchMaker, FinetuningBatch
from finetune.config import FinetuningConfig
from finetune.features import Rows
from finetune.run import Run
from finetune.trial import make_stages

PARTS = ("training", "start")
_PEER = Path(__file__).with_name("peer_finetuning.py")
_OF_PEER = ("labels", "start_positions", "end_positions")  # targets that it reads


class Times(NamedTuple):
    """What a step took: seconds by the clock, and of the processor, all threads together."""

    seconds: float
    processor_seconds: float


class Contender(NamedTuple):
    """One of those that take turns.

    Attributes:
        batches: that it is measured on, or their numbers.
        run: runs some of them and returns the `Times` of each.
    """

    batches: Sequence[Any]
    run: Callable[[Sequence[Any]], Sequence[Sequence[float]]]


def take_turns(contenders: dict[str, Contender], *, num_rounds: int, num_turns: int) -> dict[str, np.ndarray]:
    """Returns the `Times` of every batch of every contender in every round, [num_rounds, num_batches, 2] by name."""
    times: dict[str, list[Sequence[float]]] = {name: [] for name in contenders}
    for _, turn in itertools.product(range(num_rounds), range(num_turns)):
        for name, (batches, run) in contenders.items():
            times[name] += run(batches[len(batches) * turn // num_turns : len(batches) * (turn + 1) // num_turns])
    return {name: np.reshape(values, [num_rounds, -1, 2]) for name, values in times.items()}


def settled(times: np.ndarray) -> np.ndarray:
    """Returns the mean `Times` [2] of a batch once all is traced and compiled, without the first round."""
    return np.quantile(times[1:], 0.25, axis=0).mean(axis=0)


def spread(sizes: Sequence[int], number: int) -> list[int]:
    """Returns the indices of that many batches with sizes like those of all: the middles of equal parts, mixed."""
    middles = (np.arange(number) + 0.5) * len(sizes) / number
    chosen = np.argsort(sizes, kind="stable")[middles.astype(int)]
    return np.random.default_rng(0).permutation(chosen).tolist()


Step = Callable[[FinetuningBatch], Times]


def make_step(run: Run, batches: BatchMaker) -> Step:
    """Returns the training step of a run, of a model and an optimizer of its own."""
    model = run.build_model(run.config.seed)
    stage = make_stages(run, model, batches.num_rows).stages[0]
    train_step = make_train_step(
        stage.updates,
        strategy=run.strategy,
        learning_rate=stage.learning_rate,
        seed=run.config.seed,
        num_accumulation_steps=run.config.gradient_accumulation_steps,
        compile_step=run.execution.compile_step,
        signature=batches.signature(),
    )

    def step(batch: FinetuningBatch) -> Times:
        start, processor_start = time.perf_counter(), time.process_time()
        result = train_step(batch, tf.constant(0, tf.int64))
        float(result.sums["total_loss"])  # waits until the step is done
        return Times(time.perf_counter() - start, time.process_time() - processor_start)

    return step


def padded_batch(batch: FinetuningBatch, length: int, pad_id: int) -> FinetuningBatch:
    """Returns a batch padded on to a length."""
    missing = [[0, 0], [0, length - batch.input_ids.shape[1]]]
    return batch._replace(
        input_ids=tf.pad(batch.input_ids, missing, constant_values=pad_id),
        input_mask=tf.pad(batch.input_mask, missing),
        segment_ids=tf.pad(batch.segment_ids, missing),
    )


def measure_training(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns a line that compares the training step with those of the others."""
    config, (rows,) = run.config, run.training_rows.values()
    maker = run.batches(run.training_rows, config.train_batch_size)
    batches, making = epoch_of(maker, config.seed)
    sizes = [int(np.sum(batch.input_mask)) for batch in batches]
    ours = [batches[index] for index in spread(sizes, arguments.num_batches)]
    padded = [
        padded_batch(batches[index], config.max_seq_length, run.tokenizer.pad_id)
        for index in spread(sizes, arguments.num_padded_batches)
    ]
    step, padded_step = make_step(run, maker), make_step(_that_keeps_padding(config), maker)
    contenders = {
        "ours": Contender(ours, lambda some: [np.add(step(batch), making).tolist() for batch in some]),
        "padded": Contender(padded, lambda some: [padded_step(batch) for batch in some]),
    }
    with tempfile.TemporaryDirectory() as folder:
        peers = _start_peers(rows, Path(folder), arguments)
        longest = [json.loads(_line(peer))["longest"] for peer in peers.values()]
        numbers = spread(longest[0], arguments.num_peer_batches) if peers else []
        contenders |= {name: Contender(numbers, _asking(peer)) for name, peer in peers.items()}
        times = take_turns(contenders, num_rounds=1 + arguments.num_rounds, num_turns=len(padded))
        for peer in peers.values():
            peer.communicate()
    return {
        "name": "finetuning_step",
        **_speeds(times, config.train_batch_size),
        "num_batches": {name: len(contender.batches) for name, contender in contenders.items()},
        "mean_tokens": _rounded_mean(rows.text.lengths()),
        "mean_tokens_of_batches": _rounded_mean([np.sum(batch.input_mask, axis=1) for batch in ours]),
        "mean_length": _rounded_mean([batch.input_ids.shape[1] for batch in ours]),
        "mean_length_of_peer": _rounded_mean(np.take(longest[0], numbers)) if peers else None,
    }


def epoch_of(maker: BatchMaker, seed: int) -> tuple[list[FinetuningBatch], Times]:
    """Returns the batches of an epoch, and how long making one takes."""
    start, processor_start = time.perf_counter(), time.process_time()
    batches = list(maker.training_batches(num_steps=maker.steps_per_epoch, first_step=0, seed=seed))
    seconds = time.perf_counter() - start, time.process_time() - processor_start
    return batches, Times(*(value / len(batches) for value in seconds))


def _rounded_mean(values: Any) -> float:
    return round(float(np.mean(values)), 1)


def _speeds(times: dict[str, np.ndarray], batch_size: int) -> dict[str, Any]:
    """Returns examples a second of all contenders, the ratios to the first, and these in every round but the first."""
    of_ours, line = settled(times["ours"]), {}
    for name, values in times.items():
        speeds = batch_size / settled(values)
        line[name] = {
            "examples_per_second": round(float(speeds[0]), 2),
            "examples_per_processor_second": round(float(speeds[1]), 2),
        }
        if name != "ours":
            ratio, of_processor = settled(values) / of_ours
            of_rounds = values[1:].mean(axis=1) / times["ours"][1:].mean(axis=1)  # [rounds, 2]
            line[name] |= {
                "ratio": round(float(ratio), 2),
                "processor_ratio": round(float(of_processor), 2),
                "ratios": np.round(of_rounds[:, 0], 2).tolist(),
                "processor_ratios": np.round(of_rounds[:, 1], 2).tolist(),
            }
    return line


def _that_keeps_padding(config: FinetuningConfig) -> Run:
    """Returns the run of a configuration whose model computes on padding as on tokens."""
    run = Run(config)
    run.execution = run.execution._replace(skips_padding=False)
    return run


def measure_start(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns what an epoch takes beyond its steps: the first step of each shape takes longer than the next ones."""
    del arguments
    maker = run.batches(run.training_rows, run.config.train_batch_size)
    of_shape: dict[tuple[int, int], FinetuningBatch] = {}
    for batch in epoch_of(maker, run.config.seed)[0]:
        of_shape.setdefault((batch.input_ids.shape[1], _num_kept(batch)), batch)
    step = make_step(run, maker)
    firsts, seconds = [], []
    for batch in of_shape.values():
        firsts.append(step(batch))
        seconds.append(np.min([step(batch), step(batch)], axis=0))
    beyond = np.round(np.subtract(firsts, seconds), 1)  # [shapes, 2]
    return {
        "name": "finetuning_start",
        "first_step": Times(*beyond[0].tolist())._asdict(),
        "other_shapes": Times(*np.round(beyond[1:].sum(axis=0), 1).tolist())._asdict(),
        "num_shapes": len(of_shape),
        "num_lengths": len({length for length, _ in of_shape}),
        "num_token_counts": len({num_tokens for _, num_tokens in of_shape}),
        "steps_per_epoch": maker.steps_per_epoch,
    }


def _num_kept(batch: FinetuningBatch) -> int:
    indices = skip_padding(batch.input_mask).indices
    assert indices is not None
    return int(indices.shape[0])


def _start_peers(rows: Rows, folder: Path, arguments: argparse.Namespace) -> dict[str, subprocess.Popen[str]]:
    """Returns processes that wait to run the peer's steps on the same rows, by precision."""
    if not arguments.peer_python:
        return {}
    targets: dict[str, Any] = {name: rows.targets[name] for name in _OF_PEER if name in rows.targets}
    np.savez(folder / "rows.npz", allow_pickle=False, **rows.text._asdict(), **targets)
    command = [arguments.peer_python, str(_PEER), "--rows", str(folder / "rows.npz")]
    command += ["--model-size", arguments.model_size, "--batch-size", str(arguments.batch_size)]
    command += ["--num-threads", str(arguments.num_threads)]
    command += ["--attention", arguments.peer_attention, *(["--grouped"] if arguments.peer_grouped else [])]
    return {
        f"peer_{precision}": subprocess.Popen(
            [*command, "--precision", precision], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for precision in arguments.peer_precisions
    }


def _line(peer: subprocess.Popen[str]) -> str:
    """Returns the next line that a peer writes."""
    line = peer.stdout.readline() if peer.stdout else ""
    if not line:
        raise SystemExit("the peer has ended; it needs torch and transformers")
    return line


def _asking(peer: subprocess.Popen[str]) -> Callable[[Sequence[int]], Sequence[Sequence[float]]]:
    """Returns the function that has a peer run batches."""

    def run(numbers: Sequence[int]) -> Sequence[Sequence[float]]:
        if peer.stdin:
            print(*numbers, file=peer.stdin, flush=True)
        times: list[list[float]] = json.loads(_line(peer))
        return times

    return run


def _setting(run: Run, num_threads: int) -> dict[str, Any]:
    """Returns what a measurement of steps depends on."""
    config, execution = run.config, run.execution
    return {
        "task": run.slug,
        "model_size": config.model_size,
        "max_seq_length": config.max_seq_length,
        "batch_size": config.train_batch_size,
        "precision": execution.dtype,
        "xla": "step" if execution.compile_step else "kernels" if execution.compile_kernels else "none",
        "threads": num_threads,
        "load": round(os.getloadavg()[0], 1),
    }


def make_config(arguments: argparse.Namespace, folder: Path, **hparams: Any) -> FinetuningConfig:
    """Returns the configuration of a run on the task's files, with links to them in a folder."""
    (folder / "finetuning_data").mkdir()
    (folder / "finetuning_data" / arguments.task).symlink_to(arguments.task_dir.resolve())
    (folder / "vocab.txt").symlink_to(arguments.vocab_file.resolve())
    hparams |= {"task_names": [arguments.task], "random_weights": True, **json.loads(arguments.hparams)}
    return FinetuningConfig.from_hparams(model_name="benchmark", data_dir=str(folder), hparams=hparams)


def add_task_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that `make_config` reads."""
    parser.add_argument("--task", required=True, help="as in the hparam task_names, without a path")
    parser.add_argument("--task-dir", type=Path, required=True, help="folder of its files")
    parser.add_argument("--vocab-file", type=Path, required=True)
    parser.add_argument("--hparams", default="{}", help="JSON of hparams")


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_task_flags(parser)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["training"], help="what to measure (training)")
    parser.add_argument("--model-size", default="small")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--num-batches", type=int, default=32, help="of a round (%(default)s)")
    parser.add_argument("--num-padded-batches", type=int, default=4, help="padded ones, and turns (%(default)s)")
    parser.add_argument("--num-peer-batches", type=int, default=8, help="of the peer (%(default)s)")
    parser.add_argument("--num-rounds", type=int, default=3, help="beside a first one that compiles (%(default)s)")
    parser.add_argument("--num-threads", type=int, default=os.cpu_count() or 1, help="of all (%(default)s)")
    parser.add_argument("--peer-python", help="a Python with the extra [peer]: measure transformers too")
    precisions = ["float32", "mixed_bfloat16"]
    parser.add_argument("--peer-precisions", nargs="+", choices=precisions, default=precisions, help="(both)")
    parser.add_argument("--peer-attention", choices=["eager", "sdpa"], default="eager", help="(%(default)s)")
    parser.add_argument("--peer-grouped", action="store_true", help="its rows grouped by length, not at random")
    return parser


def main(command_line: Sequence[str] | None = None) -> None:
    """Measures what the command line asks for."""
    arguments = make_parser().parse_args(command_line)
    measures = {"training": measure_training, "start": measure_start}
    tf.config.threading.set_intra_op_parallelism_threads(arguments.num_threads)
    with tempfile.TemporaryDirectory() as folder:
        sizes = {"model_size": arguments.model_size, "train_batch_size": arguments.batch_size}
        run = Run(make_config(arguments, Path(folder), **sizes))
        for part in arguments.parts:
            print(json.dumps({**measures[part](run, arguments), **_setting(run, arguments.num_threads)}), flush=True)


if __name__ == "__main__":
    main()

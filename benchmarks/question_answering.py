"""Speed of what is done to questions before and after the model: prints one JSON line a measurement.

    python -m benchmarks.question_answering --task squadv1 --task-dir SQUAD --vocab-file VOCAB

- features: questions a minute, from the file to windows.
- evaluation: seconds from the predictions for all questions to their metrics, for random predictions that are no
  easier than a model's: every end in the beam makes an answer of an allowed length.

Seconds are by the clock and of the processor: what else the machine does adds to the first.
"""

import argparse
import functools
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetuning import add_task_flags, make_config
from finetune.features import Rows
from finetune.run import Run
from finetune.task import Predictions


class Stopwatch:
    """Seconds of some calls, by the clock and of the processor."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.processor_seconds: list[float] = []

    def time(self, function: Callable[[], Any]) -> Any:
        """Returns what a function returns."""
        start, processor_start = time.perf_counter(), time.process_time()
        result = function()
        self.seconds.append(time.perf_counter() - start)
        self.processor_seconds.append(time.process_time() - processor_start)
        return result


def measure_features(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the speed of reading questions and making windows of them: the first time, and the fastest."""
    watch = Stopwatch()
    for _ in range(1 + arguments.num_rounds):
        task: Any = Run(run.config).tasks[0]  # remembers no questions
        rows = watch.time(functools.partial(task.make_rows, arguments.split, run.tokenizer))
    num_questions = len(task.questions(arguments.split))
    return {
        "name": "question_features",
        "max_seq_length": run.config.max_seq_length,
        "num_questions": num_questions,
        "num_windows": len(rows),
        "questions_per_minute": round(60 * num_questions / min(watch.seconds)),
        "questions_per_processor_minute": round(60 * num_questions / min(watch.processor_seconds)),
        "seconds": [round(value, 2) for value in watch.seconds],
        "processor_seconds": [round(value, 2) for value in watch.processor_seconds],
    }


def measure_evaluation(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the time of decoding and scoring random predictions; no file is written."""
    task: Any = run.tasks[0]
    rows = run.rows(task, arguments.split)
    predictions = random_predictions(rows, run.config.beam_size, run.config.max_answer_length)
    watch = Stopwatch()
    for _ in range(arguments.num_rounds):
        watch.time(lambda: task.evaluate(arguments.split, rows, predictions))
    return {
        "name": "question_evaluation",
        "num_questions": len(task.questions(arguments.split)),
        "num_windows": len(rows),
        "joint_prediction": run.config.joint_prediction,
        "seconds": [round(value, 2) for value in watch.seconds],
        "processor_seconds": [round(value, 2) for value in watch.processor_seconds],
    }


def random_predictions(rows: Rows, beam_size: int, max_answer_length: int) -> Predictions:
    """Returns what all kinds of heads for questions may say of windows, each as an array."""
    generator = np.random.default_rng(0)
    lengths = rows.text.lengths()
    starts = generator.integers(1, lengths[:, None], (len(rows), beam_size))
    ends = starts[:, :, None] + generator.integers(0, max_answer_length, (len(rows), beam_size, beam_size))
    ends = np.minimum(ends, lengths[:, None, None] - 1)

    def falling(shape: tuple[int, ...]) -> np.ndarray:
        return -np.sort(generator.exponential(3.0, shape), axis=-1).astype(np.float32)

    return {
        "start_top_log_probs": list(falling(starts.shape)),
        "start_top_index": list(starts.astype(np.int32)),
        "end_top_log_probs": list(falling(ends.shape)),
        "end_top_index": list(ends.astype(np.int32)),
        "start_logits": [generator.standard_normal(length).astype(np.float32) for length in lengths],
        "end_logits": [generator.standard_normal(length).astype(np.float32) for length in lengths],
        "answerable_logit": list(generator.standard_normal(len(rows)).astype(np.float32)),
    }


def main(command_line: Sequence[str] | None = None) -> None:
    """Measures features and evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_task_flags(parser)
    parser.add_argument("--split", default="dev", help="(%(default)s)")
    parser.add_argument("--num-rounds", type=int, default=3, help="(%(default)s)")
    arguments = parser.parse_args(command_line)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(make_config(arguments, Path(folder)))
        for measure in (measure_features, measure_evaluation):
            figures = {**measure(run, arguments), "task": run.slug, "load": round(os.getloadavg()[0], 1)}
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()

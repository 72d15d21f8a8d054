"""Speed of the steps that bring text to the model, on CPU: prints one JSON line a measurement.

A measurement is the best of some runs: what else the machine does only ever adds time.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from pretrain.build import BuildSettings, build_dataset


def measure_build(*, corpus_dir: Path, vocab_file: Path, num_processes: int, num_runs: int) -> dict[str, Any]:
    """Returns the speed of building the records of a corpus, in tokens of its text.

    Start-up of the processes, the time to build the records of a single line, is told apart and left out of the speed.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "text").write_text("One line.\n", encoding="utf-8")
        start_seconds, _ = _fastest_build(Path(folder), vocab_file, num_processes, num_runs)
    seconds, manifest = _fastest_build(corpus_dir, vocab_file, num_processes, num_runs)
    return {
        "name": "build_pretraining_dataset",
        "tokens_per_second": round(manifest["tokens_in"] / (seconds - start_seconds)),
        "tokens": manifest["tokens_in"],
        "megabytes": round(manifest["source"]["corpus_bytes"] / 1e6, 1),
        "seconds": round(seconds, 2),
        "start_seconds": round(start_seconds, 2),
        "threads": num_processes,
    }


def _fastest_build(
    corpus_dir: Path, vocab_file: Path, num_processes: int, num_runs: int
) -> tuple[float, dict[str, Any]]:
    """Returns the seconds of the fastest of some builds, and their manifest."""
    seconds = []
    for _ in range(num_runs):
        with tempfile.TemporaryDirectory() as output_dir:
            settings = BuildSettings(
                corpus_dir=corpus_dir, vocab_file=vocab_file, output_dir=Path(output_dir), num_processes=num_processes
            )
            start = time.perf_counter()
            manifest = build_dataset(settings)
            seconds.append(time.perf_counter() - start)
    return min(seconds), manifest


def main() -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus-dir", type=Path, required=True, help="folder of text to build records of")
    parser.add_argument("--vocab-file", type=Path, required=True, help="its vocabulary")
    parser.add_argument("--num-processes", type=int, default=2, help="processes that share the work (%(default)s)")
    parser.add_argument("--num-runs", type=int, default=5, help="runs a measurement is the best of (%(default)s)")
    arguments = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print(json.dumps({"device": "cpu", **measure_build(**vars(arguments))}), flush=True)


if __name__ == "__main__":
    main()

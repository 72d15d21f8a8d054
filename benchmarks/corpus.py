"""Time and memory of what is done to a corpus, by the commands that users type: prints one JSON line a measurement.

Seconds are by the clock, the fewest of some runs. Memory is the peak of all processes of a command together, each page
counted once (the sum of their proportional set sizes), looked at twenty times a second.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pretrain.dataset.packing import FORMATS
from pretrain.vocabularies import TOKENIZER_OPTIONS

PARTS = ("vocabulary", "build", "memory", "inspect")
VOCAB_SIZE = 30_000
SAMPLE_SECONDS = 0.05

_ROOT = Path(__file__).resolve().parents[1]


class Costs(NamedTuple):
    """What one run of a command took."""

    seconds: float  # by the clock
    processor_seconds: float
    peak_megabytes: float


def costs_of(script: str, *arguments: object) -> Costs:
    """Returns what a script of the repository took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [sys.executable, str(_ROOT / "scripts" / script), *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    peaks = [0.0]
    has_ended = threading.Event()

    def watch() -> None:
        while not has_ended.wait(SAMPLE_SECONDS):
            peaks.append(sum(map(_megabytes, _family(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    return_code = process.wait()
    seconds = time.perf_counter() - start
    has_ended.set()
    watcher.join()
    if return_code:
        raise SystemExit(f"{' '.join(command)} ended with {return_code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Costs(seconds, processor, max(peaks))


def _family(pid: int) -> list[int]:
    """Returns a process and all that it started."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return []
    return [pid, *(member for child in children for member in _family(child))]


def _megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:"))


def measure_vocabularies(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields what it takes to learn a vocabulary of each kind."""
    for kind in arguments.tokenizer_types:
        with tempfile.TemporaryDirectory() as folder:
            flags = (f"--tokenizer-type={kind}", f"--vocab-size={VOCAB_SIZE}", f"--output-dir={folder}/tokenizer")
            costs = costs_of("create_vocab.py", f"--corpus-dir={arguments.corpus_dir}", *flags)
            yield {"name": "create_vocab", "tokenizer_type": kind, "vocab_size": VOCAB_SIZE, **_rounded(costs)}


def measure_builds(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields the speed of building records of each format.

    Start-up, the time that the processes take to build the records of a line each, is told apart and left out of the
    speed. A long line of blanks makes each file large enough for every process to get one from the start.
    """
    with tempfile.TemporaryDirectory() as folder:
        for index in range(arguments.num_processes):
            Path(folder, f"text{index}").write_text("One line.\n" + " " * 2**20 + "\n", encoding="utf-8")
        start_seconds = min(_build(Path(folder), arguments, "pairs")[0].seconds for _ in range(arguments.num_runs))
    for example_format in FORMATS:
        runs = [_build(arguments.corpus_dir, arguments, example_format) for _ in range(arguments.num_runs)]
        costs, manifest = min(runs, key=lambda run: run[0].seconds)
        yield {
            "name": "build_pretraining_dataset",
            "format": example_format,
            **_rounded(costs),
            "start_seconds": round(start_seconds, 2),
            "seconds_beyond_start": round(costs.seconds - start_seconds, 2),
            "tokens_per_second": round(manifest["tokens_in"] / (costs.seconds - start_seconds)),
            "num_processes": arguments.num_processes,
            "megabytes": round(manifest["source"]["corpus_bytes"] / 1e6, 1),
            **{name: manifest[name] for name in ("tokens_in", "tokens_out", "num_examples", "fill")},
        }


def measure_memory(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields the memory of building records of the corpus once, and of eight times as much text."""
    for times in (1, 8):
        with tempfile.TemporaryDirectory() as folder:
            for number in range(times):
                Path(folder, f"copy{number}").mkdir()
                for file in sorted(arguments.corpus_dir.iterdir()):
                    Path(folder, f"copy{number}", file.name).symlink_to(file.resolve())
            costs, manifest = _build(Path(folder), arguments, "pairs")
        megabytes = round(manifest["source"]["corpus_bytes"] / 1e6, 1)
        yield {"name": "build_memory", "times": times, "megabytes": megabytes, **_rounded(costs)}


def measure_inspection(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yields what it takes to inspect the corpus."""
    flags = (f"--vocab-file={arguments.vocab_file}", f"--num-processes={arguments.num_processes}")
    costs = costs_of("inspect_corpus.py", f"--corpus-dir={arguments.corpus_dir}", *flags)
    yield {"name": "inspect_corpus", **_rounded(costs)}


def _build(corpus_dir: Path, arguments: argparse.Namespace, example_format: str) -> tuple[Costs, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        output_dir = Path(folder, "records")
        paths = (f"--corpus-dir={corpus_dir}", f"--vocab-file={arguments.vocab_file}", f"--output-dir={output_dir}")
        how = (f"--format={example_format}", f"--num-processes={arguments.num_processes}")
        costs = costs_of("build_pretraining_dataset.py", *paths, *how)
        return costs, json.loads((output_dir / "manifest.json").read_text(encoding="utf-8"))


def _rounded(costs: Costs) -> dict[str, float]:
    return {name: round(value, 2) for name, value in costs._asdict().items()}


def main(command_line: Sequence[str] | None = None) -> None:
    """Measures what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus-dir", type=Path, required=True, help="folder of text")
    parser.add_argument("--vocab-file", type=Path, required=True, help="a vocabulary to build records with")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (all)")
    kinds = list(TOKENIZER_OPTIONS)
    parser.add_argument("--tokenizer-types", nargs="+", choices=kinds, default=kinds, help="vocabularies (all kinds)")
    parser.add_argument("--num-processes", type=int, default=2, help="processes that build (%(default)s)")
    parser.add_argument("--num-runs", type=int, default=3, help="builds a time is the least of (%(default)s)")
    arguments = parser.parse_args(command_line)
    os.environ["PYTHONPATH"] = str(_ROOT)
    measures = {
        "vocabulary": measure_vocabularies, "build": measure_builds, "memory": measure_memory,
        "inspect": measure_inspection,
    }  # fmt: skip
    for part in arguments.parts:
        for figures in measures[part](arguments):
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()

"""Trains the objectives of the family with equal numbers of FLOPs, evaluates and probes each model, prints a table.

A run that the results' file holds is not made again, and an interrupted one goes on where it was.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from absl.flags import argparse_flags

from configure_pretraining import PretrainingConfig
from electra_span import command_line
from electra_span.config import UserError
from electra_span.files import parse_json, read_json_object, write_text
from electra_span.model_cost import matmul_flops_per_step
from electra_span.places import check_output_file
from pretrain.config.defaults import SPAN_OBJECTIVES

_REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
_SEEDS = (1, 2, 3)

# One configuration for all, small enough to learn from a few million tokens in minutes.
_COMMON: dict[str, Any] = {
    "max_seq_length": 64, "vocab_size": 8000, "embedding_size": 128, "generator_hidden_size": 0.5,
    "model_hparam_overrides": {
        "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 512,
        "initializer_range": 0.05, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    },
    "train_batch_size": 64, "eval_batch_size": 64, "learning_rate": 1e-3, "num_warmup_steps": 150,
    "num_eval_examples": 2000, "save_checkpoints_steps": 500, "keep_checkpoint_max": 1,
}  # fmt: skip

# What each run trains, and with how many seeds. The variants change one thing about SpanElectra.
_RUNS: dict[str, tuple[dict[str, Any], int]] = {
    "untrained": ({"masking": "token", "num_train_steps": 1}, 3),
    "BERT": ({"electra_objective": False, "masking": "token"}, 3),
    "SpanBERT": ({"electra_objective": False, "masking": "span", "sbgo_weight": 1.0}, 3),
    "ELECTRA": ({"masking": "token"}, 3),
    "SpanElectra": (SPAN_OBJECTIVES, 3),
    "SpanElectra, two stages": ({**SPAN_OBJECTIVES, "training_mode": "two_stage"}, 1),
    "SpanElectra, discriminator only": ({**SPAN_OBJECTIVES, "training_mode": "discriminator", "sbgo_weight": 0.0}, 1),
    "SpanElectra, GDES": ({**SPAN_OBJECTIVES, "embedding_sharing": "gdes"}, 1),
    "SpanElectra, compositional": ({**SPAN_OBJECTIVES, "embedding_type": "compositional"}, 1),
}

# Columns of the table: heading, key in the results, how its number is written.
_COLUMNS = (
    ("steps", "step", "{:,.0f}"),
    ("MLM loss", "mlm_loss", "{:.3f}"),
    ("SBGO loss", "sbgo_loss", "{:.3f}"),
    ("RTD loss", "disc_loss", "{:.4f}"),
    ("SBPO loss", "sbpo_loss", "{:.4f}"),
    ("AUC", "disc_auc", "{:.3f}"),
    ("AUC of SBPO", "sbpo_auc", "{:.3f}"),
    ("probe, %", "probe_accuracy", "{:.1f}"),
)


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data-dir", required=True, help="folder of vocab.txt and pretrain_tfrecords/, tokens of 64")
    parser.add_argument("--probe-dir", required=True, help="folder of train.tsv and dev.tsv for the probe, as SST-2's")
    parser.add_argument("--results", type=command_line.parse_path, required=True, help="JSON lines, one a finished run")
    parser.add_argument(
        "--steps",
        type=command_line.whole_number(1),
        default=3000,
        help="of ELECTRA; the others' follow (default: 3000)",
    )
    parser.add_argument("--runs", nargs="*", choices=list(_RUNS), default=list(_RUNS), help="which to make")
    command_line.add_switch(parser, "--only-table", False, "make no run")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Makes the runs that are missing, and prints the table of all."""
    check_output_file("--results", arguments.results)
    finished = _read(arguments.results)
    for name, seed in [] if arguments.only_table else _in_order(arguments.runs):
        if not any((line["run"], line["seed"]) == (name, seed) for line in finished):
            line = _run(name, seed, arguments)
            finished = [*_read(arguments.results), line]  # read again: other processes may make other runs
            write_text(arguments.results, "".join(json.dumps(each) + "\n" for each in finished))
    print("\n".join(table(finished)))


def equal_steps(hparams: Mapping[str, Any], budget: float) -> dict[str, Any]:
    """Returns how many steps of a run take a budget of FLOPs; of two stages, half of it each.

    Args:
        hparams: the run's.
        budget: operations of matrix products.
    """
    if "num_train_steps" in hparams:
        return {}
    stages = _configure(hparams).stages()
    steps = [round(budget / len(stages) / _flops_per_step(stage)) for stage in stages]
    return {"num_train_steps": sum(steps), **({"stage_steps": steps} if len(steps) == 2 else {})}


def table(lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Returns a Markdown table of the runs: means over seeds, and standard deviations where there are several.

    Args:
        lines: the results.
    """
    yield "| | seeds | " + " | ".join(heading for heading, *_ in _COLUMNS) + " |"
    yield "|---" * (len(_COLUMNS) + 2) + "|"
    for name in _RUNS:
        of_run = [line for line in lines if line["run"] == name]
        if of_run:
            cells = [_cell([line[key] for line in of_run if key in line], form) for _, key, form in _COLUMNS]
            yield f"| {name} | {len(of_run)} | " + " | ".join(cells) + " |"


def _cell(values: list[float], form: str) -> str:
    if not values:
        return ""
    spread = f" ± {form.format(np.std(values, ddof=1))}" if len(values) > 1 and np.ptp(values) > 0 else ""
    return form.format(np.mean(values)) + spread


def _in_order(names: Iterable[str]) -> list[tuple[str, int]]:
    """Returns runs and seeds: all runs with the first seed, then with the second."""
    return [(name, seed) for seed in _SEEDS for name in names if seed <= _SEEDS[_RUNS[name][1] - 1]]


def _run(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains, evaluates and probes one run; returns its line."""
    budget = arguments.steps * _flops_per_step(_configure(_RUNS["ELECTRA"][0]))
    hparams = {**_RUNS[name][0], "seed": seed}
    hparams |= equal_steps(hparams, budget)
    model_name = f"{name.lower().replace(', ', '-').replace(' ', '-')}-{seed}"
    config = _configure(hparams, data_dir=arguments.data_dir, model_name=model_name)
    command = [sys.executable, str(_REPOSITORY / "run_pretraining.py"), "--data-dir", arguments.data_dir]
    command += ["--model-name", model_name, "--hparams", json.dumps({**_COMMON, **hparams})]
    started = time.monotonic()
    _call([*command, "do_train=true"])
    seconds = time.monotonic() - started
    _call([*command, "do_train=false", "do_eval=true"])
    results = read_json_object(config.results_json)
    model = pathlib.Path(config.model_dir) / ("discriminator" if config.has_discriminator else "generator")
    probe = _call([sys.executable, str(_REPOSITORY / "scripts" / "probe_encoder.py"), str(model), arguments.probe_dir])
    accuracy = 100 * parse_json(probe.splitlines()[-1], "probe_encoder.py")["dev_accuracy"]
    return {"run": name, "seed": seed, "train_seconds": seconds, **results, "probe_accuracy": accuracy}


def _configure(hparams: Mapping[str, Any], *, data_dir: str = "", model_name: str = "") -> PretrainingConfig:
    return PretrainingConfig.from_hparams(model_name=model_name, data_dir=data_dir, hparams={**_COMMON, **hparams})


def _flops_per_step(config: PretrainingConfig) -> int:
    return matmul_flops_per_step(
        config.networks(),
        batch_size=config.train_batch_size,
        seq_length=config.max_seq_length,
        num_predictions=config.max_predictions_per_seq,
    )


def _call(command: list[str]) -> str:
    """Returns what a command prints.

    Raises:
        UserError: it failed; its own message stands above.
    """
    print("==> " + " ".join(command), file=sys.stderr, flush=True)
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise UserError(f"a command failed with status {ended.returncode}: {' '.join(command)}")
    return ended.stdout


def _read(path: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the whole lines of a file of results, which a crash may have cut; none if the file is missing.

    Raises:
        UserError: a line is not a result.
    """
    if not path.exists():
        return []
    results = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        result = parse_json(line, f"{path}, line {number}", is_line=True)
        if not isinstance(result, dict) or not {"run", "seed"} <= result.keys():
            raise UserError(f"{path}, line {number}: must be an object with run and seed. Received: {result!r:.80}")
        results.append(result)
    return results


if __name__ == "__main__":
    command_line.run(main, make_parser)

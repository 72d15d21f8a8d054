"""Prints what a pretraining run learned, what was trained, where everything is, and what to try next."""

import argparse
import json
import math
import pathlib
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import safetensors
from absl.flags import argparse_flags

from configure_pretraining import PretrainingConfig
from electra_span import command_line
from electra_span.config import HparamError, UserError
from electra_span.files import JsonError, JsonLines, has_step_and_numbers, read_json_object, reason_of
from pretrain.run_facts import facts_of

# A line of the table: what it says, the key in the logs, and how its number is written.
_LEARNED = (
    ("masked LM accuracy", "mlm_accuracy", "{:.1%}"),
    ("masked LM loss", "mlm_loss", "{:.3f}"),
    ("discriminator AUC", "disc_auc", "{:.3f}"),
    ("discriminator loss", "disc_loss", "{:.3f}"),
    ("tokens replaced", "replaced_rate", "{:.1%}"),
)
_PUBLISHED = ("discriminator", "generator")


class SummaryError(UserError):
    """A folder that holds no evaluated pretraining run."""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model_dir", type=command_line.parse_path, help="folder of a run that was trained and evaluated"
    )
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints the summary of the folder the arguments name."""
    print("\n".join(summary_lines(arguments.model_dir)))


def summary_lines(model_dir: pathlib.Path) -> Iterator[str]:
    """Returns the summary's lines.

    Args:
        model_dir: folder of a run.

    Raises:
        SummaryError: the run has no configuration or no results yet.
    """
    file = model_dir / "config.json"
    try:
        config = PretrainingConfig.from_saved(_read_json(file))
    except HparamError as error:
        raise SummaryError(f"{file} is not a run's configuration: {error}") from None
    after = _read_numbers(pathlib.Path(config.results_json))
    evaluations = JsonLines(model_dir / "eval_log.jsonl").read()
    yield from _learned_lines(next((each for each in evaluations if each["step"] == 0), {}), after)
    yield ""
    yield from _trained_lines(config, model_dir, int(after["step"]))
    yield ""
    yield from _place_lines(config, model_dir)
    yield ""
    yield from _next_lines(model_dir)


def _learned_lines(before: Mapping[str, float], after: Mapping[str, float]) -> Iterator[str]:
    """Returns the table of the held-out examples' numbers; a run that was not evaluated at first has no `before`."""
    yield f"{'on held-out examples':<24}{'before':>10}{'after':>10}"
    for title, key, number in _LEARNED:
        if key in after:
            start = number.format(before[key]) if key in before else "-"
            yield f"{title:<24}{start:>10}{number.format(after[key]):>10}"


def _trained_lines(config: PretrainingConfig, model_dir: pathlib.Path, num_steps: int) -> Iterator[str]:
    """Returns what was trained, on how much text, and how fast."""
    facts = facts_of(config, num_steps, JsonLines(model_dir / "train_log.jsonl").read())
    for phase in facts.phases:
        yield (
            f"{phase.num_steps:,} steps of {phase.config.train_batch_size} sequences of {phase.config.max_seq_length}: "
            f"{phase.num_tokens:,} tokens, padding counted"
        )
    if facts.seconds:
        yield f"{facts.seconds / 60:.1f} minutes of training steps, {facts.num_tokens / facts.seconds:,.0f} tokens/s"
    for name in _PUBLISHED:
        weights = model_dir / name / "model.safetensors"
        if weights.is_file():
            yield f"{name}: {_num_parameters(weights):,} parameters"


def _place_lines(config: PretrainingConfig, model_dir: pathlib.Path) -> Iterator[str]:
    """Returns where everything is, as far as it is there."""
    places = {
        "vocabulary": config.vocab_file,
        "TFRecords": str(pathlib.Path(config.pretrain_tfrecords).parent),
        "checkpoints": str(model_dir / "checkpoints"),
        **{name: str(model_dir / name) for name in _PUBLISHED},
        "training log": str(model_dir / "train_log.jsonl"),
        "evaluation log": str(model_dir / "eval_log.jsonl"),
        "results": config.results_json,
    }
    for title, place in places.items():
        if pathlib.Path(place).exists():
            yield f"{title:<16}{place}"


def _next_lines(model_dir: pathlib.Path) -> Iterator[str]:
    """Returns commands to try next."""
    discriminator = model_dir / "discriminator"
    load = f"import electra_span; print(electra_span.load_pretrained({json.dumps(str(discriminator))}).config)"
    yield "next, with .venv/bin/python:"
    yield f"  python scripts/describe_model.py {shlex.quote(str(discriminator))}"
    yield f"  python -c {shlex.quote(load)}"
    yield "  CORPUS_DIR=my_text sh scripts/train.sh"


def _num_parameters(weights: pathlib.Path) -> int:
    """Returns how many numbers a .safetensors file holds; reads shapes alone."""
    try:
        with safetensors.safe_open(str(weights), framework="numpy") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise SummaryError(f"{weights}: cannot be read ({reason_of(error)})") from None


def _read_numbers(file: pathlib.Path) -> dict[str, float]:
    """Returns the numbers in a run's file of results; see `_read_json`."""
    numbers = _read_json(file)
    if not has_step_and_numbers(numbers):
        raise SummaryError(f"{file}: must hold the step and numbers by their names; evaluate again to write it")
    return numbers


def _read_json(file: pathlib.Path) -> dict[str, Any]:
    """Returns the object in a JSON file of a run.

    Raises:
        SummaryError: it is missing or damaged.
    """
    if not file.exists():
        raise SummaryError(
            f"{file} is missing: train with run_pretraining.py, then evaluate with do_train=false do_eval=true"
        )
    try:
        return read_json_object(file)
    except JsonError as error:
        raise SummaryError(str(error)) from None


if __name__ == "__main__":
    command_line.run(main, make_parser)

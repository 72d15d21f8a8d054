"""Prints the scores of fine-tuned tasks on their development examples, and where everything is."""

import argparse
import os
import pathlib
import re
import shlex
from collections.abc import Iterator, Sequence

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from finetune.results import ResultsFile, TrialResult, counted_results, summary_of
from finetune.task_names import MODELS_FOLDER, parse_task_names, tasks_slug, with_earlier_slugs

_SEED = 42  # of the intervals


class SummaryError(UserError):
    """Tasks without results."""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("model_dir", type=command_line.parse_path, help="folder of a model that was fine-tuned")
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="tasks that were learned together, as in task_names")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints the summary of the tasks the arguments name."""
    print("\n".join(summary_lines(arguments.model_dir, arguments.tasks)))


def summary_lines(model_dir: pathlib.Path, task_names: Sequence[str]) -> Iterator[str]:
    """Returns the summary's lines.

    Args:
        model_dir: folder of a model.
        task_names: of tasks that were learned together.

    Raises:
        UserError: for a name that is no task's, or tasks without results.
    """
    tasks = with_earlier_slugs(parse_task_names(task_names), model_dir)
    slug = tasks_slug(task.slug for task in tasks)
    file = ResultsFile(model_dir, slug)
    results = file.last()
    if not results:
        raise SummaryError(f"{file.json_path} is missing: fine-tune with run_finetuning.py")
    yield from _score_lines(results)
    yield from _stuck_lines(results)
    yield ""
    yield from _place_lines(model_dir, slug, file)


def _score_lines(results: Sequence[TrialResult]) -> Iterator[str]:
    """Returns the table of scores: the only trial's, or the mean of several and how they differ."""
    num_trials = len(counted_results(results))
    trained = f"{num_trials} trials" if num_trials > 1 else f"{results[-1].num_train_steps:,} steps"
    yield f"{'on development examples':<28}{trained:>12}" + ("   sd    95% interval" if num_trials > 1 else "")
    for task, metrics in summary_of(results, seed=_SEED).items():
        for metric, row in metrics.items():
            spread = f"{row.standard_deviation:8.2f}    {row.low:.2f} to {row.high:.2f}" if row.low is not None else ""
            yield f"{f'{task} {metric}':<28}{row.mean:>12.2f}{spread}"


def _stuck_lines(results: Sequence[TrialResult]) -> Iterator[str]:
    for result in results:
        if result.constant_tasks:
            tasks = ", ".join(result.constant_tasks)
            yield f"trial {result.trial}, seed {result.seed}: stuck on one class in {tasks}"


def _place_lines(model_dir: pathlib.Path, slug: str, file: ResultsFile) -> Iterator[str]:
    """Returns where everything is, as far as it is there."""
    models = _models(model_dir / MODELS_FOLDER, slug)
    places = {
        "results": file.text_path,
        "predictions": model_dir / "results" / f"{slug}_qa",
        "fine-tuned": models[-1] if models else model_dir / MODELS_FOLDER,
    }
    for title, place in places.items():
        if place.exists():
            yield f"{title:<16}{os.fspath(place)}"
    if models:
        yield "next, with .venv/bin/python:"
        yield f"  python scripts/describe_model.py {shlex.quote(os.fspath(models[-1]))}"


def _models(folder: pathlib.Path, slug: str) -> list[pathlib.Path]:
    """Returns the folders of trials in the order of their numbers, without those that another configuration left."""
    name = re.compile(rf"{re.escape(slug)}_model_(\d+)")
    numbers = {path: match for path in folder.glob("*") if (match := name.fullmatch(path.name))}
    return sorted(numbers, key=lambda path: int(numbers[path][1]))


if __name__ == "__main__":
    command_line.run(main, make_parser)

"""The cards of the models that fine-tuning publishes."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from electra_span.published.card import (
    CARD_FILE,
    PIPELINES,
    ModelCard,
    describe_origin,
    json_block,
    make_header,
    rounded,
    table,
    usage,
    write_card,
)
from electra_span.published.card_metadata import Origin
from electra_span.published.config import CONFIG_FILE, Architecture, read_config
from electra_span.training.devices import describe_hardware
from finetune.config import FinetuningConfig
from finetune.results import TrialResult, counted_results, summary_of
from finetune.run import Run

# Hparams that say where files are, or what the card says elsewhere.
_NOT_SHOWN = ("model_name", "data_dir", "model_dir", "init_checkpoint", "vocab_file", "task_names", *Origin._fields)
_INDEXED = ("accuracy", "f1", "macro_f1", "mcc", "pearson", "spearman", "exact", "exact_match")  # on the hub


def write_cards(run: Run, results: Sequence[TrialResult]) -> None:
    """Writes the cards of all published trials, with the spread over those so far.

    Args:
        run: of the trials.
        results: of all runs of them so far.
    """
    hardware = describe_hardware(run.strategy)
    for result in counted_results(results):
        folder = run.trial_dir(result.trial)
        if not (folder / CONFIG_FILE).exists():
            continue  # of another machine, or deleted
        card = make_card(run.config, read_config(folder / CONFIG_FILE), result, results, hardware=hardware)
        if not write_card(folder, card):
            logging.info("%s stays as it is: it is not of this program", folder / CARD_FILE)


def make_card(
    config: FinetuningConfig,
    architecture: Architecture,
    result: TrialResult,
    results: Sequence[TrialResult],
    *,
    hardware: str,
) -> ModelCard:
    """Returns the card of a trial's model.

    Args:
        config: of the run.
        architecture: of the published model.
        result: of the trial.
        results: of all runs of trials so far.
        hardware: it ran on, in words.
    """
    names = {task.slug: task.head for task in config.tasks}  # a slug has parts of a path, which are private
    result, heads = _renamed(result, names), list(names.values())
    results = [_renamed(each, names) for each in results]
    title = f"{config.model_name}: {', '.join(heads)}, trial {result.trial}"
    kinds = {head.task: head.kind for head in architecture.heads}
    header = make_header(architecture, config.origin, started_from=config.init_checkpoint, tags=heads)
    metrics = {name for scores in result.scores.values() for name in scores if name in _INDEXED}
    header["metrics"] = sorted(metrics) or None
    index = [_index_entry(task, kinds[task], scores) for task, scores in result.scores.items() if task in kinds]
    header["model-index"] = [{"name": title, "results": [each for each in index if each["metrics"]]}] if index else None
    return ModelCard(
        header,
        title,
        [
            ("Model", f"An ELECTRA with heads for {', '.join(heads)}.\n\n{_heads_table(architecture)}"),
            ("Use", usage(architecture)),
            ("Results", _results(config, result, results)),
            ("Training", _training(config, architecture, result, hardware)),
            ("Hparams", f"Those that differ from their defaults:\n\n{json_block(_changed(config))}"),
        ],
    )


def _renamed(result: TrialResult, names: Mapping[str, str]) -> TrialResult:
    """Returns a result with other names for its tasks."""
    return dataclasses.replace(result, scores={names.get(task, task): part for task, part in result.scores.items()})


def _index_entry(task: str, kind: str, scores: Mapping[str, float]) -> dict[str, Any]:
    """Returns what the hub's index of results has of a task."""
    metrics = [
        {"type": name, "name": name, "value": rounded(value)}
        for name, value in scores.items()
        if name in _INDEXED and rounded(value) is not None
    ]
    return {
        "task": {"type": PIPELINES[kind]},
        "dataset": {"name": task, "type": task, "split": "validation"},
        "metrics": metrics,
    }


def _heads_table(architecture: Architecture) -> str:
    rows = [(head.task, head.kind, ", ".join(head.labels)) for head in architecture.heads]
    return table(("task", "kind", "labels"), rows)


def _results(config: FinetuningConfig, result: TrialResult, results: Sequence[TrialResult]) -> str:
    """Returns the table of a trial's scores beside what they are over all trials."""
    if not result.scores:
        return ""
    num_trials = len(counted_results(results))
    summary = summary_of(results, seed=config.seed)
    columns = ["task", "metric", "this model"]
    columns += ["mean", "median", "standard deviation", "trials"] if num_trials > 1 else []
    rows = []
    for task, scores in result.scores.items():
        for metric, value in scores.items():
            row: list[Any] = [task, metric, f"{value:.2f}"]
            over_trials = summary.get(task, {}).get(metric)
            if num_trials > 1 and over_trials is not None:
                numbers = (over_trials.mean, over_trials.median, over_trials.standard_deviation)
                row += [*(f"{number:.2f}" for number in numbers), over_trials.num_trials]
            rows.append(row + [""] * (len(columns) - len(row)))
    return f"On the development examples:\n\n{table(columns, rows)}"


def _training(config: FinetuningConfig, architecture: Architecture, result: TrialResult, hardware: str) -> str:
    """Returns the table of what was done, and on what."""
    rows = describe_origin(config.origin, pathlib.PurePath(config.init_checkpoint).name)
    rows += [
        ("steps", f"{result.num_train_steps:,}"),
        ("examples a step", f"{config.train_batch_size:,}"),
        ("longest input", f"{min(config.max_seq_length, architecture.config.max_position_embeddings)} tokens"),
        ("seed", str(result.seed)),
        ("hardware", hardware),
        ("time, with evaluation", f"{result.seconds / 60:.1f} minutes"),
    ]
    return table(("", ""), rows)


def _changed(config: FinetuningConfig) -> dict[str, Any]:
    """Returns the hparams that are not what they are where nothing is said of these tasks, but for paths."""
    tasks = {"task_names": config.task_names}
    defaults = FinetuningConfig.from_hparams(model_name=config.model_name, data_dir=config.data_dir, hparams=tasks)
    before, heads = defaults.to_dict(), {task.name: task.head for task in config.tasks}
    now = config.to_dict() | {"task_weights": {heads[name]: weight for name, weight in config.task_weights.items()}}
    return {name: value for name, value in now.items() if name not in _NOT_SHOWN and value != before[name]}

"""What several trials of a run say together. Imports no TensorFlow."""

import dataclasses
import hashlib
import itertools
import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
from absl import logging

from electra_span.files import FileError, JsonError, read_json_object, write_json, write_text

_NUM_RESAMPLES = 10_000
_CONFIDENCE = 0.95


class MetricSummary(NamedTuple):
    """One metric over trials."""

    num_trials: int  # that have a number for it
    mean: float
    median: float
    standard_deviation: float  # of a sample: divided by one trial less; 0 of one trial
    low: float | None  # the mean's 95 % bootstrap confidence interval; None of one trial
    high: float | None


def summarize_trials(values: Sequence[Mapping[str, float]], *, seed: int) -> dict[str, MetricSummary]:
    """Returns the summary of every metric, in the order in which they first occur.

    A trial without a metric, or for which it is no finite number, does not count for this metric; `num_trials` tells.
    A metric that no trial has a number for is left out. All metrics are resampled alike.

    Args:
        values: the metrics of each trial.
        seed: of the resampling; the same values and seed give the same interval.
    """
    names = dict.fromkeys(name for trial in values for name in trial)
    numbers = {name: [trial[name] for trial in values if math.isfinite(trial.get(name, math.nan))] for name in names}
    return {name: _summary(np.array(column, np.float64), seed) for name, column in numbers.items() if column}


def _summary(values: np.ndarray, seed: int) -> MetricSummary:
    """Returns the summary of the values [T] of one metric, at least one."""
    low, high = _mean_interval(values, seed) if len(values) > 1 else (None, None)
    return MetricSummary(
        num_trials=len(values),
        mean=float(np.mean(values)),
        median=float(np.median(values)),
        standard_deviation=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        low=low,
        high=high,
    )


def _mean_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Returns the percentile bootstrap interval of the mean of values [T] (Efron and Tibshirani 1993, section 13.3)."""
    interval = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=_NUM_RESAMPLES,
        confidence_level=_CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


_FORMAT_VERSION = 1

Scores = Mapping[str, Mapping[str, float]]  # metrics by the slug of a task


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What one run of a trial came to.

    Attributes:
        trial: its number, from 1.
        seed: of all its random numbers.
        scores: the metrics of each task, by the task's slug.
        headlines: of each task the one number that models are compared by.
        constant_tasks: those of which all development examples got the same prediction, as of a run that is stuck.
        num_train_steps: updates of the weights.
        seconds: that training and evaluation took.
        is_retry: whether the trial was run before, with another seed, and was stuck.
    """

    trial: int
    seed: int
    scores: Scores
    headlines: Mapping[str, float]
    constant_tasks: Sequence[str] = ()
    num_train_steps: int = 0
    seconds: float = 0.0
    is_retry: bool = False


def fingerprint_of(settings: Mapping[str, Any]) -> str:
    """Returns a hash of all that decides a run's results, as values that JSON has."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def counted_results(results: Iterable[TrialResult]) -> list[TrialResult]:
    """Returns the result of each trial, in the order of the trials: of one that was run again, the last."""
    of_trial = {result.trial: result for result in results}
    return [of_trial[trial] for trial in sorted(of_trial)]


def summary_of(results: Iterable[TrialResult], *, seed: int) -> dict[str, dict[str, MetricSummary]]:
    """Returns the summary of every metric of every task over the trials that count.

    Args:
        results: of any runs.
        seed: of the bootstrap.
    """
    counted = counted_results(results)
    tasks = dict.fromkeys(task for result in counted for task in result.scores)
    return {task: summarize_trials([result.scores.get(task, {}) for result in counted], seed=seed) for task in tasks}


class ResultsFile:
    """The results of one set of tasks, `<model>/results/<tasks>_results.txt` and `.json`.

    Deviation: JSON where the original pickles, as a pickle runs code when it is read.
    """

    def __init__(self, model_dir: str | os.PathLike[str], slug: str) -> None:
        """Names the files; nothing is read or written.

        Args:
            model_dir: folder of the model.
            slug: of the tasks; see `task_names.tasks_slug`.
        """
        self.text_path = pathlib.Path(model_dir, "results", f"{slug}_results.txt")
        self.json_path = self.text_path.with_suffix(".json")
        self.questions_path = questions_folder(model_dir, slug)

    def finished(self, fingerprint: str) -> list[TrialResult]:
        """Returns the runs that are written there, in their order; none where they are of another configuration.

        Raises:
            FileError: for a file that cannot be read, or holds something else.
        """
        return self._results_of(fingerprint)

    def last(self) -> list[TrialResult]:
        """Returns the runs that were written last, of whatever configuration; raises FileError as `finished`."""
        return self._results_of(None)

    def write(self, results: Sequence[TrialResult], *, fingerprint: str, seed: int) -> None:
        """Writes both files anew; results of another configuration that are there are kept under another name.

        Args:
            results: of all runs so far, in their order.
            fingerprint: of the configuration; see `fingerprint_of`.
            seed: of the confidence intervals.

        Raises:
            FileError: where the file that is there cannot be read.
        """
        self.keep_others(fingerprint)
        summary = summary_of(results, seed=seed)
        content = {
            "format_version": _FORMAT_VERSION,
            "fingerprint": fingerprint,
            "trials": [dataclasses.asdict(result) for result in results],
            "summary": {
                task: {metric: row._asdict() for metric, row in rows.items()} for task, rows in summary.items()
            },
            "stuck_on_one_class": [
                {"trial": result.trial, "seed": result.seed, "tasks": result.constant_tasks, "is_counted": is_counted}
                for result, is_counted in _stuck(results)
            ],
        }
        write_text(self.text_path, "".join(f"{line}\n" for line in result_lines(results, summary)))
        write_json(self.json_path, _without_nan(content))

    def _results_of(self, fingerprint: str | None) -> list[TrialResult]:
        """Returns the runs in the JSON file where they are of a configuration; None: of any."""
        content = self._read()
        if content is None or fingerprint not in (None, content["fingerprint"]):
            return []
        try:
            return [_result_of(row) for row in content["trials"]]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise self._malformed(f"a trial is malformed: {error!r}") from error

    def keep_others(self, fingerprint: str) -> None:
        """Moves results of another configuration aside, with what was answered to questions.

        Raises:
            FileError: where the file that is there cannot be read.
        """
        content = self._read()
        if content is None or content["fingerprint"] == fingerprint:
            return
        for path in (self.questions_path, self.text_path, self.json_path):
            if path.exists():
                aside = kept_aside(path, content["fingerprint"])
                path.rename(aside)
                logging.info("%s: results of another configuration are now in %s", path, aside.name)

    def _read(self) -> dict[str, Any] | None:
        """Returns what the JSON file holds, None where it is not there."""
        try:
            content = read_json_object(self.json_path)
        except JsonError as error:
            if not self.json_path.exists():
                return None
            raise FileError(f"{error}; remove the file to begin again") from None
        if content.get("format_version") != _FORMAT_VERSION:
            raise self._malformed(f"no results of format {_FORMAT_VERSION}")
        if not isinstance(content.get("fingerprint"), str) or not isinstance(content.get("trials"), list):
            raise self._malformed("fingerprint or trials are missing")
        return content

    def _malformed(self, reason: str) -> FileError:
        return FileError(f"{self.json_path}: cannot be read as results: {reason}; remove the file to begin again")


def questions_folder(model_dir: str | os.PathLike[str], slug: str) -> pathlib.Path:
    """Returns the folder of what a run of some tasks answered to questions."""
    return pathlib.Path(model_dir, "results", f"{slug}_qa")


def kept_aside(path: pathlib.Path, fingerprint: str) -> pathlib.Path:
    """Returns an unused name for a file or folder of another configuration.

    Args:
        path: of the file or folder.
        fingerprint: of its configuration; "" if it is unknown.
    """
    stem = f"{path.stem}_{_digest(fingerprint)}" if fingerprint else f"{path.stem}_earlier"
    names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
    return next(aside for name in names if not (aside := path.with_stem(name)).exists())


def result_lines(results: Sequence[TrialResult], summary: Mapping[str, Mapping[str, MetricSummary]]) -> list[str]:
    """Returns the lines of the text file: of each trial as in the original, then over trials, then what was stuck."""
    counted = counted_results(results)
    lines = [f"{task}: {_written(scores)}" for result in counted for task, scores in result.scores.items()]
    if len(counted) > 1:
        lines += [
            f"{task}: {metric}: {_summary_text(row)}" for task in summary for metric, row in summary[task].items()
        ]
    for result, is_counted in _stuck(results):
        for task in result.constant_tasks:
            scores = _written(result.scores.get(task, {}))
            lines.append(
                f"{task}: trial {result.trial} with seed {result.seed} is stuck on one class ({scores})"
                + ("" if is_counted else "; it was run again and does not count")
            )
    return lines


def _written(scores: Mapping[str, float]) -> str:
    return " - ".join(f"{metric}: {value:.2f}" for metric, value in scores.items())


def _summary_text(row: MetricSummary) -> str:
    interval = f" - 95% interval: {row.low:.2f} to {row.high:.2f}" if row.low is not None else ""
    return (
        f"mean: {row.mean:.2f} - median: {row.median:.2f} - sd: {row.standard_deviation:.2f}{interval}"
        f" - trials: {row.num_trials}"
    )


def _stuck(results: Sequence[TrialResult]) -> list[tuple[TrialResult, bool]]:
    """Returns the runs with constant predictions, and whether each counts."""
    counted = counted_results(results)
    return [(result, result in counted) for result in results if result.constant_tasks]


def _result_of(row: Mapping[str, Any]) -> TrialResult:
    """Returns a run as it is in the JSON file; null is a number that was not finite."""
    values = {field.name: row[field.name] for field in dataclasses.fields(TrialResult)}
    values["scores"] = {task: _with_nan(scores) for task, scores in values["scores"].items()}
    values["headlines"] = _with_nan(values["headlines"])
    values["constant_tasks"] = tuple(values["constant_tasks"])
    values |= {"trial": int(values["trial"]), "seed": int(values["seed"])}
    return TrialResult(**values)


def _with_nan(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if number is None else float(number) for name, number in numbers.items()}


def _without_nan(value: Any) -> Any:
    """Returns a value with null for every number in it that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]

import dataclasses

import pytest

from finetune.results import ResultsFile, TrialResult
from finetune.task_names import parse_task_name
from scripts.summarize_finetuning import SummaryError, summary_lines

SLUG = parse_task_name("csv:some/mine.csv").slug
TRIAL = TrialResult(
    trial=1,
    seed=42,
    scores={SLUG: {"accuracy": 81.0, "macro_f1": 79.5}},
    headlines={SLUG: 81.0},
    num_train_steps=1234,
)


def _write(model_dir, *results: TrialResult) -> list[str]:
    ResultsFile(model_dir, SLUG).write(results, fingerprint="x", seed=0)
    return list(summary_lines(model_dir, ["csv:some/mine.csv"]))


def test_scores_of_one_trial_are_shown_by_metric(tmp_path):
    lines = [line.split() for line in _write(tmp_path, TRIAL)]
    assert ["on", "development", "examples", "1,234", "steps"] in lines
    assert [SLUG, "accuracy", "81.00"] in lines
    assert [SLUG, "macro_f1", "79.50"] in lines


def test_several_trials_are_shown_with_their_spread(tmp_path):
    other = dataclasses.replace(TRIAL, trial=2, seed=43, scores={SLUG: {"accuracy": 85.0}})
    lines = [line.split() for line in _write(tmp_path, TRIAL, other)]
    assert [SLUG, "accuracy", "83.00", "2.83", "81.00", "to", "85.00"] in lines


def test_stuck_trials_are_named(tmp_path):
    lines = _write(tmp_path, dataclasses.replace(TRIAL, constant_tasks=(SLUG,)))
    assert f"trial 1, seed 42: stuck on one class in {SLUG}" in lines


def test_places_are_named_that_are_there(tmp_path):
    (tmp_path / "finetuning_models" / f"{SLUG}_model_1").mkdir(parents=True)
    lines = _write(tmp_path, TRIAL)
    assert f"results         {tmp_path}/results/{SLUG}_results.txt" in lines
    assert f"fine-tuned      {tmp_path}/finetuning_models/{SLUG}_model_1" in lines
    assert not any(line.startswith("predictions") for line in lines)


def test_tasks_without_results_are_the_users_mistake(tmp_path):
    with pytest.raises(SummaryError, match=r"squad_results\.json is missing"):
        list(summary_lines(tmp_path, ["squad"]))

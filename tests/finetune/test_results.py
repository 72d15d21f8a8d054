import dataclasses
import json
import math
import subprocess
import sys

import pytest

from electra_span.files import FileError
from finetune.results import ResultsFile, TrialResult, counted_results, fingerprint_of, summary_of
from finetune.task_names import tasks_slug

FIRST = TrialResult(
    trial=1,
    seed=42,
    scores={"sst": {"accuracy": 91.0}, "squad": {"exact": 70.125, "f1": 75.0, "best_f1_thresh": -2.5}},
    headlines={"sst": 91.0, "squad": 75.0},
    num_train_steps=7,
    seconds=1.5,
)
STUCK = dataclasses.replace(
    FIRST, trial=2, seed=43, scores={"sst": {"accuracy": 50.0}}, headlines={"sst": 50.0}, constant_tasks=("sst",)
)
RETRIED = dataclasses.replace(
    STUCK, seed=44, scores={"sst": {"accuracy": 93.0}}, headlines={"sst": 93.0}, constant_tasks=(), is_retry=True
)


@pytest.fixture
def file(tmp_path):
    return ResultsFile(tmp_path / "model", "squad_sst")


def test_files_are_named_after_the_tasks_in_alphabetical_order(tmp_path):
    assert tasks_slug(["sst", "cola"]) == tasks_slug(["cola", "sst"]) == "cola_sst"
    file = ResultsFile(tmp_path, "cola_sst")
    assert file.text_path == tmp_path / "results" / "cola_sst_results.txt"
    assert file.json_path == tmp_path / "results" / "cola_sst_results.json"


def test_many_tasks_have_a_short_name_of_their_own():
    names = [tasks_slug([f"{letter * 100}" for letter in letters]) for letters in ("abc", "abd")]
    assert len(set(names)) == 2
    assert all(len(name) < 200 for name in names)


def test_one_trial_is_written_as_by_the_original(file):
    file.write([FIRST], fingerprint="x", seed=0)
    assert file.text_path.read_text() == (
        "sst: accuracy: 91.00\nsquad: exact: 70.12 - f1: 75.00 - best_f1_thresh: -2.50\n"
    )


def test_several_trials_are_summarized_behind_their_lines(file):
    file.write([FIRST, dataclasses.replace(RETRIED, is_retry=False)], fingerprint="x", seed=0)
    lines = file.text_path.read_text().splitlines()
    assert lines[2] == "sst: accuracy: 93.00"
    assert lines[3] == (
        "sst: accuracy: mean: 92.00 - median: 92.00 - sd: 1.41 - 95% interval: 91.00 to 93.00 - trials: 2"
    )
    assert lines[5] == "squad: f1: mean: 75.00 - median: 75.00 - sd: 0.00 - trials: 1"
    summary = json.loads(file.json_path.read_text())["summary"]
    assert summary["sst"]["accuracy"]["num_trials"] == 2
    assert summary["squad"]["f1"] == {
        "num_trials": 1, "mean": 75.0, "median": 75.0, "standard_deviation": 0.0, "low": None, "high": None,
    }  # fmt: skip


def test_finished_trials_are_read_back_as_they_were(file):
    assert file.finished("x") == []
    file.write([FIRST, STUCK], fingerprint="x", seed=0)
    assert file.finished("x") == [FIRST, STUCK]


def test_another_configuration_has_no_finished_trials(file):
    file.write([FIRST], fingerprint=fingerprint_of({"learning_rate": 1e-4, "seed": 1}), seed=0)
    assert file.finished(fingerprint_of({"seed": 1, "learning_rate": 1e-4})) == [FIRST]
    assert file.finished(fingerprint_of({"seed": 1, "learning_rate": 2e-4})) == []


def test_what_was_written_last_is_read_whatever_its_configuration(file):
    assert file.last() == []
    file.write([FIRST, STUCK], fingerprint="x", seed=0)
    file.write([RETRIED], fingerprint="y", seed=0)
    assert file.last() == [RETRIED]


def test_results_of_another_configuration_are_kept_under_another_name(file):
    file.write([FIRST], fingerprint="x", seed=0)
    before = {path.suffix: path.read_text() for path in (file.text_path, file.json_path)}
    file.write([STUCK], fingerprint="y", seed=0)
    assert file.finished("y") == [STUCK]
    aside = set(file.json_path.parent.iterdir()) - {file.text_path, file.json_path}
    assert {path.suffix: path.read_text() for path in aside} == before
    file.write([STUCK, RETRIED], fingerprint="y", seed=0)
    assert len(list(file.json_path.parent.iterdir())) == 4


def test_runs_stuck_on_one_class_are_named_in_both_files(file):
    file.write([STUCK, FIRST], fingerprint="x", seed=0)
    assert file.text_path.read_text().splitlines()[-1] == (
        "sst: trial 2 with seed 43 is stuck on one class (accuracy: 50.00)"
    )
    assert json.loads(file.json_path.read_text())["stuck_on_one_class"] == [
        {"trial": 2, "seed": 43, "tasks": ["sst"], "is_counted": True}
    ]


def test_a_trial_that_was_run_again_counts_by_its_last_run_and_the_first_is_named(file):
    runs = [FIRST, STUCK, RETRIED]
    assert counted_results(runs) == [FIRST, RETRIED]
    assert summary_of(runs, seed=0)["sst"]["accuracy"].mean == 92.0
    assert summary_of([FIRST, STUCK], seed=0)["sst"]["accuracy"].mean == 70.5
    file.write(runs, fingerprint="x", seed=0)
    text = file.text_path.read_text()
    assert "sst: accuracy: 50.00\n" not in text
    assert text.splitlines()[-1] == (
        "sst: trial 2 with seed 43 is stuck on one class (accuracy: 50.00); it was run again and does not count"
    )
    assert json.loads(file.json_path.read_text())["stuck_on_one_class"][0]["is_counted"] is False
    assert file.finished("x") == runs


def test_numbers_json_does_not_have_are_null_and_not_a_number_again(file):
    broken = dataclasses.replace(FIRST, scores={"sts": {"pearson": math.nan, "mse": math.inf}}, headlines={"sts": 1.0})
    file.write([broken], fingerprint="x", seed=0)
    content = json.loads(file.json_path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert content["trials"][0]["scores"] == {"sts": {"pearson": None, "mse": None}}
    (read,) = file.finished("x")
    assert all(math.isnan(number) for number in read.scores["sts"].values())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "malformed JSON at line 1"),
        ("[]", "must be a JSON object"),
        ("{}", "no results of format 1"),
        ('{"format_version": 1, "trials": []}', "fingerprint or trials are missing"),
        (
            '{"format_version": 1, "fingerprint": "x", "trials": [{"trial": 1}]}',
            "a trial is malformed: KeyError('seed')",
        ),
        ('{"format_version": 1, "fingerprint": "x", "trials": [3]}', "a trial is malformed"),
    ],
)
def test_a_malformed_file_is_an_error_that_names_it_and_stays(file, content, reason):
    file.json_path.parent.mkdir(parents=True)
    file.json_path.write_text(content)
    with pytest.raises(FileError, match=r"squad_sst_results\.json: .*; remove the file to begin again") as caught:
        file.finished("x")
    assert reason in str(caught.value)
    assert file.json_path.read_text() == content


def test_a_write_that_fails_leaves_the_files_as_they_were(file, monkeypatch):
    file.write([FIRST], fingerprint="x", seed=0)
    before = file.json_path.read_text()

    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        file.write([FIRST, STUCK], fingerprint="x", seed=0)
    assert file.json_path.read_text() == before
    assert {path.suffix for path in file.json_path.parent.iterdir()} == {".txt", ".json"}


@pytest.mark.parametrize("module", ["results", "task_names"])
def test_results_import_no_deep_learning_library(module):
    code = f"import sys, finetune.{module}; assert not {{'tensorflow', 'keras', 'torch'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

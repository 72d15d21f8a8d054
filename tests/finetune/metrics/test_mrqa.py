"""MRQA's numbers are the official ones; missing predictions are not left out."""

import json

import pytest

from finetune.metrics import squad


@pytest.fixture(scope="module")
def recorded(golden):
    lines = golden("qa/eval_mrqa_data.jsonl").read_text().splitlines()
    gold = {qa["qid"]: qa["answers"] for line in lines[1:] for qa in json.loads(line)["qas"]}
    return gold, json.loads(golden("qa/eval_mrqa.json").read_text())


def test_mrqa_gives_the_official_numbers(recorded):
    gold, runs = recorded
    official = [run for run in runs["runs"] if not run["skip_no_answer"]]
    assert len(official) == 7
    for run in official:
        scores = squad.evaluate_v1(gold, runs["predictions"][run["predictions"]])
        assert scores.metrics == pytest.approx(run["results"], abs=1e-9)
        assert scores.missing == (["e05"] if run["predictions"] == "missing" else [])


def test_missing_predictions_are_wrong_where_the_original_leaves_them_out(recorded):
    gold, runs = recorded
    for run in runs["runs"]:
        if not run["skip_no_answer"]:
            continue
        metrics = squad.evaluate_v1(gold, runs["predictions"][run["predictions"]]).metrics
        share_predicted = 26 / 27 if run["predictions"] == "missing" else 1
        assert metrics == pytest.approx({name: share_predicted * value for name, value in run["results"].items()})

"""SQuAD 1.1 and 2.0 give the official evaluators' numbers; a missing prediction is wrong and told."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.metrics import squad
from finetune.metrics.squad import normalize_answer, word_f1


def _gold(data):
    return {
        qa["id"]: [answer["text"] for answer in qa["answers"]]
        for article in data["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    }


@pytest.fixture(scope="module")
def v1(golden):
    gold = _gold(json.loads(golden("qa/eval_squad_v1_data.json").read_text()))
    return gold, json.loads(golden("qa/eval_squad_v1.json").read_text())


@pytest.fixture(scope="module")
def v2(golden):
    gold = _gold(json.loads(golden("qa/eval_squad_v2_data.json").read_text()))
    return gold, json.loads(golden("qa/eval_squad_v2.json").read_text())


def test_answers_are_normalised_as_officially(v2):
    for case in v2[1]["normalize"]:
        assert normalize_answer(case["text"]) == case["normalized"]
        assert normalize_answer(case["text"]).split() == case["tokens"]


def test_answers_are_normalised_as_by_transformers(golden):
    normalized = json.loads(golden("squad/scores.json").read_text())["normalized"]
    assert {text: normalize_answer(text) for text in normalized} == normalized


@pytest.mark.parametrize("odds_name", [None, "good", "random", "ties"])
def test_v2_gives_the_numbers_of_transformers_at_every_threshold(golden, odds_name):
    recorded = json.loads(golden("squad/scores.json").read_text())
    runs = [run for run in recorded["runs"] if run["null_odds"] == odds_name]
    assert len(runs) == (12 if odds_name else 3)
    for run in runs:
        null_odds = recorded["null_odds"].get(odds_name)
        predictions = recorded["predictions"][run["predictions"]]
        scores = squad.evaluate_v2(recorded["answers"], predictions, null_odds, run["threshold"])
        # Without odds transformers searches for a threshold over zeros, and the official evaluator not at all.
        expected = {name: score for name, score in run["results"].items() if odds_name or "best" not in name}
        assert _official(scores.metrics) == pytest.approx(expected, abs=1e-9)
        assert scores.missing == []


def test_repeated_words_are_in_common_as_often_as_both_have_them():
    assert word_f1(["to", "be", "to", "be"], ["to", "be", "or", "not", "to", "be"]) == pytest.approx(0.8)


def test_v1_gives_the_official_numbers(v1):
    gold, recorded = v1
    assert len(recorded["runs"]) == 7
    for run in recorded["runs"]:
        scores = squad.evaluate_v1(gold, recorded["predictions"][run["predictions"]])
        assert scores.metrics == pytest.approx(run["results"], abs=1e-9)
        assert scores.missing == (["e05"] if "e05" in run["log"] else [])


def test_v1_gives_the_official_numbers_of_every_question(v1):
    gold, recorded = v1
    predictions = recorded["predictions"]["mixed"]
    for name, (exact, f1) in recorded["per_question_mixed"].items():
        metrics = squad.evaluate_v1({name: gold[name]}, predictions).metrics
        assert metrics == pytest.approx({"exact_match": 100 * exact, "f1": 100 * f1}, abs=1e-9)


def test_v1_refuses_questions_without_answers_on_which_the_official_one_breaks_off(v2):
    gold, recorded = v2
    with pytest.raises(ValueError, match=r"34 questions, 7 without an answer: \['n01'.*"):
        squad.evaluate_v1(gold, recorded["predictions"]["mixed"])


def test_v1_without_any_prediction_is_zero():
    assert squad.evaluate_v1({"a": ["x"]}, {}) == ({"exact_match": 0.0, "f1": 0.0}, ["a"])


def _official(metrics):
    return {name: value for name, value in metrics.items() if not name.startswith("heldout_")}


def test_v2_gives_the_official_numbers_at_every_threshold(v2):
    gold, recorded = v2
    runs = [run for run in recorded["runs"] if "error" not in run]
    assert len(runs) == 56
    for run in runs:
        predictions, null_odds = (recorded[key][run[key]] for key in ("predictions", "na_probs"))
        scores = squad.evaluate_v2(gold, predictions, null_odds, run["na_prob_thresh"])
        assert _official(scores.metrics) == pytest.approx(run["results"], abs=1e-9)
        assert scores.missing == []


def test_v2_gives_the_official_average_precision(v2):
    gold, recorded = v2
    runs = [run for run in recorded["runs"] if "precision_recall" in run]
    assert runs
    for run in runs:
        predictions, null_odds = (recorded[key][run[key]] for key in ("predictions", "na_probs"))
        areas = squad.average_precision(gold, predictions, null_odds)
        assert areas == pytest.approx({k: v["ap"] for k, v in run["precision_recall"].items()}, abs=1e-9)


def test_v2_gives_the_official_scores_of_every_question(v2):
    gold, recorded = v2
    for name, pairs in recorded["raw_scores"].items():
        predictions = recorded["predictions"][name]
        for question, pair in pairs.items():
            assert squad.question_scores(gold[question], predictions[question]) == pytest.approx(tuple(pair), abs=1e-9)


def test_v2_counts_a_missing_prediction_as_wrong_where_the_official_one_breaks_off(v2):
    gold, recorded = v2
    errors = [run for run in recorded["runs"] if "error" in run]
    assert len(errors) == 8
    null_odds = recorded["na_probs"]["good"]
    for name in ("missing", "missing_unanswerable"):
        predictions = recorded["predictions"][name]
        missing = [question for question in gold if question not in predictions]
        full = recorded["predictions"]["mixed"]
        by_question = [squad.question_scores(gold[question], full[question])[0] for question in gold]
        lost = sum(score for question, score in zip(gold, by_question, strict=True) if question in missing)
        scores = squad.evaluate_v2(gold, predictions)
        assert scores.missing == missing
        assert scores.metrics["exact"] == pytest.approx(100 * (sum(by_question) - lost) / len(gold))
        refusing_all = squad.evaluate_v2(gold, predictions, null_odds, -100.0)
        num_impossible_missing = sum(not gold[question] for question in missing)
        assert refusing_all.metrics["exact"] == pytest.approx(100 * (7 - num_impossible_missing) / 34)


def test_v2_counts_a_question_without_null_odds_as_missing(v2):
    gold, recorded = v2
    null_odds = {name: value for name, value in recorded["na_probs"]["good"].items() if name != "e01"}
    scores = squad.evaluate_v2(gold, recorded["predictions"]["first_gold"], null_odds, 1000.0)
    assert scores.missing == ["e01"]
    assert scores.metrics["HasAns_exact"] == pytest.approx(
        100 * 25 / 27
    )  # the first answer of e13 is punctuation alone


def _hand_made(num_questions):
    """Answerable questions have null odds of 0 and right answers, impossible ones 1 and an answer nevertheless."""
    gold = {f"q{number}": ["x"] if number % 3 else [] for number in range(num_questions)}
    return gold, dict.fromkeys(gold, "x"), {name: float(not texts) for name, texts in gold.items()}


def test_the_threshold_is_tuned_on_one_half_and_measured_on_the_other():
    gold, predictions, null_odds = _hand_made(61)
    metrics = squad.evaluate_v2(gold, predictions, null_odds, 10.0).metrics
    assert metrics["exact"] == pytest.approx(100 * 40 / 61)
    assert metrics["heldout_exact"] == metrics["heldout_f1"] == 100.0
    assert metrics["heldout_exact_thresh"] == 0.0
    assert 20 < metrics["heldout_total"] < 41


def test_only_the_half_that_is_not_tuned_on_is_measured():
    gold = {f"q{number}": ["x"] for number in range(61)}
    predictions, null_odds = dict.fromkeys(gold, "x"), dict.fromkeys(gold, 0.25)
    wrong = [squad.evaluate_v2(gold, {**predictions, name: "wrong"}, null_odds).metrics for name in gold]
    is_measured = [metrics["heldout_exact"] < 100 for metrics in wrong]
    assert sum(is_measured) == wrong[0]["heldout_total"]
    assert {metrics["heldout_exact_thresh"] for metrics in wrong} == {0.25}


def test_the_tuned_threshold_is_one_that_ties_can_be_parted_at():
    gold, predictions, _ = _hand_made(61)
    metrics = squad.evaluate_v2(gold, predictions, dict.fromkeys(gold, 0.5)).metrics
    assert metrics["best_exact"] > metrics["exact"]  # the official best, out of any threshold's reach
    assert metrics["heldout_exact_thresh"] == 0.5
    few_answerable = {name: ["x"] if number < 9 else [] for number, name in enumerate(gold)}
    metrics = squad.evaluate_v2(few_answerable, predictions, dict.fromkeys(gold, 0.5)).metrics
    assert metrics["best_exact"] == 100.0  # the answerable ones come first among equals
    assert metrics["heldout_exact_thresh"] < 0.5
    assert 70 < metrics["heldout_exact"] < 100
    impossible_only = {name: [] for name in gold}
    metrics = squad.evaluate_v2(impossible_only, predictions, dict.fromkeys(gold, 0.5)).metrics
    assert metrics["heldout_exact"] == 100.0
    assert metrics["heldout_exact_thresh"] < 0.5


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["x", "y z", ""]), st.integers(-9, 9)), min_size=1))
def test_the_best_value_is_that_of_the_best_threshold(rows):
    gold = {f"q{number}": ["x z"] if has_answer else [] for number, (has_answer, _, _) in enumerate(rows)}
    predictions = {name: prediction for name, (_, prediction, _) in zip(gold, rows, strict=True)}
    null_odds = {name: odds + index / 1000 for index, (name, (_, _, odds)) in enumerate(zip(gold, rows, strict=True))}
    at_thresholds = [squad.evaluate_v2(gold, predictions, null_odds, odds).metrics for odds in null_odds.values()]
    at_thresholds.append(squad.evaluate_v2(gold, predictions, null_odds, -99).metrics)
    for name in ("exact", "f1"):
        best = max(metrics[name] for metrics in at_thresholds)
        assert at_thresholds[0][f"best_{name}"] == pytest.approx(best)


def test_the_order_of_questions_changes_nothing():
    gold, predictions, null_odds = _hand_made(17)
    turned = dict(itertools.islice(itertools.cycle(gold.items()), 5, 22))
    assert squad.evaluate_v2(gold, predictions, null_odds) == squad.evaluate_v2(turned, predictions, null_odds)


def test_an_id_may_hold_half_a_character():
    gold, predictions, null_odds = ({f"{name}\ud800": row[name] for name in row} for row in _hand_made(17))
    assert squad.evaluate_v2(gold, predictions, null_odds).metrics["heldout_exact"] == 100.0


def test_no_question_is_an_error():
    with pytest.raises(ValueError, match="at least one question"):
        squad.evaluate_v2({}, {})

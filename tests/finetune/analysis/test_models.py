"""A model's answers are measured as the evaluator does, at the threshold that is asked for."""

import json

import numpy as np
import pytest

from finetune.analysis.breakdowns import score_table
from finetune.analysis.models import GIVEN, TUNED, AnswerFiles, model_answers
from finetune.metrics import squad
from finetune.qa.readers import read_questions
from finetune.readers.reading import DataError
from tests.finetune.analysis.made_up import ROWS, question, write_files


def _model(tmp_path, *, threshold=None, has_null_odds=True, name="a"):
    paths = write_files(tmp_path)
    questions = read_questions(paths["gold"], "squad", for_training=False).questions
    odds = str(paths["odds"]) if has_null_odds else None
    return model_answers(questions, AnswerFiles(str(paths[name]), odds), threshold, gold_file="gold.json")


@pytest.mark.parametrize("threshold", [None, -100.0, -3.5, 4.0, 4.5, 100.0])
@pytest.mark.parametrize("has_null_odds", [True, False])
def test_overall_scores_are_the_evaluator_s_exactly(tmp_path, threshold, has_null_odds):
    model = _model(tmp_path, threshold=threshold if has_null_odds else None, has_null_odds=has_null_odds)
    gold = {name: row[1] for name, row in ROWS.items()}
    predictions = {name: row[2] for name, row in ROWS.items() if row[2] is not None}
    null_odds = {name: row[4] for name, row in ROWS.items()} if has_null_odds else None
    used = model.threshold.value if model.threshold else 1.0
    expected = squad.evaluate_v2(gold, predictions, null_odds, used)
    areas = squad.average_precision(gold, predictions, null_odds) if null_odds else {}
    assert model.metrics == {**expected.metrics, **areas}
    assert model.missing == expected.missing == ["missing"]
    table = score_table(model.answers)
    assert 100 * sum(table[:, 0].tolist()) / len(gold) == expected.metrics["exact"]
    assert 100 * sum(table[:, 1].tolist()) / len(gold) == expected.metrics["f1"]


def test_real_questions_are_measured_as_the_evaluator_does(shared_data, tmp_path):
    file = shared_data / "squad-v2.0" / "dev.json"
    questions = read_questions(file, "squad", for_training=False).questions
    generator = np.random.default_rng(0)
    predictions, null_odds = {}, {}
    for number, row in enumerate(questions):
        words = row.context.split()
        start = generator.integers(len(words))
        wrong = " ".join(words[start : start + 3])
        predictions[row.id] = row.gold_texts[-1] if row.gold_texts and number % 3 else wrong
        null_odds[row.id] = float(generator.normal(-1.0 if row.gold_texts else 1.0))
    del predictions[questions[7].id], null_odds[questions[9].id]
    files = AnswerFiles(str(tmp_path / "p.json"), str(tmp_path / "n.json"))
    (tmp_path / "p.json").write_text(json.dumps(predictions))
    (tmp_path / "n.json").write_text(json.dumps(null_odds))
    model = model_answers(questions, files, 0.25, gold_file=str(file))
    gold = {row.id: row.gold_texts for row in questions}
    expected = squad.evaluate_v2(gold, predictions, null_odds, 0.25)
    assert expected.metrics.items() <= model.metrics.items()
    assert set(model.missing) == {questions[7].id, questions[9].id}
    table = score_table(model.answers)
    for place, name in enumerate(("exact", "f1")):
        assert 100 * sum(table[:, place].tolist()) / len(gold) == expected.metrics[name]


def test_the_threshold_is_the_one_given_or_where_f1_is_best(tmp_path):
    assert _model(tmp_path, threshold=-3.25).threshold == (-3.25, GIVEN)
    tuned = _model(tmp_path)
    assert tuned.threshold == (tuned.metrics["best_f1_thresh"], TUNED)
    assert "heldout_f1" in tuned.metrics
    assert _model(tmp_path, has_null_odds=False).threshold is None


def test_a_question_at_the_threshold_is_answered(tmp_path):
    place = list(ROWS).index("refused")
    assert _model(tmp_path, threshold=4.0).answers[place].text == "3 hours"
    assert _model(tmp_path, threshold=3.99).answers[place].text == ""


def test_the_curve_holds_the_scores_at_every_threshold(tmp_path):
    curve = _model(tmp_path).curve
    assert [point.null_odds for point in curve] == sorted(row[4] for row in ROWS.values() if row[2] is not None)
    for point in curve:
        metrics = _model(tmp_path, threshold=point.null_odds).metrics
        assert (point.exact, point.f1) == pytest.approx((metrics["exact"], metrics["f1"]))
    assert _model(tmp_path, has_null_odds=False).curve == []


def test_squad_v1_is_measured_where_every_question_has_an_answer(tmp_path):
    assert _model(tmp_path).metrics_v1 == {}
    (tmp_path / "p.json").write_text('{"q": "the", "r": "Rome"}')
    questions = [question("q", gold_texts=("the",)), question("r")]
    model = model_answers(questions, AnswerFiles(str(tmp_path / "p.json")), None, gold_file="g")
    assert model.metrics_v1 == {"exact_match": 100.0, "f1": 50.0}
    assert model.metrics["f1"] == 100.0


def test_predictions_to_other_questions_are_counted(tmp_path):
    (tmp_path / "p.json").write_text('{"q": "Rome", "x": "a", "y": "b"}')
    model = model_answers([question()], AnswerFiles(str(tmp_path / "p.json")), None, gold_file="g")
    assert model.num_passed_over == 2


def test_files_of_other_questions_are_errors(tmp_path):
    (tmp_path / "p.json").write_text('{"q": "Rome"}')
    (tmp_path / "x.json").write_text('{"x": 1, "y": 2}')
    for files in (AnswerFiles(str(tmp_path / "p.json"), str(tmp_path / "x.json")),):
        with pytest.raises(DataError, match=r"x\.json: none of its 2 ids is that of a question in gold\.json"):
            model_answers([question()], files, None, gold_file="gold.json")
    (tmp_path / "p.json").write_text("{}")
    with pytest.raises(DataError, match=r"p\.json: none of its 0 ids"):
        model_answers([question()], AnswerFiles(str(tmp_path / "p.json")), None, gold_file="gold.json")

"""Tables and numbers hold what the analysis says."""

import csv
import io
import json

import pytest

from finetune.analysis.judging import CLASS_MEANINGS
from finetune.analysis.tables import csv_tables, summary
from tests.finetune.analysis.made_up import CONTEXT, ROWS, analysis_of


def _rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_there_is_a_table_for_every_breakdown_the_errors_and_the_questions(tmp_path):
    tables = csv_tables(analysis_of(tmp_path))
    breakdowns = ["answerable", "question_word", "answer_length", "question_length", "context_length"]
    assert list(tables) == [f"{name}.csv" for name in (*breakdowns, "error_classes", "questions")]
    words = {row["question_word"]: row for row in _rows(tables["question_word.csv"])}
    assert list(words) == ["who", "whom", "what", "when", "where", "which", "why", "how long", "how other", "other"]
    assert words["where"] == {
        "question_word": "where",
        "questions": "1",
        "exact": "0.0",
        "f1": "40.0",
        "lenient": "100.0",
    }
    errors = _rows(tables["error_classes.csv"])
    assert [(row["class"], row["meaning"]) for row in errors] == list(CLASS_MEANINGS.items())
    assert sum(int(row["questions"]) for row in errors) == len(ROWS)


def test_questions_are_one_row_each_with_all_that_is_known(tmp_path):
    rows = _rows(csv_tables(analysis_of(tmp_path, threshold=0.0))["questions.csv"])
    assert [row["id"] for row in rows] == list(ROWS)
    by_id = {row["id"]: row for row in rows}
    assert by_id["too short"] == {
        "id": "too short",
        "question": "Whom did she meet?",
        "gold_answers": '["the old king", "the old king in Rome"]',
        "num_answer_words": "3",
        "num_question_words": "4",
        "num_context_words": str(len(CONTEXT.split())),
        "answerable": "has an answer",
        "question_word": "whom",
        "answer_length": "3",
        "question_length": "0 to 5",
        "context_length": "0 to 50",
        "prediction": "king",
        "null_odds": "-4.0",
        "exact": "0.0",
        "f1": "0.666667",
        "lenient": "1.0",
        "error_class": "too short",
        "nearest_gold_answer": "the old king",
    }
    assert by_id["missing"]["prediction"] == ""
    assert by_id["answered"]["num_answer_words"] == ""
    assert by_id["silent"]["prediction"] == ""  # its null odds are above the threshold


def test_tables_of_two_models_name_the_model_of_each_score(tmp_path):
    tables = csv_tables(analysis_of(tmp_path, models=2, has_null_odds=False))
    row = _rows(tables["question_word.csv"])[0]
    assert row == {
        "question_word": "who",
        "questions": "1",
        "a_exact": "100.0",
        "a_f1": "100.0",
        "a_lenient": "100.0",
        "b_exact": "0.0",
        "b_f1": "66.6667",
        "b_lenient": "100.0",
    }
    first = _rows(tables["questions.csv"])[0]
    assert (first["a_prediction"], first["b_prediction"], first["b_null_odds"]) == ("Ann Lee", "Ann", "")
    assert {"a_questions", "b_questions"} <= _rows(tables["error_classes.csv"])[0].keys()


def test_texts_with_commas_quotes_and_lines_keep_their_rows(tmp_path):
    rows = {'a,"b"\nc': ('What,\r\n"is" it?', ("Rome",), 'x,\n"y"', "", 0.0)}
    (row,) = _rows(csv_tables(analysis_of(tmp_path, rows=rows, threshold=9.0))["questions.csv"])
    assert (row["id"], row["question"], row["prediction"]) == ('a,"b"\nc', 'What,\r\n"is" it?', 'x,\n"y"')


def test_control_characters_of_questions_and_answers_are_not_in_the_tables(tmp_path):
    rows = {"a\x1b[2J": ("What\r\x9b2J?\tNow", ("Rome",), "x\u202ey\0", "", 0.0)}
    (row,) = _rows(csv_tables(analysis_of(tmp_path, rows=rows, threshold=9.0))["questions.csv"])
    assert (row["id"], row["question"]) == ("a\ufffd[2J", "What\ufffd\ufffd2J?\tNow")
    assert row["prediction"] == "x\ufffdy\ufffd"


def test_the_summary_is_json_with_the_evaluator_s_metrics(tmp_path):
    analysis = analysis_of(tmp_path, models=2, threshold=0.0)
    values = json.loads(json.dumps(summary(analysis), allow_nan=False))
    assert values["questions"] == len(ROWS)
    assert values["models"]["a"]["metrics"] == analysis.models[0].metrics
    assert values["models"]["a"]["missing_predictions"] == {"count": 1, "first": ["missing"]}
    assert values["models"]["a"]["threshold_is"] == "given"
    assert values["models"]["b"]["error_classes"] == analysis.error_classes[1]
    low, high = values["models"]["a"]["intervals"]["f1"]
    assert low < values["models"]["a"]["metrics"]["f1"] < high
    exact = values["comparison"]["paired_bootstrap"]["exact"]
    metrics = [values["models"][name]["metrics"]["exact"] for name in "ab"]
    assert exact["a_minus_b"] == pytest.approx(metrics[0] - metrics[1])
    assert values["comparison"]["mcnemar"].keys() == {"num_first_only", "num_second_only", "p_value"}
    groups = values["breakdowns"]["answerable"]
    assert [group["questions"] for group in groups] == [8, 2]
    assert groups[0]["a"]["f1"] == pytest.approx(values["models"]["a"]["metrics"]["HasAns_f1"])
    assert json.loads(json.dumps(summary(analysis_of(tmp_path))))["comparison"] is None

import csv
import json
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest

from electra_span.files import FileError
from finetune import predictions
from finetune.metrics.squad import AnswerScores
from finetune.predictions import (
    answer_predictions,
    class_predictions,
    score_predictions,
    tag_predictions,
    write_glue_submission,
    write_question_files,
    write_test_predictions,
)
from finetune.qa.decoding import DecodedQuestion, ScoredAnswer
from finetune.readers.glue import GLUE_TASKS
from finetune.readers.reading import DataError

LOGITS = np.array([[0.5, -1.0, 2.0], [3.0, 1.0, -2.0]], np.float32)


def write(tmp_path, predictions, task="mnli", split="test_matched", trial=2):
    json_path, table_path = write_test_predictions(tmp_path, task, split, trial, predictions)
    with open(table_path, newline="") as file:
        return json.loads(json_path.read_text()), list(csv.reader(file, delimiter="\t"))


def test_files_of_predictions_are_named_after_task_split_and_trial(tmp_path):
    paths = write_test_predictions(tmp_path, "sst", "test", 3, class_predictions([0], LOGITS[:1, :2], "ab"))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "test_predictions/sst_test_3_predictions.json",
        "test_predictions/sst_test_3_predictions.tsv",
    ]


def test_classes_are_written_as_logits_and_as_the_names_of_the_best(tmp_path):
    written = write(tmp_path, class_predictions(np.array([7, 4]), LOGITS, ["no", "maybe", "yes"]))
    assert written == ({"7": [0.5, -1.0, 2.0], "4": [3.0, 1.0, -2.0]}, [["id", "label"], ["7", "yes"], ["4", "no"]])


def test_scores_are_written_in_the_unit_of_the_file(tmp_path):
    written = write(tmp_path, score_predictions([0, 1], np.array([4.25, -0.1])))
    assert written == ({"0": 4.25, "1": -0.1}, [["id", "score"], ["0", "4.25"], ["1", "-0.1"]])


def test_tags_are_written_as_a_list_and_in_one_field(tmp_path):
    written = write(tmp_path, tag_predictions([5], [("B-NP", "E-NP", "O")]))
    assert written == ({"5": ["B-NP", "E-NP", "O"]}, [["id", "tags"], ["5", "B-NP E-NP O"]])


def test_answers_of_any_characters_come_back_from_the_table(tmp_path):
    answers = {"q1": 'a "tab"\there\nand a line', "ä": "", "q2": "é"}
    values, rows = write(tmp_path, answer_predictions(answers))
    assert values == answers
    assert dict(rows[1:]) == answers


def test_text_that_is_no_unicode_is_written_as_its_escape(tmp_path):
    values, rows = write(tmp_path, answer_predictions({"q": "\ud800"}))
    assert values == {"q": "\ud800"}
    assert rows[1] == ["q", "\\ud800"]


def test_two_predictions_for_an_example_are_an_error():
    with pytest.raises(FileError, match="two for example 4"):
        score_predictions([4, 5, 4], np.zeros(3))


def test_predictions_that_are_not_finite_are_an_error_that_names_the_file_and_leaves_none(tmp_path):
    with pytest.raises(FileError, match=r"sst_test_1_predictions\.json: all numbers"):
        write_test_predictions(tmp_path, "sst", "test", 1, class_predictions([0], np.array([[np.nan, 0]]), "ab"))
    assert not list(tmp_path.rglob("*.*"))


def test_submission_holds_all_test_files_of_the_trial_from_any_run(tmp_path):
    labels = GLUE_TASKS["mnli"].labels
    write(tmp_path, class_predictions([1, 0], LOGITS, labels))
    write(tmp_path, score_predictions([0, 1], np.array([2.5, 9.0])), "sts", "test")
    write(tmp_path, score_predictions([0], np.array([1.0])), "sts", "test", trial=1)
    submission = write_glue_submission(tmp_path, 2)
    assert submission.path == tmp_path / "test_predictions" / "glue_2.zip"
    with zipfile.ZipFile(submission.path) as archive:
        assert archive.namelist() == ["MNLI-m.tsv", "STS-B.tsv"]
        assert archive.read("MNLI-m.tsv").decode() == f"index\tprediction\n0\t{labels[0]}\n1\t{labels[2]}\n"
        assert archive.read("STS-B.tsv").decode() == "index\tprediction\n0\t2.500\n1\t5.000\n"
    assert "CoLA.tsv" in submission.missing
    assert "STS-B.tsv" not in submission.missing


def test_of_two_runs_that_end_at_once_the_submission_has_both_tasks(tmp_path, monkeypatch):
    write(tmp_path, class_predictions([0], LOGITS[:1, :2], "01"), "sst", "test")
    written, others = predictions.write_submission, []

    def write_slowly(path, found):
        if not others:
            write(tmp_path, score_predictions([0], np.array([2.5])), "sts", "test")
            others.append(threading.Thread(target=write_glue_submission, args=(tmp_path, 2)))
            others[0].start()
            others[0].join(0.5)
        return written(path, found)

    monkeypatch.setattr(predictions, "write_submission", write_slowly)
    path = write_glue_submission(tmp_path, 2).path
    others[0].join()
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["SST-2.tsv", "STS-B.tsv"]


def test_submission_of_an_incomplete_file_is_an_error_and_leaves_the_one_that_was_there(tmp_path):
    write(tmp_path, class_predictions([0], LOGITS[:1, :2], "01"), "sst", "test")
    path = write_glue_submission(tmp_path, 2).path
    before = path.read_bytes()
    write(tmp_path, class_predictions([0, 2], LOGITS[:, :2], "01"), "sst", "test")
    with pytest.raises(DataError, match="none for row 1"):
        write_glue_submission(tmp_path, 2)
    assert path.read_bytes() == before
    assert not list(tmp_path.rglob("*.unfinished"))


def test_submission_without_predictions_is_an_error(tmp_path):
    with pytest.raises(FileError, match="trial 5 has no predictions"):
        write_glue_submission(tmp_path, 5)


def test_a_file_that_holds_no_predictions_is_named(tmp_path):
    write(tmp_path, answer_predictions({"q": "text"}), "sst", "test")
    with pytest.raises(FileError, match=r"sst_test_2_predictions\.json: cannot be read as predictions of sst"):
        write_glue_submission(tmp_path, 2)


def test_question_files_hold_texts_null_odds_lists_and_metrics(tmp_path):
    nbest = [ScoredAnswer("in May", 0.75, 1.5, -0.5), ScoredAnswer("May", 0.25, 0.5, -0.25)]
    decoded = [DecodedQuestion("q1", "in May", -3.5, nbest), DecodedQuestion("q2", "empty", None, nbest[:1])]
    folder = write_question_files(
        tmp_path, "squad_sst", "squad", iter(decoded), AnswerScores({"exact": 50.0, "total": 3}, ["q3"])
    )
    assert folder == tmp_path / "results" / "squad_sst_qa"
    contents = {path.name: json.loads(path.read_text()) for path in folder.iterdir()}
    first = {"text": "in May", "probability": 0.75, "start_logit": 1.5, "end_logit": -0.5}
    second = {"text": "May", "probability": 0.25, "start_logit": 0.5, "end_logit": -0.25}
    assert contents == {
        "squad_preds.json": {"q1": "in May", "q2": "empty"},
        "squad_null_odds.json": {"q1": -3.5},
        "squad_nbest.json": {"q1": [first, second], "q2": [first]},
        "squad_eval.json": {"exact": 50.0, "total": 3, "missing": ["q3"]},
    }


def test_predictions_import_no_deep_learning_library():
    code = "import sys, finetune.predictions; assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

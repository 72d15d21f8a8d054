"""Data sets are read by split and measured by their own metrics."""

import gzip
import json
import shutil

import pytest

from finetune.qa.datasets import QA_DATASETS, evaluate, read_split
from finetune.qa.decoding import DecodedQuestion
from finetune.readers.reading import DataError
from finetune.task_names import KIND_OF_TASK


def _decoded(rows):
    return [DecodedQuestion(name, text, odds, []) for name, text, odds in rows]


def _write(path, *qas):
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "one two", "qas": list(qas)}]}]}))


def _qa(number, **fields):
    return {"id": f"q{number}", "question": "which?", **fields}


def test_there_is_a_data_set_for_every_task_of_questions():
    assert set(QA_DATASETS) == {name for name, kind in KIND_OF_TASK.items() if kind == "qa"}


@pytest.mark.parametrize("name", QA_DATASETS)
def test_every_data_set_reads_its_files(golden, tmp_path, name):
    dataset = QA_DATASETS[name]
    sources = {"squadv1": "features_input_squad_v1.json", "squad": "features_input_squad_v2.json"}
    if dataset.file_format == "quac":
        answer = {"text": "two", "answer_start": 4}
        _write(tmp_path / "train.json", _qa(0, orig_answer=answer, answers=[answer]))
    else:
        source = golden(f"qa/{sources.get(name, 'features_input_mrqa.jsonl')}")
        shutil.copy(source, tmp_path / f"train{dataset.extension}")
    questions = read_split(dataset, "train", tmp_path).questions
    assert len(questions) == {"squad": 48, "squadv1": 44, "quac": 1}.get(name, 41)
    file = tmp_path / f"train{dataset.extension}"
    (tmp_path / f"dev{dataset.extension}.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert len(read_split(dataset, "dev", tmp_path).questions) >= len(questions)
    with pytest.raises(DataError, match=rf"test\{dataset.extension}: cannot be read: No such file"):
        read_split(dataset, "test", tmp_path)


def test_questions_of_test_need_no_answers(tmp_path, caplog):
    for split in ("train", "dev", "test"):
        _write(
            tmp_path / f"{split}.json", _qa(0), _qa(1, answers=[]), _qa(2, answers=[{"text": "two", "answer_start": 4}])
        )
    read = {split: read_split(QA_DATASETS["squad"], split, tmp_path) for split in ("train", "dev", "test")}
    assert [question.id for question in read["train"].questions] == ["q1", "q2"]
    assert "train.json: 3 rows, 1 left out (no answer)" in caplog.text
    assert read["dev"].tally.kept == {"no answer": 1}
    assert read["test"].tally.num_bad == 0
    assert [question.is_impossible for question in read["test"].questions] == [False, True, False]


def test_data_sets_with_impossible_questions_are_measured_at_the_threshold(tmp_path):
    answer = {"text": "two", "answer_start": 4}
    _write(tmp_path / "dev.json", *[_qa(n, answers=[answer] if n % 2 else []) for n in range(4)])
    questions = read_split(QA_DATASETS["squad"], "dev", tmp_path).questions
    decoded = _decoded([("q0", "one", -1.0), ("q1", "two", -3.0), ("q2", "two", -4.0)])
    metrics, missing = evaluate(QA_DATASETS["squad"], questions, decoded, -2.75)
    assert missing == ["q3"]
    assert (metrics["exact"], metrics["HasAns_exact"], metrics["NoAns_exact"]) == (50.0, 50.0, 50.0)
    assert "heldout_exact" in metrics


def test_data_sets_without_are_measured_on_the_questions_with_answers(tmp_path):
    answer = {"text": "two", "answer_start": 4}
    _write(tmp_path / "dev.json", _qa(0, answers=[answer]), _qa(1, answers=[answer]), _qa(2))
    questions = read_split(QA_DATASETS["squadv1"], "dev", tmp_path).questions
    decoded = _decoded([("q0", "the two", None), ("q2", "one", None)])
    for name in ("squadv1", "triviaqa"):
        scores = evaluate(QA_DATASETS[name], questions, decoded, -2.75)
        assert scores == ({"exact_match": 50.0, "f1": 50.0}, ["q1"])

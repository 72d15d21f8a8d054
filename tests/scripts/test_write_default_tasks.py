import collections
import json
import pathlib
import subprocess
import sys

import pytest

from finetune.csv_tables import CsvSettings
from finetune.csv_task import read_csv_task
from finetune.docstring_tasks import PLACEHOLDER
from finetune.qa.readers import read_questions
from finetune.reading import BadRowLimit
from scripts import write_default_tasks

NO_BAD_ROWS = BadRowLimit(num_rows=0, rate=0)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("default tasks") / "made" / "tasks"
    write_default_tasks.write_tasks(folder, seed=42)
    return folder


@pytest.fixture(scope="module")
def modules(tasks):
    return read_csv_task(tasks / "modules", CsvSettings(), limit=NO_BAD_ROWS)


@pytest.fixture(scope="module")
def questions(tasks):
    read = {
        split: read_questions(
            tasks / "cloze" / f"{split}.json", "squad", for_training=split == "train", limit=NO_BAD_ROWS
        )
        for split in ("train", "dev")
    }
    assert not any(file.tally.num_bad for file in read.values())
    return {split: file.questions for split, file in read.items()}


def test_packages_have_about_as_many_texts_each(modules):
    assert 8 <= len(modules.labels) <= 12
    train, dev = (collections.Counter(row.label for row in modules.splits[split]) for split in ("train", "dev"))
    assert 1500 <= train.total() <= 3000
    assert 200 <= dev.total() <= 300
    assert set(train) == set(dev) == set(modules.labels)
    assert max(train.values()) <= 2 * min(train.values())
    assert max(dev.values()) <= 2 * min(dev.values())


def test_no_text_has_the_name_of_a_package(modules):
    texts = [row.text_a.lower() for rows in modules.splits.values() for row in rows]
    assert not [text for text in texts if any(name in text for name in modules.labels)]


def test_no_text_is_there_twice(modules):
    texts = [row.text_a for rows in modules.splits.values() for row in rows]
    assert len(set(texts)) == len(texts)


def test_there_are_thousands_of_questions_a_fifth_without_an_answer(questions):
    assert 1500 <= len(questions["train"]) <= 3000
    assert 200 <= len(questions["dev"]) <= 300
    for rows in questions.values():
        assert 0.18 < sum(row.is_impossible for row in rows) / len(rows) < 0.25


def test_answers_are_at_their_offsets_and_not_in_the_question(tasks):
    num_answers = 0
    for split in ("train", "dev"):
        for article in json.loads((tasks / "cloze" / f"{split}.json").read_text())["data"]:
            (paragraph,) = article["paragraphs"]
            (asked,) = paragraph["qas"]
            assert PLACEHOLDER in asked["question"]
            for answer in asked["answers"]:
                end = answer["answer_start"] + len(answer["text"])
                assert paragraph["context"][answer["answer_start"] : end] == answer["text"]
                assert answer["text"] not in asked["question"]
            num_answers += len(asked["answers"])
    assert num_answers > 1500


def test_no_question_or_context_is_on_both_sides(questions):
    for part in ("id", "text", "context"):
        sides = [{getattr(row, part) for row in questions[split]} for split in ("train", "dev")]
        assert not sides[0] & sides[1]


def test_same_seed_writes_the_same_bytes_and_another_one_others(tasks, tmp_path):
    write_default_tasks.write_tasks(tmp_path / "again", seed=42)
    write_default_tasks.write_tasks(tmp_path / "other", seed=43)
    files = [path.relative_to(tasks) for path in tasks.rglob("*.*")]
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (tasks / file).read_bytes()
        assert (tmp_path / "other" / file).read_bytes() != (tasks / file).read_bytes()


def test_nothing_is_left_of_an_unfinished_run(tasks):
    assert [path.name for path in tasks.parent.iterdir()] == ["tasks"]


def test_existing_folder_is_an_error_and_stays_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(write_default_tasks.TasksError, match="is there already"):
        write_default_tasks.write_tasks(tmp_path, seed=42)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_lines_of_code_and_repeated_sentences_are_left_out(tmp_path):
    source = (
        '"""Adds.\n\n>>> add(1, 2)\n3\n"""\ndef add():\n    """Adds.  All numbers."""\ndef sub():\n    """Adds."""\n'
    )
    (tmp_path / "one.py").write_text(source)
    assert write_default_tasks.library_docstrings(tmp_path) == [("one", ("Adds.", "3")), ("one", ("All numbers.",))]


def test_help_answers_without_tensorflow(tmp_path):
    command = [sys.executable, "-X", "importtime", "-m", "scripts.write_default_tasks", "--help"]
    root = pathlib.Path(write_default_tasks.__file__).parents[1]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    assert "output_dir" in shown.stdout
    assert "argparse" in shown.stderr
    assert "tensorflow" not in shown.stderr

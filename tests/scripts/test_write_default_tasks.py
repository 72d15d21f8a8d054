import collections
import json
import subprocess
import sys

import pytest

from finetune.qa.readers import read_questions
from finetune.readers.csv_tables import CsvSettings
from finetune.readers.csv_task import read_csv_task
from finetune.readers.reading import BadRowLimit
from scripts import write_default_tasks
from scripts.write_default_tasks import MASK, PLACEHOLDER, Docstring, cloze_questions, package_texts

LONG = "This sentence about {} has words enough to be taken for a text of a docstring that stands alone."
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


def test_help_answers_without_a_deep_learning_library_from_any_folder(tmp_path):
    command = [sys.executable, "-X", "importtime", write_default_tasks.__file__, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "output_dir" in shown.stdout
    assert "argparse" in shown.stderr
    assert not [name for name in ("tensorflow", "keras", "torch") if name in shown.stderr]


def _docstrings(*texts: tuple[str, str]) -> list[Docstring]:
    return [Docstring(module, (text,)) for module, text in texts]


def _asked(*sentences: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Returns the questions about a docstring, each with its name and where the context has it."""
    splits = cloze_questions([Docstring("a.module", sentences)], seed=1)
    return {row.question: (row.name, row.answer_starts) for row in (*splits.train, *splits.dev)}


def test_modules_belong_to_their_package_and_stand_ins_to_that_of_the_other():
    modules = {
        "email.message": "email",
        "_pydecimal": "decimal",
        "_collections_abc": "collections_abc",
        "pydoc": "pydoc",
    }
    assert {module: Docstring(module, ()).package for module in modules} == modules


def test_names_of_all_packages_are_masked_in_any_case_and_inside_of_words():
    rows = _docstrings(
        ("email.message", LONG.format("an EmailMessage")), ("xml.dom", LONG.format("XML and e-mail, email"))
    )
    splits = package_texts(rows, seed=0)
    assert sorted((row.label, row.text) for row in (*splits.train, *splits.dev)) == [
        ("email", LONG.format(f"an {MASK}Message")),
        ("xml", LONG.format(f"{MASK} and e-mail, {MASK}")),
    ]


def test_a_text_of_two_packages_is_left_out_and_one_that_is_there_twice_taken_once():
    both, twice, once = (LONG.format(thing) for thing in ("boxes", "bags", "cups"))
    rows = _docstrings(("xml", both), ("email", both), ("xml", twice), ("xml.dom", twice), ("email", once))
    splits = package_texts(rows, seed=0)
    assert sorted((*splits.train, *splits.dev)) == [(twice, "xml"), (once, "email")]


def test_short_sentences_are_joined_to_texts_and_too_short_a_rest_is_left_out():
    sentences = (LONG.format("one"), "And another one follows it here.", "A rest.")
    splits = package_texts([Docstring("queue", sentences)], seed=0)
    assert [row.text for row in (*splits.train, *splits.dev)] == [" ".join(sentences[:2])]


def test_a_question_is_a_sentence_with_a_gap_and_its_context_the_others():
    splits = cloze_questions(
        [
            Docstring(
                "shop", ("Open the box first.", "Then the Counter counts all the boxes.", "A Counter or two Counter.")
            )
        ],
        seed=1,
    )
    (row,) = (row for row in (*splits.train, *splits.dev))
    assert row.question == f"Then the {PLACEHOLDER} counts all the boxes."
    assert (row.title, row.context, row.name) == ("shop", "Open the box first. A Counter or two Counter.", "Counter")
    assert row.answer_starts == (22, 37)


def test_identifiers_are_names_and_first_words_and_constants_are_not():
    assert _asked(
        "Opened files are read by the given read_line() function here.",
        "Opened are those for which read_line() was called, or None.",
    ) == {
        f"Opened files are read by the given {PLACEHOLDER} function here.": ("read_line()", (27,)),
        f"Opened are those for which {PLACEHOLDER} was called, or None.": ("read_line()", (35,)),
    }


def test_a_name_that_is_part_of_another_is_neither_found_nor_said_to_be_missing():
    asked = _asked(
        "What is looked for in sys.path is not found there.", "Not so the_sys.path, sys.path_hooks or xsys.path."
    )
    assert not [question for question in asked if question.startswith("What is")]


def test_a_sentence_that_gives_the_question_of_another_is_not_asked_about_again():
    texts = [f"What is looked for in {name} here is found there.|{name} is it." for name in ("a_path", "a_name")]
    splits = cloze_questions([Docstring("paths", tuple(text.split("|"))) for text in texts], seed=1)
    assert [row.name for row in (*splits.train, *splits.dev)] == ["a_path"]


def test_a_name_the_context_does_not_have_has_no_answer():
    asked = _asked("It will raise an IndexError where there is no such row.", "It looks the_row up in the table.")
    assert asked[f"It will raise an {PLACEHOLDER} where there is no such row."] == ("IndexError", ())


def test_a_context_without_any_name_is_not_asked_about():
    assert _asked("It will raise an IndexError where there is no such row.", "It looks up the row.") == {}

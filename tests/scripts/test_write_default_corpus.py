import pathlib
import subprocess
import sys

import pytest

from scripts import write_default_corpus
from scripts.write_default_corpus import CorpusError, module_docstrings, paragraphs, sentences


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("default corpus") / "made" / "corpus"
    write_default_corpus.write_corpus(folder)
    return folder


def _documents(file: pathlib.Path) -> list[list[str]]:
    return [document.split("\n") for document in file.read_text(encoding="utf-8").rstrip("\n").split("\n\n")]


def test_corpus_is_one_to_three_megabytes_in_hundreds_of_documents(corpus):
    assert 1_000_000 < sum(file.stat().st_size for file in corpus.iterdir()) < 3_000_000
    assert sum(len(_documents(file)) for file in corpus.iterdir()) > 200


def test_documents_are_separated_by_exactly_one_blank_line(corpus):
    for file in corpus.iterdir():
        for document in _documents(file):
            assert all(line.strip() for line in document)


def test_every_line_has_a_letter_or_digit_and_no_run_of_blanks(corpus):
    for file in corpus.iterdir():
        for line in file.read_text(encoding="utf-8").split("\n"):
            assert not line or any(character.isalnum() for character in line)
            assert line == " ".join(line.split())


def test_known_sentences_of_reference_and_library_are_there(corpus):
    reference = (corpus / "language_reference.txt").read_text(encoding="utf-8")
    library = (corpus / "standard_library.txt").read_text(encoding="utf-8")
    assert "\nAn assignment statement evaluates the expression list (remember that this can be a single" in reference
    assert "\nSequenceMatcher is a flexible class for comparing pairs of sequences of any type, so long as" in library


def test_same_python_writes_the_same_bytes(corpus, tmp_path):
    write_default_corpus.write_corpus(tmp_path / "again")
    for file in corpus.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_nothing_is_left_of_an_unfinished_run(corpus):
    assert [path.name for path in corpus.parent.iterdir()] == ["corpus"]


def test_existing_folder_is_an_error_and_stays_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CorpusError, match="is there already"):
        write_default_corpus.write_corpus(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_python_without_its_language_reference_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(write_default_corpus.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(CorpusError, match=r"topics\.py is missing.*CORPUS_DIR"):
        write_default_corpus.write_corpus(tmp_path / "corpus")


def test_modules_are_parsed_and_never_imported(tmp_path, monkeypatch):
    (tmp_path / "pydoc_data").mkdir()
    (tmp_path / "pydoc_data" / "topics.py").write_text("topics = {}")
    docstring = "A module that must not run. " * 10
    (tmp_path / "dangerous.py").write_text(f'"""{docstring}"""\nraise SystemExit("it ran")\n')
    monkeypatch.setattr(write_default_corpus.sysconfig, "get_path", lambda name: str(tmp_path))
    write_default_corpus.write_corpus(tmp_path / "corpus")
    assert "must not run" in (tmp_path / "corpus" / "standard_library.txt").read_text()


def test_repeated_paragraph_is_kept_once(corpus):
    initializer = "Initialize self.  See help(type(self)) for accurate signature."
    library = (corpus / "standard_library.txt").read_text(encoding="utf-8").split("\n")
    assert library.count(" ".join(initializer.split())) <= 1
    assert library.count("Return repr(self).") <= 1


def test_help_answers_without_tensorflow(tmp_path):
    command = [sys.executable, "-X", "importtime", write_default_corpus.__file__, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "output_dir" in shown.stdout
    assert "argparse" in shown.stderr
    assert "tensorflow" not in shown.stderr


def test_hard_wrapped_lines_become_one_paragraph():
    text = """\
        A line of prose that ends because the next word would not have
        fitted, and goes on here.
        Short line, so this is not wrapped
        and this is a line of its own."""
    assert list(paragraphs(text)) == [
        "A line of prose that ends because the next word would not have fitted, and goes on here.",
        "Short line, so this is not wrapped",
        "and this is a line of its own.",
    ]


@pytest.mark.parametrize("marker", ["*", "-", "1.", ">>>", ":param", "@return"])
def test_list_items_and_prompts_begin_a_new_line(marker):
    item = f"{marker} an item whose line is long enough to have been wrapped there"
    assert list(paragraphs(f"{item}\n{item}\n")) == [item, item]


def test_rules_and_table_borders_are_dropped():
    assert list(paragraphs("Title\n=====\n\n+---+\n| a |\n+---+")) == ["Title", "| a |"]


def test_paragraph_is_split_after_sentences_and_not_after_abbreviations():
    paragraph = "It is so, e.g. In this case. (See there.) Is it? `Yes`! and 3.5 is a number."
    assert sentences(paragraph) == [
        "It is so, e.g. In this case.",
        "(See there.)",
        "Is it?",
        "`Yes`! and 3.5 is a number.",
    ]


def test_docstrings_of_a_module_come_in_the_order_of_its_source(tmp_path):
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "__init__.py").write_text("def area():\n    pass\n")
    source = '"""Boxes."""\nclass Box:\n    def open(self):\n        """Opens."""\ndef pack():\n    """Packs."""\n'
    (tmp_path / "shapes" / "box.py").write_text(source)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_box.py").write_text('"""A test."""\n')
    assert list(module_docstrings(tmp_path)) == [
        ("shapes", ["", ""]),
        ("shapes.box", ["Boxes.", "", "Opens.", "Packs."]),
    ]

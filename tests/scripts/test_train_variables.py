"""The environment variables of train.sh: defaults, words, and mistakes."""

import pathlib
import subprocess
import sys

import pytest

from scripts import train_variables
from scripts.train_variables import VariableError, read_variables

REPOSITORY = pathlib.Path(train_variables.__file__).parents[1]


def test_all_variables_have_defaults_and_an_empty_one_is_missing():
    defaults = read_variables({})
    assert defaults._replace(num_processes="") == (
        *(f"{REPOSITORY}/data/default", "tiny", False, ("--corpus-dir", f"{REPOSITORY}/data/default/corpus"), ()),
        *("wordpiece", "", "", "", "", (), True, True),
    )
    assert int(defaults.num_processes) >= 1
    names = [line.split()[0] for line in train_variables.__doc__.splitlines() if line[:1].isupper()][1:]
    assert len(names) == 15
    assert read_variables(dict.fromkeys(names, "")) == defaults


def test_standard_library_is_enough(tmp_path):
    command = [sys.executable, "-I", "-S", train_variables.__file__]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    ended = subprocess.run(command, capture_output=True, text=True, env={"FINETUNE": "no"})
    assert (ended.returncode, ended.stderr) == (1, "error: FINETUNE=no is neither true nor false\n")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"CORPUS_DIR": "/nowhere/text"}, "CORPUS_DIR=/nowhere/text is no folder"),
        ({"CORPUS_FILES": "/nowhere/a.csv"}, "CORPUS_FILES: /nowhere/a.csv is not there"),
        ({"CORPUS_FILES": "/nowhere/*.csv"}, "name a folder: DATA_DIR=data/NAME"),
        ({"CORPUS_FILES": " "}, "name a folder: DATA_DIR=data/NAME"),
        ({"CORPUS_FILES": "/nowhere/a.csv", "CORPUS_DIR": "/"}, "CORPUS_DIR and CORPUS_FILES name a corpus each"),
        ({"TOKENIZER_TYPE": "word"}, "TOKENIZER_TYPE=word is none of wordpiece, bpe, sentencepiece-unigram"),
        ({"CORPUS_FLAGS": "--col-name 'text"}, "CORPUS_FLAGS: No closing quotation. Received: --col-name 'text"),
        ({"TASK": "'sst"}, "TASK: No closing quotation"),
        ({"FINETUNE": "no"}, "FINETUNE=no is neither true nor false"),
        ({"PRETRAIN": "True"}, "PRETRAIN=True is neither true nor false"),
        ({"FINETUNE": "false", "PRETRAIN": "false"}, "leave nothing to do"),
    ],
)
def test_mistake_is_an_error_that_names_the_variable(variables, message):
    with pytest.raises(VariableError) as caught:
        read_variables(variables)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "folder"), [("tweets (1).v2.csv", "tweets (1)"), ("notes", "notes"), ("a.b/notes.txt", "notes")]
)
def test_folder_of_the_results_has_the_name_of_the_first_file(tmp_path, name, folder):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert read_variables({"CORPUS_FILES": str(file)}).data_dir == f"{REPOSITORY}/data/{folder}"
    two = read_variables({"CORPUS_FILES": f"{tmp_path}/ '{file}'", "PRETRAIN": "true"})
    assert two.data_dir == f"{REPOSITORY}/data/{tmp_path.name}"
    assert two.corpus_flags == ("--corpus-files", f"{tmp_path}/", str(file))


@pytest.mark.parametrize("end", ["", "/"])
def test_folder_of_the_results_has_the_name_of_the_corpus(tmp_path, end):
    (tmp_path / "my.text").mkdir()
    assert read_variables({"CORPUS_DIR": f"{tmp_path}/my.text{end}"}).data_dir == f"{REPOSITORY}/data/my.text"
    assert read_variables({"DATA_DIR": f"{tmp_path}/made{end}"}).data_dir == f"{tmp_path}/made"


def test_quoted_file_with_blanks_must_exist(tmp_path):
    (tmp_path / "my own notes.txt").touch()
    given = {"DATA_DIR": "made"}
    assert read_variables({**given, "CORPUS_FILES": f"'{tmp_path}/my own notes.txt' /"}).corpus_flags == (
        *("--corpus-files", f"{tmp_path}/my own notes.txt", "/"),
    )
    with pytest.raises(VariableError, match="my own text is not there"):
        read_variables({**given, "CORPUS_FILES": f"'{tmp_path}/my own text' /"})


def test_nothing_in_the_flags_is_expanded_or_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--col-name", "$(touch${IFS}made)", "--text-field", "`touch${IFS}made`", "--encoding", "*"]
    variables = read_variables({"CORPUS_FLAGS": " ".join(words), "BUILD_FLAGS": "  --seed\n3"})
    assert list(variables.corpus_flags[2:]) == words
    assert variables.build_flags == ("--seed", "3")
    assert not list(tmp_path.iterdir())


def test_task_with_a_path_of_blanks_is_one_and_others_are_words(tmp_path):
    table = tmp_path / "my table.csv"
    table.touch()
    assert read_variables({"TASK": f"csv:{table}"}).tasks == (f"csv:{table}",)
    assert read_variables({"TASK": f"squad 'csv:{table}'"}).tasks == ("squad", f"csv:{table}")


def test_own_text_is_not_finetuned_without_a_task(tmp_path):
    own = {"CORPUS_DIR": str(tmp_path)}
    for variables, finetune in (({}, True), (own, False), ({**own, "TASK": "sst"}, True)):
        assert read_variables(variables).finetune is finetune
        for value in ("true", "false"):
            assert read_variables({**variables, "FINETUNE": value}).finetune is (value == "true")

"""The command writes a page, tables and numbers, and says in one line what is wrong with its flags and files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.metrics import squad
from scripts.analyze_qa import make_parser
from tests.command_errors import error_line
from tests.finetune.analysis.made_up import ROWS, write_files
from tests.in_process import run_command

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "analyze_qa.py"
REQUIRED = ["--gold=g.json", "--predictions=p.json", "--output=out"]


@pytest.fixture
def files(tmp_path):
    return write_files(tmp_path)


def _run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        ([], "gold", "g.json"),
        ([], "format", "squad"),
        (["--format=mrqa"], "format", "mrqa"),
        ([], "null_odds", None),
        ([], "compare", None),
        (["--compare-null-odds=c.json"], "compare_null_odds", "c.json"),
        ([], "threshold", None),
        (["--threshold=-2.75"], "threshold", -2.75),
        ([], "output", Path("out")),
        ([], "num_examples", 10),
        ([], "seed", 0),
        ([], "max_bad_rows", 10),
    ],
)
def test_flags_mean_what_they_say(flags, name, value):
    assert getattr(make_parser().parse_args([*REQUIRED, *flags]), name) == value


def test_command_writes_page_tables_and_numbers(files, tmp_path):
    output = tmp_path / "new" / "analysis"
    done = _run(
        *("--gold", files["gold"], "--predictions", files["a"], "--null-odds", files["odds"], "--output", output),
        *("--compare", files["b"], "--compare-null-odds", files["odds"], "--threshold=0", "--num-examples=3"),
    )
    assert done.returncode == 0, done.stderr
    names = {
        "answerable",
        "question_word",
        "answer_length",
        "question_length",
        "context_length",
        "error_classes",
        "questions",
    }
    assert {path.name for path in output.iterdir()} == {
        *(f"{name}.csv" for name in names),
        "summary.json",
        "index.html",
    }
    gold = {name: row[1] for name, row in ROWS.items()}
    predictions = {name: row[2] for name, row in ROWS.items() if row[2] is not None}
    null_odds = {name: row[4] for name, row in ROWS.items()}
    metrics = json.loads((output / "summary.json").read_text())["models"]["a"]["metrics"]
    expected = squad.evaluate_v2(gold, predictions, null_odds, 0.0).metrics
    assert metrics == expected | squad.average_precision(gold, predictions, null_odds)
    assert f"exact match {metrics['exact']:.3f}, F1 {metrics['f1']:.3f} at threshold 0 (given)" in done.stdout
    assert done.stdout.rstrip().endswith(str(output / "index.html"))
    assert (output / "index.html").read_text().startswith("<!doctype html>")


def test_questions_of_other_layouts_are_read(tmp_path):
    detected = [{"text": "Rome", "char_spans": [[6, 9]]}]
    qas = [{"qid": "m", "question": "Where?", "answers": ["Rome"], "detected_answers": detected}]
    (tmp_path / "dev.jsonl").write_text('{"header": {}}\n' + json.dumps({"context": "He in Rome.", "qas": qas}))
    (tmp_path / "p.json").write_text('{"m": "rome"}')
    flags = ("--gold", tmp_path / "dev.jsonl", "--format=mrqa", "--predictions", tmp_path / "p.json")
    done = _run(*flags, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "exact match 100.000, F1 100.000; 1 questions, 0 without prediction" in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gold=none.json"], "--gold: none.json: No such file"),
        (["--predictions=none.json"], "--predictions: none.json: No such file"),
        (["--format=mrqa"], "no question can be used; is it in the format mrqa?"),
        (["--threshold=1"], "--threshold needs --null-odds, which it is compared with. Received: 1.0"),
        (["--compare-null-odds=n.json"], "--compare-null-odds needs --compare. Received: n.json"),
    ],
)
def test_mistakes_are_one_line(files, tmp_path, flags, message):
    done = _run("--gold", files["gold"], "--predictions", files["a"], "--output", tmp_path / "out", *flags)
    assert message in error_line(done)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--num-examples", "--seed", "--max-bad-rows", "--max-bad-rate", "--threshold"])
def test_numbers_that_cannot_be_are_refused_by_their_flags(files, tmp_path, flag):
    for value in ("-1", "nan", "9" * 5000) if flag != "--threshold" else ("nan", "x"):
        given = ("--gold", files["gold"], "--predictions", files["a"], "--output", tmp_path / "out", flag, value)
        assert f"error: argument {flag}: must be a " in run_command("scripts.analyze_qa", *given).mistake


def test_a_folder_that_cannot_be_written_to_is_named(files):
    done = _run("--gold", files["gold"], "--predictions", files["a"], "--output", files["b"])
    assert f"--output: {files['b']} is a file; a folder is needed" in error_line(done)


def test_command_imports_no_tensorflow_and_nothing_slow():
    code = "import sys, scripts.analyze_qa; assert not {'tensorflow', 'keras', 'scipy', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPT.parents[1])

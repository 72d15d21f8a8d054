"""The command converts files, prints what became of them, and names mistakes with file and line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.qa.readers import read_questions
from scripts.convert_qa_dataset import make_parser
from tests.command_errors import error_line
from tests.finetune.qa.newsqa_tables import row, span, write_table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "convert_qa_dataset.py"
REQUIRED = ["--from=newsqa", "--input=a.csv", "--output=b.json"]


def _run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        ([], "source", "newsqa"),
        ([], "target", "squad"),
        ([], "input", Path("a.csv")),
        ([], "report", None),
        ([], "history_turns", 0),
        (["--history-turns=3"], "history_turns", 3),
        ([], "max_bad_rows", 10),
        (["--max-bad-rate=0.5"], "max_bad_rate", 0.5),
    ],
)
def test_flags_mean_what_they_say(flags, name, value):
    assert getattr(make_parser().parse_args([*REQUIRED, *flags]), name) == value


def test_command_writes_the_file_and_the_counts(tmp_path):
    table = write_table(tmp_path / "in.csv", [row("How many?", span("19")), row("Why?", "None"), row("Who?", "1-2")])
    output, report = tmp_path / "out.json", tmp_path / "new" / "report.json"
    done = _run("--from=newsqa", "--to=squad", "--input", table, "--output", output, "--report", report)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{output}: 2 of 3 questions written (1 impossible) in 1 paragraphs with 1 answers; not converted: 1 "
        "(1 an answer range that is not START:END)\n"
    )
    assert json.loads(report.read_text())["not_converted"]["an answer range that is not START:END"]["count"] == 1
    assert len(read_questions(output, "squad", for_training=True).questions) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "in.csv: line 1: a table of NewsQA must have"),
        (["--input=nowhere.csv"], "nowhere.csv: cannot be read: No such file"),
        (["--from=mrqa", "--max-bad-rows=0"], "in.csv: line 1: malformed JSON"),
        (["--from=quac"], "in.csv: malformed JSON"),
        (["--history-turns=1"], "history_turns are for quac"),
    ],
)
def test_mistakes_are_one_line_that_names_the_place(tmp_path, flags, message):
    (tmp_path / "in.csv").write_text("another,header\n")
    done = _run("--from=newsqa", "--input", tmp_path / "in.csv", "--output", tmp_path / "out.json", *flags)
    assert message in error_line(done)
    assert not (tmp_path / "out.json").exists()


def test_a_rate_above_one_is_refused_by_its_flag(tmp_path):
    done = _run("--from=newsqa", "--input=in.csv", "--output", tmp_path / "out.json", "--max-bad-rate=2")
    assert done.returncode == 2
    assert "error: argument --max-bad-rate: must be a number from 0 to 1. Received: '2'" in done.stderr


def test_command_imports_no_tensorflow():
    code = "import sys, scripts.convert_qa_dataset; assert not {'tensorflow', 'keras', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SCRIPT.parents[1])

import json
import string
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.inspect_corpus import make_parser
from tests.command_errors import error_line
from tests.in_process import run_command

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "inspect_corpus.py"


@pytest.fixture(scope="module")
def vocab_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase]
    path.write_text("\n".join(tokens), encoding="utf-8")
    return path


@pytest.fixture
def corpus_dir(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("a b c <b>bold</b>\nd e f g\n\nh i\n", encoding="utf-8")
    (folder / "b.csv").write_text('id,text\n1,"j k\nl"\n2,m n o\n', encoding="utf-8")
    return folder


def _run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        ([], "vocab_file", None),
        ([], "max_seq_length", 128),
        ([], "duplicate_threshold", 0.8),
        ([], "format", "pairs"),
        (["--format=rows"], "format", "rows"),
        (["--no-lower-case"], "do_lower_case", False),
        (["--col-name=tweet"], "col_name", "tweet"),
        (["--against", "a.json", "b.tsv"], "against", [Path("a.json"), Path("b.tsv")]),
    ],
)
def test_flags_mean_what_they_say(flags, name, value):
    assert getattr(make_parser().parse_args(["--corpus-dir", "c", *flags]), name) == value


def test_command_prints_a_summary_and_writes_page_and_numbers(corpus_dir, tmp_path):
    page, numbers, evaluation = (tmp_path / "new" / name for name in ("a.html", "a.json", "dev.txt"))
    page.parent.mkdir()
    evaluation.write_text("nothing that is there, in eight words or more\n", encoding="utf-8")
    done = _run("--corpus-dir", corpus_dir, "--html", page, "--json", numbers, "--against", evaluation)
    assert done.returncode == 0, done.stderr
    assert "documents   4" in done.stdout
    assert "0 of 1 texts occur in part" in done.stdout
    report = json.loads(numbers.read_text(encoding="utf-8"))
    assert report["text"]["words"] == 18
    assert report["corpus"]["sources"].keys() == {"csv", "text"}
    assert "a b c &lt;b&gt;bold&lt;/b&gt;" in page.read_text(encoding="utf-8")
    assert sorted(path.name for path in page.parent.iterdir()) == ["a.html", "a.json", "dev.txt"]


def test_vocabulary_adds_what_a_build_would_make(corpus_dir, vocab_file):
    done = _run("--corpus-files", corpus_dir / "b.csv", "--vocab-file", vocab_file, "--max-seq-length=16")
    assert done.returncode == 0, done.stderr
    assert "tokens a word       1.000" in done.stdout
    assert "examples            2 of 16, pairs" in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--corpus-dir=nowhere"], "Received: nowhere, which is none"),
    ],
)
def test_mistakes_are_one_line(flags, message):
    assert message in error_line(_run(*flags))


@pytest.mark.parametrize(
    ("flag", "value", "rule"),
    [
        ("--duplicate-threshold", "1", "a number from 0.3 to 0.95"),
        ("--max-seq-length", "1000000000000", "a whole number from 5 to 1048576"),
        ("--num-processes", "1000000000", "a whole number from 1 to 1024"),
        ("--max-bad-rate", "nan", "a number from 0 to 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_with_their_bounds(flag, value, rule):
    mistake = run_command("scripts.inspect_corpus", "--corpus-files=a.txt", flag, value).mistake
    assert f"argument {flag}: must be {rule}. Received: '{value}'" in mistake

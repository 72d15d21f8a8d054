import json
import resource
import string
import subprocess
import sys
from pathlib import Path

import pytest

from pretrain.builder.build import BuildSettings, build_dataset
from scripts.build_pretraining_dataset import dedup_of, make_parser
from tests.command_errors import error_line

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "build_pretraining_dataset.py"
REQUIRED = ["--corpus-dir", "c", "--vocab-file", "v", "--output-dir", "o"]


@pytest.fixture(scope="module")
def vocab_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase]), encoding="utf-8"
    )
    return path


@pytest.fixture
def corpus_dir(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.txt").write_text("a b c d\ne f\n\ng h i j k\n" * 50, encoding="utf-8")
    return folder


def _run(corpus_dir, vocab_file, output_dir, *flags, **arguments):
    paths = [f"--corpus-dir={corpus_dir}", f"--vocab-file={vocab_file}", f"--output-dir={output_dir}"]
    command = [sys.executable, str(SCRIPT), *paths, "--max-seq-length=16", "--num-out-files=3", *flags]
    return _done(command, **arguments)


def _done(command, **arguments):
    return subprocess.run(command, capture_output=True, text=True, check=False, **arguments)


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        ([], "col_name", "text"),
        (["--csv-quotes=false"], "csv_quotes", False),
        ([], "csv_delimiter", None),
        (["--csv-delimiter", ";"], "csv_delimiter", ";"),
        (["--csv-delimiter", r"\t"], "csv_delimiter", "\t"),
        (["--openwebtext"], "openwebtext", True),
        ([], "blanks_separate_docs", True),
        (["--blanks-separate-docs", "false"], "blanks_separate_docs", False),
        (["--blanks-separate-docs=False"], "blanks_separate_docs", False),
        (["--blanks-separate-docs", "true"], "blanks_separate_docs", True),
        (["--do-lower-case"], "do_lower_case", True),
        (["--do-lower-case=false"], "do_lower_case", False),
        (["--no-lower-case"], "do_lower_case", False),
        ([], "do_strip_accents", True),
        (["--no-strip-accents"], "do_strip_accents", False),
        ([], "num_out_files", 1000),
        ([], "max_seq_length", 128),
        ([], "num_processes", 1),
        (["--seed", "7"], "seed", 7),
        ([], "format", "pairs"),
        (["--format", "rows"], "format", "rows"),
        ([], "document_tails", "join"),
        (["--format=sentences", "--document-tails=drop"], "document_tails", "drop"),
    ],
)
def test_flags_mean_what_they_say(flags, name, value):
    assert getattr(make_parser().parse_args([*REQUIRED, *flags]), name) == value


@pytest.mark.parametrize(
    ("flags", "expected"),
    [([], ()), (["--dedup"], ("documents", "lines")), (["--dedup", "lines", "--seed=1"], ("lines",))],
)
def test_dedup_alone_means_all_that_can_occur_again(flags, expected):
    assert dedup_of(make_parser().parse_args([*REQUIRED, *flags])) == expected


@pytest.mark.parametrize(
    "flags", [["--blanks-separate-docs=maybe"], ["--max-seq-length=x"], ["--unknown=1"], ["--format=row"]]
)
def test_wrong_flags_are_errors(flags, capsys):
    with pytest.raises(SystemExit) as exited:
        make_parser().parse_args([*REQUIRED, *flags])
    assert exited.value.code == 2
    assert flags[0].split("=")[0] in capsys.readouterr().err


def test_command_builds_records_and_then_knows_that_they_are_there(corpus_dir, vocab_file, tmp_path):
    output_dir = tmp_path / "records"
    done = _run(corpus_dir, vocab_file, output_dir, "--num-processes=2", "--blanks-separate-docs=false")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((output_dir / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["num_documents"] == 4
    assert manifest["tokens_in"] == 4 * 50 * 11
    assert sorted(path.name for path in output_dir.iterdir()) == ["manifest.json", *manifest["files"]]

    settings = BuildSettings(
        corpus_dir=corpus_dir,
        vocab_file=vocab_file,
        output_dir=tmp_path / "one process",
        max_seq_length=16,
        num_out_files=3,
        blanks_separate_docs=False,
    )
    build_dataset(settings)
    for path in output_dir.iterdir():
        assert path.read_bytes() == (settings.output_dir / path.name).read_bytes()

    again = _run(corpus_dir, vocab_file, output_dir, "--blanks-separate-docs=false")
    assert again.returncode == 0
    assert "is up to date" in again.stderr
    assert "another build" in error_line(_run(corpus_dir, vocab_file, output_dir))


def test_failure_of_a_worker_is_one_line_and_leaves_no_files(corpus_dir, vocab_file, tmp_path):
    (corpus_dir / "9.txt").write_bytes(b"abc\n\xff\n")
    done = _run(corpus_dir, vocab_file, tmp_path / "records", "--num-processes=2")
    assert "9.txt: not UTF-8 at byte 4" in error_line(done)
    assert not (tmp_path / "records").exists()


def test_table_becomes_records_and_its_mistakes_are_one_line(vocab_file, tmp_path):
    table = tmp_path / "tweets.csv"
    table.write_bytes(b'id,tweet\r\n1,"a ""b"",\r\nc"\r\n2,\r\n3,d e\r\n')
    flags = ["--vocab-file", str(vocab_file), "--output-dir", str(tmp_path / "records"), "--num-out-files=1"]
    command = [sys.executable, str(SCRIPT), "--corpus-files", str(tmp_path / "*.csv"), *flags]
    assert "tweets.csv: no column 'text' (--col-name); there are 'id', 'tweet'" in error_line(_done(command))
    assert "goes with the format sentences" in error_line(_done([*command, "--document-tails=keep"]))
    done = _done([*command, "--col-name=tweet", "--format=rows"])
    assert done.returncode == 0, done.stderr
    assert "csv: 2 documents in 1 files; rows: 1 without text, 0 skipped, 0 replaced in" in done.stderr
    manifest = json.loads((tmp_path / "records" / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["tokens_in"], manifest["num_examples"], manifest["format"]) == (6 + 2, 2, "rows")


def test_corpus_must_be_named_once(capsys):
    for flags in (REQUIRED[2:], [*REQUIRED, "--corpus-files", "a"]):
        with pytest.raises(SystemExit):
            make_parser().parse_args(flags)
        assert "--corpus-files" in capsys.readouterr().err


def test_full_disk_is_one_line_with_path_and_reason_and_leaves_no_files(corpus_dir, vocab_file, tmp_path):
    def limit_file_size():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))

    done = _run(corpus_dir, vocab_file, tmp_path / "records", preexec_fn=limit_file_size)
    assert "File too large" in error_line(done)
    assert not (tmp_path / "records").exists()

"""Each command runs in a process of its own, as a user starts it."""

import argparse
import subprocess
import sys

import pytest

from electra_span import command_line
from electra_span.config import HparamError

SCRIPT = """
import errno, sys
from absl import logging
from absl.flags import argparse_flags
from electra_span import command_line
from electra_span.config import UserError

def parser():
    made = argparse_flags.ArgumentParser()
    made.add_argument("--outcome", default="done")
    made.add_argument("--number", type=command_line.whole_number(1, 20), default=1)
    made.add_argument("--share", type=command_line.number(0, 1, above=True), default=1)
    made.add_argument("--blanks-separate-docs", type=command_line.parse_bool, default=True)
    return made

def main(arguments):
    logging.debug("%s is read", arguments.outcome)
    logging.debug("a debug line")
    outcomes = {
        "mistake": UserError("a mistake,\\nexplained"),
        "disk": OSError(errno.ENOSPC, "No space left on device", "somewhere/model"),
        "folder": IsADirectoryError(errno.EISDIR, "Is a directory", "somewhere/\x1b[2Jmodel"),
        "long": UserError("x" * 5_000_000),
        "interrupt": KeyboardInterrupt(),
        "fault": OSError("a fault"),
    }
    if arguments.outcome in outcomes:
        raise outcomes[arguments.outcome]
    print(arguments.blanks_separate_docs, "tensorflow" in sys.modules)

command_line.run(main, parser)
"""


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_command_ends_with_status_zero_without_tensorflow():
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "True False\n", "")


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        ("mistake", "error: a mistake, explained\n"),
        ("disk", "error: No space left on device: somewhere/model\n"),
        ("folder", "error: Is a directory: somewhere/\ufffd[2Jmodel\n"),
        ("long", f"error: {'x' * 491}...{'x' * 498}\n"),
    ],
)
def test_mistake_of_the_user_is_one_line_and_status_two(outcome, line):
    done = run("--outcome", outcome)
    assert (done.returncode, done.stderr, done.stdout) == (2, line, "")


def test_interrupt_exits_with_status_130():
    done = run("--outcome", "interrupt")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_fault_of_ours_keeps_its_traceback_and_status_one():
    done = run("--outcome", "fault")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("OSError: a fault\n")


@pytest.mark.parametrize(
    ("flag", "value", "rule"),
    [
        ("--number", "0", "a whole number from 1 to 20. Received: '0'"),
        ("--number", "1000000000000", "a whole number from 1 to 20. Received: '1000000000000'"),
        ("--number", "9" * 5000, f"a whole number from 1 to 20. Received: '{'9' * 37}...{'9' * 37}'"),
        ("--number", "1.5", "a whole number from 1 to 20. Received: '1.5'"),
        ("--share", "0", "a number above 0, to 1. Received: '0'"),
        ("--share", "nan", "a number above 0, to 1. Received: 'nan'"),
        ("--share", "a\x1b[2J", "a number above 0, to 1. Received: 'a\\x1b[2J'"),
    ],
)
def test_a_number_out_of_its_bounds_is_refused_with_them(flag, value, rule):
    done = run(flag, value)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"-c: error: argument {flag}: must be {rule}"


def test_argparse_shows_no_control_characters_and_is_bounded():
    done = run("--no-such-flag", "\x1b[2J" + "x" * 5000)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert len(done.stderr) < 2000


def test_logged_names_show_no_control_characters_and_are_bounded():
    assert "\ufffd[2J is read" in run("--verbosity=1", "--outcome", "\x1b[2J").stderr
    assert len(run("--verbosity=1", "--outcome", "x" * 50_000).stderr) < 5000


def test_verbosity_reaches_absl_logging_on_stderr():
    assert "a debug line" in run("--verbosity=1").stderr


def test_false_spelled_out_means_false():
    assert run("--blanks-separate-docs=false").stdout == "False False\n"


@pytest.mark.parametrize("arguments", [["--blanks-separate-docs=maybe"], ["--unknown"]])
def test_wrong_flag_exits_with_status_two_without_traceback(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("text", "value"), [("True", True), ("yes", True), ("1", True), ("no", False), ("0", False)])
def test_parse_bool_reads_usual_spellings(text, value):
    assert command_line.parse_bool(text) is value


@pytest.mark.parametrize("text", ["", "none", "2", "truee"])
def test_parse_bool_refuses_other_text(text):
    with pytest.raises(argparse.ArgumentTypeError, match="true or false"):
        command_line.parse_bool(text)


def test_hparams_are_read_from_text_and_words_and_words_win():
    words = ["learning_rate=1e-3", "xla=auto", 'model_hparam_overrides={"hidden_size": 8}', "vocab_file=a=b", "name="]
    assert command_line.read_hparams('{"learning_rate": 1, "seed": 3}', words) == {
        "learning_rate": 1e-3,
        "seed": 3,
        "xla": "auto",
        "model_hparam_overrides": {"hidden_size": 8},
        "vocab_file": "a=b",
        "name": "",
    }


def test_hparams_are_read_from_a_json_file_with_byte_order_mark(tmp_path):
    file = tmp_path / "hparams.json"
    file.write_bytes(b'\xef\xbb\xbf{"seed": 3}')
    assert command_line.read_hparams(str(file)) == {"seed": 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"seed": 3,}', "hparams.json: malformed JSON at line 1, column 1[12]"),
        (b'\n{"seed" 3}', "hparams.json: malformed JSON at line 2, column 9"),
        (b"3", "hparams.json: must be a JSON object. Received: 3"),
        (b'{"a": "\xff"}', "hparams.json: not UTF-8 at byte 7"),
        (b'{"seed": 3, "seed": 4}', "hparams.json: the key 'seed' is there twice"),
        (b'{"seed": %s}' % (b"9" * 4301), "hparams.json: an integer in the JSON has more than 4,300 digits"),
        (b"[" * 5000, "hparams.json: JSON is nested too deeply"),
    ],
)
def test_wrong_json_file_is_refused_by_name_and_position(tmp_path, content, message):
    file = tmp_path / "hparams.json"
    file.write_bytes(content)
    with pytest.raises(HparamError, match=message):
        command_line.read_json_file(str(file))


@pytest.mark.parametrize("text", ['{"seed": 3, "seed": 4}', '{"a": {"b": 1, "b": 2}}'])
def test_an_hparam_that_is_given_twice_is_refused(text):
    with pytest.raises(HparamError, match=r"--hparams: the key .* is there twice"):
        command_line.read_hparams(text)


@pytest.mark.parametrize("value", ["9" * 4301, "[" * 5000, '{"a": 1, "a": 2}'])
def test_a_word_whose_json_cannot_be_read_is_refused(value):
    with pytest.raises(HparamError, match=r"^seed: "):
        command_line.read_hparams("{}", [f"seed={value}"])


@pytest.mark.parametrize("word", ["seed", "=3", ""])
def test_word_without_key_or_value_is_refused(word):
    with pytest.raises(HparamError, match="key=value"):
        command_line.read_hparams("{}", [word])

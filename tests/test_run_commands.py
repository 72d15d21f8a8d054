"""The run commands in processes of their own, where any import of TensorFlow ends the process with a mark."""

import os
import pathlib
import subprocess
import sys

import pytest

import run_finetuning
import run_pretraining
from configure_pretraining import PretrainingConfig

COMMANDS = (run_pretraining, run_finetuning)


@pytest.fixture(scope="module")
def without_tensorflow(tmp_path_factory) -> dict[str, str]:
    """An environment in which TensorFlow and Keras cannot be imported."""
    folder = tmp_path_factory.mktemp("path")
    for module in ("tensorflow", "keras"):
        (folder / f"{module}.py").write_text("raise SystemExit('TensorFlow was imported')")
    return {**os.environ, "PYTHONPATH": str(folder)}


def run(environment: dict[str, str], command_module, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(pathlib.Path(command_module.__file__)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_tensorflow(without_tensorflow, command):
    done = run(without_tensorflow, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--data-dir" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hparams", "{learning_rate: 1}"], "--hparams: malformed JSON at line 1, column 2"),
        (["--hparams", "[1]"], "--hparams must be a JSON object. Received: [1]"),
        (["--hparams", "missing.json"], "missing.json: cannot be read (No such file or directory)"),
        (["--hparams", '{"learning_rat": 1}'], "unknown hparam 'learning_rat': did you mean 'learning_rate'?"),
        (["learning_rate=fast"], "learning_rate must be a finite number. Received: 'fast'"),
        (["learning_rate"], "words after the flags must be key=value. Received: 'learning_rate'"),
        (["use_tpu=true"], "TPUs are not supported"),
    ],
)
def test_mistake_is_one_line_and_status_two_before_tensorflow(
    without_tensorflow, tmp_path, command, arguments, message
):
    assert_mistake(without_tensorflow, tmp_path, command, arguments, message)


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (run_pretraining, ["do_eval=true"], "exactly one must be true"),
        (run_pretraining, ["max_seq_length=1024"], "must be at most max_position_embeddings, 512"),
        (run_finetuning, ['task_names=["sqad"]'], "unknown task in task_names 'sqad': did you mean 'squad'?"),
        (run_finetuning, ["do_train=false", "do_eval=false"], "one must be true. Received: all false"),
        (run_finetuning, ['task_weights={"sst": 2}'], "unknown task in task_weights 'sst'"),
        (run_finetuning, ["classifier_head=deep"], "unknown classifier_head 'deep'"),
        (run_finetuning, ["train_batch_size=10", "gradient_accumulation_steps=4"], "must be a multiple of"),
    ],
)
def test_mistake_of_one_command_is_one_line_too(without_tensorflow, tmp_path, command, arguments, message):
    assert_mistake(without_tensorflow, tmp_path, command, arguments, message)


def assert_mistake(environment, tmp_path, command, arguments, message):
    done = run(environment, command, "--data-dir", str(tmp_path), "--model-name", "m", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_missing_flag_is_status_two(without_tensorflow):
    done = run(without_tensorflow, run_pretraining, "--data-dir", "d")
    assert done.returncode == 2
    assert "--model-name" in done.stderr


def test_effective_configuration_is_printed_before_anything_else(without_tensorflow, tmp_path):
    (tmp_path / "vocab.txt").touch()  # which is looked for first
    hparams = tmp_path / "hparams.json"
    hparams.write_text('{"preset": "electra-base", "seed": 1, "train_batch_size": 4}')
    done = run(
        without_tensorflow,
        run_pretraining,
        "--data-dir",
        str(tmp_path),
        "--model-name",
        "m",
        "--hparams",
        str(hparams),
        "seed=2",
        "xla=auto",
    )
    config = PretrainingConfig.from_hparams(
        model_name="m", data_dir=str(tmp_path), hparams={"preset": "electra-base", "seed": 2, "train_batch_size": 4}
    )
    preset_line, effective = done.stdout.split("\n", 1)
    assert preset_line.startswith('preset electra-base sets {"model_size": "base"')
    assert effective.strip() == config.to_json().strip()

"""The command in a process of its own, where any import of TensorFlow ends the process with a mark."""

import os
import pathlib
import subprocess
import sys

import pytest

import run_pretraining
from configure_pretraining import PretrainingConfig

COMMAND = pathlib.Path(run_pretraining.__file__)


@pytest.fixture(scope="module")
def without_tensorflow(tmp_path_factory) -> dict[str, str]:
    """An environment in which TensorFlow and Keras cannot be imported."""
    folder = tmp_path_factory.mktemp("path")
    for module in ("tensorflow", "keras"):
        (folder / f"{module}.py").write_text("raise SystemExit('TensorFlow was imported')")
    return {**os.environ, "PYTHONPATH": str(folder)}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(COMMAND), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_help_needs_no_tensorflow(without_tensorflow):
    done = run(without_tensorflow, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--data-dir" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hparams", "{learning_rate: 1}"], "--hparams: malformed JSON at line 1, column 2"),
        (["--hparams", "[1]"], "--hparams must be a JSON object. Received: '[1]'"),
        (["--hparams", "missing.json"], "cannot read the file 'missing.json': No such file or directory"),
        (["--hparams", '{"learning_rat": 1}'], "unknown hparam 'learning_rat': did you mean 'learning_rate'?"),
        (["learning_rate=fast"], "learning_rate must be a finite number. Received: 'fast'"),
        (["learning_rate"], "words after the flags must be key=value. Received: 'learning_rate'"),
        (["use_tpu=true"], "TPUs are not supported"),
        (["do_eval=true"], "exactly one must be true"),
        (["model_hparam_overrides={}", "max_seq_length=1024"], "must be at most max_position_embeddings, 512"),
    ],
)
def test_mistake_is_one_line_and_status_two_before_tensorflow(without_tensorflow, tmp_path, arguments, message):
    done = run(without_tensorflow, "--data-dir", str(tmp_path), "--model-name", "m", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_missing_flag_is_status_two(without_tensorflow):
    done = run(without_tensorflow, "--data-dir", "d")
    assert done.returncode == 2
    assert "--model-name" in done.stderr


def test_effective_configuration_is_printed_before_anything_else(without_tensorflow, tmp_path):
    hparams = tmp_path / "hparams.json"
    hparams.write_text('{"preset": "electra-base", "seed": 1, "train_batch_size": 4}')
    done = run(
        without_tensorflow, "--data-dir", "d", "--model-name", "m", "--hparams", str(hparams), "seed=2", "xla=auto"
    )
    config = PretrainingConfig.from_hparams(
        model_name="m", data_dir="d", hparams={"preset": "electra-base", "seed": 2, "train_batch_size": 4}
    )
    preset_line, effective = done.stdout.split("\n", 1)
    assert preset_line.startswith('preset electra-base sets {"model_size": "base"')
    assert effective.strip() == config.to_json().strip()

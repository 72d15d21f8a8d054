"""The shell commands with a stand-in for .venv's Python that writes down how it is called."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SHELL_SCRIPTS = sorted((REPOSITORY / "scripts").glob("*.sh"))

# Runs code and the check of variables for real; what other calls have as arguments goes to calls.txt, one call a line.
STAND_IN = f"""#!/bin/sh
case "$*" in
    *"$FAILING"*) [ -z "$FAILING" ] || exit 3 ;;
esac
case "$1 $2" in
    -c*) [ "${{2#import ensurepip}}" = "$2" ] || exit "$ENSUREPIP_STATUS"; exec "{sys.executable}" "$@" ;;
    --version*|"-m pip") [ "$3" = install ] || exec "{sys.executable}" "$@" ;;
    *train_variables.py*) exec "{sys.executable}" "$@" ;;
esac
printf '%s\\n' "$(printf '%s' "$*" | sed "s|$STRIPPED||g")" >>"$STRIPPED/calls.txt"
"""


class Checkout:
    """A copy of the shell scripts in a folder with spaces, with a stand-in for .venv's Python."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir(parents=True)
        for script in (*SHELL_SCRIPTS, REPOSITORY / "scripts" / "train_variables.py"):
            shutil.copy(script, folder / "scripts")
        shutil.copy(REPOSITORY / "pyproject.toml", folder)
        self.stand_in(folder / ".venv" / "bin" / "python")

    def stand_in(self, path: pathlib.Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN)
        path.chmod(0o755)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        defaults = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "STRIPPED": str(self.folder)}
        fake = {"FAILING": "", "ENSUREPIP_STATUS": "0", "HOME": str(self.folder)}
        return subprocess.run(
            ["sh", *command], capture_output=True, text=True, cwd="/", env=defaults | fake | environment
        )

    def script(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.folder / "scripts" / name), *arguments, **environment)

    def function(self, commands: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs commands after sourcing environment.sh, as the scripts do."""
        source = 'set -eu; repository=$1; venv_python=$1/.venv/bin/python; . "$1/scripts/environment.sh"; '
        return self.run("-c", source + commands, "sh", str(self.folder), **environment)

    def calls(self) -> list[str]:
        """What .venv's Python was asked to do since the last time, without the folder's name."""
        log = self.folder / "calls.txt"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.lstrip("/") for line in lines]


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "a clone")


@pytest.fixture
def few_tools(tmp_path):
    """A PATH without any Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in ("sh", "dirname", "basename", "cat", "cksum", "getconf"):
        (folder / tool).symlink_to(shutil.which(tool))
    return folder


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda script: script.name)
def test_shell_script_is_posix_syntax(script):
    subprocess.run(["sh", "-n", script], check=True)
    text = script.read_text()
    assert not [word for word in ("[[", "pipefail", "<<<", "local ") if word in text]


def test_machine_without_python_is_told_which_versions_are_needed(checkout, few_tools):
    shutil.rmtree(checkout.folder / ".venv")
    ended = checkout.script("train.sh", PATH=str(few_tools))
    assert ended.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 found" in ended.stderr
    assert not (checkout.folder / "data").exists()


def test_python_named_by_the_user_that_does_not_run_is_refused(checkout):
    ended = checkout.function('PYTHON=/nowhere/python find_python; echo "$base_python"')
    assert ended.returncode == 1
    assert "PYTHON=/nowhere/python is not a working Python 3.11, 3.12 or 3.13" in ended.stderr
    assert ended.stdout == ""


def test_shim_of_a_version_that_is_not_installed_is_passed_over(checkout, few_tools):
    (few_tools / "python3.12").write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    (few_tools / "python3.12").chmod(0o755)
    checkout.stand_in(few_tools / "python3")
    ended = checkout.function('find_python; echo "$base_python"', PATH=str(few_tools))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "python3\n", "")


def test_python_without_ensurepip_is_told_what_to_install(checkout, few_tools):
    shutil.rmtree(checkout.folder / ".venv")
    checkout.stand_in(few_tools / "python3")
    ended = checkout.script("train.sh", PATH=str(few_tools), ENSUREPIP_STATUS="1")
    assert ended.returncode == 1
    assert "apt-get install python3-venv" in ended.stderr
    assert not (checkout.folder / ".venv").exists()


def test_installation_is_made_once(checkout):
    assert checkout.function("install").returncode == 0
    assert checkout.calls() == ["-m pip install --quiet --quiet --no-compile --disable-pip-version-check --editable "]
    assert checkout.function("install").stdout == ""
    assert checkout.calls() == []


def test_extra_is_installed_when_first_asked_for(checkout):
    checkout.function("install")
    checkout.calls()
    checkout.function("install test gpu")
    assert checkout.calls() == [
        "-m pip install --quiet --quiet --no-compile --disable-pip-version-check --editable [test,gpu]"
    ]
    checkout.function("install gpu; install; install test")
    assert checkout.calls() == []


def test_changed_pyproject_is_installed_again(checkout):
    checkout.function("install test")
    checkout.calls()
    with (checkout.folder / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    checkout.function("install test")
    assert checkout.calls() == [
        "-m pip install --quiet --quiet --no-compile --disable-pip-version-check --editable [test]"
    ]


def test_failed_installation_stops_and_is_tried_again(checkout):
    ended = checkout.script("test.sh", FAILING="pip install")
    assert ended.returncode == 3
    assert checkout.calls() == []
    assert not list((checkout.folder / ".venv").glob("installed-*"))


def test_training_runs_in_the_environment_that_is_made_once(checkout):
    ended = checkout.script("train.sh", HPARAMS='{"learning_rate": 1}')
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("==> Installing into .venv (base)")
    installation, training = checkout.calls()
    assert installation.startswith("-m pip install")
    assert training == "scripts/train_pipeline.py"
    assert checkout.script("train.sh", "ignored").stdout == ""
    assert checkout.calls() == ["scripts/train_pipeline.py"]


def test_training_that_fails_ends_with_its_status(checkout):
    assert checkout.script("train.sh", FAILING="train_pipeline").returncode == 3


def test_mistake_in_the_variables_is_reported_before_anything_is_installed(checkout):
    ended = checkout.script("train.sh", CORPUS_DIR="/nowhere/text")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "error: CORPUS_DIR=/nowhere/text is no folder\n"
    assert checkout.calls() == []
    assert not (checkout.folder / "data").exists()


def test_tests_are_run_last_and_with_the_arguments(checkout):
    ended = checkout.script("test.sh", "-m", "slow or not slow", CI="true")
    assert ended.returncode == 0, ended.stderr
    tools = [call.removeprefix("-m ").split()[0] for call in checkout.calls()]
    assert tools == ["pip", "ruff", "ruff", "mypy", "pytest"]


def test_lint_that_fails_fails_the_tests(checkout):
    assert checkout.script("test.sh", FAILING="ruff check").returncode == 3
    assert not any("pytest" in call for call in checkout.calls())

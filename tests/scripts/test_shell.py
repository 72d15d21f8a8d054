"""The shell commands with a stand-in for .venv's Python that writes down how it is called."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SHELL_SCRIPTS = sorted((REPOSITORY / "scripts").glob("*.sh"))
RUN_FOR_REAL = ("print_hparams.py", "build_pretraining_dataset.py")  # the second is asked for its flags only

# Runs code and the cheap scripts for real; what the others are called with goes to calls.txt, one call a line.
STAND_IN = f"""#!/bin/sh
case "$*" in
    *"$FAILING"*) [ -z "$FAILING" ] || exit 1 ;;
esac
case "$1 $2" in
    -c*) [ "${{2#import ensurepip}}" = "$2" ] || exit "$ENSUREPIP_STATUS"; exec "{sys.executable}" "$@" ;;
    --version*|"-m pip") [ "$3" = install ] || exec "{sys.executable}" "$@" ;;
    *print_hparams.py*) exec "{sys.executable}" "$@" ;;
esac
printf '%s\\n' "$(printf '%s' "$*" | tr '\\n' ' ' | sed "s|$STRIPPED||g")" >>"$STRIPPED/calls.txt"
for word in "$@"; do
    case "$flag" in
        --vocab-file|--output-dir) made=$word ;;
    esac
    flag=$word
done
case "$*" in
    *--preview*) ;;
    *write_default_*.py*) mkdir -p "$2" ;;
    *create_vocab.py*) mkdir -p "$(dirname "$made")"; echo words >"$made" ;;
    *build_pretraining*) mkdir -p "$made"; printf '  "num_examples": %s,\\n' "$NUM_EXAMPLES" >"$made/manifest.json" ;;
    *vocab_size.py*) echo 3 ;;
esac
"""


class Checkout:
    """A copy of the shell scripts in a folder with spaces, with a stand-in for .venv's Python."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir(parents=True)
        for script in (*SHELL_SCRIPTS, *(REPOSITORY / "scripts" / name for name in RUN_FOR_REAL)):
            shutil.copy(script, folder / "scripts")
        shutil.copy(REPOSITORY / "pyproject.toml", folder)
        self.stand_in(folder / ".venv" / "bin" / "python")

    def stand_in(self, path: pathlib.Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN)
        path.chmod(0o755)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        defaults = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "STRIPPED": str(self.folder)}
        fake = {"FAILING": "", "ENSUREPIP_STATUS": "0", "NUM_EXAMPLES": "20000", "HOME": str(self.folder)}
        fake |= {"FINETUNE": "false"}
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
    assert ended.returncode == 1
    assert checkout.calls() == []
    assert not list((checkout.folder / ".venv").glob("installed-*"))


def test_train_runs_its_steps_in_order(checkout):
    ended = checkout.script("train.sh", NUM_PROCESSES="2", FINETUNE="")
    assert ended.returncode == 0, ended.stderr
    programs = [call.split()[0] for call in checkout.calls()[1:]]
    assert programs == [
        "scripts/write_default_corpus.py",
        "scripts/create_vocab.py",
        "scripts/create_vocab.py",
        "scripts/vocab_size.py",
        "scripts/build_pretraining_dataset.py",
        "run_pretraining.py",
        "run_pretraining.py",
        "scripts/summarize_pretraining.py",
        "scripts/write_default_tasks.py",
        *(2 * ["run_finetuning.py", "scripts/summarize_finetuning.py"]),
    ]
    titles = [line.split()[1].rstrip(":") for line in ended.stdout.splitlines() if line.startswith("==> ")]
    assert titles == [
        *("Installing", "Corpus", "Vocabulary", "TFRecords", "Pretraining", "Evaluation", "Summary", "Tasks"),
        *(2 * ["Fine-tuning", "Scores"]),
    ]


def test_second_run_reuses_environment_corpus_and_vocabulary(checkout):
    checkout.script("train.sh")
    checkout.calls()
    checkout.script("train.sh")
    calls = checkout.calls()
    assert "--preview" in calls.pop(0)
    assert [call.split()[0] for call in calls][:3] == [
        "scripts/vocab_size.py",
        "scripts/build_pretraining_dataset.py",
        "run_pretraining.py",
    ]


def test_users_own_settings_reach_every_step(checkout, tmp_path):
    corpus = tmp_path / "my text"
    corpus.mkdir()
    (tmp_path / "recipe.json").write_text('{"max_seq_length": 64, "do_lower_case": false}')
    ended = checkout.script(
        "train.sh", CORPUS_DIR=str(corpus), MODEL_NAME="mine", HPARAMS=str(tmp_path / "recipe.json"), VOCAB_SIZE="99"
    )
    assert ended.returncode == 0, ended.stderr
    _, vocabulary, size, records, training, evaluation, summary = checkout.calls()[1:]
    assert f"--corpus-dir {corpus} --vocab-size 99" in vocabulary
    assert "--vocab-file /data/my text/vocab.txt --do-lower-case False" in vocabulary
    assert size == "scripts/vocab_size.py /data/my text/vocab.txt"
    assert f"--corpus-dir {corpus} --num-processes" in records
    assert "--vocab-file /data/my text/vocab.txt" in records
    assert "--max-seq-length 64 --do-lower-case False" in records
    given = f"--data-dir /data/my text --model-name mine --hparams {tmp_path}/recipe.json vocab_size=3"
    assert training == f"run_pretraining.py {given} do_train=true do_eval=false"
    assert evaluation == f"run_pretraining.py {given} do_train=false do_eval=true"
    assert summary == "scripts/summarize_pretraining.py /data/my text/models/mine"


def test_vocab_size_of_the_hparams_decides_the_vocabulary_and_the_table(checkout, tmp_path):
    ended = checkout.script("train.sh", CORPUS_DIR=str(tmp_path), HPARAMS='{"vocab_size": 99}')
    assert ended.returncode == 0, ended.stderr
    _, vocabulary, _, _, training, *_ = checkout.calls()[1:]
    assert "--vocab-size 99" in vocabulary
    assert training.endswith('--hparams {"vocab_size": 99} do_train=true do_eval=false')


def test_mistake_in_the_hparams_stops_before_anything_is_made(checkout):
    ended = checkout.script("train.sh", HPARAMS='{"learning_rat": 1}')
    assert ended.returncode == 2
    assert "learning_rate" in ended.stderr
    assert not (checkout.folder / "data").exists()


def test_missing_corpus_folder_stops_before_anything_is_made(checkout):
    ended = checkout.script("train.sh", CORPUS_DIR="/nowhere/text")
    assert ended.returncode == 1
    assert "CORPUS_DIR=/nowhere/text is no folder" in ended.stderr
    assert checkout.calls() == []


def test_files_of_a_table_go_to_every_step_with_their_flags(checkout, tmp_path):
    table = tmp_path / "tweets (1).v2.csv"
    table.touch()
    ended = checkout.script(
        "train.sh",
        CORPUS_FILES=str(table),
        CORPUS_FLAGS="--col-name 'the text' --csv-delimiter ;",
        BUILD_FLAGS="--num-out-files=7 --max-seq-length 99 --seed 3",
    )
    assert ended.returncode == 0, ended.stderr
    preview, vocabulary, _, records, *_ = checkout.calls()[1:]
    read = f"--corpus-files {table} --col-name the text --csv-delimiter ;"
    assert preview == f"scripts/create_vocab.py --preview {read} --tokenizer-type wordpiece"
    assert vocabulary.startswith(f"scripts/create_vocab.py {read} --vocab-size 8000 --tokenizer-type wordpiece --vocab")
    assert "--vocab-file /data/tweets (1)/vocab.txt" in vocabulary
    assert f"{read} --num-processes" in records
    assert "--num-out-files 100 --num-out-files=7 --max-seq-length 99 --seed 3 --vocab-file" in records
    assert "--max-seq-length 32 " in records  # the hparams' comes after the other


def test_patterns_reach_the_scripts_as_they_are(checkout, tmp_path):
    (tmp_path / "a.csv").touch()
    files = f"{tmp_path}/a.csv {tmp_path}/**/*.jsonl.gz '{tmp_path}/my notes/?.txt'"
    assert checkout.script("train.sh", CORPUS_FILES=files, DATA_DIR=str(tmp_path / "made")).returncode == 0
    calls = [call for call in checkout.calls() if "--corpus-files" in call]
    assert len(calls) == 3
    assert all(f"--corpus-files {files.replace(chr(39), '')} " in f"{call} " for call in calls)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"CORPUS_FILES": "/nowhere/a.csv"}, "CORPUS_FILES: /nowhere/a.csv is not there"),
        ({"CORPUS_FILES": "/nowhere/*.csv"}, "name a folder: DATA_DIR=data/NAME"),
        ({"CORPUS_FILES": "/nowhere/a.csv", "CORPUS_DIR": "/"}, "CORPUS_DIR and CORPUS_FILES name a corpus each"),
        ({"TOKENIZER_TYPE": "word"}, "TOKENIZER_TYPE=word is none of wordpiece, bpe, sentencepiece-unigram"),
    ],
)
def test_mistake_in_the_variables_stops_before_anything_is_made(checkout, variables, message):
    ended = checkout.script("train.sh", **variables)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert checkout.calls() == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"CORPUS_FLAGS": "--col-name 'text"}, "CORPUS_FLAGS: No closing quotation"),
        ({"CORPUS_FLAGS": "--colname text"}, "unrecognized arguments: --colname text"),
        ({"BUILD_FLAGS": "--seed x"}, "build_pretraining_dataset.py: error: argument --seed: must be a whole number"),
        ({"HPARAMS": '{"phases": [{"max_seq_length": 8, "num_train_steps": 9}]}'}, "records of several lengths"),
        ({"FAILING": "--preview"}, ""),
    ],
)
def test_flags_that_do_not_fit_stop_the_run_before_the_vocabulary(checkout, tmp_path, variables, message):
    ended = checkout.script("train.sh", CORPUS_DIR=str(tmp_path), **variables)
    assert ended.returncode in (1, 2)
    assert message in ended.stderr
    assert not any("create_vocab" in call and "--preview" not in call for call in checkout.calls())


def test_nothing_in_the_flags_is_expanded_or_run(checkout, tmp_path):
    flags = "--col-name $(touch${IFS}made) --text-field `touch${IFS}made` --encoding *"
    checkout.script("train.sh", CORPUS_DIR=str(tmp_path), CORPUS_FLAGS=flags)
    assert any(flags in call for call in checkout.calls())


@pytest.mark.parametrize("kind", ["bpe", "sentencepiece-unigram"])
def test_other_tokenizers_are_a_folder_that_every_step_gets(checkout, tmp_path, kind):
    ended = checkout.script("train.sh", CORPUS_DIR=str(tmp_path), TOKENIZER_TYPE=kind, DATA_DIR=f"{tmp_path}/made/")
    assert ended.returncode == 0, ended.stderr
    _, vocabulary, size, records, training, evaluation, _ = checkout.calls()[1:]
    folder = tmp_path / "made" / "tokenizer"
    assert vocabulary.endswith(f"--vocab-size 8000 --tokenizer-type {kind} --output-dir {folder}")
    assert size.endswith(f" {folder}")
    assert f"--vocab-file {folder} --output-dir" in records
    for call in (training, evaluation):
        assert f" vocab_file={folder} vocab_size=3 do_train=" in call


def test_a_vocabulary_larger_than_the_hparams_have_it_stops_the_run_before_the_records(checkout, tmp_path):
    ended = checkout.script("train.sh", CORPUS_DIR=str(tmp_path), HPARAMS='{"vocab_size": 2}')
    assert ended.returncode == 1
    assert "the hparam vocab_size=2 is less than the 3 tokens of " in ended.stderr
    assert not any("build_pretraining" in call for call in checkout.calls())


@pytest.mark.parametrize(
    ("num_examples", "held_out", "batch_size"), [(20, 2, 18), (999, 100, 128), (10_000, None, None)]
)
def test_the_tiny_recipe_is_fitted_to_few_examples(checkout, num_examples, held_out, batch_size):
    ended = checkout.script("train.sh", NUM_EXAMPLES=str(num_examples))
    assert ended.returncode == 0, ended.stderr
    fitted = f" num_eval_examples={held_out} train_batch_size={batch_size} "
    runs = [call for call in checkout.calls() if "run_pretraining" in call]
    assert [fitted in call for call in runs] == [held_out is not None] * 2
    checkout.script("train.sh", NUM_EXAMPLES=str(num_examples), HPARAMS='{"debug": true}')
    assert not any("num_eval_examples" in call for call in checkout.calls())


STEPS = [
    "create_vocab",
    "build_pretraining",
    "do_train=true",
    "do_eval=true",
    "summarize",
    "default_tasks",
    "finetuning.py",
]


@pytest.mark.parametrize("step", STEPS)
def test_failing_step_ends_the_run_with_its_status(checkout, step):
    ended = checkout.script("train.sh", FAILING=step, FINETUNE="")
    assert ended.returncode == 1
    assert not any(step in call for call in checkout.calls())
    assert not ended.stdout.endswith("==> Summary\n") or step == "summarize"


def test_default_tasks_are_learned_one_by_one_with_recipes_for_the_tiny_model(checkout):
    ended = checkout.script("train.sh", FINETUNE="")
    assert ended.returncode == 0, ended.stderr
    calls = [call for call in checkout.calls() if "finetuning" in call]
    tasks = ["csv:/data/default/default_tasks/modules", "qa:/data/default/default_tasks/cloze"]
    assert len(calls) == 4
    for task, training, summary in zip(tasks, calls[::2], calls[1::2], strict=True):
        assert training.startswith("run_finetuning.py --data-dir /data/default --model-name tiny --hparams {")
        assert '"learning_rate": ' in training
        assert training.endswith(f'task_names=["{task}"]')
        assert summary == f"scripts/summarize_finetuning.py /data/default/models/tiny {task}"
    checkout.script("train.sh", HPARAMS="{}", FINETUNE="")
    assert sum("--hparams {} task_names=" in call for call in checkout.calls()) == 2


def test_default_tasks_are_written_once(checkout):
    checkout.script("train.sh", FINETUNE="")
    assert sum("write_default_tasks" in call for call in checkout.calls()) == 1
    checkout.script("train.sh", FINETUNE="")
    assert not any("write_default_tasks" in call for call in checkout.calls())


def test_users_own_tasks_and_hparams_reach_the_finetuning(checkout, tmp_path):
    data, table = tmp_path / "made", tmp_path / "my table.csv"
    (data / "finetuning_data" / "squad").mkdir(parents=True)
    table.touch()
    given = {"FINETUNE": "", "DATA_DIR": str(data), "FINETUNING_HPARAMS": '{"num_trials": 2}', "MODEL_NAME": "mine"}
    ended = checkout.script("train.sh", TASK=f"squad 'csv:{table}'", **given)
    assert ended.returncode == 0, ended.stderr
    calls = [call for call in checkout.calls() if "finetuning" in call]
    flags = f'--data-dir {data} --model-name mine --hparams {{"num_trials": 2}}'
    assert calls == [
        f'run_finetuning.py {flags} task_names=["squad"]',
        f"scripts/summarize_finetuning.py {data}/models/mine squad",
        f'run_finetuning.py {flags} task_names=["csv:{table}"]',
        f"scripts/summarize_finetuning.py {data}/models/mine csv:{table}",
    ]
    checkout.script("train.sh", TASK=f"csv:{table}", **given)
    assert sum("run_finetuning" in call for call in checkout.calls()) == 1


def test_the_model_is_finetuned_where_pretraining_has_put_it(checkout, tmp_path):
    ended = checkout.script("train.sh", FINETUNE="", HPARAMS=f'{{"model_dir": "{tmp_path}/elsewhere"}}')
    assert ended.returncode == 0, ended.stderr
    calls = [call for call in checkout.calls() if "finetuning" in call]
    assert all(call.endswith(f"model_dir={tmp_path}/elsewhere") for call in calls[::2])
    assert all(f"summarize_finetuning.py {tmp_path}/elsewhere " in call for call in calls[1::2])


def test_finetuning_can_be_left_out_and_is_without_a_task_for_ones_own_text(checkout, tmp_path):
    (tmp_path / "dev.json").touch()
    given = {"CORPUS_DIR": str(tmp_path), "FINETUNE": ""}
    finetuned = {}
    for name, variables in {
        "own text": given,
        "own text and task": {**given, "TASK": f"qa:{tmp_path}"},
        "own text, asked for": {**given, "FINETUNE": "true"},
        "left out": {"FINETUNE": "false"},
    }.items():
        assert checkout.script("train.sh", **variables).returncode == 0
        finetuned[name] = sum("run_finetuning" in call for call in checkout.calls())
    assert finetuned == {"own text": 0, "own text and task": 1, "own text, asked for": 2, "left out": 0}


def test_pretraining_can_be_left_out(checkout, tmp_path):
    (tmp_path / "finetuning_data" / "sst").mkdir(parents=True)
    given = {"FINETUNE": "", "DATA_DIR": str(tmp_path), "MODEL_NAME": "published", "TASK": "sst"}
    assert checkout.script("train.sh", PRETRAIN="false", **given).returncode == 0
    assert [call.split()[0] for call in checkout.calls()[1:]] == [
        "run_finetuning.py",
        "scripts/summarize_finetuning.py",
    ]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"TASK": "squat"}, "squad"),
        ({"TASK": "squad"}, "TASK: squad needs its files in "),
        ({"TASK": "csv:/nowhere/a.csv"}, "TASK: csv:/nowhere/a.csv needs its files in /nowhere/a.csv"),
        ({"TASK": "'sst"}, "TASK: No closing quotation"),
        ({"FINETUNING_HPARAMS": '{"learning_rat": 1}'}, "learning_rate"),
        ({"FINETUNE": "no"}, "FINETUNE=no is neither true nor false"),
        ({"FINETUNE": "false", "PRETRAIN": "false"}, "leave nothing to do"),
    ],
)
def test_mistake_about_the_tasks_stops_before_anything_is_made(checkout, variables, message):
    ended = checkout.script("train.sh", **{"FINETUNE": "", **variables})
    assert ended.returncode in (1, 2)
    assert message in ended.stderr
    assert not any("pretraining" in call or "write_default" in call for call in checkout.calls())


def test_tests_are_run_last_and_with_the_arguments(checkout):
    ended = checkout.script("test.sh", "-m", "slow or not slow", CI="true")
    assert ended.returncode == 0, ended.stderr
    tools = [call.removeprefix("-m ").split()[0] for call in checkout.calls()]
    assert tools == ["pip", "ruff", "ruff", "mypy", "pytest"]


def test_lint_that_fails_fails_the_tests(checkout):
    assert checkout.script("test.sh", FAILING="ruff check").returncode == 1
    assert not any("pytest" in call for call in checkout.calls())

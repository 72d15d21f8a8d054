"""The steps of train.sh: which run, in what order, with which arguments, and how they end."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
from unittest import mock

import pytest

from configure_pretraining import PretrainingConfig
from electra_span.config import UserError
from scripts import train_pipeline, train_variables
from scripts.train_pipeline import StepError, count_tokens, run_step
from tests.in_process import Ended, run_command


class Pipeline:
    """Runs the pipeline with stand-ins for its steps, which are recorded."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._calls: list[str] = []
        self._failing = ""
        self._num_examples = 20_000

    def run(self, *, failing: str = "", num_examples: int = 20_000, **variables: str) -> Ended:
        """Runs the pipeline.

        Args:
            failing: part of the command of the step that fails.
            num_examples: of the records.
            variables: environment variables.
        """
        self._failing, self._num_examples = failing, num_examples
        environment = {"PATH": os.environ["PATH"], "FINETUNE": "false"} | variables
        with mock.patch.dict(os.environ, environment, clear=True):
            return run_command("scripts.train_pipeline")

    def calls(self) -> list[str]:
        """Returns the steps since the last time, without the folder's name."""
        calls, self._calls = self._calls, []
        return calls

    def step(self, script: str, *arguments: str) -> None:
        call = " ".join([script, *arguments])
        if self._failing and self._failing in call:
            raise StepError(script, 1)
        self._calls.append(call.replace(str(self.folder), "").replace("\n", " "))
        places = [pathlib.Path(arguments[index + 1]) for index, word in enumerate(arguments) if word in PLACES]
        if "write_default_" in script:
            pathlib.Path(arguments[0]).mkdir(parents=True)
        elif "create_vocab" in script and "--preview" not in arguments:
            places[-1].parent.mkdir(parents=True, exist_ok=True)
            places[-1].write_text("words\n")
        elif "build_pretraining" in script:
            places[-1].mkdir(parents=True, exist_ok=True)
            (places[-1] / "manifest.json").write_text(json.dumps({"num_examples": self._num_examples}))

    def count_tokens(self, vocab_file: str) -> int:
        self._calls.append(f"count_tokens {vocab_file.replace(str(self.folder), '')}")
        return 3


PLACES = ("--vocab-file", "--output-dir")


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    pipeline = Pipeline(tmp_path / "a clone")
    monkeypatch.setattr(train_variables, "REPOSITORY", pipeline.folder)
    monkeypatch.setattr(train_pipeline, "run_step", pipeline.step)
    monkeypatch.setattr(train_pipeline, "count_tokens", pipeline.count_tokens)
    return pipeline


def test_steps_run_in_order(pipeline):
    ended = pipeline.run(NUM_PROCESSES="2", FINETUNE="")
    assert ended.status == 0, ended.stderr
    programs = [call.split()[0] for call in pipeline.calls()]
    assert programs == [
        "scripts/write_default_corpus.py",
        "scripts/create_vocab.py",
        "scripts/create_vocab.py",
        "count_tokens",
        "scripts/build_pretraining_dataset.py",
        "run_pretraining.py",
        "run_pretraining.py",
        "scripts/summarize_pretraining.py",
        "scripts/write_default_tasks.py",
        *(2 * ["run_finetuning.py", "scripts/summarize_finetuning.py"]),
    ]
    titles = [line.split()[1].rstrip(":") for line in ended.stdout.splitlines() if line.startswith("==> ")]
    assert titles == [
        *("Corpus", "Vocabulary", "TFRecords", "Pretraining", "Evaluation", "Summary", "Tasks"),
        *(2 * ["Fine-tuning", "Scores"]),
    ]


def test_second_run_reuses_corpus_and_vocabulary(pipeline):
    pipeline.run()
    pipeline.calls()
    pipeline.run()
    calls = pipeline.calls()
    assert "--preview" in calls.pop(0)
    assert [call.split()[0] for call in calls][:3] == [
        "count_tokens",
        "scripts/build_pretraining_dataset.py",
        "run_pretraining.py",
    ]


def test_users_own_settings_reach_every_step(pipeline, tmp_path):
    corpus = tmp_path / "my text"
    corpus.mkdir()
    (tmp_path / "recipe.json").write_text('{"max_seq_length": 64, "do_lower_case": false}')
    ended = pipeline.run(
        CORPUS_DIR=str(corpus), MODEL_NAME="mine", HPARAMS=str(tmp_path / "recipe.json"), VOCAB_SIZE="99"
    )
    assert ended.status == 0, ended.stderr
    _, vocabulary, size, records, training, evaluation, summary = pipeline.calls()
    assert f"--corpus-dir {corpus} --vocab-size 99" in vocabulary
    assert "--vocab-file /data/my text/vocab.txt --do-lower-case False" in vocabulary
    assert size == "count_tokens /data/my text/vocab.txt"
    assert f"--corpus-dir {corpus} --num-processes" in records
    assert "--vocab-file /data/my text/vocab.txt" in records
    assert "--max-seq-length 64 --do-lower-case False" in records
    given = f"--data-dir /data/my text --model-name mine --hparams {tmp_path}/recipe.json vocab_size=3"
    assert training == f"run_pretraining.py {given} do_train=true do_eval=false"
    assert evaluation == f"run_pretraining.py {given} do_train=false do_eval=true"
    assert summary == "scripts/summarize_pretraining.py /data/my text/models/mine"


def test_vocab_size_of_the_hparams_decides_the_vocabulary_and_the_table(pipeline, tmp_path):
    ended = pipeline.run(CORPUS_DIR=str(tmp_path), HPARAMS='{"vocab_size": 99}')
    assert ended.status == 0, ended.stderr
    _, vocabulary, _, _, training, *_ = pipeline.calls()
    assert "--vocab-size 99" in vocabulary
    assert training.endswith('--hparams {"vocab_size": 99} do_train=true do_eval=false')


def test_mistake_in_the_hparams_stops_before_anything_is_made(pipeline):
    ended = pipeline.run(HPARAMS='{"learning_rat": 1}')
    assert ended.status == 2
    assert "learning_rate" in ended.stderr
    assert not (pipeline.folder / "data").exists()


def test_missing_corpus_folder_stops_before_anything_is_made(pipeline):
    ended = pipeline.run(CORPUS_DIR="/nowhere/text")
    assert ended.status == 1
    assert "CORPUS_DIR=/nowhere/text is no folder" in ended.stderr
    assert pipeline.calls() == []


def test_files_of_a_table_go_to_every_step_with_their_flags(pipeline, tmp_path):
    table = tmp_path / "tweets (1).v2.csv"
    table.touch()
    ended = pipeline.run(
        CORPUS_FILES=str(table),
        CORPUS_FLAGS="--col-name 'the text' --csv-delimiter ;",
        BUILD_FLAGS="--num-out-files=7 --max-seq-length 99 --seed 3",
    )
    assert ended.status == 0, ended.stderr
    preview, vocabulary, _, records, *_ = pipeline.calls()
    read = f"--corpus-files {table} --col-name the text --csv-delimiter ;"
    assert preview == f"scripts/create_vocab.py --preview {read} --tokenizer-type wordpiece"
    assert vocabulary.startswith(f"scripts/create_vocab.py {read} --vocab-size 8000 --tokenizer-type wordpiece --vocab")
    assert "--vocab-file /data/tweets (1)/vocab.txt" in vocabulary
    assert f"{read} --num-processes" in records
    assert "--num-out-files 100 --num-out-files=7 --max-seq-length 99 --seed 3 --vocab-file" in records
    assert "--max-seq-length 32 " in records  # the hparams' comes after the other


def test_patterns_reach_the_scripts_as_they_are(pipeline, tmp_path):
    (tmp_path / "a.csv").touch()
    files = f"{tmp_path}/a.csv {tmp_path}/**/*.jsonl.gz '{tmp_path}/my notes/?.txt'"
    assert pipeline.run(CORPUS_FILES=files, DATA_DIR=str(tmp_path / "made")).status == 0
    calls = [call for call in pipeline.calls() if "--corpus-files" in call]
    assert len(calls) == 3
    assert all(f"--corpus-files {files.replace(chr(39), '')} " in f"{call} " for call in calls)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"CORPUS_FLAGS": "--col-name 'text"}, "CORPUS_FLAGS: No closing quotation"),
        ({"CORPUS_FLAGS": "--colname text"}, "unrecognized arguments: --colname text"),
        ({"BUILD_FLAGS": "--seed x"}, "build_pretraining_dataset.py: error: argument --seed: must be a whole number"),
        ({"HPARAMS": '{"phases": [{"max_seq_length": 8, "num_train_steps": 9}]}'}, "records of several lengths"),
        ({"failing": "--preview"}, ""),
    ],
)
def test_flags_that_do_not_fit_stop_the_run_before_the_vocabulary(pipeline, tmp_path, variables, message):
    ended = pipeline.run(CORPUS_DIR=str(tmp_path), **variables)
    assert ended.status in (1, 2)
    assert message in ended.stderr
    assert not any("create_vocab" in call and "--preview" not in call for call in pipeline.calls())


def test_nothing_in_the_flags_is_expanded_or_run(pipeline, tmp_path):
    flags = "--col-name $(touch${IFS}made) --text-field `touch${IFS}made` --encoding *"
    pipeline.run(CORPUS_DIR=str(tmp_path), CORPUS_FLAGS=flags)
    assert any(flags in call for call in pipeline.calls())


@pytest.mark.parametrize("kind", ["bpe", "sentencepiece-unigram"])
def test_other_tokenizers_are_a_folder_that_every_step_gets(pipeline, tmp_path, kind):
    ended = pipeline.run(CORPUS_DIR=str(tmp_path), TOKENIZER_TYPE=kind, DATA_DIR=f"{tmp_path}/made/")
    assert ended.status == 0, ended.stderr
    _, vocabulary, size, records, training, evaluation, _ = pipeline.calls()
    folder = tmp_path / "made" / "tokenizer"
    assert vocabulary.endswith(f"--vocab-size 8000 --tokenizer-type {kind} --output-dir {folder}")
    assert size.endswith(f" {folder}")
    assert f"--vocab-file {folder} --output-dir" in records
    for call in (training, evaluation):
        assert f" vocab_file={folder} vocab_size=3 do_train=" in call


def test_a_vocabulary_larger_than_the_hparams_have_it_stops_the_run_before_the_records(pipeline, tmp_path):
    ended = pipeline.run(CORPUS_DIR=str(tmp_path), HPARAMS='{"vocab_size": 2}')
    assert ended.status == 1
    assert "the hparam vocab_size=2 is less than the 3 tokens of " in ended.stderr
    assert not any("build_pretraining" in call for call in pipeline.calls())


@pytest.mark.parametrize(
    ("num_examples", "held_out", "batch_size"), [(20, 2, 18), (999, 100, 128), (10_000, None, None)]
)
def test_the_tiny_recipe_is_fitted_to_few_examples(pipeline, num_examples, held_out, batch_size):
    ended = pipeline.run(num_examples=num_examples)
    assert ended.status == 0, ended.stderr
    fitted = f" num_eval_examples={held_out} train_batch_size={batch_size} "
    runs = [call for call in pipeline.calls() if "run_pretraining" in call]
    assert [fitted in call for call in runs] == [held_out is not None] * 2
    pipeline.run(num_examples=num_examples, HPARAMS='{"debug": true}')
    assert not any("num_eval_examples" in call for call in pipeline.calls())


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
def test_failing_step_ends_the_run_with_its_status(pipeline, step):
    ended = pipeline.run(failing=step, FINETUNE="")
    assert ended.status == 1
    assert not any(step in call for call in pipeline.calls())
    assert ended.stderr == ""
    assert not ended.stdout.endswith("==> Summary\n") or step == "summarize"


def test_default_tasks_are_learned_one_by_one_with_recipes_for_the_tiny_model(pipeline):
    ended = pipeline.run(FINETUNE="")
    assert ended.status == 0, ended.stderr
    calls = [call for call in pipeline.calls() if "finetuning" in call]
    tasks = ["csv:/data/default/default_tasks/modules", "qa:/data/default/default_tasks/cloze"]
    assert len(calls) == 4
    for task, training, summary in zip(tasks, calls[::2], calls[1::2], strict=True):
        assert training.startswith("run_finetuning.py --data-dir /data/default --model-name tiny --hparams {")
        assert '"learning_rate": ' in training
        assert training.endswith(f'task_names=["{task}"]')
        assert summary == f"scripts/summarize_finetuning.py /data/default/models/tiny {task}"
    pipeline.run(HPARAMS="{}", FINETUNE="")
    assert sum("--hparams {} task_names=" in call for call in pipeline.calls()) == 2


def test_default_tasks_are_written_once(pipeline):
    pipeline.run(FINETUNE="")
    assert sum("write_default_tasks" in call for call in pipeline.calls()) == 1
    pipeline.run(FINETUNE="")
    assert not any("write_default_tasks" in call for call in pipeline.calls())


def test_users_own_tasks_and_hparams_reach_the_finetuning(pipeline, tmp_path):
    data, table = tmp_path / "made", tmp_path / "my table.csv"
    (data / "finetuning_data" / "squad").mkdir(parents=True)
    table.touch()
    given = {"FINETUNE": "", "DATA_DIR": str(data), "FINETUNING_HPARAMS": '{"num_trials": 2}', "MODEL_NAME": "mine"}
    ended = pipeline.run(TASK=f"squad 'csv:{table}'", **given)
    assert ended.status == 0, ended.stderr
    calls = [call for call in pipeline.calls() if "finetuning" in call]
    flags = f'--data-dir {data} --model-name mine --hparams {{"num_trials": 2}}'
    assert calls == [
        f'run_finetuning.py {flags} task_names=["squad"]',
        f"scripts/summarize_finetuning.py {data}/models/mine squad",
        f'run_finetuning.py {flags} task_names=["csv:{table}"]',
        f"scripts/summarize_finetuning.py {data}/models/mine csv:{table}",
    ]
    pipeline.run(TASK=f"csv:{table}", **given)
    assert sum("run_finetuning" in call for call in pipeline.calls()) == 1


def test_the_model_is_finetuned_where_pretraining_has_put_it(pipeline, tmp_path):
    ended = pipeline.run(FINETUNE="", HPARAMS=f'{{"model_dir": "{tmp_path}/elsewhere"}}')
    assert ended.status == 0, ended.stderr
    calls = [call for call in pipeline.calls() if "finetuning" in call]
    assert all(call.endswith(f"model_dir={tmp_path}/elsewhere") for call in calls[::2])
    assert all(f"summarize_finetuning.py {tmp_path}/elsewhere " in call for call in calls[1::2])


def test_finetuning_can_be_left_out_and_is_without_a_task_for_ones_own_text(pipeline, tmp_path):
    (tmp_path / "dev.json").touch()
    given = {"CORPUS_DIR": str(tmp_path), "FINETUNE": ""}
    finetuned = {}
    for name, variables in {
        "own text": given,
        "own text and task": {**given, "TASK": f"qa:{tmp_path}"},
        "own text, asked for": {**given, "FINETUNE": "true"},
        "left out": {"FINETUNE": "false"},
    }.items():
        assert pipeline.run(**variables).status == 0
        finetuned[name] = sum("run_finetuning" in call for call in pipeline.calls())
    assert finetuned == {"own text": 0, "own text and task": 1, "own text, asked for": 2, "left out": 0}


def test_pretraining_can_be_left_out(pipeline, tmp_path):
    (tmp_path / "finetuning_data" / "sst").mkdir(parents=True)
    given = {"FINETUNE": "", "DATA_DIR": str(tmp_path), "MODEL_NAME": "published", "TASK": "sst"}
    assert pipeline.run(PRETRAIN="false", **given).status == 0
    assert [call.split()[0] for call in pipeline.calls()] == [
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
def test_mistake_about_the_tasks_stops_before_anything_is_made(pipeline, variables, message):
    ended = pipeline.run(**{"FINETUNE": "", **variables})
    assert ended.status in (1, 2)
    assert message in ended.stderr
    assert not any("pretraining" in call or "write_default" in call for call in pipeline.calls())


def test_default_size_of_the_table_is_that_of_the_hparam():
    config = PretrainingConfig.from_hparams(model_name="m", data_dir="d", hparams={})
    assert config.vocab_size == train_pipeline.DEFAULT_VOCAB_SIZE


@pytest.mark.parametrize("words", [["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"], ["cat"]])
def test_tokens_of_a_vocabulary_are_counted_in_another_process(tmp_path, words):
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    if len(words) > 1:
        assert count_tokens(str(tmp_path / "vocab.txt")) == 6
    else:
        with pytest.raises(UserError, match="--add-special-tokens"):
            count_tokens(str(tmp_path / "vocab.txt"))


def test_help_names_every_variable_from_any_folder_without_tensorflow(tmp_path):
    command = [sys.executable, "-X", "importtime", train_pipeline.__file__, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    names = set(re.findall(r'"([A-Z_]{4,})"', pathlib.Path(train_variables.__file__).read_text(encoding="utf-8")))
    assert len(names) == 14
    assert [name for name in names if f"\n{name} " not in shown.stdout and f"\n{name}\n" not in shown.stdout] == []
    assert "argparse" in shown.stderr
    assert "tensorflow" not in shown.stderr


@pytest.fixture(autouse=True)
def heeded_interrupts():
    """Lets the tests and their processes heed SIGINT, which a shell turns off for what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def step(tmp_path, monkeypatch):
    """Returns a function that runs a step of some code."""
    monkeypatch.setattr(train_pipeline, "REPOSITORY", tmp_path)

    def run(code: str, *arguments: str) -> None:
        (tmp_path / "step.py").write_text(code)
        run_step("step.py", *arguments)

    return run


def test_arguments_reach_a_step_as_they_are(step, capfd):
    words = ["a b", "", "$HOME", "*", "two\nlines", '{"ä": 1}']
    step("import json, sys; print(json.dumps(sys.argv[1:]))", *words)
    assert json.loads(capfd.readouterr().out) == words


def test_failing_step_is_an_error_with_its_status(step, capfd):
    with pytest.raises(StepError) as caught:
        step("import sys; sys.exit(3)")
    assert caught.value.status == 3
    with pytest.raises(StepError) as caught:
        step("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert caught.value.status == 128 + signal.SIGKILL
    assert capfd.readouterr().err == "Killed\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# Says when it can be interrupted, and takes a while to end.
INTERRUPTED = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.5)
    pathlib.Path(sys.argv[1]).write_text("saved")
    sys.exit(int(sys.argv[2]))
signal.signal(signal.SIGINT, end)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("status", ["130", "0"])
def test_interrupted_step_ends_in_its_own_time_and_the_run_with_it(tmp_path, status):
    (tmp_path / "step.py").write_text(INTERRUPTED)
    code = (
        "import pathlib, sys; from scripts import train_pipeline;"
        "train_pipeline.REPOSITORY = pathlib.Path(sys.argv[1]);"
        "train_pipeline.run_step('step.py', *sys.argv[2:]); print('next')"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(tmp_path / "saved"), status]
    root = pathlib.Path(train_pipeline.__file__).parents[1]
    with subprocess.Popen(command, cwd=root, start_new_session=True, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == -signal.SIGINT
    assert (tmp_path / "saved").read_text() == "saved"


def test_interrupts_that_a_shell_has_turned_off_stay_off(step, capfd):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        step("import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)")
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().out == "True\n"

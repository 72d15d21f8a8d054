import json
import subprocess
import sys

from scripts import print_hparams


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, print_hparams.__file__, "--data-dir", "my data", "--model-name", "mine", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_named_hparams_are_printed_one_a_line_in_the_order_given():
    shown = _run("--hparams", '{"preset": "electra-base"}', "max_seq_length", "do_lower_case", "vocab_file")
    assert shown.returncode == 0
    assert shown.stdout == "512\nTrue\nmy data/vocab.txt\n"


def test_without_names_the_whole_configuration_is_printed_as_json():
    assert json.loads(_run().stdout)["num_train_steps"] == 1_000_000


def test_unknown_name_is_the_users_mistake():
    shown = _run("max_sequence_length")
    assert shown.returncode == 2
    assert shown.stderr.startswith("error: max_sequence_length is no hparam")
    assert shown.stderr.count("\n") == 1


def test_hparams_of_finetuning_are_printed_as_its_tasks_set_them():
    shown = _run("--finetuning", "--hparams", '{"task_names": ["squad"]}', "max_seq_length", "model_dir")
    assert shown.stdout == "512\nmy data/models/mine\n"
    shown = _run("--finetuning", "max_predictions_per_seq")
    assert shown.stderr.startswith("error: max_predictions_per_seq is no hparam of fine-tuning")


def test_values_among_the_names_win_over_the_hparams():
    shown = _run("--hparams", '{"max_seq_length": 64}', "max_seq_length=32", "max_seq_length")
    assert shown.stdout == "32\n"


def test_mistake_in_the_hparams_ends_with_one_line():
    shown = _run("--hparams", '{"learning_rat": 1}', "learning_rate")
    assert shown.returncode == 2
    assert "learning_rate" in shown.stderr
    assert "Traceback" not in shown.stderr

"""Hundreds of bad inputs over all commands: each ends in one line that names it, and all files stay as they were."""

import json
import os
import pathlib
import re
import shutil
from unittest import mock

import pytest

from tests.finetune.tiny_tasks import CONFIG, HPARAMS, VOCABULARY, WORDS, write_tasks
from tests.in_process import run_command
from tests.integration.bad_inputs import BadInput, all_bad_inputs, fill_in

pytestmark = pytest.mark.slow

CASES = list(all_bad_inputs())
_LONGEST_LINE = 1000


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> pathlib.Path:
    """A folder with all that the commands need, in order."""
    folder = tmp_path_factory.mktemp("bad") / "prepared"
    write_tasks(folder / "data")
    (folder / "data" / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCABULARY), encoding="utf-8")
    (folder / "corpus").mkdir()
    lines = [" ".join(WORDS[(row + word) % len(WORDS)] for word in range(9)) for row in range(120)]
    (folder / "corpus" / "a.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "tiny.json").write_text(json.dumps(_pretraining_hparams()), encoding="utf-8")
    tuning = {**HPARAMS, "init_checkpoint": str(folder / "data" / "pretrained"), "num_train_epochs": 1}
    (folder / "tuned.json").write_text(json.dumps(tuning), encoding="utf-8")
    (folder / "binary.json").write_bytes(bytes(range(256)))
    (folder / "folder.json").mkdir()
    (folder / "loop").symlink_to(folder / "loop")
    _write_questions(folder)
    _run("scripts.build_pretraining_dataset", folder, "--corpus-dir", "{folder}/corpus", "--vocab-file",
         "{folder}/data/vocab.txt", "--output-dir", "{folder}/data/pretrain_tfrecords", "--max-seq-length", "16",
         "--num-out-files", "3", "--num-processes", "1")  # fmt: skip
    _run("run_pretraining", folder, "--data-dir", "{folder}/data", "--model-name", "run", "--hparams",
         "{folder}/tiny.json", "model_dir={folder}/run")  # fmt: skip
    return folder


def _pretraining_hparams() -> dict[str, object]:
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings")
    return {
        "vocab_size": len(VOCABULARY), "max_seq_length": 16, "embedding_size": CONFIG.embedding_size,
        "model_hparam_overrides": {name: getattr(CONFIG, name) for name in sizes}, "train_batch_size": 8,
        "eval_batch_size": 8, "num_train_steps": 2, "num_warmup_steps": 1, "log_steps": 1, "num_eval_examples": 8,
        "generator_hidden_size": 0.5, "precision": "float32", "xla": False, "shuffle_buffer_size": 20,
        "save_checkpoints_steps": 2,
    }  # fmt: skip


def _write_questions(folder: pathlib.Path) -> None:
    answers = [{"text": "good", "answer_start": 0}]
    questions = [{"id": "1", "question": "who", "answers": answers, "is_impossible": False}]
    squad = {"data": [{"title": "t", "paragraphs": [{"context": "good red one", "qas": questions}]}]}
    (folder / "good_questions.json").write_text(json.dumps(squad), encoding="utf-8")
    (folder / "predictions.json").write_text(json.dumps({"1": "good"}), encoding="utf-8")


def _run(module: str, folder: pathlib.Path, *arguments: str) -> None:
    ended = run_command(module, *fill_in(arguments, folder))
    assert ended.status == 0, ended


def _states(folder: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Returns size and time of every file of a folder."""
    files = {path: path.lstat() for path in folder.rglob("*") if not path.is_dir()}
    return {str(path.relative_to(folder)): (state.st_size, state.st_mtime_ns) for path, state in files.items()}


def _begins_training(*arguments: object) -> None:
    raise AssertionError("this configuration was accepted")


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace("\0", "^@") for case in CASES])
def test_a_bad_input_is_one_line_that_names_it_and_nothing_is_lost(case: BadInput, prepared, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder, symlinks=True)
    case.damage(folder)
    before = _states(folder)
    arguments = fill_in(case.arguments, folder)
    is_configuration = case.name.startswith(("run_pretraining ", "run_finetuning ", "schedule", "pretraining pair"))
    with mock.patch.dict(os.environ, {"COLUMNS": "200"}):
        if is_configuration and "vocabulary" not in case.name:
            with (
                mock.patch("pretrain.train.train", _begins_training),
                mock.patch("finetune.train.train", _begins_training),
            ):
                ended = run_command(case.module, *arguments, folder=folder)
        else:
            ended = run_command(case.module, *arguments, folder=folder)
    line = ended.mistake
    assert len(line) <= _LONGEST_LINE, line
    assert line.isprintable(), line
    assert re.search(case.names, line.replace(str(folder), "")), line
    assert before.items() <= _states(folder).items()

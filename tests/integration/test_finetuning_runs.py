"""Fine-tuning that is interrupted, or runs on two devices, ends as if it were not."""

import concurrent.futures
import json
import pathlib
import signal

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.finetune.tiny_tasks import HPARAMS, write_tasks
from tests.integration.driver import read_lines, start

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TERMINATED, KILLED = 128 + signal.SIGTERM, 128 + signal.SIGKILL


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> pathlib.Path:
    return write_tasks(tmp_path_factory.mktemp("finetuning"))


def _start(data_dir: pathlib.Path, name: str, hparams: dict, **faults) -> int:
    hparams = {**HPARAMS, "init_checkpoint": str(data_dir / "pretrained"), **hparams}
    return start(data_dir, name, hparams, command="run_finetuning", **faults)


def _trial_dir(data_dir: pathlib.Path, name: str) -> pathlib.Path:
    (folder,) = (data_dir / "models" / name / "finetuning_models").iterdir()
    return folder


def test_an_interrupted_trial_goes_on_to_the_same_bits(data_dir):
    run = {
        "task_names": ["sst", "chunk"], "keep_best": True, "frozen_encoder_epochs": 1, "num_train_epochs": 2,
        "save_checkpoints_steps": 12,
    }  # fmt: skip
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        whole = pool.submit(_start, data_dir, "whole", run)
        assert _start(data_dir, "cut", run, signal=signal.SIGTERM, after_step=19) == TERMINATED
        assert _start(data_dir, "cut", run, signal=signal.SIGKILL, after_step=38) == KILLED
        assert _start(data_dir, "cut", run) == 0
        assert whole.result() == 0
    ours, others = _trial_dir(data_dir, "cut"), _trial_dir(data_dir, "whole")
    assert "training from step" not in ours.name
    for name in ("model.safetensors", "eval_log.jsonl"):
        assert (ours / name).read_bytes() == (others / name).read_bytes(), name
    assert read_lines(ours / "train_log.jsonl") == read_lines(others / "train_log.jsonl")
    assert not (ours / "checkpoints").exists()
    results = [
        json.loads((data_dir / "models" / name / "results" / "chunk_sst_results.json").read_text())["trials"][0]
        for name in ("cut", "whole")
    ]
    assert results[0]["scores"] == results[1]["scores"]
    assert results[0]["num_train_steps"] == 48


def test_two_devices_that_accumulate_are_one_that_does_not(data_dir):
    run = {"task_names": ["squad"], "num_train_epochs": 1, "log_steps": 1, "model_hparam_overrides": NO_DROPOUT}
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        one = pool.submit(_start, data_dir, "one", run)
        two = pool.submit(_start, data_dir, "two", run | {"gradient_accumulation_steps": 2}, num_devices=2)
        assert (one.result(), two.result()) == (0, 0)
    assert "2 device(s)" in (data_dir / "two.output").read_text()
    ours, others = _trial_dir(data_dir, "two"), _trial_dir(data_dir, "one")
    for line, expected in zip(*(read_lines(folder / "train_log.jsonl") for folder in (ours, others)), strict=True):
        assert line == pytest.approx(expected, rel=1e-4)
    weights = load_file(others / "model.safetensors")
    for name, value in load_file(ours / "model.safetensors").items():
        np.testing.assert_allclose(value, weights[name], atol=1e-4, err_msg=name)
    scores = [
        json.loads((data_dir / "models" / name / "results" / "squad_results.json").read_text())["trials"][0]["scores"]
        for name in ("two", "one")
    ]
    assert scores[0]["squad"]["total"] == 18
    assert scores[0]["squad"] == pytest.approx(scores[1]["squad"], rel=1e-2)

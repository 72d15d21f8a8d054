"""Every way of training goes on exactly where it was stopped: the same logs, evaluations and published weights."""

import json
import shutil
from collections.abc import Sequence

import pytest

from configure_pretraining import PretrainingConfig
from electra_span.training.log import TrainingLog
from pretrain.train import train
from tests.integration.driver import read_lines
from tests.tiny_run import HPARAMS, write_tiny_data

RUN = {
    **HPARAMS, "num_train_steps": 9, "eval_every_steps": 5, "xla": False,
    "model_hparam_overrides": {**HPARAMS["model_hparam_overrides"], "num_hidden_layers": 1},
}  # fmt: skip
SPANS = {"masking": "span", "sbgo_weight": 1.0, "sbpo_weight": 50.0}
SCHEDULES = {
    "mask_prob": [[0, 0.25], [9, 0.1]], "disc_weight": [[2, 0.0], [6, 50.0]], "temperature": [[0, 2.0], [8, 1.0]],
}  # fmt: skip
PHASES = [
    {"max_seq_length": 12, "num_train_steps": 5, "train_batch_size": 16},
    {"max_seq_length": 16, "num_train_steps": 4},
]


class Killed(BaseException):
    """The end of a process, as far as the run can tell."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modes")
    data_dir = write_tiny_data(folder / "data")
    for length in (12, 16):
        write_tiny_data(folder / str(length), max_seq_length=length)
        (folder / str(length) / "pretrain_tfrecords").rename(data_dir / f"pretrain_tfrecords_{length}")
    return data_dir


def _outcome(model_dir):
    """All that a run leaves behind and that is to be the same."""
    weights = {str(path.relative_to(model_dir)): path.read_bytes() for path in model_dir.rglob("model.safetensors")}
    logs = {
        str(path.relative_to(model_dir)): read_lines(path)
        for name in ("train_log.jsonl", "eval_log.jsonl")
        for path in model_dir.rglob(name)
    }
    return weights, logs


def _train_killed(config, kills: Sequence[int], monkeypatch):
    """Trains, killed and started again each time after so many steps more."""
    advance = TrainingLog.advance
    for num_steps in kills:
        steps_left = iter(range(num_steps - 1, -1, -1))

        def advance_and_die(log, step, steps_left=steps_left):
            advance(log, step)
            if next(steps_left) == 0:
                raise Killed

        monkeypatch.setattr(TrainingLog, "advance", advance_and_die)
        with pytest.raises(Killed):
            train(config)
        monkeypatch.undo()
    train(config)


def _assert_resumes_exactly(data_dir, monkeypatch, kills, **hparams):
    settings = {key: value for key, value in {**RUN, **hparams}.items() if value is not None}
    alone, killed = (
        PretrainingConfig.from_hparams(model_name=name, data_dir=str(data_dir), hparams=settings)
        for name in ("alone", "killed")
    )
    train(alone)
    _train_killed(killed, kills, monkeypatch)
    (weights, logs), (expected_weights, expected_logs) = (
        _outcome(data_dir / "models" / name) for name in ("killed", "alone")
    )
    assert json.dumps(logs, sort_keys=True) == json.dumps(expected_logs, sort_keys=True)
    assert weights.keys() == expected_weights.keys() != set()
    assert [name for name in weights if weights[name] != expected_weights[name]] == []


@pytest.fixture(autouse=True)
def _fresh_models(data_dir):
    """No models of a test before."""
    shutil.rmtree(data_dir / "models", ignore_errors=True)


@pytest.mark.slow
def test_spans_schedules_phases_and_decoupled_updates_resume_exactly(data_dir, monkeypatch):
    settings = {"phases": PHASES, "num_train_steps": None, "max_seq_length": None, **SPANS, **SCHEDULES}
    settings |= {"embedding_sharing": "gdes", "decoupled_generator_update": True}
    _assert_resumes_exactly(data_dir, monkeypatch, [5, 2], **settings)  # at the first phase's end, and in the second


def test_each_of_two_stages_resumes_exactly(data_dir, monkeypatch):
    settings = {"training_mode": "two_stage", "stage_steps": [6, 7], "embedding_type": "compositional", **SPANS}
    _assert_resumes_exactly(data_dir, monkeypatch, [5, 2 + 6], **settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "hparams",
    [
        {"training_mode": "generator", "masking": "span", "sbgo_weight": 1.0, "span_whole_words": True},
        {"training_mode": "discriminator", "masking": "whole_word", "random_tokens": "frequency"},
        {"electra_objective": False},
        {"electric_objective": True},
        {"two_tower_generator": True},
        {"uniform_generator": True},
        {"embedding_sharing": "encoder"},
        {"embedding_sharing": "generator_untied", "decoupled_generator_update": True},
        {"embedding_sharing": "gdes", "embedding_type": "compositional", "compositional_operation": "add", **SPANS},
        {"phases": PHASES, "num_train_steps": None, "max_seq_length": None},
        {**SPANS, **SCHEDULES, "gradient_accumulation_steps": 2, "precision": "mixed_bfloat16"},
    ],
    ids=lambda hparams: "-".join(hparams),
)
def test_every_mode_resumes_exactly(data_dir, monkeypatch, hparams):
    _assert_resumes_exactly(data_dir, monkeypatch, [6], **hparams)

"""Runs that go on from models that were trained before: a fresh optimizer, a stated step, and an exact resume."""

import json
import shutil

import numpy as np
import pytest

from configure_pretraining import PretrainingConfig
from electra_span.convert.word_map import InitialWeightsError
from electra_span.training.log import TrainingLog
from pretrain.data import RunData
from pretrain.train import evaluate, train
from tests.tiny_models import VOCABULARY
from tests.tiny_run import HPARAMS, tiny_config, write_tiny_data

RUN = {
    **HPARAMS, "num_train_steps": 12, "log_steps": 3, "eval_every_steps": 3, "xla": False,
    "model_hparam_overrides": {**HPARAMS["model_hparam_overrides"], "num_hidden_layers": 1},
}  # fmt: skip
LONGER = {"model_hparam_overrides": {**RUN["model_hparam_overrides"], "max_position_embeddings": 33}}


class Killed(BaseException):
    """The end of a process, as far as the run can tell."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Data, and under another vocabulary a model that was trained on it."""
    folder = tmp_path_factory.mktemp("continued")
    first = write_tiny_data(folder / "first", vocabulary=(*VOCABULARY[:5], *reversed(VOCABULARY[5:])))
    train(tiny_config(first, "source", **RUN))
    data_dir = write_tiny_data(folder / "data", vocabulary=(*VOCABULARY, "new"))
    shutil.copytree(first / "models" / "source", data_dir / "source")
    return data_dir


def _lines(model_dir, name):
    lines = [json.loads(line) for line in (model_dir / name).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "tokens_per_second"} for line in lines]


def _settings(data_dir, **hparams):
    return {**RUN, **LONGER, "vocab_size": 40, "init_checkpoint": str(data_dir / "source"), **hparams}


def test_an_interrupted_run_goes_on_exactly_without_its_source(data_dir, monkeypatch):
    schedules = {"init_step": 4, "mask_prob": [[0, 0.25], [12, 0.1]], "disc_weight": [[0, 10], [8, 50]]}
    settings = _settings(data_dir, **schedules)
    train(tiny_config(data_dir, "alone", **settings))
    advance = TrainingLog.advance

    def advance_and_die(log, step):
        advance(log, step)
        if step == 9:
            raise Killed

    monkeypatch.setattr(TrainingLog, "advance", advance_and_die)
    with pytest.raises(Killed):
        train(tiny_config(data_dir, "killed", **settings))
    monkeypatch.undo()
    (data_dir / "source").rename(data_dir / "elsewhere")
    try:
        train(tiny_config(data_dir, "killed", **settings))
    finally:
        (data_dir / "elsewhere").rename(data_dir / "source")
    alone, killed = (data_dir / "models" / name for name in ("alone", "killed"))
    for name in ("train_log.jsonl", "eval_log.jsonl"):
        assert _lines(alone, name) == _lines(killed, name)
    for part in ("discriminator", "generator"):
        ours, theirs = (folder / part / "model.safetensors" for folder in (alone, killed))
        assert ours.read_bytes() == theirs.read_bytes()
    assert evaluate(tiny_config(data_dir, "killed", do_train=False, do_eval=True, **settings))["step"] == 12


def test_training_begins_at_the_stated_step_with_its_schedules_and_a_fresh_optimizer(data_dir, caplog):
    caplog.set_level("INFO", logger="absl")
    settings = _settings(data_dir, init_step=6, num_warmup_steps=5, log_steps=1, num_train_steps=9)
    train(tiny_config(data_dir, "later", **settings))
    model_dir = data_dir / "models" / "later"
    lines = _lines(model_dir, "train_log.jsonl")
    assert [line["step"] for line in lines] == [7, 8, 9]
    rates = [1e-2 * (1 - step / 9) for step in (6, 7, 8)]
    np.testing.assert_allclose([line["learning_rate"] for line in lines], rates, rtol=1e-5)
    assert "training begins at step 6, with a fresh optimizer" in caplog.text
    assert "40 words as in the source" in caplog.text
    saved = json.loads((model_dir / "config.json").read_text())
    assert (saved["init_checkpoint"], saved["init_step"]) == (str(data_dir / "source"), 6)


def test_a_failed_start_leaves_no_run_behind(data_dir):
    with pytest.raises(InitialWeightsError, match="init_checkpoint: "):
        train(tiny_config(data_dir, "failed", **_settings(data_dir, init_checkpoint=str(data_dir / "nothing"))))
    assert not (data_dir / "models" / "failed" / "config.json").exists()


def test_another_source_is_another_run(data_dir):
    settings = _settings(data_dir)
    saved = tiny_config(data_dir, **settings).to_dict()
    others = {"init_checkpoint": "another", "init_step": 1, "init_vocabulary": "new"}
    assert tiny_config(data_dir, **{**settings, **others}).different_settings(saved) == [
        "init_checkpoint",
        "init_vocabulary",
        "init_step",
    ]


def test_batches_begin_where_the_step_is(data_dir, tmp_path):
    for length in (12, 16):
        write_tiny_data(tmp_path / str(length), vocabulary=(*VOCABULARY, "new"), max_seq_length=length)
        (tmp_path / str(length) / "pretrain_tfrecords").rename(tmp_path / f"pretrain_tfrecords_{length}")
    shutil.copy(data_dir / "vocab.txt", tmp_path)
    phases = [{"max_seq_length": 12, "num_train_steps": 5}, {"max_seq_length": 16, "num_train_steps": 4}]
    settings = {**_settings(data_dir, init_step=7), "phases": phases}
    del settings["num_train_steps"], settings["max_seq_length"]
    data = RunData(PretrainingConfig.from_hparams(model_name="phased", data_dir=str(tmp_path), hparams=settings))
    batches = list(data.training_batches(data.training_iterators(), 7))
    assert [batch.input_ids.shape[1] for batch in batches] == [16, 16]
    assert data.phases[1].first_step == 7

"""A run on several devices, or on several hosts, computes what one device computes."""

import concurrent.futures
import json
import pathlib
import socket
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.integration.driver import read_lines, start
from tests.tiny_run import HPARAMS, write_tiny_data

NUM_STEPS = 6
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
RUN = {
    **HPARAMS, "num_train_steps": NUM_STEPS, "log_steps": 1, "eval_every_steps": 3, "learning_rate": 1e-3, "xla": False,
    "model_hparam_overrides": {**HPARAMS["model_hparam_overrides"], "num_hidden_layers": 1, **NO_DROPOUT},
}  # fmt: skip


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> pathlib.Path:
    data_dir = write_tiny_data(tmp_path_factory.mktemp("devices") / "data")
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        one = pool.submit(start, data_dir, "one", RUN)
        two = pool.submit(start, data_dir, "two", RUN | {"gradient_accumulation_steps": 2}, num_devices=2)
        assert (one.result(), two.result()) == (0, 0)
    return data_dir


def assert_same_run(model_dir: pathlib.Path, other: pathlib.Path) -> None:
    """Asserts that two runs have the same losses, evaluations and weights, but for rounding."""
    for name in ("train_log.jsonl", "eval_log.jsonl"):
        lines, others = read_lines(model_dir / name), read_lines(other / name)
        for line, expected in zip(lines, others, strict=True):
            # The AUC counts logits in bins, into another one of which rounding may take them.
            for name in [name for name in expected if name.endswith("_auc")]:
                assert line.pop(name) == pytest.approx(expected.pop(name), abs=1e-3)
            assert line == pytest.approx(expected, rel=1e-5)
    for part in ("generator", "discriminator"):
        weights, others = (load_file(folder / part / "model.safetensors") for folder in (model_dir, other))
        assert weights.keys() == others.keys()
        for name, value in weights.items():
            np.testing.assert_allclose(value, others[name], atol=1e-5, err_msg=name)


def test_two_devices_that_accumulate_are_one_that_does_not(data_dir):
    models = data_dir / "models"
    assert "2 device(s)" in (data_dir / "two.output").read_text()
    assert [line["step"] for line in read_lines(models / "one" / "train_log.jsonl")] == list(range(1, NUM_STEPS + 1))
    assert_same_run(models / "two", models / "one")


def test_decoupled_span_objectives_on_two_devices_are_those_on_one(data_dir):
    spans = {"masking": "span", "sbgo_weight": 1.0, "sbpo_weight": 50.0, "embedding_sharing": "gdes"}
    run = RUN | spans | {"decoupled_generator_update": True, "num_train_steps": 3}
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        one = pool.submit(start, data_dir, "apart", run)
        two = pool.submit(start, data_dir, "apart_on_two", run | {"gradient_accumulation_steps": 2}, num_devices=2)
        assert (one.result(), two.result()) == (0, 0)
    assert_same_run(data_dir / "models" / "apart_on_two", data_dir / "models" / "apart")


def _free_ports(num_ports: int) -> list[int]:
    sockets = [socket.socket() for _ in range(num_ports)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _start_workers(data_dir: pathlib.Path, model_name: str, hparams: dict[str, Any]) -> Sequence[int]:
    """Returns the exit statuses of two processes that run together, as two hosts would."""
    hosts = [f"localhost:{port}" for port in _free_ports(2)]

    def work(index: int) -> int:
        task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        return start(data_dir, model_name, hparams, environment={"TF_CONFIG": json.dumps(task)})

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(work, range(2)))


def test_two_hosts_are_one_and_only_one_of_them_writes(data_dir):
    models = data_dir / "models"
    assert _start_workers(data_dir, "hosts", RUN) == [0, 0]
    assert_same_run(models / "hosts", models / "one")
    assert {path.name for path in (models / "hosts").iterdir()} == {path.name for path in (models / "one").iterdir()}
    assert len(list((models / "hosts" / "events").iterdir())) == 1

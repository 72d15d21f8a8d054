"""An interrupted run, started again by the same command, ends with the same bits as one that was left alone."""

import concurrent.futures
import os
import pathlib
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tests.integration.driver import read_lines, start
from tests.tiny_run import HPARAMS, write_tiny_data

NUM_TRAIN_STEPS, LOG_STEPS, EPOCH_STEPS = 30, HPARAMS["log_steps"], 10
RUN = {
    **HPARAMS, "num_train_steps": NUM_TRAIN_STEPS, "eval_every_steps": 10, "xla": False,
    "model_hparam_overrides": {**HPARAMS["model_hparam_overrides"], "num_hidden_layers": 1},
}  # fmt: skip
KILLED, TERMINATED, INTERRUPTED = (128 + number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))


def outcome(model_dir: pathlib.Path) -> dict[str, Any]:
    """Returns all that a run leaves behind and that is to be the same: logs without times, weights as bytes."""
    names = ("discriminator/model.safetensors", "generator/model.safetensors", "eval_log.jsonl")
    files = {name: (model_dir / name).read_bytes() for name in (*names, "results/unsup_results.json")}
    return {"train_log.jsonl": read_lines(model_dir / "train_log.jsonl"), **files}


def assert_same_outcome(data_dir: pathlib.Path, model_name: str, other: str) -> None:
    ours, others = (outcome(data_dir / "models" / name) for name in (model_name, other))
    steps = list(range(LOG_STEPS, NUM_TRAIN_STEPS + 1, LOG_STEPS))
    assert [window["step"] for window in ours["train_log.jsonl"]] == steps
    for name, content in ours.items():
        assert content == others[name], f"{name} differs"


def side_by_side(data_dir: pathlib.Path, *runs: Callable[[pathlib.Path], list[int]]) -> list[list[int]]:
    """Returns the exit statuses of all starts of each run."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda run: run(data_dir), runs))


def last_file(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    """Returns the file of the latest checkpoint that matches."""
    return max(folder.glob(pattern), key=lambda path: int(path.name.removeprefix("ckpt-").partition(".")[0]))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> pathlib.Path:
    return write_tiny_data(tmp_path_factory.mktemp("resume") / "data")


def _uninterrupted(data_dir: pathlib.Path) -> list[int]:
    return [start(data_dir, "uninterrupted", RUN)]


def _killed(data_dir: pathlib.Path) -> list[int]:
    """Between a line of the log and a checkpoint, right after a checkpoint, and in the second epoch."""
    statuses = [start(data_dir, "killed", RUN, signal=signal.SIGKILL, after_step=step) for step in (7, 8, 18)]
    return [*statuses, start(data_dir, "killed", RUN)]


def _interrupted(data_dir: pathlib.Path) -> list[int]:
    """By both signals; then what was written last is cut off, as a crash of the machine may leave it."""
    statuses = [
        start(data_dir, "interrupted", RUN, signal=signal.SIGTERM, after_step=4),
        start(data_dir, "interrupted", RUN, signal=signal.SIGINT, after_step=14),
    ]
    model_dir = data_dir / "models" / "interrupted"
    for path in (model_dir / "train_log.jsonl", last_file(model_dir / "checkpoints", "*.data-*")):
        os.truncate(path, path.stat().st_size - 9)
    return [*statuses, start(data_dir, "interrupted", RUN)]


def _two_devices(data_dir: pathlib.Path) -> list[int]:
    return [start(data_dir, "two_devices", RUN, num_devices=2)]


def _two_killed(data_dir: pathlib.Path) -> list[int]:
    status = start(data_dir, "two_killed", RUN, num_devices=2, signal=signal.SIGKILL, after_step=EPOCH_STEPS + 3)
    return [status, start(data_dir, "two_killed", RUN, num_devices=2)]


@pytest.fixture(scope="module")
def statuses(data_dir) -> dict[str, list[int]]:
    """Exit statuses of some runs, each interrupted and started again until its end."""
    runs = (_killed, _interrupted, _two_killed, _two_devices, _uninterrupted)
    return dict(zip((run.__name__[1:] for run in runs), side_by_side(data_dir, *runs), strict=True))


def test_a_run_killed_three_times_ends_with_the_same_bits(data_dir, statuses):
    assert statuses["uninterrupted"] == [0]
    assert statuses["killed"] == [KILLED, KILLED, KILLED, 0]
    assert_same_outcome(data_dir, "killed", "uninterrupted")


def test_signals_save_and_a_damaged_checkpoint_and_line_of_the_log_are_made_again(data_dir, statuses):
    assert statuses["interrupted"] == [TERMINATED, INTERRUPTED, 0]
    assert_same_outcome(data_dir, "interrupted", "uninterrupted")
    output = (data_dir / "interrupted.output").read_text()
    assert "interrupted after step 5; the same command goes on from here" in output
    assert "training from step 5 to 30" in output
    assert "ckpt-15, going back to the one before" in output


def test_a_killed_run_on_two_devices_ends_with_the_same_bits(data_dir, statuses):
    assert statuses["two_devices"] == [0]
    assert statuses["two_killed"] == [KILLED, 0]
    assert_same_outcome(data_dir, "two_killed", "two_devices")


def _killed_at(moments: Sequence[Mapping[str, Any]], model_name: str, **faults: Any) -> Callable[..., list[int]]:
    """Returns a run that is killed at all moments, one after the other, with the default model and compilation."""
    hparams = {**RUN, "xla": "auto", "model_hparam_overrides": HPARAMS["model_hparam_overrides"]}

    def run(data_dir: pathlib.Path) -> list[int]:
        kills = ({"signal": signal.SIGKILL, **moment} for moment in moments)
        return [start(data_dir, model_name, hparams, **faults, **kill) for kill in (*kills, {})]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("num_devices", [1, 2])
def test_compiled_runs_killed_at_random_steps_end_with_the_same_bits(tmp_path, num_devices):
    data_dir = write_tiny_data(tmp_path / "data")
    steps = sorted(random.sample(range(1, NUM_TRAIN_STEPS), 3))
    print(f"killed after steps {steps}")
    killed = _killed_at([{"after_step": step} for step in steps], "killed", num_devices=num_devices)
    alone = _killed_at([], "alone", num_devices=num_devices)
    assert side_by_side(data_dir, killed, alone) == [[KILLED] * 3 + [0], [0]]
    assert_same_outcome(data_dir, "killed", "alone")


@pytest.mark.slow
def test_runs_killed_while_they_write_a_checkpoint_end_with_the_same_bits(tmp_path):
    data_dir = write_tiny_data(tmp_path / "data")
    seconds = [random.uniform(0, 0.06) for _ in range(5)]  # a checkpoint takes about 0.05
    print(f"killed {seconds} seconds into checkpoints")
    moments = [{"save_at_step": 4 * (1 + index), "seconds_into_save": each} for index, each in enumerate(seconds)]
    killed, alone = side_by_side(data_dir, _killed_at(moments, "killed"), _killed_at([], "alone"))
    assert (killed, alone) == ([KILLED] * 5 + [0], [0])
    assert_same_outcome(data_dir, "killed", "alone")

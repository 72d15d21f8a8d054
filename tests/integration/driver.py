"""The run commands with faults: starts one in a process of its own, which interrupts itself when it is told to.

The process is `python -m tests.integration.driver FAULTS ARGUMENTS...`. FAULTS is a JSON object: command,
run_pretraining or run_finetuning; num_devices, logical CPU devices to run on; signal and after_step, what the process
sends to itself and after which step; or signal, save_at_step and seconds_into_save, how long after it began to write
which checkpoint.
"""

import json
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

import run_finetuning
import run_pretraining
from electra_span import command_line
from electra_span.training.checkpoints import Checkpoints
from electra_span.training.log import TrainingLog

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def start(
    data_dir: pathlib.Path,
    model_name: str,
    hparams: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    **faults: Any,
) -> int:
    """Returns the exit status of the command, as a shell tells it.

    What it prints is added to MODEL_NAME.output in data_dir.
    """
    arguments = ["--data-dir", str(data_dir), "--model-name", model_name, "--hparams", json.dumps(hparams)]
    command = [sys.executable, "-m", "tests.integration.driver", json.dumps(faults), *arguments]
    environment = {**os.environ, **(environment or {})}
    with (data_dir / f"{model_name}.output").open("a") as output:
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the objects of a file of JSON lines, without times."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line.pop("tokens_per_second", 1) > 0 for line in lines)
    return lines


def _signal_after_step(number: int, after_step: int) -> None:
    """Has this process send itself a signal after a step."""
    advance = TrainingLog.advance

    def interrupted(log: TrainingLog, step: int) -> None:
        advance(log, step)
        if step == after_step:
            os.kill(os.getpid(), number)

    TrainingLog.advance = interrupted


def _signal_in_save(number: int, save_at_step: int, seconds_into_save: float) -> None:
    """Has this process send itself a signal while it writes a checkpoint."""
    save = Checkpoints.save

    def interrupted(checkpoints: Checkpoints, step: int) -> None:
        if step == save_at_step:
            threading.Timer(seconds_into_save, os.kill, (os.getpid(), number)).start()
        save(checkpoints, step)

    Checkpoints.save = interrupted


def _main(command: str = "run_pretraining", num_devices: int = 1, signal: int = 0, **moment: Any) -> None:
    devices = [tf.config.LogicalDeviceConfiguration()] * num_devices
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    if "after_step" in moment:
        _signal_after_step(signal, **moment)
    elif moment:
        _signal_in_save(signal, **moment)
    script = {"run_pretraining": run_pretraining, "run_finetuning": run_finetuning}[command]
    command_line.run(script.main, script.make_parser)


if __name__ == "__main__":
    faults = json.loads(sys.argv.pop(1))
    _main(**faults)

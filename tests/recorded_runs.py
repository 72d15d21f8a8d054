"""Tiny runs of both commands, whose numbers, files and checkpoints are recorded in golden/runs.

`python -m tests.record runs` records what the code at hand computes. All losses of a run follow from the code, the
libraries and the instructions of the processor, not from the number of threads: where these are those of the recording,
numbers are compared bit for bit, and elsewhere to 1e-5.
"""

import json
import math
import os
import pathlib
import platform
import re
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from electra_span import Electra
from tests.finetune import tiny_tasks
from tests.in_process import run_command
from tests.tiny_run import HPARAMS, write_tiny_data

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
FOLDER = GOLDEN / "runs"
NUM_STEPS, SAVED_STEP = 20, 10  # training takes two epochs and a half; a recorded checkpoint holds half of the run
TOLERANCE = 1e-5  # relative; other instructions make 4e-6 of a gradient's norm at most

_PRETRAINING = {
    **HPARAMS, "num_train_steps": NUM_STEPS, "log_steps": 1, "save_checkpoints_steps": SAVED_STEP,
    "learning_rate": 3e-3, "xla": False, "embedding_size": 8, "model_hparam_overrides": {
        "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 20,
        "max_position_embeddings": 16,
    },
}  # fmt: skip
_SPANS = {"masking": "span", "sbgo_weight": 1.0, "sbpo_weight": 50.0, "max_span_length": 4}
PRETRAINING: dict[str, dict[str, Any]] = {
    "electra": {"eval_every_steps": 10},
    "span_electra": _SPANS,
    "masked_lm": {"electra_objective": False, "embedding_type": "compositional", "gradient_accumulation_steps": 2},
    "masked_lm_compiled": {"electra_objective": False, "xla": "auto"},
    "gdes_decoupled": {
        "embedding_sharing": "gdes", "embedding_type": "compositional", "compositional_operation": "add",
        "decoupled_generator_update": True,
    },
}  # fmt: skip
_FINETUNING = {
    **tiny_tasks.HPARAMS, "num_train_epochs": NUM_STEPS / 8, "log_steps": 1, "save_checkpoints_steps": SAVED_STEP,
    "layerwise_lr_decay": 0.8, "init_checkpoint": "pretrained",
}  # fmt: skip
_ANSWERS = {"answerable_uses_start_logits": True, "joint_prediction": True}
FINETUNING: dict[str, dict[str, Any]] = {
    "classification": {"task_names": ["sst"]},
    "tagging": {"task_names": ["chunk"], "eval_every_steps": 10},
    "questions": {"task_names": ["squad"], **_ANSWERS},
    "tasks": {
        "task_names": ["sst", "sts", "chunk", "squad"], **_ANSWERS, "num_train_epochs": 0.52,
        "write_test_outputs": True,
    },
}  # fmt: skip
SLOW = ("masked_lm_compiled", "gdes_decoupled", "classification", "tagging", "questions")
INTERRUPTED = ("span_electra", "tagging")  # of which a checkpoint is recorded
PUBLISHED = {"discriminator": "span_electra", "generator": "span_electra", "tagging": "tagging"}  # by the run's name


def run(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Trains with `folder` as the current one, so that files name no other place; returns the folder of the log."""
    command, hparams = "run_finetuning", {**_FINETUNING, **FINETUNING.get(name, {})}
    if name in PRETRAINING:
        command, hparams = "run_pretraining", {**_PRETRAINING, **PRETRAINING[name]}
    arguments = ["--data-dir", ".", "--model-name", name, "--hparams", json.dumps(hparams)]
    ended = run_command(command, *arguments, folder=folder)
    assert ended.status == 0, ended
    return folder / place_of(name)


def place_of(name: str) -> pathlib.Path:
    """Returns the folder of a run's log and checkpoints, in that of its data."""
    place = pathlib.Path("models", name)
    if name in FINETUNING:
        place /= f"finetuning_models/{'_'.join(sorted(FINETUNING[name]['task_names']))}_model_1"
    return place


def write_data(name: str, folder: pathlib.Path) -> None:
    """Writes what a run reads; fine-tuning starts from the recorded model."""
    if name in PRETRAINING:
        write_tiny_data(folder)
    else:
        tiny_tasks.write_tasks(folder)
        shutil.rmtree(folder / "pretrained")
        shutil.copytree(FOLDER / "pretrained", folder / "pretrained")


def numbers_of(run_folder: pathlib.Path) -> dict[str, dict[str, list[float]]]:
    """Returns what a run logged, by file and by number, without times; a line without a number has nan there."""
    found = {}
    for path in sorted(run_folder.glob("*_log.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        names = dict.fromkeys(name for line in lines for name in line if name != "tokens_per_second")
        found[path.name] = {name: [float(line.get(name, math.nan)) for line in lines] for name in names}
    return found


def outputs_of(model: Any) -> list[list[float]]:
    """Returns the outputs of a model of ids, each flattened, for two rows of 6 and 4 tokens of at least 17."""
    ids = (np.arange(12).reshape(2, 6) * 7 % 12 + 5).astype(np.int32)
    mask = np.ones_like(ids)
    mask[1, 4:] = 0
    ids *= mask
    ids[:, 0], ids[[0, 1], [5, 3]] = 2, 3  # [CLS], [SEP]
    segments = (np.arange(6) > 3).astype(np.int32) * mask
    inputs = (ids,) if isinstance(model, Electra) else (ids, mask, segments)
    return [np.ravel(each).astype(float).tolist() for each in tf.nest.flatten(model(*inputs)) if each is not None]


def machine() -> dict[str, Any]:
    """Returns what bits depend on, beside the code."""
    path = pathlib.Path("/proc/cpuinfo")
    cpu_info = path.read_text(encoding="utf-8") if path.exists() else ""
    flags = re.search(r"^flags\s*:(.*)$", cpu_info, re.MULTILINE)
    names = flags[1].split() if flags else []
    settings = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "XLA_FLAGS")
    return {
        "processor": platform.machine(),
        "flags": sorted(name for name in names if re.match("avx|amx|fma|f16c|sse4", name)),
        "tensorflow": tf.__version__,
        "environment": {name: os.environ[name] for name in settings if name in os.environ},
    }


def hexadecimal(values: Any) -> Any:
    """Returns numbers, in lists and objects, as texts that hold all their bits."""
    if isinstance(values, Mapping):
        return {name: hexadecimal(each) for name, each in values.items()}
    return (
        [hexadecimal(each) for each in values] if isinstance(values, list) else re.sub("0+p", "p", float(values).hex())
    )


def numbers(values: Any) -> Any:
    """Returns what `hexadecimal` was given."""
    if isinstance(values, Mapping):
        return {name: numbers(each) for name, each in values.items()}
    return [numbers(each) for each in values] if isinstance(values, list) else float.fromhex(values)


def assert_as_recorded(current: Any, recorded: Any, recorded_on: Mapping[str, Any]) -> None:
    """Compares numbers in lists and objects with `hexadecimal` ones: bit for bit on a machine like the recording's."""
    expected = numbers(recorded)
    if machine() == recorded_on:
        assert json.dumps(current, indent=1) == json.dumps(expected, indent=1)  # in which nan equals nan
        return
    tf.nest.assert_same_structure(current, expected)
    for value, other in zip(tf.nest.flatten(current), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(value, other, rtol=TOLERANCE, atol=TOLERANCE)


def files_of(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the names of all files in a folder, and the keys in logs and results and of what is published."""
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    names = sorted({re.sub(r"(tfevents\.).*|(_)[0-9a-f]{16}(?=\.npz)", r"\1\2*", name) for name in files})
    return {"files": names, "keys": {name: _keys_of(path) for name, path in files.items() if _is_read(path)}}


def _keys_of(path: pathlib.Path) -> list[str]:
    """Returns the keys of all objects in a file, hparams aside, which test_public_surface.py compares."""
    keys = set(_keys(_objects(path)))
    if "model_name" in keys:  # a run's configuration
        return []
    statistics = re.compile(r"summary\.(\w+)\.(\w+)\.(\w+)")  # of many metrics the same
    shortened = {short for key in keys if (match := statistics.fullmatch(key)) for short in _short(*match.groups())}
    return sorted({key for key in keys if not statistics.fullmatch(key) and not key.startswith("hparams.")} | shortened)


def _short(task: str, metric: str, statistic: str) -> tuple[str, str]:
    return f"summary.{task}.{metric}", f"summary.*.*.{statistic}"


def _is_read(path: pathlib.Path) -> bool:
    return path.name in ("config.json", "trial.json") or path.name.endswith(("_log.jsonl", "results.json"))


def _objects(path: pathlib.Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    return [json.loads(each) for each in (text.splitlines() if path.suffix == ".jsonl" else [text])]


def _keys(value: Any, prefix: str = "") -> Iterable[str]:
    """Yields the path of every value in JSON; lists count as what they hold."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _keys(each, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for each in value:
            yield from _keys(each, prefix)
    else:
        yield prefix

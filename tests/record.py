"""Replaces what tests compare with, after a change that is meant: `python -m tests.record [surface] [runs]`.

Read the difference in git before you keep it. `runs` also replaces checkpoints and models of earlier code, which must
stay readable: keep those in git unless their form is meant to change.
"""

import dataclasses
import json
import pathlib
import shutil
import sys
import tempfile
import zipfile
from typing import Any
from unittest import mock

import keras
import numpy as np

from electra_span import Electra, ElectraEncoder, HeadConfig, load_pretrained, save_pretrained
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel, make_two_towers
from electra_span.tokenization.wordpiece import WordPieceTokenizer
from electra_span.training.checkpoints import Checkpoints
from tests import public_surface, recorded_runs
from tests.finetune import tiny_tasks
from tests.tiny_models import CLS, MASK, SEP, TINY, randomize

_SMALL = dataclasses.replace(TINY, num_hidden_layers=1)
_COMPOSITIONAL = dataclasses.replace(
    _SMALL, embedding_type="compositional", compositional_operation="concat", compositional_num_buckets=5
)
_HEADS = (
    HeadConfig(task="mood", kind="classification", labels=("good", "bad"), classifier="dense"),
    HeadConfig(task="stars", kind="regression", score_range=(1.0, 5.0)),
    HeadConfig(task="tags", kind="tagging", labels=("O", "B", "I")),
    HeadConfig(task="answers", kind="questions"),
)
_NOT_PUBLISHED = ("events", "checkpoints", "*.jsonl", "trial.json", "README.md")


def to_text(value: Any, depth: int = 3, indent: str = "") -> str:
    """Returns JSON text that has a line for each value down to a depth, so that differences are easy to read."""
    if not isinstance(value, dict) or not value or depth == 0:
        return json.dumps(value, ensure_ascii=False)
    inner = f"{indent}  "
    lines = [f"{inner}{json.dumps(name)}: {to_text(each, depth - 1, inner)}" for name, each in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def main() -> None:
    """Writes what the words of the command line name, by default the surface."""
    names = sys.argv[1:] or ["surface"]
    if "surface" in names:
        for name, content in public_surface.surface().items():
            _write(public_surface.FOLDER / name, content, 3)
    if "runs" in names:
        shutil.rmtree(recorded_runs.FOLDER, ignore_errors=True)
        _record_runs(recorded_runs.FOLDER)
        _record_models(recorded_runs.FOLDER)


def _write(path: pathlib.Path, content: Any, depth: int) -> None:
    path.write_text(to_text(content, depth) + "\n", encoding="utf-8")


def _record_runs(target: pathlib.Path) -> None:
    """Writes the numbers, names of files, checkpoints and published models of all runs."""
    losses, files = {}, {}
    with tempfile.TemporaryDirectory() as temporary:
        keras.utils.set_random_seed(0)
        encoder = ElectraEncoder(dataclasses.replace(tiny_tasks.CONFIG, num_hidden_layers=1), name="electra")
        tokenizer = WordPieceTokenizer(tiny_tasks.VOCABULARY)
        save_pretrained(ElectraDiscriminator(encoder), tokenizer, target / "pretrained")
        for name in (*recorded_runs.PRETRAINING, *recorded_runs.FINETUNING):
            folder = pathlib.Path(temporary, name)
            recorded_runs.write_data(name, folder)
            place = _run_and_copy(name, folder, target)
            losses[name] = recorded_runs.hexadecimal(recorded_runs.numbers_of(place))
            files[name] = recorded_runs.files_of(folder / "models")
    _write(target / "losses.json", {"machine": recorded_runs.machine(), "runs": losses}, 4)
    _write(public_surface.FOLDER / "files.json", files, 3)


def _run_and_copy(name: str, folder: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Trains a run; of some, copies what a process that was killed half-way leaves, and what is published."""
    place, save = folder / recorded_runs.place_of(name), Checkpoints.save

    def save_and_copy(checkpoints: Checkpoints, step: int) -> None:
        save(checkpoints, step)
        if step == recorded_runs.SAVED_STEP and name in recorded_runs.INTERRUPTED:
            shutil.copytree(place, target / "interrupted" / name, ignore=shutil.ignore_patterns("events", ".lock"))

    with mock.patch.object(Checkpoints, "save", save_and_copy):
        recorded_runs.run(name, folder)
    for published, model in recorded_runs.PUBLISHED.items():
        if model == name:
            source = place / published if (place / published).is_dir() else place
            shutil.copytree(source, target / "published" / published, ignore=shutil.ignore_patterns(*_NOT_PUBLISHED))
    return place


def _record_models(target: pathlib.Path) -> None:
    """Writes .keras files that have all registered classes, and what these and the published models say."""
    (target / "keras").mkdir()
    outputs = {}
    for name, model in _models().items():
        if isinstance(model, Electra):
            model(np.full([2, 9], MASK + 1, np.int32))  # builds it
        randomize(model)
        for variable in model.weights:
            variable.assign(np.round(variable.numpy() * 16) / 16)  # few values, so that files are small
        _save(model, target / "keras" / f"{name}.keras")
        outputs[f"keras/{name}.keras"] = recorded_runs.outputs_of(model)
    for name in recorded_runs.PUBLISHED:
        outputs[f"published/{name}"] = recorded_runs.outputs_of(load_pretrained(target / "published" / name))
    content = {"machine": recorded_runs.machine(), "outputs": recorded_runs.hexadecimal(outputs)}
    _write(target / "outputs.json", content, 2)


def _save(model: keras.Model, path: pathlib.Path) -> None:
    """Writes a .keras file, and packs what Keras leaves as large as it is."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def _models() -> dict[str, keras.Model]:
    encoder = ElectraEncoder(_SMALL, name="electra")
    generator = ElectraGenerator(ElectraEncoder(_SMALL, encoder.embeddings, name="generator"))
    special = {"mask_id": MASK, "pad_id": 0, "special_ids": (CLS, SEP)}
    compositional = ElectraEncoder(_COMPOSITIONAL, name="electra")
    return {
        "electra": Electra(generator, ElectraDiscriminator(encoder), mask_prob=0.3, **special),
        "generator": ElectraGenerator(compositional, max_span_length=3, name="generator_model"),
        "discriminator": ElectraDiscriminator(ElectraEncoder(_SMALL, name="electra"), max_span_length=2),
        "two_towers": make_two_towers(ElectraEncoder, _SMALL),
        "task_model": ElectraTaskModel(ElectraEncoder(_SMALL, name="electra"), _HEADS),
    }


if __name__ == "__main__":
    main()

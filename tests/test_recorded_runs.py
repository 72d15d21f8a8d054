"""What runs, checkpoints and models of earlier code gave, this code gives too: see recorded_runs.py."""

import functools
import json
import shutil

import keras
import pytest
import tensorflow as tf

from electra_span import load_pretrained, save_pretrained
from tests import recorded_runs
from tests.recorded_runs import FOLDER, PUBLISHED

pytestmark = pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="recorded on a CPU")
RUNS = [
    pytest.param(name, marks=pytest.mark.slow if name in recorded_runs.SLOW else ())
    for name in (*recorded_runs.PRETRAINING, *recorded_runs.FINETUNING)
]


@functools.cache
def recorded(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def assert_losses_as_recorded(name, folder):
    losses = recorded("losses.json")
    recorded_runs.assert_as_recorded(recorded_runs.numbers_of(folder), losses["runs"][name], losses["machine"])


@pytest.mark.parametrize("name", RUNS)
def test_a_run_gives_the_recorded_losses_and_files(name, tmp_path):
    recorded_runs.write_data(name, tmp_path)
    assert_losses_as_recorded(name, recorded_runs.run(name, tmp_path))
    files = json.loads((recorded_runs.GOLDEN / "surface" / "files.json").read_text(encoding="utf-8"))[name]
    assert recorded_runs.files_of(tmp_path / "models") == files


@pytest.mark.parametrize("name", recorded_runs.INTERRUPTED)
def test_an_interrupted_run_of_earlier_code_goes_on_to_the_recorded_losses_and_weights(name, tmp_path):
    recorded_runs.write_data(name, tmp_path)
    place = tmp_path / recorded_runs.place_of(name)
    shutil.copytree(FOLDER / "interrupted" / name, place)
    before = [path.read_bytes() for path in sorted(place.glob("*_log.jsonl"))]
    assert recorded_runs.run(name, tmp_path) == place
    after = [path.read_bytes() for path in sorted(place.glob("*_log.jsonl"))]
    assert [new.startswith(old) and new != old for new, old in zip(after, before, strict=True)] == [True] * len(before)
    assert_losses_as_recorded(name, place)
    for published in (each for each, run in PUBLISHED.items() if run == name):
        folder = place / published if (place / published).is_dir() else place
        assert_outputs_as_recorded(load_pretrained(folder), f"published/{published}")


def assert_outputs_as_recorded(model, name):
    outputs = recorded("outputs.json")
    recorded_runs.assert_as_recorded(recorded_runs.outputs_of(model), outputs["outputs"][name], outputs["machine"])


@pytest.mark.parametrize("name", [name for name in recorded("outputs.json")["outputs"] if name.startswith("keras/")])
def test_a_keras_file_of_earlier_code_says_what_it_said(name):
    assert_outputs_as_recorded(keras.saving.load_model(FOLDER / name), name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_of_earlier_code_says_what_it_said_and_is_published_the_same(name, tmp_path):
    folder = FOLDER / "published" / name
    model = load_pretrained(folder)
    assert_outputs_as_recorded(model, f"published/{name}")
    save_pretrained(model, model.tokenizer, tmp_path / "again")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == files

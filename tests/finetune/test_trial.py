"""What becomes of a trial's folder, in runs on tiny tasks."""

import itertools
import json
import pathlib
import shutil

import pytest

from electra_span.files import FileError
from electra_span.folders import lock_file
from finetune import train
from finetune.readers.reading import DataError
from finetune.trial import clear_place
from tests.finetune.tiny_tasks import WORDS, configure, write_tasks

TABLES = ("e/отзывы.csv", "e/новости.csv")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """The files of tasks, and a model of each of two tables."""
    folder = write_tasks(tmp_path_factory.mktemp("tasks"), num_train=8, num_dev=4)
    (folder / "e").mkdir()
    for number, table in enumerate(TABLES):
        words = itertools.product(("good", "bad"), WORDS[2:8])
        rows = [f"{mood} {word},{number}{mood}" for mood, word in words]
        (folder / table).write_text("\n".join(["text,label", *rows]))
        train.train(run(folder, table))
    return folder


def run(data_dir, table, **hparams):
    settings = {"text_column": "text", "label_column": "label", "num_train_epochs": 1, "dev_rate": 0.3, **hparams}
    return configure(data_dir, f"csv:{data_dir / table}", **settings)


def folder_of(config):
    return pathlib.Path(config.model_dir) / "finetuning_models" / f"{config.tasks[0].slug}_model_1"


def labels(folder):
    return json.loads((folder / "config.json").read_text())["heads"][0]["labels"]


def test_a_task_keeps_its_model_when_another_one_or_another_configuration_follows(data_dir):
    first, second = (folder_of(run(data_dir, table)) for table in TABLES)
    assert (labels(first), labels(second)) == (["0bad", "0good"], ["1bad", "1good"])
    before = (first / "model.safetensors").read_bytes()
    train.train(run(data_dir, TABLES[0], seed=7))
    (aside,) = first.parent.glob(f"{first.name}_*")
    assert (aside / "model.safetensors").read_bytes() == before != (first / "model.safetensors").read_bytes()
    results = data_dir / "models" / "tiny" / "results"
    slug, suffix = first.name.removesuffix("_model_1"), aside.name.removeprefix(first.name)
    assert (results / f"{slug}_results{suffix}.json").exists()
    assert len(list(results.glob("*_results*.json"))) == 3


def test_an_interrupted_trial_without_a_readable_stamp_begins_again(data_dir):
    config = run(data_dir, TABLES[1])
    folder = folder_of(config)
    before = (folder / "model.safetensors").read_bytes()
    shutil.rmtree(data_dir / "models" / "tiny" / "results")
    (folder / "model.safetensors").unlink()
    (folder / "trial.json").write_text("")
    (folder / ".trial.json.0.unfinished").write_text("{")
    train.train(config)
    assert (folder / "model.safetensors").read_bytes() == before
    assert not list(folder.glob(".*"))


def test_folders_of_before_are_gone_on_with(data_dir, monkeypatch):
    """Such are named after the last part of the path, of which only ASCII was left."""
    config = run(data_dir, TABLES[1])
    folder, slug = folder_of(config), config.tasks[0].slug
    results = folder.parents[1] / "results" / f"{slug}_results.json"
    results.with_name("csv___results.json").write_text(results.read_text().replace(json.dumps(slug), '"csv__"'))
    results.unlink()
    folder.rename(folder.with_name("csv___model_1"))
    monkeypatch.setattr(train, "_run_trial", lambda *arguments: pytest.fail("trained again"))
    (result,) = train.train(config)
    assert list(result.scores) == ["csv__"]


def test_a_task_without_examples_to_evaluate_on_is_refused_before_training(data_dir, monkeypatch):
    (data_dir / "same.csv").write_text("text,label\n" + "good,1\nbad,0\n" * 9)
    monkeypatch.setattr(train, "_run_trial", lambda *arguments: pytest.fail("trained"))
    with pytest.raises(DataError, match=r"same\.csv: there are no (dev|train) examples"):
        train.train(run(data_dir, "same.csv", dev_rate=0.01))


def test_a_second_run_of_the_same_tasks_is_refused(data_dir):
    with (
        lock_file(data_dir / "models" / "tiny" / "results" / ".sst.lock", "busy"),
        pytest.raises(FileError, match=r"another fine-tuning of sst is at work in .*tiny; wait"),
    ):
        train.train(configure(data_dir, "sst", num_train_epochs=1))


@pytest.mark.parametrize(
    ("before", "is_kept"), [("a-1", True), ("b-2", False), ("b-1", False), (None, True), (7, True)]
)
def test_what_is_in_the_place_of_a_trial_is_kept_if_it_is_a_model_of_another_configuration(tmp_path, before, is_kept):
    folder = tmp_path / "sst_model_1"
    for _ in range(2):
        folder.mkdir()
        (folder / "model.safetensors").touch()
        clear_place(folder, before, "b-1")
        assert not folder.exists()
    assert len(list(tmp_path.iterdir())) == 2 * is_kept
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "model.safetensors").touch()
    clear_place(folder, before, "b-1")
    assert not folder.exists()
    clear_place(folder, before, "b-1")

"""The whole run of scripts/train.sh, as on a fresh machine: minutes."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def _train(repository: pathlib.Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = ["sh", repository / "scripts" / "train.sh"]
    return subprocess.run(command, env=environment, cwd="/", stdout=subprocess.PIPE, text=True, check=True).stdout


def _slugs(repository: pathlib.Path) -> list[str]:
    folder = repository / "data" / "default" / "models" / "tiny" / "finetuning_models"
    slugs = sorted(path.name.removesuffix("_model_1") for path in folder.iterdir())
    assert [slug.rpartition("_")[0] for slug in slugs] == ["csv_default_tasks_modules", "qa_default_tasks_cloze"]
    return slugs


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    repository = tmp_path_factory.mktemp("fresh machine") / "a clone"
    left_behind = shutil.ignore_patterns(".venv", ".git", "data", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(REPOSITORY, repository, ignore=left_behind)
    return repository, _train(repository)


def test_tiny_model_learns_from_the_default_corpus(first_run):
    repository, _ = first_run
    model_dir = repository / "data" / "default" / "models" / "tiny"
    before = json.loads((model_dir / "eval_log.jsonl").read_text().splitlines()[0])
    after = json.loads((model_dir / "results" / "unsup_results.json").read_text())
    assert before["mlm_accuracy"] < 0.01
    assert 0.4 < before["disc_auc"] < 0.6
    # Always to guess the most frequent token is right for about one in twenty.
    assert after["mlm_accuracy"] > 0.1
    assert after["disc_auc"] > 0.55


def test_summary_closes_the_pretraining(first_run):
    _, printed = first_run
    summary = printed.partition("==> Summary\n")[2].partition("==>")[0]
    assert "masked LM accuracy" in summary
    assert "discriminator AUC" in summary


def test_both_models_are_published(first_run):
    repository, _ = first_run
    for name in ("discriminator", "generator"):
        files = {file.name for file in (repository / "data" / "default" / "models" / "tiny" / name).iterdir()}
        assert {"config.json", "model.safetensors", "vocab.txt"} <= files


def test_both_default_tasks_are_learned(first_run):
    repository, printed = first_run
    model_dir = repository / "data" / "default" / "models" / "tiny"
    scores = {}
    for slug in _slugs(repository):
        (trial,) = json.loads((model_dir / "results" / f"{slug}_results.json").read_text())["trials"]
        scores |= trial["scores"]
        assert not trial["constant_tasks"]
        assert (model_dir / "finetuning_models" / f"{slug}_model_1" / "model.safetensors").exists()
        assert f"{slug} " in printed.rpartition("==> Summary\n")[2]
    # Of ten classes one in ten is right by chance, and who gives no answer has none of the names.
    modules, cloze = _slugs(repository)
    assert scores[modules]["accuracy"] > 25
    assert scores[cloze]["HasAns_f1"] > 8


def test_second_run_reuses_what_is_there(first_run):
    repository, _ = first_run
    names = ("vocab.txt", "pretrain_tfrecords/manifest.json", "default_tasks/cloze/dev.json")
    names += tuple(f"models/tiny/finetuning_models/{slug}_model_1/config.json" for slug in _slugs(repository))
    made = [repository / "data" / "default" / name for name in names]
    times = [file.stat().st_mtime_ns for file in made]
    printed = _train(repository)
    assert [file.stat().st_mtime_ns for file in made] == times
    assert "Installing" not in printed
    assert "==> Summary" in printed

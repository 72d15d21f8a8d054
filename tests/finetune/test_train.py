"""Whole runs on tiny tasks, in this process."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from electra_span.config import HparamError
from electra_span.published.save_load import load_pretrained
from finetune import train
from finetune.readers.reading import DataError
from finetune.run import Run
from finetune.text_task import TextTask
from tests.finetune.tiny_tasks import configure, write_tasks

TASKS = ("sst", "sts", "chunk", "squad")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def all_tasks(data_dir):
    """The results of one model that learns all tasks together."""
    config = configure(
        data_dir, *TASKS, model_name="all", num_train_epochs=12, write_test_outputs=True,
        task_weights={"squad": 2.0}, num_trials=1,
    )  # fmt: skip
    (result,) = train.train(config)
    return result


def _weights(data_dir, model_name, task="sst", trial=1):
    folder = data_dir / "models" / model_name / "finetuning_models" / f"{task}_model_{trial}"
    return load_file(folder / "model.safetensors")


def test_one_encoder_learns_tasks_of_all_kinds_together(all_tasks):
    scores = all_tasks.scores
    assert scores["sst"]["accuracy"] > 90
    assert scores["sts"]["pearson"] > 80
    assert scores["chunk"]["f1"] > 90
    assert scores["chunk"]["test_f1"] > 90
    assert scores["squad"]["HasAns_f1"] > 60
    assert scores["squad"]["NoAns_total"] == 5
    assert all_tasks.headlines["sst"] == scores["sst"]["accuracy"]
    assert not all_tasks.constant_tasks


def test_a_run_leaves_results_answers_and_predictions(data_dir, all_tasks):
    model_dir = data_dir / "models" / "all"
    results = model_dir / "results"
    name = "chunk_squad_sst_sts"
    lines = (results / f"{name}_results.txt").read_text().splitlines()
    assert lines[0].startswith(f"sst: accuracy: {all_tasks.scores['sst']['accuracy']:.2f} - loss: ")
    assert json.loads((results / f"{name}_results.json").read_text())["trials"][0]["seed"] == 42
    answers = json.loads((results / f"{name}_qa" / "squad_preds.json").read_text())
    assert len(answers) == 18
    assert len(json.loads((results / f"{name}_qa" / "squad_null_odds.json").read_text())) == 18
    predictions = model_dir / "test_predictions"
    assert len(json.loads((predictions / "sst_test_1_predictions.json").read_text())) == 7
    assert len(json.loads((predictions / "squad_test_1_predictions.json").read_text())) == 7
    scores = json.loads((predictions / "sts_test_1_predictions.json").read_text()).values()
    assert max(scores) > 3 > 2 > min(scores)
    with zipfile.ZipFile(predictions / "glue_1.zip") as archive:
        assert archive.namelist() == ["SST-2.tsv", "STS-B.tsv"]


def test_a_published_model_is_evaluated_alone_to_the_same_scores(data_dir, all_tasks):
    folder = data_dir / "models" / "all" / "finetuning_models" / "chunk_squad_sst_sts_model_1"
    config = configure(data_dir, "squad", "sst", model_name="again", init_checkpoint=str(folder), do_train=False)
    result = train.evaluate(config)
    for task in ("squad", "sst"):
        assert result.scores[task] == pytest.approx(all_tasks.scores[task])


def test_a_model_without_a_head_for_the_task_says_so(data_dir, all_tasks):
    folder = data_dir / "models" / "all" / "finetuning_models" / "chunk_squad_sst_sts_model_1"
    with pytest.raises(DataError, match="squadv1: init_checkpoint has no head for it, only for sst, sts, chunk, squad"):
        train.evaluate(configure(data_dir, "squadv1", init_checkpoint=str(folder), do_train=False))


def test_the_encoder_of_another_task_is_taken_with_a_new_head(data_dir, all_tasks):
    folder = data_dir / "models" / "all" / "finetuning_models" / "chunk_squad_sst_sts_model_1"
    config = configure(data_dir, "sts", model_name="next", init_checkpoint=str(folder), learning_rate=1e-12)
    train.train(config)
    before, after = load_file(folder / "model.safetensors"), _weights(data_dir, "next", "sts")
    assert {name.partition(".")[0] for name in after} == {"electra", "heads"}
    for name in after.keys() - {"heads.sts.prediction.bias"}:
        assert np.allclose(after[name], before[name], atol=1e-6) == (not name.startswith("heads.")), name


def test_trials_have_seeds_of_their_own_and_the_same_seed_gives_the_same_bits(data_dir):
    first = train.train(configure(data_dir, "sst", model_name="trials", num_trials=2, num_train_epochs=1))
    assert [result.seed for result in first] == [42, 43]
    weights = [_weights(data_dir, "trials", trial=trial) for trial in (1, 2)]
    assert not np.array_equal(*(each["electra.encoder.layer.0.output.dense.weight"] for each in weights))
    train.train(configure(data_dir, "sst", model_name="second", seed=43, num_train_epochs=1))
    again = _weights(data_dir, "second")
    assert all(np.array_equal(again[name], value) for name, value in weights[1].items())
    lines = (data_dir / "models" / "trials" / "results" / "sst_results.txt").read_text().splitlines()
    assert lines[2].startswith("sst: accuracy: mean: ")
    assert " - sd: " in lines[2]


def test_finished_trials_are_not_run_again_and_more_are_added(data_dir, monkeypatch):
    settings = {"model_name": "more", "num_train_epochs": 1}
    (first,) = train.train(configure(data_dir, "sst", **settings))
    seeds = []
    run_trial = train._run_trial
    monkeypatch.setattr(
        train, "_run_trial", lambda run, number, seed, stamp: seeds.append(seed) or run_trial(run, number, seed, stamp)
    )
    results = train.train(configure(data_dir, "sst", num_trials=2, **settings))
    assert seeds == [43]
    assert results[0] == first
    train.train(configure(data_dir, "sst", learning_rate=2e-2, **settings))
    assert seeds == [43, 42]


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU compiles steps as a whole")
def test_kernels_are_compiled_where_training_is_long_enough(data_dir):
    def compiles(xla, num_trials):
        config = configure(data_dir, "sst", xla=xla, num_trials=num_trials, num_train_epochs=1e6)
        return Run(config).execution.compile_kernels

    assert [compiles("auto", 1), compiles("auto", 1000), compiles(False, 1000)] == [False, True, False]


def test_results_are_of_one_model_and_its_files(data_dir, tmp_path):
    shutil.copytree(data_dir / "pretrained", tmp_path / "model")
    shutil.copytree(data_dir / "finetuning_data", tmp_path / "finetuning_data")
    config = configure(tmp_path, "sst", init_checkpoint=str(tmp_path / "model"))
    digest = Run(config).digest_of_sources()
    assert Run(config).digest_of_sources() == digest
    changed = [tmp_path / "model" / "model.safetensors", tmp_path / "finetuning_data" / "sst" / "dev.tsv"]
    digests = {digest}
    for number, file in enumerate(changed, start=2):
        content = file.read_bytes()
        file.write_bytes(content[:-2] + b"\n\n" if file.suffix == ".safetensors" else content + b"red\t1\n")
        digests.add(Run(config).digest_of_sources())
        assert len(digests) == number


def test_a_run_stuck_on_one_class_is_named_and_run_again_with_another_seed(data_dir):
    settings = {"num_train_epochs": 1, "learning_rate": 1e-12, "retry_failed_trials": 1}
    results = train.train(configure(data_dir, "sst", model_name="stuck", **settings))
    assert [(result.trial, result.seed, result.is_retry) for result in results] == [
        (1, 42, False),
        (1, 1_000_042, True),
    ]
    assert all(result.constant_tasks == ("sst",) for result in results)
    assert "is stuck on one class" in (data_dir / "models" / "stuck" / "results" / "sst_results.txt").read_text()


def test_the_best_weights_are_kept_where_that_is_asked_for(data_dir, monkeypatch):
    headlines = iter([99.0, 1.0, 3.0, 2.0, 0.0])
    monkeypatch.setattr(TextTask, "headline", lambda task, scores: next(headlines))
    (result,) = train.train(configure(data_dir, "sts", model_name="best", keep_best=True, double_unordered=False))
    folder = data_dir / "models" / "best" / "finetuning_models" / "sts_model_1"
    lines = [json.loads(line) for line in (folder / "eval_log.jsonl").read_text().splitlines()]
    errors = {line["step"]: line["sts_mse"] for line in lines}
    assert list(errors) == [0, 8, 16, 24]
    assert result.scores["sts"]["mse"] == errors[16]
    assert len(set(errors.values())) == 4
    assert not (folder / "best").exists()


def test_frozen_layers_stay_and_the_heads_can_be_trained_first(data_dir):
    config = configure(
        data_dir, "sst", model_name="frozen", num_train_epochs=1, frozen_encoder_epochs=2, freeze_below_layer=1,
        frozen_encoder_learning_rate=0.05,
    )  # fmt: skip
    (result,) = train.train(config)
    assert result.num_train_steps == 8 + 16
    before, after = load_file(data_dir / "pretrained" / "model.safetensors"), _weights(data_dir, "frozen")
    moved = {name for name in after if name in before and not np.array_equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("electra.encoder.layer.1.") for name in moved)
    log = data_dir / "models" / "frozen" / "finetuning_models" / "sst_model_1" / "train_log.jsonl"
    rates = {line["step"]: line["learning_rate"] for line in map(json.loads, log.read_text().splitlines())}
    assert rates[5] > 0.03
    assert rates[20] < 0.01


def test_accumulated_gradients_are_those_of_the_whole_batch(data_dir):
    settings = {
        "num_train_epochs": 1,
        "model_hparam_overrides": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    }
    for name, steps in (("whole", 1), ("parts", 4)):
        config = configure(data_dir, "chunk", model_name=name, gradient_accumulation_steps=steps, **settings)
        train.train(config)
    whole, parts = (_weights(data_dir, name, "chunk") for name in ("whole", "parts"))
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, atol=2e-5, err_msg=name)


def test_only_the_last_model_is_kept_where_that_is_asked_for(data_dir):
    settings = {"num_train_epochs": 1, "num_trials": 2, "keep_all_models": False}
    train.train(configure(data_dir, "sst", model_name="last", **settings))
    folder = data_dir / "models" / "last" / "finetuning_models"
    assert [path.name for path in folder.iterdir()] == ["sst_model_2"]
    assert load_pretrained(folder / "sst_model_2").head_configs[0].labels == ("0", "1")


def test_a_dense_classifier_is_published_as_transformers_has_it(data_dir):
    train.train(configure(data_dir, "sst", model_name="dense", num_train_epochs=1, classifier_head="dense"))
    assert "classifier.out_proj.weight" in _weights(data_dir, "dense")
    folder = data_dir / "models" / "dense" / "finetuning_models" / "sst_model_1"
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["ElectraForSequenceClassification"]
    assert config["id2label"] == {"0": "0", "1": "1"}


def test_random_weights_take_only_the_sizes_of_the_model(data_dir):
    train.train(configure(data_dir, "sst", model_name="random", random_weights=True, learning_rate=1e-12))
    before, after = load_file(data_dir / "pretrained" / "model.safetensors"), _weights(data_dir, "random")
    name = "electra.embeddings.word_embeddings.weight"
    assert before[name].shape == after[name].shape
    assert not np.allclose(before[name], after[name], atol=1e-3)


def test_a_trial_is_not_written_over_the_model_that_it_starts_from(data_dir):
    settings = {"model_name": "own", "num_train_epochs": 1}
    train.train(configure(data_dir, "sst", **settings))
    before = _weights(data_dir, "own")
    folder = data_dir / "models" / "own" / "finetuning_models" / "sst_model_1"
    with pytest.raises(HparamError, match="init_checkpoint is where trial 1 is written"):
        train.train(configure(data_dir, "sst", init_checkpoint=str(folder), **settings))
    assert all(np.array_equal(value, before[name]) for name, value in _weights(data_dir, "own").items())


def test_test_files_are_predicted_without_development_examples(data_dir, tmp_path):
    train.train(configure(data_dir, "sst", model_name="blind", num_train_epochs=1))
    folder = data_dir / "models" / "blind" / "finetuning_models" / "sst_model_1"
    (tmp_path / "finetuning_data" / "sst").mkdir(parents=True)
    shutil.copy(data_dir / "finetuning_data" / "sst" / "test.tsv", tmp_path / "finetuning_data" / "sst")
    settings = {"do_train": False, "do_eval": False, "write_test_outputs": True, "init_checkpoint": str(folder)}
    assert train.evaluate(configure(tmp_path, "sst", **settings)).scores == {}
    assert (tmp_path / "models" / "tiny" / "test_predictions" / "sst_test_1_predictions.tsv").exists()


def test_a_folder_without_a_model_is_named(data_dir):
    with pytest.raises(HparamError, match=r"init_checkpoint must be .* pretrain first.*models/none/discriminator"):
        train.train(configure(data_dir, "sst", model_name="none", init_checkpoint=None))


def test_a_missing_file_is_named(data_dir):
    with pytest.raises(DataError, match=r"rte/train\.tsv: cannot be read: No such file"):
        train.train(configure(data_dir, "rte"))

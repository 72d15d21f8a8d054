import dataclasses
import json
import subprocess
import sys

import pytest

from electra_span.config import UserError
from finetune.config import FinetuningConfig
from finetune.task_names import KIND_OF_TASK


def configure(**hparams) -> FinetuningConfig:
    return FinetuningConfig.from_hparams(model_name="m", data_dir="d", hparams=hparams)


def test_defaults_by_task_and_size_are_the_recorded_ones_but_for_naturalqs(golden):
    recorded = json.loads(golden("glue/finetuning_defaults.json").read_text())
    assert len(recorded) == 45
    for name, expected in recorded.items():
        task, _, size = name.rpartition("_")
        values = configure(task_names=[task], model_size=size).to_dict()
        different = {key: values[key] for key, value in expected.items() if values[key] != value}
        assert different == ({"num_train_epochs": 2.0, "max_seq_length": 512} if task == "naturalqs" else {})


@pytest.mark.parametrize("task", [name for name, kind in KIND_OF_TASK.items() if kind == "qa"] + ["qa:folder"])
def test_every_task_of_questions_has_the_defaults_of_questions(task):
    config = configure(task_names=[task])
    assert (config.max_seq_length, config.num_train_epochs) == (512, 2.0)


@pytest.mark.parametrize(
    ("tasks", "max_seq_length", "num_train_epochs"),
    [
        (["rte", "mnli"], 128, 3.0),
        (["chunk", "sst"], 256, 3.0),
        (["mnli", "squad"], 512, 2.0),
        (["rte", "sts"], 128, 10),
    ],
)
def test_tasks_that_are_learned_together_have_the_longest_examples_and_the_fewest_epochs(
    tasks, max_seq_length, num_train_epochs
):
    config = configure(task_names=tasks)
    assert (config.max_seq_length, config.num_train_epochs) == (max_seq_length, num_train_epochs)


def test_what_is_not_said_is_the_originals():
    config = configure()
    assert list(config.task_names) == ["chunk"]
    assert (config.num_trials, config.eval_batch_size, config.predict_batch_size, config.n_writes_test) == (
        1,
        32,
        32,
        5,
    )
    assert config.model_dir == "d/models/m"
    assert config.init_checkpoint == "d/models/m/discriminator"


@pytest.mark.parametrize(("size", "learning_rate"), [("small", 3e-4), ("base", 1e-4), ("large", 5e-5)])
def test_the_papers_recipe_has_its_learning_rate_and_no_weight_decay(size, learning_rate):
    config = configure(preset="paper", model_size=size)
    assert (config.learning_rate, config.weight_decay_rate) == (learning_rate, 0)
    assert configure(preset="paper", model_size=size, learning_rate=7).learning_rate == 7


def test_what_the_user_says_wins_and_null_goes_back_to_the_rule():
    config = configure(task_names=["squad"], max_seq_length=384, num_train_epochs=None, model_dir="e")
    assert (config.max_seq_length, config.num_train_epochs) == (384, 2.0)
    assert config.init_checkpoint == "e/discriminator"


def test_debug_makes_features_anew_and_logs_them():
    config = configure(debug=True)
    assert (config.log_examples, config.use_tfrecords_if_existing, config.iterations_per_loop) == (True, False, 1)
    assert configure(debug=True, log_examples=False).log_examples is False


def test_files_of_a_task_are_in_its_folder_or_where_its_name_says():
    config = configure(task_names=["sst", "csv:a/b.csv", "tag:x:y", "qa:z"])
    assert [(task.name, task.kind, task.path) for task in config.tasks[1:]] == [
        ("csv:a/b.csv", "csv", "a/b.csv"), ("tag:x:y", "tagging", "x:y"), ("qa:z", "qa", "z"),
    ]  # fmt: skip
    assert [config.task_dir(task) for task in config.tasks] == ["d/finetuning_data/sst", "a/b.csv", "x:y", "z"]


@pytest.mark.parametrize(
    ("hparams", "mistake"),
    [
        ({"task_names": []}, r"task_names must be one task or more, each once. Received: \[\]"),
        ({"task_names": ["sst", "sst"]}, r"each once. Received: \['sst', 'sst'\]"),
        ({"train_batch_size": 2**31 - 1}, "train_batch_size must be at most 1048576. Received: 2147483647"),
        ({"beam_size": 2**31 - 1}, "beam_size must be at most 1024. Received: 2147483647"),
        ({"answerable_weight": 1e30}, r"answerable_weight must be at most 1000000. Received: 1e\+30"),
        ({"embedding_size": -5}, "embedding_size must be at least 1, or null. Received: -5"),
        ({"task_names": ["sst"], "task_weights": {"sst": 1e300}}, "above 0, to 1e.06. Received: 1e.300"),
        ({"task_names": ["sst2"]}, "unknown task in task_names 'sst2': did you mean 'sst'"),
        ({"task_names": ["csv:"]}, "csv: must be followed by the path of files"),
        ({"task_names": ["csv:PATH", "csb:x"]}, "unknown task in task_names 'csb:x'"),
        ({"task_names": "sst"}, "task_names must be a list of strings. Received: 'sst'"),
        ({"encoding": "undefined"}, "encoding must be the name of a text encoding, .* Received: 'undefined'"),
        ({"csv_delimiter": ";;"}, "csv_delimiter must be one character"),
        ({"task_names": ["csv:a\0b"]}, "task_names must be text without null characters"),
        ({"train_batch_size": 10**10}, "train_batch_size must be at most 1048576"),
        ({"model_dir": ""}, "model_dir must be a path. Received: ''"),
        ({"vocab_file": ""}, "vocab_file must be a path"),
        ({"task_name": ["sst"]}, "unknown hparam 'task_name': did you mean 'task_names'"),
        ({"model_size": "huge"}, "unknown model_size 'huge'"),
        ({"preset": "papers"}, "unknown preset 'papers': did you mean 'paper'"),
        ({"model_hparam_overrides": {"hidden": 3}}, "model_hparam_overrides: unknown hparam 'hidden'"),
        ({"num_trials": -1}, "num_trials must be at least 1. Received: -1"),
        ({"learning_rate": 0}, r"learning_rate must be above 0. Received: 0"),
        ({"warmup_proportion": 1.5}, r"warmup_proportion must be from 0 to 1. Received: 1.5"),
        ({"tagging_segment_id": 2}, "tagging_segment_id must be 0 or 1. Received: 2"),
        ({"dev_rate": 1}, "dev_rate must be below 1"),
        ({"seed": 2**31 - 1, "num_trials": 2}, "the seed of the last trial must be at most 2147483647"),
        ({"do_train": False, "do_eval": False}, "one must be true"),
        ({"use_tpu": True}, "TPUs are not supported"),
        ({"model_name": "x"}, "model_name is not an hparam: it is given as --model-name"),
        ({"task_names": ["quac"], "max_seq_length": 64}, "max_seq_length, max_query_length: beside a question"),
    ],
)
def test_what_is_not_possible_is_an_error_that_names_it(hparams, mistake):
    with pytest.raises(UserError, match=mistake):
        configure(**hparams)


def test_short_sequences_are_no_mistake_where_no_question_is_asked():
    assert configure(task_names=["sst"], max_seq_length=64).max_seq_length == 64


def test_every_hparam_says_what_it_means():
    for field in dataclasses.fields(FinetuningConfig):
        assert field.metadata["meaning"], field.name


def test_the_effective_configuration_makes_itself_again():
    config = configure(task_names=["rte"], model_size="large", model_hparam_overrides={"num_hidden_layers": 3})
    saved = json.loads(config.to_json())
    hparams = {key: value for key, value in saved.items() if key not in ("model_name", "data_dir")}
    assert configure(**hparams).to_dict() == config.to_dict() == saved


def test_configuration_imports_no_tensorflow():
    code = "import sys, finetune.config; assert not {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

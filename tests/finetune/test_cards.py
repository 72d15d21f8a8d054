"""The cards of fine-tuned models, with their scores and the spread over trials."""

import json

import pytest

from electra_span.config import EncoderConfig
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraTaskModel
from electra_span.published.card import CARD_FILE, render
from electra_span.published.config import Architecture
from finetune import train
from finetune.cards import make_card
from finetune.results import TrialResult
from finetune.task_names import parse_task_name
from tests.finetune.tiny_tasks import configure, write_tasks

HEADS = (
    HeadConfig(task="sst", kind="classification", labels=("0", "1")),
    HeadConfig(task="csv_mood", kind="classification", labels=("a|b", "c")),
)


def result(trial, accuracy):
    scores = {
        "sst": {"accuracy": accuracy, "loss": 0.5},
        parse_task_name("csv:/secret/mood.csv").slug: {"accuracy": 50.0},
    }
    return TrialResult(trial=trial, seed=41 + trial, scores=scores, headlines={}, num_train_steps=1234, seconds=90.0)


def card(tmp_path, results, **hparams):
    config = configure(tmp_path, "sst", "csv:/secret/mood.csv", **hparams)
    architecture = Architecture(ElectraTaskModel, EncoderConfig(), 0, HEADS)
    return make_card(config, architecture, results[0], results, hardware="2 x Abacus")


def test_card_tells_scores_and_their_spread_over_trials(tmp_path):
    made = card(tmp_path, [result(1, 90.0), result(2, 92.0)], language="en", task_weights={"csv:/secret/mood.csv": 2.0})
    text = render(made)
    assert "| sst | accuracy | 90.00 | 91.00 | 91.00 | 1.41 | 2 |" in text
    assert "| csv\\_mood | classification | a\\|b, c |" in text
    assert "| steps | 1,234 |" in text
    assert "| time, with evaluation | 1.5 minutes |" in text
    assert "secret" not in text
    assert str(tmp_path) not in text
    assert made.header["metrics"] == ["accuracy"]
    assert made.header["pipeline_tag"] == "text-classification"
    index = made.header["model-index"][0]["results"]
    assert [(each["dataset"]["name"], each["metrics"][0]["value"]) for each in index] == [
        ("sst", 90.0),
        ("csv_mood", 50.0),
    ]
    hparams = json.loads(text.partition("```json\n")[2].partition("\n```")[0])
    assert hparams["task_weights"] == {"csv_mood": 2.0}
    assert hparams["max_seq_length"] == 24


def test_one_trial_has_no_spread(tmp_path):
    text = render(card(tmp_path, [result(1, 90.0)]))
    assert "| sst | accuracy | 90.00 |" in text
    assert "standard deviation" not in text


def test_every_trial_is_published_with_a_card_that_knows_the_others(tmp_path):
    data_dir = write_tasks(tmp_path, num_train=16, num_dev=6)
    train.train(configure(data_dir, "sst", model_name="cards", num_trials=2, num_train_epochs=1, base_model="a/b"))
    yaml = pytest.importorskip("yaml")
    for trial in (1, 2):
        text = (data_dir / "models/cards/finetuning_models" / f"sst_model_{trial}" / CARD_FILE).read_text()
        header = yaml.safe_load(text.split("---\n")[1])
        assert header["base_model"] == "a/b"
        assert header["model-index"][0]["results"][0]["metrics"][0]["type"] == "accuracy"
        assert "| trials |" in text
        assert f"| seed | {41 + trial} |" in text

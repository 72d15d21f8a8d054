"""The cards of pretrained models, filled from the run."""

import json

import pytest

from electra_span.models import ElectraDiscriminator
from electra_span.published.card import CARD_FILE, MARK, render
from electra_span.published.config import Architecture
from pretrain.cards import make_card
from pretrain.dataset.manifest import write_manifest
from pretrain.run_facts import facts_of
from pretrain.train import train
from tests.tiny_run import HPARAMS, tiny_config, write_tiny_data

WINDOWS = [{"step": 3, "tokens_per_second": 64.0}, {"step": 6, "tokens_per_second": 32.0}]


def card_of(config, **changes):
    arguments = {
        "facts": facts_of(config, config.num_train_steps, WINDOWS),
        "results": {"step": 6, "disc_auc": 0.87654, "mlm_loss": float("nan")},
        "hardware": "2 x Abacus",
        "mask": "[MASK]",
        **changes,
    }
    return make_card(
        config, "discriminator", Architecture(ElectraDiscriminator, config.discriminator_encoder()), **arguments
    )


def test_a_run_publishes_cards_and_leaves_those_of_people(tmp_path):
    data_dir = write_tiny_data(tmp_path / "data")
    folder = data_dir / "models" / "tiny"
    (folder / "generator").mkdir(parents=True)
    (folder / "generator" / CARD_FILE).write_text("mine")
    train(tiny_config(data_dir, num_train_steps=3, language="en", eval_every_steps=3, xla=False))
    assert (folder / "generator" / CARD_FILE).read_text() == "mine"
    text = (folder / "discriminator" / CARD_FILE).read_text()
    assert MARK in text
    assert text.startswith('---\nlanguage: "en"\nlibrary_name: "transformers"\n')
    assert "| steps | 3 |" in text
    assert "| disc\\_auc | 0." in text
    assert str(tmp_path) not in text


def test_card_tells_data_training_and_results(tmp_path):
    (tmp_path / "pretrain_tfrecords").mkdir()
    source = {"num_documents": 12, "first_files": ["a.csv"]}
    manifest = {"num_documents": 1234, "tokens_in": 56789, "num_examples": 99, "sources": {"csv": source}}
    write_manifest(tmp_path / "pretrain_tfrecords", manifest)
    config = tiny_config(
        tmp_path, num_train_steps=6, data_license="CC0-1.0", model_license="mit", masking="span",
        init_checkpoint="/secret/place/electra_small.zip", init_step=2,
    )  # fmt: skip
    card = card_of(config)
    text = render(card)
    for row in (
        "| documents | 1,234 |", "| tokens | 56,789 |", "| source: csv | documents 12 |",
        "| licence of the data | CC0-1.0 |", "| licence of the model | mit |", "| started from | electra\\_small.zip |",
        "| first step | 2 |", "| steps | 4 |", "| sequences a step, of 16 tokens | 8 |",
        "| tokens, padding counted | 512 |", "| time of training steps | 0:00:14 |",
        "| hardware | 2 x Abacus |", "| disc\\_auc | 0.8765 |",
    ):  # fmt: skip
        assert row in text, row
    assert "mlm" not in text.partition("## Results")[2].partition("## ")[0]
    assert card.header["license"] == "mit"
    assert "spanelectra" in card.header["tags"]
    assert "secret" not in text
    hparams = json.loads(text.partition("```json\n")[2].partition("\n```")[0])
    assert hparams["init_step"] == 2
    assert hparams["model_hparam_overrides"] == HPARAMS["model_hparam_overrides"]
    assert "disc_weight" not in hparams
    assert "data_dir" not in hparams


def test_facts_count_what_a_run_itself_did_in_each_phase(tmp_path):
    phases = [
        {"max_seq_length": 12, "num_train_steps": 4, "train_batch_size": 16},
        {"max_seq_length": 16, "num_train_steps": 6},
    ]
    settings = {"phases": phases, "init_checkpoint": "x", "init_step": 1}
    hparams = {key: value for key, value in HPARAMS.items() if key not in ("num_train_steps", "max_seq_length")}
    config = type(tiny_config(tmp_path)).from_hparams(
        model_name="m", data_dir=str(tmp_path), hparams={**hparams, **settings}
    )
    facts = facts_of(config, 6, WINDOWS)
    assert [phase.num_steps for phase in facts.phases] == [3, 2]
    assert facts.num_tokens == 3 * 16 * 12 + 2 * 8 * 16
    assert facts.seconds == pytest.approx(2 * 192 / 64 + (192 + 2 * 128) / 32)
    assert facts.flops > 0
    text = render(card_of(config))
    assert "| sequences a step, of 12 tokens | 16 |" in text
    assert "| sequences a step, of 16 tokens | 8 |" in text

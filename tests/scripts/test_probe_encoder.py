"""The probe of a frozen encoder: what it reads, what it pools, what it says."""

import argparse
import json

import numpy as np
import pytest
import tensorflow as tf

from electra_span.encoder import ElectraEncoder
from electra_span.models import ElectraDiscriminator
from electra_span.published.save_load import load_pretrained, save_pretrained
from electra_span.tokenization import load_tokenizer
from scripts.probe_encoder import ProbeError, main, mean_states, probe, read_sentences
from tests.tiny_models import TINY, VOCABULARY, randomize

WORDS = [word for word in VOCABULARY if word.startswith("word")]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    model = ElectraDiscriminator(ElectraEncoder(TINY, name="electra"))
    randomize(model)
    save_pretrained(model, load_tokenizer(str(folder / "vocab.txt"), do_lower_case=True), folder / "model")
    return folder / "model"


def _write(path, rows):
    path.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-8")


def test_a_text_is_the_mean_of_its_states_whatever_it_is_batched_with(published):
    model = load_pretrained(published)
    texts = [" ".join(WORDS[:count]) for count in (5, 1, 3)]
    means = mean_states(model, texts, max_seq_length=6, batch_size=2)
    for text, mean in zip(texts, means, strict=True):
        ids = [model.tokenizer.cls_id, *model.tokenizer.encode([text])[0][:4], model.tokenizer.sep_id]
        states = model.encoder(tf.constant([ids]))
        np.testing.assert_allclose(mean, np.mean(states[0], axis=0), rtol=1e-4, atol=1e-5)


def test_what_the_states_tell_apart_the_probe_finds_and_nothing_else():
    generator = np.random.default_rng(0)
    states = generator.normal(size=(400, 5)).astype(np.float32)
    told, blind = ["no" if state[3] < 0 else "yes" for state in states], ["no", "yes"] * 200
    found = probe(states[:300], told[:300], states[300:], told[300:])
    assert found["dev_accuracy"] > 0.95
    assert found["dev_majority_share"] == max(told[300:].count("no"), told[300:].count("yes")) / 100
    assert 0.3 < probe(states[:300], blind[:300], states[300:], blind[300:])["dev_accuracy"] < 0.7


def test_the_command_prints_one_line_of_json(published, tmp_path, capsys):
    for name in ("train", "dev"):
        _write(tmp_path / f"{name}.tsv", [(WORDS[index % 4], index % 2) for index in range(16)])
    main(argparse.Namespace(model=published, data=tmp_path, max_seq_length=8, batch_size=4))
    assert json.loads(capsys.readouterr().out)["dev_accuracy"] == 1.0


def test_quotes_are_text_and_a_missing_field_is_an_error_with_its_line(tmp_path):
    _write(tmp_path / "train.tsv", [('a " b', 1), ("c", 0)])
    assert read_sentences(tmp_path / "train.tsv").texts == ['a " b', "c"]
    _write(tmp_path / "train.tsv", [("a", 1), ("", 0)])
    with pytest.raises(ProbeError, match="line 3: must have a sentence and a label"):
        read_sentences(tmp_path / "train.tsv")
    with pytest.raises(ProbeError, match="cannot read"):
        read_sentences(tmp_path / "dev.tsv")

"""Builds in the formats of single segments."""

import contextlib
import dataclasses
import json
import logging

import numpy as np
import pytest

from electra_span.config import UserError
from electra_span.objective.masking import MaskingConfig
from electra_span.tokenization import load_tokenizer
from pretrain.builder import build
from pretrain.builder.build import BuildError, BuildSettings, build_dataset
from pretrain.builder.settings import source_of
from pretrain.dataset.manifest import ManifestError
from pretrain.dataset.records import check_records, input_files
from pretrain.input_pipeline import training_dataset
from tests.pretrain.source_forms import DOCUMENTS


@pytest.fixture
def settings(tmp_path, letter_vocab):
    """A corpus of two files and about nine tasks."""
    (tmp_path / "corpus").mkdir()
    text = "\n\n".join("\n".join(lines) for lines in DOCUMENTS)
    (tmp_path / "corpus" / "a.txt").write_text(text * 5, encoding="utf-8")
    (tmp_path / "corpus" / "b.jsonl").write_text(
        "".join(json.dumps({"text": "\n".join(lines)}) + "\n" for lines in DOCUMENTS), encoding="utf-8"
    )
    told = {"corpus_dir": tmp_path / "corpus", "vocab_file": letter_vocab, "output_dir": tmp_path / "records"}
    return BuildSettings(**told, max_seq_length=29, num_out_files=3, seed=1)


def _records(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@contextlib.contextmanager
def _backwards(_settings, _folder):
    """Yields what does all pieces of a step in this process, the last one first."""

    def run(step, pieces, **_amounts):
        for piece in reversed(pieces):
            step(piece)

    yield run


@pytest.mark.parametrize("example_format", ["sentences", "rows"])
def test_records_follow_the_seed_and_not_the_order_of_the_work(tmp_path, settings, monkeypatch, example_format):
    monkeypatch.setattr(build, "_MIN_TASK_BYTES", 10_000)
    settings = dataclasses.replace(settings, format=example_format)
    manifest = build_dataset(settings)
    expected = _records(settings.output_dir)
    assert manifest["num_documents"] > 5 * len(DOCUMENTS)
    assert len(expected) == 3
    build_dataset(dataclasses.replace(settings, output_dir=tmp_path / "other", seed=2))
    assert _records(tmp_path / "other") != expected
    monkeypatch.setattr(build, "_runner", _backwards)
    build_dataset(dataclasses.replace(settings, output_dir=tmp_path / "backwards"))
    assert _records(tmp_path / "backwards") == expected


def test_log_says_how_full_the_examples_are_and_how_much_is_unknown(settings, caplog):
    with caplog.at_level(logging.INFO, logger="absl"):
        manifest = build_dataset(dataclasses.replace(settings, format="sentences"))
    assert f"{manifest['num_examples']} examples, {100 * manifest['fill']:.1f} % full" in caplog.text
    assert manifest["unknown_tokens"] > 0
    assert f"({100 * manifest['unknown_tokens'] / manifest['tokens_in']:.2f} % unknown" in caplog.text


def test_examples_of_real_text_are_full(settings, shared_data):
    changes = {"corpus_dir": shared_data / "corpus" / "wikitext-2", "vocab_file": shared_data / "vocab" / "vocab.txt"}
    settings = dataclasses.replace(settings, **changes, format="sentences", max_seq_length=128)
    manifest = build_dataset(settings)
    assert manifest["fill"] > 0.98
    assert manifest["tokens_out"] == manifest["tokens_in"] > 400_000


@pytest.mark.parametrize("example_format", ["sentences", "rows"])
def test_training_masks_text_and_no_separator_of_the_records(settings, example_format):
    tokenizer = load_tokenizer(settings.vocab_file)
    settings = dataclasses.replace(settings, format=example_format)
    build_dataset(settings)
    files = input_files(f"{settings.output_dir}/pretrain_data.tfrecord*")
    check_records(files, max_seq_length=settings.max_seq_length, tokenizer=tokenizer)
    masking = MaskingConfig(
        mask_prob=0.4,
        max_predictions_per_seq=11,
        mask_id=tokenizer.mask_id,
        special_ids=tokenizer.special_ids,
        masking="span",
        replace_unit="span",
    )
    batches = training_dataset(
        files,
        max_seq_length=settings.max_seq_length,
        batch_size=64,
        masking=masking,
        seed=0,
        num_held_out=0,
        shuffle_buffer_size=100,
    )
    batch = next(iter(batches))
    ids = batch.input_ids.numpy()
    is_separator = ids == tokenizer.sep_id
    assert (is_separator.sum(axis=1).max() > 1) == (example_format == "sentences")
    assert (batch.masked_input_ids.numpy()[is_separator] == tokenizer.sep_id).all()
    assert (batch.masked_input_ids.numpy() == tokenizer.mask_id).sum() > 64
    assert not np.isin(batch.masked_lm_ids.numpy()[batch.masked_lm_weights == 1], tokenizer.special_ids).any()
    assert not batch.segment_ids.numpy().any()


def test_formats_are_told_apart_and_the_original_s_is_not_named_in_the_source(settings):
    files = settings.find_files()
    source = source_of(settings, files)
    assert not {"format", "document_tails"} & source.keys()
    build_dataset(dataclasses.replace(settings, format="sentences", document_tails="keep"))
    for change, named in (({}, "document_tails 'keep', now None"), ({"document_tails": "drop"}, "'keep', now 'drop'")):
        with pytest.raises(ManifestError, match=named):
            build_dataset(dataclasses.replace(settings, format="sentences", **change))
    with pytest.raises(ManifestError, match="format 'sentences', now None"):
        build_dataset(settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "pair"}, "format must be one of pairs, sentences, rows. Received: 'pair'"),
        ({"format": "sentences", "document_tails": "cut"}, "document_tails must be one of join, keep, drop"),
        ({"format": "rows", "document_tails": "drop"}, "goes with the format sentences only. Received: format 'rows'"),
    ],
)
def test_impossible_formats_are_errors_that_name_the_possible_ones(settings, change, message):
    with pytest.raises(BuildError, match=message) as error:
        dataclasses.replace(settings, **change)
    assert isinstance(error.value, UserError)

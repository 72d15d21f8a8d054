import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from electra_span.tokenization import load_tokenizer
from pretrain.builder import build, steps
from pretrain.builder.build import build_dataset
from pretrain.builder.settings import BuildSettings
from pretrain.dataset.manifest import ManifestError
from pretrain.dataset.records import input_files, parse_records
from pretrain.quality import filters
from pretrain.quality.settings import QualityError

# Of letters, each of which is a token of the vocabulary.
REPEATED = "a b c d e f g h i j k l"
SHARED = "n o p q r s t u v w x y z"  # 13 words
DOCUMENTS = [
    f"heading\n{REPEATED}\nx y z",
    "m n o p q\nr s t u v w",
    f"heading\n{REPEATED}\na a a",
    "M n o p q\nr s, t u v w!",
    f"b b b\n{SHARED}\nc c",
    "z z z y",
]
NUM_TOKENS = {"duplicate_documents": 13, "duplicate_lines": 12, "overlap": 3 + 13 + 2}


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch):
    monkeypatch.setattr(build, "_MIN_TASK_BYTES", 60)


@pytest.fixture
def evaluation(tmp_path):
    path = tmp_path / "dev.json"
    context = f"Some {SHARED.upper()}."
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context}]}]}), encoding="utf-8")
    return path


@pytest.fixture
def settings(tmp_path, letter_vocab):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(DOCUMENTS), encoding="utf-8")
    return BuildSettings(
        corpus_files=(str(corpus),),
        vocab_file=letter_vocab,
        output_dir=tmp_path / "records",
        max_seq_length=16,
        num_out_files=2,
    )


def _texts(settings):
    """Returns the texts of the examples, in the order of the alphabet."""
    tokenizer = load_tokenizer(settings.vocab_file)
    files = input_files(f"{settings.output_dir}/pretrain_data.tfrecord*")
    records = list(tf.data.TFRecordDataset(files).as_numpy_iterator())
    ids = parse_records(tf.constant(records), settings.max_seq_length).input_ids.numpy()
    return sorted(" ".join(tokenizer.tokens(row[~np.isin(row, tokenizer.special_ids)])) for row in ids)


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("example_format", "dedup", "drop_overlap", "num_documents"),
    [
        ("pairs", (), False, 6),
        ("pairs", ("documents",), False, 5),
        ("rows", ("lines",), False, 6),
        ("sentences", (), True, 5),
        ("sentences", ("documents", "lines"), True, 4),
    ],
)
def test_every_token_left_out_is_counted_by_its_reason(
    settings, evaluation, example_format, dedup, drop_overlap, num_documents
):
    drop = (evaluation,) if drop_overlap else ()
    manifest = build_dataset(dataclasses.replace(settings, format=example_format, dedup=dedup, drop_overlap=drop))
    dropped = manifest["dropped"]
    reasons = {*(f"duplicate_{what}" for what in dedup), *(["overlap"] if drop_overlap else [])}
    assert {reason: dropped[reason] for reason in NUM_TOKENS if reason in dropped} == {
        reason: NUM_TOKENS[reason] for reason in reasons
    }
    lines = "\n".join(DOCUMENTS).split("\n")
    assert manifest["tokens_in"] == sum(map(len, load_tokenizer(settings.vocab_file).encode(lines)))
    assert manifest["tokens_in"] == manifest["tokens_out"] + sum(dropped.values())
    assert manifest["num_documents"] == num_documents


def test_first_of_each_stays_and_headings_do(settings, evaluation):
    settings = dataclasses.replace(
        settings, format="rows", max_seq_length=32, dedup=("documents", "lines"), drop_overlap=(evaluation,)
    )
    build_dataset(settings)
    heading = "h ##e ##a ##d ##i ##n ##g"
    assert _texts(settings) == sorted(
        [f"{heading} {REPEATED} x y z", "m n o p q r s t u v w", f"{heading} a a a", "z z z y"]
    )


def test_records_are_the_same_for_any_number_of_processes(settings, evaluation):
    settings = dataclasses.replace(settings, dedup=("documents", "lines"), drop_overlap=(evaluation,))
    build_dataset(settings)
    others = dataclasses.replace(settings, num_processes=2, output_dir=settings.output_dir.with_name("two"))
    build_dataset(others)
    assert _contents(settings.output_dir) == _contents(others.output_dir)


def test_build_that_was_stopped_does_not_compare_again(settings, monkeypatch):
    settings = dataclasses.replace(settings, dedup=("documents",))

    def stopped(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(steps, "encode_task", stopped)
        with pytest.raises(KeyboardInterrupt):
            build_dataset(settings)
    assert not list((settings.output_dir / ".partial").glob("compared-*"))
    monkeypatch.setattr(filters, "compare_task", None)
    manifest = build_dataset(settings)
    assert manifest["dropped"]["duplicate_documents"] == NUM_TOKENS["duplicate_documents"]


def test_rows_of_a_real_table_are_filtered_and_accounted_for(settings, shared_data):
    manifest = build_dataset(
        dataclasses.replace(
            settings,
            corpus_files=(str(shared_data / "csv" / "airline_tweets.csv"),),
            vocab_file=shared_data / "vocab" / "vocab.txt",
            format="rows",
            max_seq_length=64,
            dedup=("documents", "lines"),
        )
    )
    dropped = manifest["dropped"]
    assert manifest["tokens_in"] == manifest["tokens_out"] + sum(dropped.values())
    assert manifest["num_examples"] == manifest["num_documents"] < manifest["sources"]["csv"]["num_documents"]
    assert 0.005 < dropped["duplicate_documents"] / manifest["tokens_in"] < 0.1


def test_changed_evaluation_file_or_filter_is_another_build(settings, evaluation):
    settings = dataclasses.replace(settings, dedup=("lines",), drop_overlap=(evaluation,))
    build_dataset(settings)
    build_dataset(settings)
    with pytest.raises(ManifestError, match=r"dedup \['lines'\], now \['documents'\]"):
        build_dataset(dataclasses.replace(settings, dedup=("documents",)))
    evaluation.write_text('["another text of eight words to look for"]', encoding="utf-8")
    with pytest.raises(ManifestError, match="drop_overlap_sha256"):
        build_dataset(settings)


def test_mistakes_are_known_before_the_work_starts(settings, tmp_path, monkeypatch):
    with pytest.raises(QualityError, match=r"dedup must be of documents, lines\. Received: 'words'"):
        dataclasses.replace(settings, dedup=("words",))
    with pytest.raises(QualityError, match="goes with dedup documents only"):
        dataclasses.replace(settings, dedup=("lines",), duplicate_threshold=0.7)
    with pytest.raises(QualityError, match=r"nowhere\.json: No such file"):
        build_dataset(dataclasses.replace(settings, drop_overlap=(tmp_path / "nowhere.json",)))
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(QualityError, match=r"pip install 'electra-span\[inspect\]'"):
        build_dataset(dataclasses.replace(settings, dedup=("documents",)))
    assert not settings.output_dir.exists()


def test_build_brings_no_package_that_it_may_not_need():
    heavy = "{'tensorflow', 'datasketch', 'fontTools'}"
    code = f"import sys, pretrain.builder.build; sys.exit(bool({heavy} & sys.modules.keys()))"
    root = Path(build.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0

"""Builds from sources of every kind."""

import gzip

import numpy as np
import pytest
import tensorflow as tf

from electra_span.tokenization import load_tokenizer
from pretrain.builder import build
from pretrain.builder.build import BuildError, BuildSettings, build_dataset
from pretrain.dataset.manifest import ManifestError
from pretrain.dataset.records import input_files, parse_records
from pretrain.sources import corpus
from pretrain.sources.corpus import CorpusError
from pretrain.sources.settings import SourceSettings
from tests.pretrain.source_forms import DOCUMENTS, FORMS, JSON_LINES, PLAIN, TEXTS, table, tar

MAX_SEQ_LENGTH = 24


@pytest.fixture(scope="module")
def vocab_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    pieces = [*"abcdefghiklxyzun", "計", *(f"##{letter}" for letter in "abcdefghiklxyzun"), "<", ",", '"']
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces, ""]), encoding="utf-8")
    return path


def _settings(folder, vocab_file, name="records", **changes):
    told = {"corpus_dir": folder / "corpus", "vocab_file": vocab_file, "output_dir": folder / name}
    return BuildSettings(**told, max_seq_length=MAX_SEQ_LENGTH, num_out_files=2, **changes)


def _write_corpus(folder, contents):
    (folder / "corpus").mkdir()
    for name, content in contents.items():
        (folder / "corpus" / name).write_bytes(content)


def _records(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "manifest.json"}


@pytest.fixture(scope="module")
def plain_records(tmp_path_factory, vocab_file):
    folder = tmp_path_factory.mktemp("plain")
    _write_corpus(folder, {"a": PLAIN})
    build_dataset(_settings(folder, vocab_file))
    return _records(folder / "records")


@pytest.mark.parametrize(("name", "kind", "content", "told"), FORMS, ids=[form[0] for form in FORMS])
def test_same_text_in_any_form_gives_the_same_records(tmp_path, vocab_file, plain_records, name, kind, content, told):
    _write_corpus(tmp_path, {name: content()})
    manifest = build_dataset(_settings(tmp_path, vocab_file, source_settings=SourceSettings(**told)))
    assert _records(tmp_path / "records") == plain_records
    assert list(manifest["sources"]) == [kind]
    source = manifest["sources"][kind]
    assert (source["num_files"], source["num_documents"], source["first_files"]) == (1, len(DOCUMENTS), [name])
    _check_tokens(manifest, tmp_path / "records", load_tokenizer(vocab_file))


def _check_tokens(manifest, folder, tokenizer):
    """Checks that every token of DOCUMENTS is in the records or counted as dropped."""
    records = list(tf.data.TFRecordDataset(input_files(f"{folder}/*.tfrecord*")).as_numpy_iterator())
    parsed = parse_records(tf.constant(records), MAX_SEQ_LENGTH)
    num_special = np.isin(parsed.input_ids, [tokenizer.cls_id, tokenizer.sep_id]).sum()
    assert manifest["tokens_in"] == sum(map(len, tokenizer.encode([line for lines in DOCUMENTS for line in lines])))
    assert manifest["tokens_out"] == parsed.input_mask.numpy().sum() - num_special
    assert manifest["tokens_in"] == manifest["tokens_out"] + sum(manifest["dropped"].values())
    assert sum(manifest["dropped"].values()) > 0


def _mixed_corpus(folder):
    contents = {"a.csv": table(), "b.jsonl": JSON_LINES * 3, "c.tar": tar(TEXTS), "d.gz": gzip.compress(PLAIN)}
    _write_corpus(folder, contents | {"e.txt": PLAIN})


def test_mixed_sources_give_the_same_full_examples_for_any_number_of_processes(tmp_path, vocab_file, monkeypatch):
    monkeypatch.setattr(build, "_MIN_TASK_BYTES", 5_000)
    _mixed_corpus(tmp_path)
    manifest = build_dataset(_settings(tmp_path, vocab_file, format="sentences"))
    in_two = build_dataset(_settings(tmp_path, vocab_file, "two", format="sentences", num_processes=2))
    assert in_two | {"source": 0} == manifest | {"source": 0}
    assert _records(tmp_path / "two") == _records(tmp_path / "records")
    documents = {kind: source["num_documents"] for kind, source in manifest["sources"].items()}
    assert documents == {"csv": 60, "json_lines": 180, "tar": 60, "text": documents["text"], "text+gzip": 60}
    assert documents["text"] >= 60
    assert manifest["num_documents"] == sum(documents.values())


def test_source_too_large_for_the_memory_is_worked_through_in_parts(tmp_path, vocab_file, monkeypatch):
    monkeypatch.setattr(corpus, "_BATCH_CHARACTERS", 300)
    _write_corpus(tmp_path, {"a.jsonl.gz": gzip.compress(JSON_LINES)})
    manifest = build_dataset(_settings(tmp_path, vocab_file))
    assert manifest["sources"]["json_lines+gzip"]["num_documents"] == len(DOCUMENTS)
    _check_tokens(manifest, tmp_path / "records", load_tokenizer(vocab_file))


def test_bad_rows_are_counted_in_the_manifest(tmp_path, vocab_file):
    contents = {"a.jsonl": b'{"text": "ab"}\n{"text": ""}\n{"txt": "ab"}\n', "b.txt": b"ab\n\xff ab\n\xffab\n"}
    _write_corpus(tmp_path, contents)
    with pytest.raises(CorpusError, match=r"a\.jsonl: line 3: no field 'text'"):
        build_dataset(_settings(tmp_path, vocab_file))
    skipping = _settings(tmp_path, vocab_file, source_settings=SourceSettings(on_bad_text="skip"))
    sources = build_dataset(skipping)["sources"]
    for kind, counts in {"json_lines": (3, 1, 1, 1), "text": (3, 0, 2, 1)}.items():
        names = ("num_rows", "rows_without_text", "rows_skipped", "num_documents")
        assert tuple(sources[kind][name] for name in names) == counts
    with pytest.raises(ManifestError, match="on_bad_text 'skip', now None"):
        build_dataset(_settings(tmp_path, vocab_file))


def test_files_of_a_corpus_may_be_named_one_by_one(tmp_path, vocab_file):
    _mixed_corpus(tmp_path)
    pattern = f"{tmp_path}/corpus/*.[cj]s*"
    told = {"vocab_file": vocab_file, "output_dir": tmp_path / "records", "num_out_files": 1}
    manifest = build_dataset(BuildSettings(corpus_files=(pattern,), **told))
    assert list(manifest["sources"]) == ["csv", "json_lines"]
    assert manifest["source"]["corpus_files"] == 2
    for places in ({}, {"corpus_files": (pattern,), "corpus_dir": tmp_path}):
        with pytest.raises(BuildError, match="Either corpus_dir or corpus_files"):
            BuildSettings(**places, **told)


def test_source_that_disappears_while_the_build_runs_is_an_error(tmp_path, vocab_file, monkeypatch):
    _mixed_corpus(tmp_path)
    plan_tasks = build.plan_tasks

    def plan_and_remove(*arguments, **settings):
        tasks = plan_tasks(*arguments, **settings)
        (tmp_path / "corpus" / "c.tar").unlink()
        return tasks

    monkeypatch.setattr(build, "plan_tasks", plan_and_remove)
    with pytest.raises(CorpusError, match=r"Cannot read .*c\.tar: No such file"):
        build_dataset(_settings(tmp_path, vocab_file))
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(("name", "least"), [("airline_tweets.csv", 14_000), ("imdb_sample.csv", 900)])
def test_real_tables_are_accounted_for(tmp_path, letter_vocab, shared_data, name, least):
    told = {"vocab_file": letter_vocab, "output_dir": tmp_path / "records", "num_out_files": 1}
    manifest = build_dataset(BuildSettings(corpus_files=(str(shared_data / "csv" / name),), **told))
    assert manifest["sources"]["csv"]["num_documents"] == manifest["num_documents"] > least
    assert manifest["tokens_in"] == manifest["tokens_out"] + sum(manifest["dropped"].values())


def test_real_novels_are_the_same_packed(tmp_path, letter_vocab, shared_data):
    novel = (shared_data / "corpus" / "novels" / "Barclay_Postern_1911.txt").read_bytes()
    contents = {"plain": novel, "gz": gzip.compress(novel), "utf16": novel.decode("utf-8-sig").encode("utf-16-le")}
    manifests = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        settings = SourceSettings(encoding="utf-16-le" if name == "utf16" else "utf-8")
        told = {"vocab_file": letter_vocab, "output_dir": tmp_path / f"records-{name}", "num_out_files": 1}
        manifests.append(
            build_dataset(BuildSettings(corpus_files=(str(tmp_path / name),), source_settings=settings, **told))
        )
    assert len({manifest["tokens_in"] for manifest in manifests}) == 1
    assert len({tuple(_records(tmp_path / f"records-{name}").values()) for name in contents}) == 1

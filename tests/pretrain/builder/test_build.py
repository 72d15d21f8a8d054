import dataclasses
import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import UserError
from electra_span.tokenization import WordPieceTokenizer, load_tokenizer
from pretrain.builder import build
from pretrain.builder.build import BuildError, BuildSettings, build_dataset
from pretrain.builder.settings import source_of
from pretrain.dataset import workspace
from pretrain.dataset.manifest import ManifestError
from pretrain.dataset.records import RecordError, check_records, input_files, parse_records
from pretrain.sources.corpus import CorpusError

MAX_SEQ_LENGTH = 24


@pytest.fixture(scope="module")
def corpus_dir(tmp_path_factory):
    """Folder of 40 small files and one that is larger than a task."""
    folder = tmp_path_factory.mktemp("corpus")
    draws = random.Random(0)
    for number in range(41):
        lines = [
            " ".join("".join(draws.choices("abcdefgh", k=draws.randint(1, 6))) for _ in range(draws.randint(0, 12)))
            for _ in range(2000 if number == 7 else 40)
        ]
        (folder / f"{number}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch):
    monkeypatch.setattr(build, "_MIN_TASK_BYTES", 10_000)


@pytest.fixture
def settings(corpus_dir, letter_vocab, tmp_path):
    return BuildSettings(
        corpus_dir=corpus_dir,
        vocab_file=letter_vocab,
        output_dir=tmp_path / "new" / "records",
        max_seq_length=MAX_SEQ_LENGTH,
        num_out_files=5,
    )


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _parsed(folder, max_seq_length=MAX_SEQ_LENGTH):
    files = input_files(f"{folder}/pretrain_data.tfrecord*")
    records = list(tf.data.TFRecordDataset(files).as_numpy_iterator())
    return parse_records(tf.constant(records), max_seq_length)


def test_records_are_the_same_for_any_number_of_processes(settings, tmp_path):
    build_dataset(settings)
    build_dataset(dataclasses.replace(settings, output_dir=tmp_path / "three", num_processes=3))
    assert len(_contents(settings.output_dir)) == 6
    assert _contents(settings.output_dir) == _contents(tmp_path / "three")


def test_every_token_is_in_the_records_or_counted_as_dropped(settings):
    manifest = build_dataset(settings)
    parsed = _parsed(settings.output_dir)
    tokenizer = load_tokenizer(settings.vocab_file)
    text = "\n".join(path.read_text(encoding="utf-8") for path in settings.corpus_dir.iterdir())
    is_special = np.isin(parsed.input_ids, [tokenizer.cls_id, tokenizer.sep_id])
    assert manifest["tokens_in"] == sum(map(len, tokenizer.encode(text.split("\n"))))
    assert manifest["special_tokens"] == is_special.sum()
    assert manifest["tokens_out"] == parsed.input_mask.numpy().sum() - is_special.sum()
    assert manifest["tokens_in"] == manifest["tokens_out"] + sum(manifest["dropped"].values())
    assert manifest["num_examples"] == sum(manifest["files"].values()) == len(parsed.input_ids)
    assert json.loads((settings.output_dir / "manifest.json").read_text(encoding="utf-8")).items() >= manifest.items()


def test_every_token_of_real_text_is_accounted_for(settings, shared_data):
    manifest = build_dataset(
        dataclasses.replace(
            settings,
            corpus_dir=shared_data / "corpus" / "wikitext-2",
            vocab_file=shared_data / "vocab" / "vocab.txt",
            max_seq_length=128,
        )
    )
    assert manifest["tokens_in"] > 400_000
    assert manifest["tokens_in"] == manifest["tokens_out"] + sum(manifest["dropped"].values())


def test_built_records_fit_the_training_that_uses_the_same_vocabulary(settings):
    build_dataset(settings)
    files = input_files(f"{settings.output_dir}/pretrain_data.tfrecord*")
    check_records(files, max_seq_length=MAX_SEQ_LENGTH, tokenizer=load_tokenizer(settings.vocab_file))


def test_files_have_the_original_names_and_nothing_else_is_left(settings):
    build_dataset(settings)
    names = {f"pretrain_data.tfrecord-{shard}-of-5" for shard in range(5)}
    assert {path.name for path in settings.output_dir.iterdir()} == names | {"manifest.json"}


def test_files_are_even_and_neighbouring_records_not_of_one_document(settings, tmp_path):
    corpus_dir = tmp_path / "corpus"
    corpus_dir.mkdir()
    for letter in "abcdefghij":
        (corpus_dir / letter).write_text(f"{letter * 20}\n" * 500, encoding="utf-8")
    manifest = build_dataset(dataclasses.replace(settings, corpus_dir=corpus_dir))
    sizes = list(manifest["files"].values())
    assert max(sizes) - min(sizes) < 0.1 * max(sizes)
    first_letters = _parsed(settings.output_dir).input_ids.numpy()[:, 1]
    assert 0.05 < np.mean(first_letters[1:] == first_letters[:-1]) < 0.15


def test_spills_beyond_what_a_group_may_have_go_to_shards_of_other_groups(settings, tmp_path, monkeypatch):
    alone = build_dataset(dataclasses.replace(settings, output_dir=tmp_path / "one group"))
    monkeypatch.setattr(workspace, "_MAX_GROUP_SPILLS", 10)
    manifest = build_dataset(settings)
    assert manifest["num_examples"] == sum(manifest["files"].values()) == alone["num_examples"]
    assert list(manifest["files"]) == list(alone["files"])
    assert len(set(manifest["files"].values())) > 2
    rows, rows_alone = (_parsed(folder).input_ids.numpy() for folder in (settings.output_dir, tmp_path / "one group"))
    assert (rows != rows_alone).any()
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, rows_alone.tolist()))


def test_another_seed_packs_and_orders_differently(settings, tmp_path):
    build_dataset(settings)
    build_dataset(dataclasses.replace(settings, seed=1, output_dir=tmp_path / "other"))
    assert _contents(settings.output_dir) != _contents(tmp_path / "other")


def test_blank_lines_join_documents_when_told_so(settings, tmp_path):
    separate = build_dataset(settings)
    joined = build_dataset(dataclasses.replace(settings, blanks_separate_docs=False, output_dir=tmp_path / "joined"))
    assert joined["tokens_in"] == separate["tokens_in"]
    assert 41 <= joined["num_documents"] < separate["num_documents"]
    assert joined["num_examples"] < separate["num_examples"]


def test_second_build_of_the_same_changes_nothing(settings, monkeypatch):
    manifest = build_dataset(settings)
    before = _contents(settings.output_dir)
    monkeypatch.setattr(build, "_build_here", None)
    again = build_dataset(dataclasses.replace(settings, num_processes=2))
    assert {name: again[name] for name in manifest} == manifest
    assert _contents(settings.output_dir) == before


def test_second_build_of_the_same_refuses_files_that_are_no_longer_whole(settings):
    manifest = build_dataset(settings)
    file = settings.output_dir / "pretrain_data.tfrecord-3-of-5"
    assert manifest["file_bytes"][file.name] == file.stat().st_size
    file.write_bytes(b"")
    with pytest.raises(RecordError, match=rf"-3-of-5: manifest\.json says {manifest['files'][file.name]} records"):
        build_dataset(settings)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 3}, "seed 0, now 3"),
        ({"max_seq_length": 25}, "max_seq_length 24, now 25"),
        ({"do_lower_case": False}, "do_lower_case True, now False"),
    ],
)
def test_folder_of_another_build_is_left_alone(settings, change, named):
    build_dataset(settings)
    before = _contents(settings.output_dir)
    with pytest.raises(ManifestError, match=named):
        build_dataset(dataclasses.replace(settings, **change))
    assert _contents(settings.output_dir) == before


def test_changed_corpus_or_vocabulary_is_another_build(settings, letter_vocab, tmp_path):
    corpus_dir, vocab_file = tmp_path / "corpus", tmp_path / "vocab.txt"
    corpus_dir.mkdir()
    (corpus_dir / "a").write_text("abc", encoding="utf-8")
    vocab_file.write_bytes(letter_vocab.read_bytes())
    settings = dataclasses.replace(settings, corpus_dir=corpus_dir, vocab_file=vocab_file)
    build_dataset(settings)
    (corpus_dir / "a").write_text("abcd", encoding="utf-8")
    with pytest.raises(ManifestError, match="corpus_bytes 3, now 4"):
        build_dataset(settings)
    (corpus_dir / "a").write_text("abc", encoding="utf-8")
    vocab_file.write_bytes(letter_vocab.read_bytes() + b"new\n")
    with pytest.raises(ManifestError, match="vocabulary_sha256"):
        build_dataset(settings)


def test_folder_of_any_tokenizer_is_known_by_what_it_holds(settings, tmp_path):
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    files = {name: folder / name for name in ("vocab.json", "merges.txt")}
    for path in files.values():
        path.touch()
    known = dataclasses.replace(settings, vocab_file=folder)
    before = source_of(known, [])["vocabulary_sha256"]
    files["merges.txt"].write_text("a b", encoding="utf-8")
    assert source_of(known, [])["vocabulary_sha256"] != before


def test_folder_of_wordpiece_is_known_by_all_files_that_decide_about_ids(settings, tmp_path):
    folder = tmp_path / "tokenizer"
    WordPieceTokenizer(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a")).save(folder)
    known = dataclasses.replace(settings, vocab_file=folder)
    for name in ("tokenizer.json", "special_tokens_map.json", "added_tokens.json"):
        before = source_of(known, [])["vocabulary_sha256"]
        (folder / name).write_text("{}", encoding="utf-8")
        assert source_of(known, [])["vocabulary_sha256"] != before
    config = '{"tokenizer_class": "ElectraTokenizer", "tokenizer_type": "wordpiece"}'  # as it was published before
    (folder / "tokenizer_config.json").write_text(config, encoding="utf-8")
    content = (folder / "vocab.txt").read_bytes() + b"\0" + config.encode()
    assert source_of(known, [])["vocabulary_sha256"] == hashlib.sha256(content).hexdigest()


def test_failure_while_files_get_their_names_takes_all_back(settings, monkeypatch):
    rename = Path.rename

    def failing_rename(path, target):
        if path.name.endswith("-3-of-5"):
            raise OSError(28, "No space left on device", str(target))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing_rename)
    with pytest.raises(BuildError, match=r"No space left on device: .*-3-of-5"):
        build_dataset(settings)
    assert [path.name for path in settings.output_dir.iterdir()] == [".partial"]


def test_output_that_cannot_be_made_is_an_error_with_path_and_reason(settings, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/records.*: Not a directory"):
        build_dataset(dataclasses.replace(settings, output_dir=tmp_path / "file" / "records"))
    with pytest.raises(ManifestError, match="is a file"):
        build_dataset(dataclasses.replace(settings, output_dir=tmp_path / "file"))


def test_output_in_the_corpus_is_an_error(settings):
    with pytest.raises(UserError, match="--output-dir must not be in the corpus"):
        build_dataset(dataclasses.replace(settings, output_dir=settings.corpus_dir / "records"))


def test_corpus_without_text_is_an_error_and_leaves_nothing(settings, tmp_path):
    corpus_dir = tmp_path / "corpus"
    corpus_dir.mkdir()
    (corpus_dir / "empty").touch()
    settings = dataclasses.replace(settings, corpus_dir=corpus_dir)
    for content in ("", "\n \n"):
        (corpus_dir / "empty").write_text(content, encoding="utf-8")
        with pytest.raises(CorpusError, match="must hold text"):
            build_dataset(settings)
    assert not settings.output_dir.exists()


@pytest.mark.parametrize("change", [{"max_seq_length": 4}, {"num_processes": 0}, {"num_out_files": 0}, {"seed": -1}])
def test_impossible_numbers_are_errors_that_name_them(settings, change):
    ((name, value),) = change.items()
    with pytest.raises(BuildError, match=rf"{name} must be from \d.*Received: {value}"):
        dataclasses.replace(settings, **change)


def test_missing_vocabulary_is_an_error_that_names_it(settings, tmp_path):
    with pytest.raises(BuildError, match=r"vocabulary .*nowhere\.txt: No such file"):
        build_dataset(dataclasses.replace(settings, vocab_file=tmp_path / "nowhere.txt"))


def test_parent_process_does_without_tensorflow():
    code = "import sys, pretrain.builder.build; sys.exit('tensorflow' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(build.__file__).parents[2]).returncode == 0
    )

import json

import pytest

from pretrain.dataset.manifest import ManifestError, is_up_to_date, read_manifest, write_manifest

SOURCE = {"seed": 1, "corpus_bytes": 10}


def test_written_manifest_is_read_back_with_its_version(tmp_path):
    write_manifest(tmp_path, {"num_examples": 3, "tokenizer": {"strip_accents": None}})
    assert read_manifest(tmp_path) == {"format_version": 1, "num_examples": 3, "tokenizer": {"strip_accents": None}}


def test_folder_without_manifest_has_none(tmp_path):
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "nowhere") is None


@pytest.mark.parametrize("content", ["{", "[]", '{"format_version": 2}', "{}", "[" * 100_000, "9" * 5000])
def test_damaged_manifest_or_one_of_another_version_is_an_error(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_folder_of_the_same_source_is_up_to_date(tmp_path):
    write_manifest(tmp_path, {"source": SOURCE})
    assert is_up_to_date(tmp_path, dict(SOURCE))


def test_missing_or_empty_folder_is_not_up_to_date(tmp_path):
    assert not is_up_to_date(tmp_path / "nowhere", SOURCE)
    assert not is_up_to_date(tmp_path, SOURCE)
    (tmp_path / ".partial").mkdir()
    assert not is_up_to_date(tmp_path, SOURCE)


def test_folder_of_another_source_is_refused_with_the_differences(tmp_path):
    write_manifest(tmp_path, {"source": SOURCE})
    with pytest.raises(ManifestError, match=r"another build \(seed 1, now 2; extra None, now 'x'\)"):
        is_up_to_date(tmp_path, {**SOURCE, "seed": 2, "extra": "x"})


def test_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "precious.txt").touch()
    with pytest.raises(ManifestError, match="must be empty"):
        is_up_to_date(tmp_path, SOURCE)
    with pytest.raises(ManifestError, match="is a file"):
        is_up_to_date(tmp_path / "precious.txt", SOURCE)


def test_manifest_is_readable_text(tmp_path):
    write_manifest(tmp_path, {"files": {"ä": 1}})
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    assert "ä" in text
    assert json.loads(text)["files"] == {"ä": 1}

import numpy as np
import pytest

from finetune.features import Ragged, Rows, TextFeatures, cached_rows, digest_of_files

KEY = {"max_seq_length": 64, "vocabulary": "a"}


def _make():
    text = TextFeatures(np.array([5, 6, 7], np.int32), np.array([0, 0, 1], np.int32), np.array([0, 1, 3]))
    places = {"starts": Ragged(np.array([True, False, True]), np.array([0, 0, 3]))}
    return Rows(text, {"labels": np.array([1.5, 2.0], np.float32)}, places)


def _never():
    raise AssertionError("made anew")


def test_rows_are_made_once_and_read_again_as_they_were(tmp_path):
    made = cached_rows(tmp_path, "sst_train", KEY, _make, may_read=True)
    read = cached_rows(tmp_path, "sst_train", KEY, _never, may_read=True)
    assert len(read) == len(made) == 2
    for ours, theirs in zip(read.text, made.text, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(read.targets["labels"], [1.5, 2.0])
    assert read.places["starts"].row(0).tolist() == []
    assert read.places["starts"].row(1).tolist() == [True, False, True]


@pytest.mark.parametrize("change", [{"max_seq_length": 65}, {"vocabulary": "b"}, {"more": 1}])
def test_rows_of_another_key_are_never_read(tmp_path, change):
    cached_rows(tmp_path, "sst_train", KEY, _make, may_read=True)
    with pytest.raises(AssertionError, match="made anew"):
        cached_rows(tmp_path, "sst_train", {**KEY, **change}, _never, may_read=True)


def test_rows_are_made_anew_where_that_is_asked_for(tmp_path):
    cached_rows(tmp_path, "sst_train", KEY, _make, may_read=True)
    with pytest.raises(AssertionError, match="made anew"):
        cached_rows(tmp_path, "sst_train", KEY, _never, may_read=False)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no zip"])
def test_a_damaged_file_is_made_anew(tmp_path, content):
    cached_rows(tmp_path, "sst_train", KEY, _make, may_read=True)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert len(cached_rows(tmp_path, "sst_train", KEY, _make, may_read=True)) == 2
    cached_rows(tmp_path, "sst_train", KEY, _never, may_read=True)


def test_digests_tell_contents_apart(tmp_path):
    for name, content in (("a", "1"), ("b", "2"), ("c", "1")):
        (tmp_path / name).write_text(content)
    digests = [digest_of_files([tmp_path / name]) for name in "abc"]
    assert digests[0] == digests[2] != digests[1]
    assert digest_of_files([tmp_path / "a", tmp_path / "b"]) != digest_of_files([tmp_path / "b", tmp_path / "a"])

import json
import os
import shutil
import struct

import pytest

from pretrain.dataset import record_files
from pretrain.dataset.manifest import ManifestError, read_manifest, write_manifest
from pretrain.dataset.record_files import (
    RecordError,
    check_files,
    check_folder,
    extent_of,
    file_entries,
    first_record,
    input_files,
)

NAMES = [f"pretrain_data.tfrecord-{shard}-of-4" for shard in range(4)]
COUNTS = [7, 6, 0, 7]


def _frame(record):
    return struct.pack("<QI", len(record), 0) + record + bytes(4)


def _write(file, num_records, seed=0):
    file.write_bytes(b"".join(_frame(bytes([seed]) * (20 + row)) for row in range(num_records)))


@pytest.fixture(params=["with sizes", "without sizes"])
def folder(request, tmp_path):
    """A folder of four files, one of which is empty, with a manifest as it is built now, or was before."""
    for seed, (name, count) in enumerate(zip(NAMES, COUNTS, strict=True)):
        _write(tmp_path / name, count, seed)
    entries = file_entries(tmp_path, NAMES, COUNTS)
    write_manifest(tmp_path, entries if request.param == "with sizes" else {"files": entries["files"]})
    return tmp_path


def _patterns(folder, *names):
    return ",".join(str(folder / name) for name in names or ["pretrain_data.tfrecord*"])


def _cut_between_records(folder):
    file = folder / NAMES[3]
    os.truncate(file, file.stat().st_size // 2)
    extent = extent_of(file)
    os.truncate(file, extent.num_bytes)
    return f"manifest.json says 7 records.*, and {extent.num_records} whole records in {extent.num_bytes} bytes"


def _cut_inside_a_record(folder):
    os.truncate(folder / NAMES[0], (folder / NAMES[0]).stat().st_size - 1)
    return r"-0-of-4: manifest.json says 7 records.*, and 6 whole records in \d+ bytes are there"


def _emptied(folder):
    os.truncate(folder / NAMES[1], 0)
    return "-1-of-4: manifest.json says 6 records.*, and 0 whole records in 0 bytes are there"


def _missing(folder):
    (folder / NAMES[1]).unlink()
    return "-1-of-4: missing; manifest.json says 6 records, and none are there"


def _swapped(folder):
    os.rename(folder / NAMES[0], folder / "a")
    os.rename(folder / NAMES[1], folder / NAMES[0])
    os.rename(folder / "a", folder / NAMES[1])
    return "-0-of-4: manifest.json says 7 records.*, and 6 whole records"


def _longer(folder):
    with open(folder / NAMES[2], "ab") as file:
        file.write(_frame(b"more"))
    return "-2-of-4: manifest.json says 0 records.*, and 1 whole records in 20 bytes are there"


def _extra(folder):
    _write(folder / "pretrain_data.tfrecord-4-of-5", 3)
    return "-4-of-5: holds 3 records, and manifest.json has none under this name"


DAMAGES = [_cut_between_records, _cut_inside_a_record, _emptied, _missing, _swapped, _longer, _extra]


def test_files_that_are_as_their_manifest_says_pass(folder):
    check_files([_patterns(folder), _patterns(folder, "*")])
    check_folder(folder)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_not_as_its_manifest_says_is_named_with_both_counts(folder, damage):
    message = damage(folder)
    for patterns in ([_patterns(folder)], [_patterns(folder, NAMES[0][:-5] + "0-of-4"), _patterns(folder, "*")]):
        with pytest.raises(RecordError, match=message) as raised:
            check_files(patterns)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("damage", set(DAMAGES) - {_extra})
def test_a_folder_is_compared_with_its_manifest(folder, damage):
    message = damage(folder)
    with pytest.raises(RecordError, match=message):
        check_folder(folder)


def test_a_part_of_the_files_can_be_chosen_and_the_rest_may_be_damaged(folder, caplog):
    caplog.set_level("INFO")
    _emptied(folder)
    _extra(folder)
    (folder / NAMES[3]).unlink()
    check_files([_patterns(folder, NAMES[0], "*-2-of-4")])
    assert "2 of the 4 files of its manifest are not used" in caplog.text
    with pytest.raises(RecordError, match="-3-of-4: missing"):
        check_files([_patterns(folder, NAMES[0], "*-[2-3]-of-4")])


def test_other_records_of_the_same_number_are_known_by_their_size_or_their_ends(tmp_path):
    for name in NAMES[:2]:
        _write(tmp_path / name, 5, seed=len(name))
    write_manifest(tmp_path, file_entries(tmp_path, NAMES[:2], [5, 5]))
    _write(tmp_path / NAMES[1], 5, seed=9)
    with pytest.raises(RecordError, match=r"-1-of-4: manifest.json says 5 records in \d+ bytes, and 5 other records"):
        check_files([_patterns(tmp_path)])


def test_folders_without_a_manifest_or_with_one_without_files_are_not_compared(folder):
    _emptied(folder)
    write_manifest(folder, {"max_seq_length": 8})
    check_files([_patterns(folder)])
    (folder / "manifest.json").unlink()
    check_files([_patterns(folder)])


def test_folders_that_a_pattern_chooses_are_compared_each_with_its_own_manifest(folder):
    shutil.copytree(folder, folder / "copy" / "records")
    shutil.copytree(folder, folder / "other" / "records")
    _emptied(folder / "other" / "records")
    check_files([f"{folder}/copy/*/pretrain*"])
    with pytest.raises(RecordError, match=r"other/records/pretrain_data.tfrecord-1-of-4"):
        check_files([f"{folder}/*/records/*"])


def test_records_of_a_build_that_was_killed_while_it_published_them_are_refused(folder):
    (folder / "manifest.json").unlink()
    (folder / ".partial").mkdir()
    (folder / ".partial" / "published.json").write_text("[]")
    with pytest.raises(RecordError, match="a build has not finished putting its files there"):
        check_files([_patterns(folder)])


def test_records_are_counted_over_the_ends_of_blocks(tmp_path, monkeypatch):
    _write(tmp_path / "a", 50)
    size = (tmp_path / "a").stat().st_size
    for block_bytes in (20, 36, 37, 64, 1000, 1 << 20):
        monkeypatch.setattr(record_files, "_BLOCK_BYTES", block_bytes)
        assert extent_of(tmp_path / "a") == (50, size)


@pytest.mark.parametrize("tail", [b"\1", bytes([255] * 8), struct.pack("<Q", 1 << 63)])
def test_bytes_that_are_no_record_end_the_count(tmp_path, tail):
    _write(tmp_path / "a", 3)
    size = (tmp_path / "a").stat().st_size
    with open(tmp_path / "a", "ab") as file:
        file.write(tail)
    assert extent_of(tmp_path / "a") == (3, size)


def test_the_first_record_is_read_alone(tmp_path):
    (tmp_path / "empty").touch()
    assert first_record(tmp_path / "empty") is None
    (tmp_path / "a").write_bytes(_frame(b"one") + _frame(b"two"))
    assert first_record(tmp_path / "a") == b"one"
    (tmp_path / "a").write_bytes(_frame(b"one")[:-1])
    with pytest.raises(RecordError, match="a: corrupt record at byte 0"):
        first_record(tmp_path / "a")


def test_folders_and_what_cannot_be_read_are_no_files_of_records(folder):
    (folder / "sub").mkdir()
    (folder / "link").symlink_to(folder / "nowhere")
    for name in ("sub", "link"):
        with pytest.raises(RecordError, match=rf"must match files that can be read. Received: .*{name}"):
            input_files(_patterns(folder, name))


def test_a_manifest_is_no_file_of_records(folder):
    assert input_files(_patterns(folder, "*")) == [str(folder / name) for name in NAMES]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("files", [7]), ("files", {"a": "7"}), ("files", {"a": -1}), ("file_bytes", {"a": 1.5}),
        ("file_ends", {"a": 1}), ("max_seq_length", "8"), ("tokenizer", "a"), ("tokenizer", {"fingerprint": 1}),
        ("tokens_in", "many"), ("sources", {"text": 1}), ("source", []),
    ],
)  # fmt: skip
def test_a_manifest_of_wrong_types_is_refused(tmp_path, entry, value):
    (tmp_path / "manifest.json").write_text(json.dumps({"format_version": 1, entry: value}))
    with pytest.raises(ManifestError, match=rf"manifest.json: malformed {entry}; build the records again. Received: "):
        read_manifest(tmp_path)

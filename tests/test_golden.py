"""The recorded numbers in tests/golden: whole, small, and a part of the full set."""

import hashlib
import json
import pathlib

import numpy as np
import pytest

SUBSET = pathlib.Path(__file__).resolve().parent / "golden"
FULL_SET = pathlib.Path(__file__).resolve().parents[2] / "shared" / "golden"
COPIED = sorted(str(file.relative_to(SUBSET)) for file in (SUBSET / "tf1").rglob("*") if file.is_file())


def test_files_are_those_of_the_checksums():
    sums = {}
    for line in (SUBSET / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        sums[name] = digest
    folders = {name.split("/")[0] for name in sums}
    files = {str(file.relative_to(SUBSET)): file for folder in folders for file in (SUBSET / folder).rglob("*")}
    digests = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items() if file.is_file()}
    assert digests == sums


def test_all_recorded_numbers_are_small_enough_for_a_clone():
    assert sum(file.stat().st_size for file in SUBSET.rglob("*") if file.is_file()) < 3_000_000


@pytest.mark.parametrize("name", COPIED)
def test_a_copied_file_is_a_part_of_the_full_set(name):
    ours, theirs = SUBSET / name, FULL_SET / name
    if not theirs.is_file():
        pytest.skip(f"needs ../shared/golden/{name}, which is not here")
    if name.endswith(".npz"):
        arrays, full = np.load(ours), np.load(theirs)
        for key in arrays.files:
            assert arrays[key].dtype == full[key].dtype
            np.testing.assert_array_equal(arrays[key], full[key], err_msg=key)
    elif name == "tf1/optimizer.json":
        full = json.loads(theirs.read_text())
        assert json.loads(ours.read_text()).items() <= full.items()
    else:
        assert ours.read_bytes() == theirs.read_bytes()

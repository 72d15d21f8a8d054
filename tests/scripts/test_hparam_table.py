import dataclasses
import pathlib
import subprocess
import sys

import pytest

from configure_pretraining import PretrainingConfig
from scripts import hparam_table

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def update(file: pathlib.Path) -> subprocess.CompletedProcess:
    command = [sys.executable, hparam_table.__file__, "--update", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_readme_holds_the_table_of_today():
    if not (README.is_file() and hparam_table.has_table(README.read_text(encoding="utf-8"))):
        pytest.skip("README.md has no hparam table")
    text = README.read_text(encoding="utf-8")
    assert text == hparam_table.with_table(text), "python scripts/hparam_table.py --update README.md"


def test_every_hparam_has_a_row_of_three_cells():
    rows = hparam_table.hparam_table().splitlines()[2:]
    names = [field.name for field in dataclasses.fields(PretrainingConfig)][2:]
    assert [row.split("`")[1] for row in rows] == names
    assert all(row.count("|") == 4 for row in rows)


def test_update_replaces_what_is_between_the_marks(tmp_path):
    file = tmp_path / "README.md"
    file.write_text("above\n<!-- hparams -->\nof yesterday\n<!-- /hparams -->\nbelow\n")
    assert update(file).returncode == 0
    text = file.read_text()
    assert text.startswith("above\n<!-- hparams -->\n| hparam |")
    assert text.endswith("|\n<!-- /hparams -->\nbelow\n")
    assert "of yesterday" not in text


def test_update_refuses_a_file_without_marks_and_leaves_it(tmp_path):
    file = tmp_path / "README.md"
    file.write_text("nothing here")
    done = update(file)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert file.read_text() == "nothing here"
    assert update(tmp_path / "none.md").returncode == 2

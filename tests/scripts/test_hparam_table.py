import dataclasses
import pathlib
import subprocess
import sys

import pytest

from scripts import hparam_table

HPARAMS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "hparams.md"


def update(file: pathlib.Path) -> subprocess.CompletedProcess:
    command = [sys.executable, hparam_table.__file__, "--update", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", hparam_table.CONFIGS)
def test_the_documentation_holds_the_table_of_today(kind):
    text = HPARAMS.read_text(encoding="utf-8")
    assert hparam_table.has_table(text, kind)
    assert text == hparam_table.with_table(text, kind), "python scripts/hparam_table.py --update docs/hparams.md"


@pytest.mark.parametrize(("kind", "config"), hparam_table.CONFIGS.items())
def test_every_hparam_has_a_row_of_three_cells(kind, config):
    rows = hparam_table.hparam_table(kind).splitlines()[2:]
    names = [field.name for field in dataclasses.fields(config) if field.name not in ("model_name", "data_dir")]
    assert [row.split("`")[1] for row in rows] == names
    assert all(row.count("|") == 4 for row in rows)


def test_update_replaces_what_is_between_the_marks(tmp_path):
    file = tmp_path / "hparams.md"
    file.write_text("above\n<!-- hparams of pretraining -->\nold\n<!-- end of hparams of pretraining -->\nbelow\n")
    assert update(file).returncode == 0
    text = file.read_text()
    assert text.startswith("above\n<!-- hparams of pretraining -->\n| hparam |")
    assert text.endswith("|\n<!-- end of hparams of pretraining -->\nbelow\n")
    assert "old" not in text.split()


def test_update_refuses_a_file_without_marks_and_leaves_it(tmp_path):
    file = tmp_path / "hparams.md"
    file.write_text("nothing here")
    done = update(file)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert file.read_text() == "nothing here"
    assert update(tmp_path / "none.md").returncode == 2

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pretrain.dataset.workspace import end_publication, only_build, publish, was_publishing, workspace

ROOT = Path(__file__).parents[3]
IDENTITY = {"source": {"seed": 1}}


def _begin(output_dir: Path, identity=IDENTITY, name: str = "part") -> None:
    """Leaves a finished part and an unfinished one."""
    with contextlib.suppress(KeyboardInterrupt), workspace(output_dir, identity) as folder:
        (folder / name).write_text("done", encoding="utf-8")
        (folder / ".rows-2.0a.unfinished").touch()
        raise KeyboardInterrupt


def test_finished_parts_are_kept_for_the_same_build(tmp_path):
    _begin(tmp_path)
    with workspace(tmp_path, IDENTITY) as folder:
        assert (folder / "part").read_text(encoding="utf-8") == "done"
        assert not list(folder.glob(".*.unfinished"))
    assert not folder.exists()


def test_parts_of_another_build_are_thrown_away(tmp_path):
    _begin(tmp_path)
    with workspace(tmp_path, {"source": {"seed": 2}}) as folder:
        assert not (folder / "part").exists()


def test_nothing_is_left_where_nothing_was_finished(tmp_path):
    with pytest.raises(ValueError, match="wrong"), workspace(tmp_path, IDENTITY):
        raise ValueError("wrong")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_identity_is_another_build(tmp_path):
    _begin(tmp_path)
    (tmp_path / ".partial" / "build.json").write_text("{", encoding="utf-8")
    with workspace(tmp_path, IDENTITY) as folder:
        assert not (folder / "part").exists()


def test_second_build_into_a_folder_is_an_error_while_the_first_one_works(tmp_path):
    code = """
import pathlib, sys
from pretrain.dataset.workspace import only_build
with only_build(pathlib.Path(sys.argv[1])):
    pass
"""
    other = [sys.executable, "-c", code, str(tmp_path)]
    with only_build(tmp_path):
        done = subprocess.run(other, capture_output=True, text=True, check=False, cwd=ROOT)
        assert f"FileError: Another build is writing to {tmp_path}" in done.stderr
    assert subprocess.run(other, check=False, cwd=ROOT).returncode == 0


def test_publication_moves_all_or_nothing(tmp_path, monkeypatch):
    rename = os.rename

    def failing_rename(self, target):
        if Path(target).parent == tmp_path and Path(target).name == "c":
            raise OSError(28, "No space left on device", str(target))
        rename(self, target)
        return target

    with workspace(tmp_path, IDENTITY) as folder:
        for name in "abc":
            (folder / name).write_text(name, encoding="utf-8")
        monkeypatch.setattr(Path, "rename", failing_rename)
        with pytest.raises(OSError, match="No space"):
            publish(folder, tmp_path, "abc")
        monkeypatch.undo()
        assert {path.name for path in tmp_path.iterdir()} == {".partial"}
        assert {path.name for path in folder.iterdir()} >= set("abc")
        publish(folder, tmp_path, "abc")
    assert [(tmp_path / name).read_text(encoding="utf-8") for name in "abc"] == list("abc")


def test_a_publication_that_was_killed_is_taken_back_or_ended(tmp_path):
    _begin(tmp_path, name="a")
    folder = tmp_path / ".partial"
    assert not was_publishing(tmp_path)
    (folder / "published.json").write_text(json.dumps(["a", "b"]), encoding="utf-8")
    (folder / "a").rename(tmp_path / "a")
    assert was_publishing(tmp_path)
    end_publication(tmp_path)
    assert (folder / "a").exists()
    assert {path.name for path in tmp_path.iterdir()} == {".partial"}

    (folder / "published.json").write_text(json.dumps(["a", "b"]), encoding="utf-8")
    (folder / "a").rename(tmp_path / "a")
    (tmp_path / "b").touch()
    end_publication(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}
    end_publication(tmp_path)

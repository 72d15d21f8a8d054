import os
import pathlib
import subprocess
import sys

import pytest

from electra_span.config import UserError
from electra_span.files import FileError
from electra_span.folders import (
    REPLACING_LOCK,
    is_locked,
    lock_file,
    read_unchanged,
    replaced_files,
    temporary_folder,
    whole_folder,
)

ROOT = pathlib.Path(__file__).parents[2]


def _names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_appears_when_it_is_whole(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with whole_folder(tmp_path / name) as partial:
            (partial / "a").write_text("1")
            assert not (tmp_path / name / "a").exists()
    assert _names(tmp_path) == ["empty", "empty/a", "new", "new/a"]


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    def write_and_fail():
        with whole_folder(tmp_path / "above" / "new") as partial:
            (partial / "a").touch()
            raise UserError("no")

    with pytest.raises(UserError, match="no"):
        write_and_fail()
    assert _names(tmp_path) == []


def test_a_folder_that_another_process_has_written_meanwhile_stays(tmp_path):
    def write_late():
        with whole_folder(tmp_path / "new") as partial:
            (partial / "a").touch()
            (tmp_path / "new").mkdir()
            (tmp_path / "new" / "b").touch()

    with pytest.raises(FileError, match=r"cannot write .*new: (Directory not empty|File exists)"):
        write_late()
    assert _names(tmp_path) == ["new", "new/b"]


def test_what_a_killed_writer_of_a_folder_left_is_removed_by_the_next_one(tmp_path):
    code = (
        "import os, signal\nfrom electra_span.folders import whole_folder\n"
        f"with whole_folder({str(tmp_path / 'n*w')!r}) as partial:\n"
        "    (partial / 'a').touch()\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == -9
    assert len(_names(tmp_path)) == 3
    with whole_folder(tmp_path / "n*w") as partial:
        (partial / "b").touch()
    assert _names(tmp_path) == ["n*w", "n*w/b"]


def test_an_empty_folder_gets_its_files_though_it_cannot_be_renamed(tmp_path, monkeypatch):
    (tmp_path / "mounted").mkdir()
    before = (tmp_path / "mounted").stat().st_ino
    with whole_folder(tmp_path / "mounted") as partial:
        (partial / "b").touch()
        assert partial.parent == tmp_path / "mounted"
    assert _names(tmp_path) == ["mounted", "mounted/b"]
    assert (tmp_path / "mounted").stat().st_ino == before


def test_an_error_in_an_unfinished_folder_names_the_folder_to_be(tmp_path):
    def write_and_fail():
        with whole_folder(tmp_path / "new") as partial:
            raise UserError(f"cannot write {partial}/a")

    with pytest.raises(UserError, match=f"cannot write {tmp_path}/new/a"):
        write_and_fail()


def test_files_are_replaced_with_one_that_goes_first_and_comes_last(tmp_path):
    for name in ("a", "b", "config", "other"):
        (tmp_path / name).write_text("old")
    (tmp_path / f".{'0a' * 16}.unfinished").mkdir()
    with replaced_files(tmp_path, ("a", "b"), last="config") as partial:
        assert (tmp_path / "config").read_text() == "old"
        assert is_locked(tmp_path / REPLACING_LOCK)
        for name in ("b", "config"):
            (partial / name).write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b": "new", "config": "new", "other": "old"}


def test_a_temporary_folder_of_a_killed_process_is_removed_by_the_next_one_and_no_other(tmp_path):
    code = (
        "import os, signal, sys\nfrom electra_span.folders import temporary_folder\n"
        f"with temporary_folder({str(tmp_path)!r}, '.zip-') as folder:\n"
        "    (folder / 'a').touch()\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == -9
    (killed,) = tmp_path.iterdir()
    with temporary_folder(tmp_path, ".zip-") as living:
        for folder in (killed, living.parent):
            os.utime(folder, (0, 0))
        with temporary_folder(tmp_path, ".zip-") as other:
            assert sorted(tmp_path.iterdir()) == sorted((living.parent, other.parent))
            assert list(other.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def _replace(folder, number):
    """Replaces the files of a folder as one does that wants no reader to take a mixture for a whole."""
    for name in ("config.json", "model.safetensors"):
        partial = folder / f".{name}"
        partial.write_text(str(number))
        os.replace(partial, folder / name)


def _read(folder, between=lambda: None):
    config = (folder / "config.json").read_text()
    between()
    return config, (folder / "model.safetensors").read_text()


def test_files_that_are_replaced_while_they_are_read_are_read_again(tmp_path):
    _replace(tmp_path, 1)
    replacements = iter((2, 3))
    between = lambda: [_replace(tmp_path, number) for number in list(replacements)[:1]]  # noqa: E731
    assert read_unchanged(tmp_path, lambda: _read(tmp_path, between)) == ("2", "2")


def test_an_error_of_a_mixture_is_not_the_readers(tmp_path):
    _replace(tmp_path, 1)
    done = []

    def read():
        if not done:
            done.append(_replace(tmp_path, 2))
            raise UserError("the shapes differ")
        return _read(tmp_path)

    assert read_unchanged(tmp_path, read) == ("2", "2")


def test_files_that_are_replaced_without_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    _replace(tmp_path, 0)
    with pytest.raises(FileError, match=f"{tmp_path}: another process replaced its files while they were read"):
        read_unchanged(tmp_path, lambda: _replace(tmp_path, 1))


def test_an_error_of_files_that_nobody_replaces_is_raised_at_once(tmp_path):
    reads = []

    def read():
        reads.append(1)
        raise UserError("damaged")

    with pytest.raises(UserError, match="damaged"):
        read_unchanged(tmp_path, read)
    assert len(reads) == 1


def test_a_reader_waits_for_the_config_that_a_replacement_has_taken_away(tmp_path, monkeypatch):
    _replace(tmp_path, 1)
    (tmp_path / "config.json").unlink()
    with lock_file(tmp_path / REPLACING_LOCK):
        monkeypatch.setattr("time.sleep", lambda seconds: _replace(tmp_path, 2) if seconds else None)
        assert read_unchanged(tmp_path, lambda: _read(tmp_path)) == ("2", "2")

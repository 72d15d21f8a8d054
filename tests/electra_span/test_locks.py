import errno
import os
import pathlib
import subprocess
import sys

import pytest

from electra_span.files import FileError
from electra_span.folders import is_locked, lock_file, lock_folder

ROOT = pathlib.Path(__file__).parents[2]


def test_a_folder_is_kept_for_one_process(tmp_path):
    folder = tmp_path / "run"
    code = f"from electra_span.folders import lock_folder\nwith lock_folder({str(folder)!r}, 'training'): pass"
    with lock_folder(folder, "training"):
        second = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert f"FileError: Another training is writing to {folder}" in second.stderr
    assert not folder.exists()
    with lock_folder(folder, "training"):
        pass


def _process(code):
    """Returns a process that runs code of this package, once it has printed a line."""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def _holding(path):
    return _process(
        "import time\nfrom electra_span.folders import lock_file\n"
        f"with lock_file({str(path)!r}):\n    print('ready', flush=True)\n    time.sleep(60)"
    )


def test_a_lock_ends_with_a_killed_process(tmp_path):
    path = tmp_path / ".lock"
    with _holding(path) as holder:
        assert is_locked(path)
        with pytest.raises(FileError, match="Another training"), lock_folder(tmp_path, "training"):
            pass
        holder.kill()
        holder.wait()
    assert path.exists()
    assert not is_locked(path)
    with lock_folder(tmp_path, "training"):
        assert is_locked(path)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_waits_for_a_lock_gets_it_when_the_other_one_is_killed(tmp_path):
    path = tmp_path / "lock"
    with _holding(path) as holder:
        code = f"from electra_span.folders import lock_file\nwith lock_file({str(path)!r}): print('mine')"
        with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as waiting:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(0.5)
            holder.kill()
            assert waiting.communicate(timeout=30)[0] == "mine\n"
    assert list(tmp_path.iterdir()) == []


def test_folders_that_a_lock_created_go_with_it_unless_something_is_in_them(tmp_path):
    with lock_file(tmp_path / "a" / "b" / "lock"):
        (tmp_path / "a" / "file").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "file"]


def test_a_lock_that_cannot_be_is_an_error_that_names_its_file(tmp_path):
    (tmp_path / "file").touch()
    message = r"cannot lock .*file/lock: (Not a directory|File exists)"
    with pytest.raises(FileError, match=message), lock_file(tmp_path / "file" / "lock"):
        pass


def test_a_file_system_without_locks_is_used_with_a_warning(tmp_path, monkeypatch, caplog):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    with lock_folder(tmp_path, "training"):
        pass
    assert "this file system has no locks" in caplog.text

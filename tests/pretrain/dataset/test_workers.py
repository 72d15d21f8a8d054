import functools
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretrain.dataset.workers import WorkerError, Workers
from pretrain.sources.corpus import with_progress

ROOT = Path(__file__).parents[3]


def _square(number: int) -> int:
    return number * number


def _square_after_death(folder: Path, number: int) -> int:
    """Returns the square, the second time it is called with 3: the first time its process is killed."""
    done = folder / str(number)
    if number == 3 and not done.exists():
        done.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def _die(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def _fail(number: int) -> int:
    if number == 1:
        raise ValueError("one")
    return number


@pytest.mark.parametrize("num_processes", [1, 2])
def test_results_come_in_the_order_of_the_items(num_processes):
    with Workers(num_processes) as workers:
        assert list(workers.map(_square, range(11), label="squared")) == [number * number for number in range(11)]
        assert list(workers.map(_square, [], label="squared")) == []


def test_what_a_killed_process_did_not_finish_is_done_again(tmp_path):
    with Workers(2) as workers:
        results = workers.map(functools.partial(_square_after_death, tmp_path), range(12), label="squared")
        assert list(results) == [number * number for number in range(12)]
    assert (tmp_path / "3").exists()


def test_work_that_kills_its_process_again_and_again_is_an_error():
    with Workers(2) as workers:
        results = workers.map(_die, range(5), label="counted")
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(WorkerError, match=r"killed 3 times at the same work.*fewer than 2 processes"):
            next(results)


@pytest.mark.parametrize("num_processes", [1, 2])
def test_errors_of_the_work_come_through(num_processes):
    with Workers(num_processes) as workers:
        results = workers.map(_fail, range(3), label="counted")
        assert next(results) == 0
        with pytest.raises(ValueError, match="one"):
            next(results)


def test_processes_end_with_their_parent(tmp_path):
    code = f"""
import os, pathlib, time
from pretrain.dataset.workers import Workers

def sleep(number):
    pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    with Workers(2) as workers:
        list(workers.map(sleep, range(2), label="slept"))
"""
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    names = set()
    while len(names) < 2:
        assert parent.poll() is None
        names = {path.name for path in tmp_path.iterdir() if path.name.isdigit()}
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while any(Path("/proc", name).exists() for name in names):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_log_tells_amount_rate_and_time_left_ten_times(caplog):
    with caplog.at_level(logging.INFO, logger="absl"):
        assert list(with_progress(range(40), [1 << 20] * 40, "read")) == list(range(40))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 10
    assert lines[0].startswith("read 4.19MB of 41.9MB, ")
    assert lines[-1].startswith("read 41.9MB of 41.9MB, ")
    assert lines[-1].endswith("B/s, 00:00 left")


def test_few_large_items_are_a_line_each(caplog):
    with caplog.at_level(logging.INFO, logger="absl"):
        list(with_progress("ab", [3, 7], "read", " rows"))
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        "read 3.00 rows of 10.0 rows", "read 10.0 rows of 10.0 rows",
    ]  # fmt: skip

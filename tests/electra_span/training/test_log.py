"""What a run reports: JSON lines that survive crashes, events, progress."""

import json
import logging
import os
import pathlib

import pytest
import tensorflow as tf

from electra_span.files import JsonLines, TrainingLogError
from electra_span.training.log import TrainingLog
from tests.tiny_run import limited_file_size

LINES = [{"step": step, "mlm_loss": step / 3, "disc_loss": 1e-7 * step} for step in (10, 20, 30)]


def _log(path, lines=LINES):
    log = JsonLines(path)
    for line in lines:
        log.append(line)
    return log


def test_lines_are_read_back_with_every_bit_of_their_numbers(tmp_path):
    log = _log(tmp_path / "log.jsonl")
    assert log.read() == LINES
    assert [json.loads(line) for line in log.path.read_text().splitlines()] == LINES


def test_a_log_that_is_not_there_has_no_lines_and_is_not_made(tmp_path):
    log = JsonLines(tmp_path / "log.jsonl")
    log.cut_after(10)
    assert log.read() == []
    assert not log.path.exists()


@pytest.mark.parametrize(("step", "kept"), [(0, 0), (9, 0), (10, 1), (29, 2), (30, 3), (31, 3)])
def test_lines_of_later_steps_are_cut(tmp_path, step, kept):
    log = _log(tmp_path / "log.jsonl")
    log.cut_after(step)
    assert log.read() == LINES[:kept]
    log.append({"step": 99})
    assert log.read() == [*LINES[:kept], {"step": 99}]
    assert os.listdir(tmp_path) == ["log.jsonl"]


@pytest.mark.parametrize("lost_bytes", [1, 2, 9])
def test_a_line_that_was_cut_off_is_no_line(tmp_path, lost_bytes):
    log = _log(tmp_path / "log.jsonl")
    os.truncate(log.path, log.path.stat().st_size - lost_bytes)
    assert log.read() == LINES[:2]
    log.cut_after(30)
    log.append(LINES[2])
    assert log.read() == LINES


@pytest.mark.parametrize("garbage", [b"\0\0\0\0\n", b"\xff\xfe\n", b'{"step": \n', b"3\n", b"{}\n", b"\n"])
def test_garbage_between_lines_is_passed_over(tmp_path, garbage):
    log = _log(tmp_path / "log.jsonl")
    first, *others = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(first + garbage + b"".join(others))
    assert log.read() == LINES


def test_full_disk_is_an_error_that_names_the_file():
    with pytest.raises(TrainingLogError, match=r"cannot write /dev/full: No space left"):
        _log(pathlib.Path("/dev/full"))


def test_full_disk_is_an_error_for_events_too(tmp_path):
    with limited_file_size(16), pytest.raises(TrainingLogError, match=r"cannot write .*/events: .*/events/"):
        TrainingLog(tmp_path, first_step=0, num_train_steps=40, is_chief=True)


def test_a_window_goes_to_lines_events_and_progress(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    log = TrainingLog(tmp_path, first_step=0, num_train_steps=40, is_chief=True)
    numbers = {"step": 10, "total_loss": 7.25, "disc_auc": 0.5, "learning_rate": 2e-4, "tokens_per_second": 1234.4}
    log.write(numbers, seconds_left=3725.2)
    log.close()
    assert JsonLines(tmp_path / "train_log.jsonl").read() == [numbers]
    assert caplog.messages == ["step 10/40  loss 7.250  auc 0.500  lr 2.00e-04  tokens/s 1,234  1:02:05 left"]
    (events,) = (tmp_path / "events").iterdir()
    values = [value for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value]
    assert {value.tag: float(tf.make_ndarray(value.tensor)) for value in values} == pytest.approx(numbers)


def test_a_resumed_log_goes_on_after_its_first_step(tmp_path):
    _log(tmp_path / "train_log.jsonl")
    log = TrainingLog(tmp_path, first_step=20, num_train_steps=40, is_chief=True)
    log.write({"step": 30}, seconds_left=1.0)
    log.close()
    assert JsonLines(tmp_path / "train_log.jsonl").read() == [*LINES[:2], {"step": 30}]


def test_a_host_that_is_not_the_chief_writes_nothing(tmp_path):
    log = TrainingLog(tmp_path, first_step=0, num_train_steps=40, is_chief=False)
    log.write({"step": 10}, seconds_left=1.0)
    log.advance(11)
    log.close()
    assert list(tmp_path.iterdir()) == []

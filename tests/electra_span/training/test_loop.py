"""The training loop, around a step that only counts."""

import os
import signal
import time
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from electra_span.files import JsonLines
from electra_span.training.checkpoints import Checkpoints
from electra_span.training.log import TrainingLog
from electra_span.training.loop import LoopSettings, MetricAccumulator, NonFiniteLossError, TrainingLoop
from electra_span.training.step import StepResult


class Batch(NamedTuple):
    numbers: tf.Tensor


class Run:
    """A loop whose step adds its batch to a sum, with whatever shall go wrong on the way."""

    def __init__(self, folder, *, not_finite=(), on_step=lambda step: None, on_event=lambda step: None, **settings):
        self.folder, self.not_finite, self.on_step, self.on_event = folder, not_finite, on_step, on_event
        self.total = tf.Variable(0.0, dtype=tf.float64)
        self.events: list[tuple[str, int]] = []  # what was done, in order
        defaults = {
            "num_train_steps": 7, "log_steps": 3, "save_steps": 2, "evaluate_steps": 0, "max_skipped_steps": 0,
            "batch_tokens": lambda step: 10,
        }  # fmt: skip
        self.settings = LoopSettings(**{**defaults, **settings})

    def start(self, is_evaluated: bool = False) -> None:
        window = MetricAccumulator()
        iterator = iter(tf.data.Dataset.range(100).map(Batch))
        state = {"total": self.total, "window": window, "iterator": iterator}
        checkpoints = Checkpoints(self.folder / "checkpoints", [], num_kept=3, **state)
        first_step = checkpoints.restore_latest() or 0
        self._note_saves(checkpoints)
        log = TrainingLog(
            self.folder, first_step=first_step, num_train_steps=self.settings.num_train_steps, is_chief=True
        )
        loop = TrainingLoop(
            self._step,
            checkpoints=checkpoints,
            accumulator=window,
            log=log,
            settings=self.settings,
            summarize=lambda sums, step: {name: np.sum(value) for name, value in sums.items()},
            evaluate=lambda step: self._note("evaluate", step),
            rescue_dir=self.folder / "checkpoints",
        )
        loop.run(iterator, first_step, is_evaluated=is_evaluated)

    def _note_saves(self, checkpoints: Checkpoints) -> None:
        save = checkpoints.save

        def noted(step: int) -> None:
            self._note("save", step)
            save(step)

        checkpoints.save = noted

    def _note(self, name: str, step: int) -> None:
        self.events.append((name, step))
        self.on_event(step)

    def _step(self, batch: Batch, step: tf.Tensor) -> StepResult:
        number = int(step) + 1
        self.on_step(number)
        is_finite = number not in self.not_finite
        factor = tf.constant(float(is_finite))
        self.total.assign_add(tf.cast(batch.numbers, tf.float64) * float(is_finite))
        sums = {
            "total": factor * tf.cast(batch.numbers, tf.float32),
            "pair": factor * tf.ones([2]),
            "num_steps": factor,
        }
        return StepResult(tf.constant(is_finite), sums)

    def lines(self) -> list[dict[str, float]]:
        lines = JsonLines(self.folder / "train_log.jsonl").read()
        assert all(line.pop("tokens_per_second") > 0 for line in lines)
        return lines

    def saved_steps(self) -> list[int]:
        return sorted(int(path.stem[5:]) for path in (self.folder / "checkpoints").glob("*.index"))


def _line(step, numbers):
    return {"step": step, "total": sum(numbers), "pair": 2 * len(numbers), "num_steps": len(numbers)}


LINES = [_line(3, [0, 1, 2]), _line(6, [3, 4, 5]), _line(7, [6])]


def _signal_at(step, number):
    return lambda current: os.kill(os.getpid(), number) if current == step else None


def test_windows_are_summed_checkpoints_saved_and_the_end_gets_both(tmp_path):
    run = Run(tmp_path)
    run.start()
    assert run.lines() == LINES
    assert run.events == [("save", step) for step in (2, 4, 6, 7)]
    assert run.saved_steps() == [4, 6, 7]


def test_evaluations_come_after_the_checkpoint_of_their_step_and_at_both_ends(tmp_path):
    run = Run(tmp_path, evaluate_steps=4, save_steps=100)
    run.start()
    assert run.events == [("evaluate", 0), ("evaluate", 4), ("save", 7), ("evaluate", 7)]


def test_a_finished_run_does_nothing_but_an_evaluation_it_lacks(tmp_path):
    Run(tmp_path, evaluate_steps=4).start()
    for is_evaluated, events in ((True, []), (False, [("evaluate", 7)])):
        run = Run(tmp_path, evaluate_steps=4)
        run.start(is_evaluated=is_evaluated)
        assert (run.events, run.lines()) == (events, LINES)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 3, 4, 5])
def test_a_signal_saves_and_the_run_goes_on_as_if_nothing_had_happened(tmp_path, number, step):
    handler = signal.getsignal(number)
    run = Run(tmp_path, on_step=_signal_at(step, number), evaluate_steps=4)
    with pytest.raises(SystemExit) as exited:
        run.start()
    assert exited.value.code == 128 + number
    assert run.saved_steps()[-1] == step
    assert ("evaluate", step) not in run.events
    assert signal.getsignal(number) is handler

    resumed = Run(tmp_path, evaluate_steps=4)
    resumed.start()
    assert resumed.lines() == LINES
    assert float(resumed.total) == sum(range(7))
    assert [event for event in run.events + resumed.events if event[0] == "evaluate"] == [
        ("evaluate", each) for each in (0, 4, 7)
    ]


def test_a_signal_while_something_else_is_done_ends_the_run_after_one_more_step_that_is_saved(tmp_path):
    run = Run(tmp_path, save_steps=100, evaluate_steps=4, on_event=_signal_at(4, signal.SIGTERM))
    with pytest.raises(SystemExit):
        run.start()
    assert run.saved_steps() == [5]


def test_a_loss_that_is_not_finite_ends_the_run_with_its_step_and_batch(tmp_path):
    run = Run(tmp_path, not_finite={5})
    with pytest.raises(NonFiniteLossError, match=r"not finite at step 5, its batch is in .*nonfinite_batch_5\.npz"):
        run.start()
    assert run.saved_steps() == [2, 4]
    assert run.lines() == LINES[:1]
    assert np.load(tmp_path / "checkpoints" / "nonfinite_batch_5.npz")["numbers"] == 4


def test_a_last_step_that_is_not_finite_is_not_saved(tmp_path):
    with pytest.raises(NonFiniteLossError, match="step 7"):
        Run(tmp_path, not_finite={7}).start()
    assert Run(tmp_path).saved_steps() == [2, 4, 6]


def test_steps_that_are_not_finite_may_be_passed_over_but_not_too_many_in_a_row(tmp_path):
    run = Run(tmp_path / "two", not_finite={1, 2, 4}, max_skipped_steps=2)
    run.start()
    assert run.lines() == [_line(3, [2]), _line(6, [4, 5]), _line(7, [6])]
    with pytest.raises(NonFiniteLossError, match="step 4"):
        Run(tmp_path / "three", not_finite={2, 3, 4}, max_skipped_steps=2).start()


def test_a_window_without_any_finite_step_has_no_line(tmp_path):
    run = Run(tmp_path, not_finite={1, 2, 3}, max_skipped_steps=3)
    run.start()
    assert run.lines() == LINES[1:]


def test_window_sums_survive_in_a_checkpoint_before_the_first_step_of_the_next_process(tmp_path):
    window = MetricAccumulator()
    window.add({"b": tf.constant(0.5), "a": tf.constant([1.0, 2.0])})
    path = tf.train.Checkpoint(window=window).write(str(tmp_path / "window"))
    resumed = MetricAccumulator()
    tf.train.Checkpoint(window=resumed).read(path).assert_consumed()
    resumed.add({"a": tf.constant([10.0, 20.0]), "b": tf.constant(0.25)})
    sums = resumed.take()
    assert {name: value.tolist() for name, value in sums.items()} == {"a": [11.0, 22.0], "b": 0.75}
    resumed.add({"a": tf.constant([1.0, 1.0]), "b": tf.constant(3.0)})
    assert resumed.take()["b"] == 3.0


def test_the_speed_leaves_out_a_process_first_step_and_what_is_no_training(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    def take_time(seconds):
        clock[0] += seconds

    Run(
        tmp_path,
        on_step=lambda step: take_time(60.0 if step == 1 else 0.5),
        on_event=lambda step: take_time(7.0),
        evaluate_steps=2,
    ).start()
    speeds = [line["tokens_per_second"] for line in JsonLines(tmp_path / "train_log.jsonl").read()]
    assert speeds == pytest.approx([20.0, 20.0, 20.0])


def test_the_speed_of_a_first_step_counts_where_it_is_reported_alone(tmp_path, monkeypatch):
    clock = iter(np.arange(1000.0, 2000.0, 2.0))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    Run(tmp_path, log_steps=1, num_train_steps=1, save_steps=9).start()
    (line,) = JsonLines(tmp_path / "train_log.jsonl").read()
    assert line["tokens_per_second"] == pytest.approx(5.0)

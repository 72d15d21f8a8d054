"""The training loop: steps, reports, checkpoints, evaluations, and what ends it early."""

import contextlib
import pathlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from electra_span.config import UserError
from electra_span.files import whole_file
from electra_span.training.checkpoints import Checkpoints
from electra_span.training.log import TrainingLog
from electra_span.training.step import StepResult, Sums


class NonFiniteLossError(UserError):
    """A loss or a gradient is infinite or NaN."""


class MetricAccumulator(tf.Module):
    """Metric sums of the steps since the last report.

    It is part of a checkpoint, so that the first report of a resumed run covers the steps before the interruption too.
    """

    def __init__(self) -> None:
        super().__init__()
        # One flat float64 variable of unknown size: which sums there are is known after the first step only.
        self._values = tf.Variable(tf.zeros([0], tf.float64), shape=[None], trainable=False)
        self._shapes: dict[str, list[int]] = {}

    def add(self, sums: Sums) -> None:
        """Adds the metric sums of one step."""
        self._shapes = {name: value.shape.as_list() for name, value in sorted(sums.items())}
        flat = _flatten([sums[name] for name in self._shapes])
        before = self._values.read_value()
        self._values.assign(before + flat if before.shape[0] else flat)

    def take(self) -> dict[str, np.ndarray]:
        """Returns the sums by name, float64, and starts again from 0."""
        sizes = [int(np.prod(shape)) for shape in self._shapes.values()]
        parts = np.split(self._values.numpy(), np.cumsum(sizes)[:-1])
        self._values.assign(tf.zeros([0], tf.float64))
        return {name: part.reshape(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}


class LoopSettings(NamedTuple):
    """Length of a training and the intervals of what happens in it, in steps.

    Attributes:
        num_train_steps: number of steps at the end of training.
        log_steps: interval of reports.
        save_steps: interval of checkpoints.
        evaluate_steps: interval of evaluations; 0 for none.
        batch_tokens: function of the step, from 1, to the number of tokens of its batch, padding included.
        max_skipped_steps: number of consecutive non-finite steps that are skipped; one more ends training.
    """

    num_train_steps: int
    log_steps: int
    save_steps: int
    evaluate_steps: int
    batch_tokens: Callable[[int], int]
    max_skipped_steps: int = 0


class _PendingStep(NamedTuple):
    """A step whose result was not read yet."""

    step: int
    batch: Any
    result: StepResult


class TrainingLoop:
    """Runs a train step over batches until the end of training or an interruption.

    Args:
        train_step: function of (batch, number of steps made before), see `electra_span.training.step`.
        checkpoints: checkpoints of everything that changes, `accumulator` included.
        accumulator: metric sums since the last report.
        log: receives the reports.
        settings: length and intervals.
        summarize: function of (metric sums of a window, step) to the reported numbers.
        evaluate: function of the step, called at each evaluation.
        rescue_dir: folder for a batch with a non-finite loss; None: it is not written.
    """

    def __init__(
        self,
        train_step: Callable[[Any, tf.Tensor], StepResult],
        *,
        checkpoints: Checkpoints,
        accumulator: MetricAccumulator,
        log: TrainingLog,
        settings: LoopSettings,
        summarize: Callable[[dict[str, np.ndarray], int], dict[str, float]],
        evaluate: Callable[[int], None],
        rescue_dir: pathlib.Path | None,
    ) -> None:
        self._train_step, self._checkpoints, self._accumulator, self._log = train_step, checkpoints, accumulator, log
        self._settings, self._summarize, self._evaluate = settings, summarize, evaluate
        self._rescue_dir = rescue_dir
        self._num_skipped = 0

    def run(self, batches: Iterator[Any], first_step: int, *, is_evaluated: bool) -> None:
        """Trains to the last step. On SIGINT or SIGTERM, saves and exits with status 128 + signal number.

        Args:
            batches: gives the batch of each step.
            first_step: number of steps made before.
            is_evaluated: whether the evaluation that is due at first_step was made before.

        Raises:
            NonFiniteLossError: a loss or gradient is not finite; the last checkpoint is from before that step.
        """
        if self._is_due(first_step, self._settings.evaluate_steps) and not is_evaluated:
            self._evaluate(first_step)
        self._start_of_window = time.perf_counter(), first_step
        pending = None
        with _signals() as received:
            for step in range(first_step + 1, self._settings.num_train_steps + 1):
                batch = next(batches)
                result = self._train_step(batch, tf.constant(step - 1, tf.int64))
                # A step's result is read after the next step was started: reading it at once keeps a GPU waiting.
                self._finish_pending_step(pending)
                pending = _PendingStep(step, batch, result)
                is_first, is_interrupted = step == first_step + 1, bool(received)
                if is_first or is_interrupted or self._is_due(step):
                    self._finish_pending_step(pending)
                    pending = None
                    self._do_what_is_due(step, is_first=is_first, is_interrupted=is_interrupted)
                self._log.advance(step)
                if is_interrupted:
                    logging.warning("interrupted after step %d; the same command goes on from here", step)
                    raise SystemExit(128 + received[0])

    def _is_due(self, step: int, *intervals: int) -> bool:
        """Returns whether a step ends one of the intervals, by default any of them; the last step ends all."""
        settings = self._settings
        intervals = intervals or (settings.log_steps, settings.save_steps, settings.evaluate_steps)
        is_last = step == settings.num_train_steps
        return any(interval and (step % interval == 0 or is_last) for interval in intervals)

    def _do_what_is_due(self, step: int, *, is_first: bool, is_interrupted: bool) -> None:
        """Reports, saves and evaluates after a step.

        Args:
            step: number of steps made.
            is_first: whether it is the first step of this process.
            is_interrupted: save in any case, and leave the evaluation to the resumed run.
        """
        settings = self._settings
        if self._is_due(step, settings.log_steps):
            self._report(step)
        elif is_first:
            self._start_of_window = time.perf_counter(), step  # the first step traces and compiles: not its speed
        if is_interrupted or self._is_due(step, settings.save_steps):
            with self._pause():
                self._checkpoints.save(step)
        # The checkpoint is written first: a run killed during the evaluation resumes from it and evaluates again.
        if self._is_due(step, settings.evaluate_steps) and not is_interrupted:
            with self._pause():
                self._evaluate(step)

    def _report(self, step: int) -> None:
        """Writes the numbers of the window that ends with this step."""
        now = time.perf_counter()
        started, first_step = self._start_of_window
        rate = (step - first_step) / max(now - started, 1e-9)
        sums = self._accumulator.take()
        if sums["num_steps"]:
            numbers = {"step": step, **self._summarize(sums, step)}
            numbers["tokens_per_second"] = rate * self._settings.batch_tokens(step)
            self._log.write(numbers, seconds_left=(self._settings.num_train_steps - step) / max(rate, 1e-9))
        else:
            logging.warning("step %d: every step since the last report had a non-finite gradient", step)
        self._start_of_window = now, step

    @contextlib.contextmanager
    def _pause(self) -> Iterator[None]:
        """Leaves the time of the block out of the reported speed."""
        paused = time.perf_counter()
        yield
        started, step = self._start_of_window
        self._start_of_window = started + time.perf_counter() - paused, step

    def _finish_pending_step(self, pending: _PendingStep | None) -> None:
        """Reads the result of a step: adds its metric sums, or ends training if it is not finite."""
        if pending is None:
            return
        self._accumulator.add(pending.result.sums)
        if bool(pending.result.is_finite):
            self._num_skipped = 0
            return
        self._num_skipped += 1
        if self._num_skipped <= self._settings.max_skipped_steps:
            return
        raise NonFiniteLossError(
            f"the loss or its gradient is not finite at step {pending.step}{self._rescue(pending)}; "
            "the last checkpoint is from before it; a lower learning_rate or float32 precision often helps"
        )

    def _rescue(self, pending: _PendingStep) -> str:
        """Writes the batch of a step to a file; returns the part of the error message that names the file."""
        if self._rescue_dir is None:
            return ""
        path = self._rescue_dir / f"nonfinite_batch_{pending.step}.npz"
        with whole_file(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **dict(_named_arrays(pending.batch._asdict())))
        return f", its batch is in {path}"


def _named_arrays(batch: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yields the tensors of a batch, a mapping that may hold other mappings, with their paths as names."""
    for name, value in batch.items():
        if isinstance(value, Mapping):
            yield from _named_arrays(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value.numpy()


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Yields a list to which SIGINT and SIGTERM are appended; a second signal has its usual effect."""
    received: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}

    def note(number: int, frame: object) -> None:
        del frame
        received.append(number)
        for kind, handler in before.items():  # so that a second Ctrl-C ends a run that hangs
            signal.signal(kind, handler)

    for kind in kinds:
        signal.signal(kind, note)
    try:
        yield received
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@tf.function(autograph=False)
def _flatten(values: list[tf.Tensor]) -> tf.Tensor:
    """Returns all values in one vector: float64 [n]."""
    return tf.concat([tf.reshape(tf.cast(value, tf.float64), [-1]) for value in values], axis=0)

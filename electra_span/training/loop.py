"""The training loop: steps, reports, checkpoints, evaluations, and how it ends early."""

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
    """A loss or gradient that is infinite or no number."""


class WindowSums(tf.Module):
    """The sums of the steps since the last report; part of a checkpoint, so that a resumed run reports the same."""

    def __init__(self) -> None:
        super().__init__()
        self._values = tf.Variable(tf.zeros([0], tf.float64), shape=[None], trainable=False)  # empty: nothing added
        self._shapes: dict[str, list[int]] = {}

    def add(self, sums: Sums) -> None:
        """Adds the sums of one step."""
        self._shapes = {name: value.shape.as_list() for name, value in sorted(sums.items())}
        flat = _flatten([sums[name] for name in self._shapes])
        before = self._values.read_value()
        self._values.assign(before + flat if before.shape[0] else flat)

    def take(self) -> dict[str, np.ndarray]:
        """Returns the sums by name and starts again from 0."""
        sizes = [int(np.prod(shape)) for shape in self._shapes.values()]
        parts = np.split(self._values.numpy(), np.cumsum(sizes)[:-1])
        self._values.assign(tf.zeros([0], tf.float64))
        return {name: part.reshape(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}


class LoopSettings(NamedTuple):
    """How long a loop runs and how often it does what.

    Attributes:
        num_train_steps: updates at the end of the run.
        log_steps: updates between reports.
        save_steps: updates between checkpoints.
        evaluate_steps: updates between evaluations; 0 for none.
        max_skipped_steps: non-finite updates in a row that are passed over; float16 needs some.
        batch_tokens: tokens in the batch of an update, the first being 1, padding counted.
    """

    num_train_steps: int
    log_steps: int
    save_steps: int
    evaluate_steps: int
    max_skipped_steps: int
    batch_tokens: Callable[[int], int]


class _Pending(NamedTuple):
    """A step that was started and has not been looked at: reading its result at once would keep a GPU waiting."""

    step: int
    batch: Any
    result: StepResult


class TrainingLoop:
    """Runs a train step over batches until the end of training or an interruption.

    Args:
        train_step: of a batch and the number of updates before, see `electra_span.training.step`.
        checkpoints: of everything that changes, `window` included.
        window: the sums since the last report.
        log: gets the reports.
        settings: how often what happens.
        summarize: makes the reported numbers of a window's sums; gets the number of updates, too.
        evaluate: called with the number of updates.
        rescue_dir: where a batch with a non-finite loss is written; None for nowhere.
    """

    def __init__(
        self,
        train_step: Callable[[Any, tf.Tensor], StepResult],
        *,
        checkpoints: Checkpoints,
        window: WindowSums,
        log: TrainingLog,
        settings: LoopSettings,
        summarize: Callable[[dict[str, np.ndarray], int], dict[str, float]],
        evaluate: Callable[[int], None],
        rescue_dir: pathlib.Path | None,
    ) -> None:
        self._train_step, self._checkpoints, self._window, self._log = train_step, checkpoints, window, log
        self._settings, self._summarize, self._evaluate = settings, summarize, evaluate
        self._rescue_dir = rescue_dir
        self._num_skipped = 0

    def run(self, iterator: Iterator[Any], first_step: int, *, is_evaluated: bool) -> None:
        """Trains from first_step updates on; saves and exits with status 128 + n on signal n (SIGINT, SIGTERM).

        Args:
            iterator: gives the batch of each step.
            first_step: updates made before.
            is_evaluated: an evaluation that is due there was made before, too.

        Raises:
            NonFiniteLossError: names the step; the last checkpoint is from before it, the batch is written out.
        """
        if self._is_due(first_step, self._settings.evaluate_steps) and not is_evaluated:
            self._evaluate(first_step)
        self._start_of_window = time.perf_counter(), first_step
        pending = None
        with _signals() as received:
            for step in range(first_step + 1, self._settings.num_train_steps + 1):
                batch = next(iterator)
                result = self._train_step(batch, tf.constant(step - 1, tf.int64))
                self._settle(pending)
                pending = _Pending(step, batch, result)
                is_first, is_interrupted = step == first_step + 1, bool(received)
                if is_first or is_interrupted or self._is_due(step):
                    self._settle(pending)
                    pending = None
                    self._do_what_is_due(step, is_first=is_first, is_interrupted=is_interrupted)
                self._log.advance(step)
                if is_interrupted:
                    logging.warning("interrupted after step %d; the same command goes on from here", step)
                    raise SystemExit(128 + received[0])

    def _is_due(self, step: int, *kinds: int) -> bool:
        """Returns whether something done every so many steps, by default anything, is to be done after this step."""
        settings = self._settings
        every = kinds or (settings.log_steps, settings.save_steps, settings.evaluate_steps)
        return any(steps and (step % steps == 0 or step == settings.num_train_steps) for steps in every)

    def _do_what_is_due(self, step: int, *, is_first: bool, is_interrupted: bool) -> None:
        """Reports, saves and evaluates after a step.

        Args:
            step: updates made.
            is_first: it was the first of this process.
            is_interrupted: to be saved by all means, and left soon: an evaluation is for the run that goes on.
        """
        settings = self._settings
        if self._is_due(step, settings.log_steps):
            self._report(step)
        elif is_first:
            self._start_of_window = time.perf_counter(), step  # compiling is no measure of speed
        if is_interrupted or self._is_due(step, settings.save_steps):
            with self._pause():
                self._checkpoints.save(step)
        if self._is_due(step, settings.evaluate_steps) and not is_interrupted:
            with self._pause():
                self._evaluate(step)

    def _report(self, step: int) -> None:
        """Writes the numbers of the window that ends with this step."""
        now = time.perf_counter()
        started, first_step = self._start_of_window
        rate = (step - first_step) / max(now - started, 1e-9)
        sums = self._window.take()
        if sums["num_steps"]:
            numbers = {"step": step, **self._summarize(sums, step)}
            numbers["tokens_per_second"] = rate * self._settings.batch_tokens(step)
            self._log.write(numbers, seconds_left=(self._settings.num_train_steps - step) / max(rate, 1e-9))
        else:
            logging.warning("step %d: no step since the last report had a finite gradient", step)
        self._start_of_window = now, step

    @contextlib.contextmanager
    def _pause(self) -> Iterator[None]:
        """Leaves the time inside, not spent on training, out of the speed reported."""
        paused = time.perf_counter()
        yield
        started, step = self._start_of_window
        self._start_of_window = started + time.perf_counter() - paused, step

    def _settle(self, pending: _Pending | None) -> None:
        """Looks at a step's result: adds its sums to the window, or stops where it was not finite."""
        if pending is None:
            return
        self._window.add(pending.result.sums)
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

    def _rescue(self, pending: _Pending) -> str:
        """Writes out the batch of a step; returns words on where it is."""
        if self._rescue_dir is None:
            return ""
        path = self._rescue_dir / f"nonfinite_batch_{pending.step}.npz"
        with whole_file(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **dict(_named_arrays(pending.batch._asdict())))
        return f", its batch is in {path}"


def _named_arrays(batch: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yields the tensors of a batch, which may hold others by name, with the names that lead to them."""
    for name, value in batch.items():
        if isinstance(value, Mapping):
            yield from _named_arrays(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value.numpy()


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Gives a list that SIGINT and SIGTERM are added to; a second signal acts as always."""
    received: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}

    def note(number: int, frame: object) -> None:
        del frame
        received.append(number)
        for kind, handler in before.items():
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
    """Returns all values behind one another: float64 [n]."""
    return tf.concat([tf.reshape(tf.cast(value, tf.float64), [-1]) for value in values], axis=0)

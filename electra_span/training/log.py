"""Reports of a training: one line for each window of steps, as JSON lines, TensorBoard events and progress."""

import contextlib
import pathlib
import sys
from collections.abc import Iterator, Mapping

import tensorflow as tf
from absl import logging
from tqdm import tqdm

from electra_span.files import JsonLines, TrainingLogError, reason_of


@contextlib.contextmanager
def _writing(path: pathlib.Path) -> Iterator[None]:
    """Raises TrainingLogError if the block cannot write."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise TrainingLogError(f"cannot write {path}: {reason_of(error)}") from error


class TrainingLog:
    """Reports of one training.

    Args:
        model_dir: folder of train_log.jsonl and, under events/, the files of TensorBoard.
        first_step: number of steps made before.
        num_train_steps: number of steps at the end.
        is_chief: whether this process reports; of several hosts, one does.
    """

    def __init__(self, model_dir: pathlib.Path, *, first_step: int, num_train_steps: int, is_chief: bool) -> None:
        self._is_chief, self._num_train_steps = is_chief, num_train_steps
        self._lines = JsonLines(model_dir / "train_log.jsonl")
        self._bar = None
        if is_chief:
            self._lines.cut_after(first_step)  # the steps after the restored checkpoint are made, and logged, again
            self._events_dir = model_dir / "events"
            with _writing(self._events_dir):
                self._events = tf.summary.create_file_writer(str(self._events_dir))
            if sys.stderr.isatty():
                self._bar = tqdm(total=num_train_steps, initial=first_step, unit="step", dynamic_ncols=True)

    def write(self, numbers: Mapping[str, float | int], *, seconds_left: float) -> None:
        """Reports one window of steps.

        Args:
            numbers: reported numbers by name, with "step".
            seconds_left: estimated time to the end of training.
        """
        if not self._is_chief:
            return
        self._lines.append(numbers)
        with _writing(self._events_dir), self._events.as_default():
            for name, value in numbers.items():
                tf.summary.scalar(name, value, step=int(numbers["step"]))
            self._events.flush()
        if self._bar is None:
            logging.info("%s", self._line(numbers, seconds_left))
        else:
            self._bar.set_postfix_str(_describe(numbers), refresh=False)

    def advance(self, step: int) -> None:
        """Moves the progress bar, if standard error is a terminal."""
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def close(self) -> None:
        """Ends the progress bar and the event file."""
        if self._bar is not None:
            self._bar.close()
        if self._is_chief:
            with _writing(self._events_dir):
                self._events.close()

    def _line(self, numbers: Mapping[str, float | int], seconds_left: float) -> str:
        minutes, seconds = divmod(round(seconds_left), 60)
        left = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        return f"step {numbers['step']}/{self._num_train_steps}  {_describe(numbers)}  {left} left"


# Numbers shown as progress: label and format. A terminal has room for few of those that are logged.
_SHOWN = {
    "total_loss": ("loss", ".3f"),
    "mlm_loss": ("mlm", ".3f"),
    "cloze_loss": ("cloze", ".3f"),
    "sbgo_loss": ("sbgo", ".3f"),
    "disc_loss": ("disc", ".4f"),
    "sbpo_loss": ("sbpo", ".4f"),
    "sampled_mlm_accuracy": ("sampled", ".1%"),
    "replaced_rate": ("replaced", ".1%"),
    "disc_auc": ("auc", ".3f"),
    "learning_rate": ("lr", ".2e"),
    "tokens_per_second": ("tokens/s", ",.0f"),
}


def _describe(numbers: Mapping[str, float | int]) -> str:
    """Returns the numbers of _SHOWN in one line."""
    return "  ".join(f"{label} {numbers[name]:{form}}" for name, (label, form) in _SHOWN.items() if name in numbers)

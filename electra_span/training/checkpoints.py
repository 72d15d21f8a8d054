"""Saves and restores the whole state of a training, so that it resumes to the same bits."""

import pathlib
import re
import shutil
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from electra_span.config import UserError
from electra_span.files import reason_of

# What TensorFlow raises for a checkpoint that is missing, cut off, damaged (IndexError: cut off) or of another model.
_UNREADABLE = (tf.errors.OpError, IndexError, ValueError, AssertionError)
_PART_OF = re.compile(r"ckpt-(\d+)\.")
_INDEX_FILE = re.compile(r"ckpt-(\d+)\.index")


class CheckpointError(UserError):
    """A checkpoint cannot be written or read."""


class Checkpoints:
    """The latest checkpoints of a training in one folder, as files ckpt-STEP.index and ckpt-STEP.data-*.

    Args:
        directory: the folder.
        variables: variables of the model, saved by their paths.
        num_kept: number of checkpoints that are kept.
        is_writer: whether `save` writes; of several hosts, one does.
        state: further trackable state, by name: optimizers, input iterators and the like.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        variables: Sequence[keras.Variable],
        *,
        num_kept: int = 1,
        is_writer: bool = True,
        **state: Any,
    ) -> None:
        self._directory, self._num_kept, self._is_writer = directory, num_kept, is_writer
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        # By path, not by attribute: a checkpoint loads after attributes of the code were renamed.
        weights = {variable.path: variable.value for variable in variables}
        self._checkpoint = tf.train.Checkpoint(step=self._step, weights=weights, **state)

    def save(self, step: int) -> None:
        """Writes the state after `step` steps, then deletes checkpoints beyond num_kept.

        Raises:
            CheckpointError: it cannot be written, for example to a full disk; older ones are kept.
        """
        self._step.assign(step)
        if not self._is_writer:
            return
        prefix = self._prefix(step)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._checkpoint.write(prefix)
            self._delete_all_but(step)
        except (tf.errors.OpError, OSError) as error:
            self._delete(step)
            raise CheckpointError(
                f"cannot write the checkpoint {prefix}, older ones are kept: {reason_of(error)}"
            ) from error

    def restore_latest(self) -> int | None:
        """Restores the latest whole checkpoint; returns its step, or None if there is no checkpoint.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        tried: set[int] = set()
        # Listed again after each failure: a training that runs meanwhile replaces its checkpoints.
        while steps := set(self._steps()) - tried:
            step = max(steps)
            tried.add(step)
            try:
                status = self._checkpoint.read(self._prefix(step))
                status.assert_existing_objects_matched().expect_partial()
            except _UNREADABLE as error:
                logging.warning(
                    "cannot read %s, going back to the one before: %s", self._prefix(step), reason_of(error)
                )
            else:
                return int(self._step.numpy())
        if tried:
            raise CheckpointError(
                f"none of the {len(tried)} checkpoints in {self._directory} can be read; "
                "delete the folder to start from the beginning"
            )
        return None

    def remove_unfinished(self) -> None:
        """Removes the files of a process that was killed while it wrote a checkpoint; no other may be writing."""
        for path in self._directory.glob("ckpt-*_temp"):
            shutil.rmtree(path)
        steps = self._steps()
        for path in self._directory.glob("ckpt-*"):
            match = _PART_OF.match(path.name)
            if match and (int(match.group(1)) not in steps or ".tempstate" in path.name):
                path.unlink()

    def _prefix(self, step: int) -> str:
        return str(self._directory / f"ckpt-{step}")

    def _steps(self) -> list[int]:
        """Returns the steps of all checkpoints in the folder, whole or not, in order."""
        # The files are the only list. `tf.train.CheckpointManager` has another one, which a kill can leave wrong, and
        # it does not pass over a damaged checkpoint.
        if not self._directory.is_dir():
            return []
        found = (_INDEX_FILE.fullmatch(path.name) for path in self._directory.iterdir())
        return sorted(int(match.group(1)) for match in found if match)

    def _delete_all_but(self, step: int) -> None:
        """Deletes all but the last num_kept checkpoints up to `step`; later ones are damaged, or were restored."""
        steps = self._steps()
        kept = [each for each in steps if each <= step][-self._num_kept :]
        for each in set(steps) - set(kept):
            self._delete(each)

    def _delete(self, step: int) -> None:
        """Deletes the files of one checkpoint, its index last: files without an index are removed at the next start."""
        for path in sorted(self._directory.glob(f"ckpt-{step}.*")):
            path.unlink()
        shutil.rmtree(f"{self._prefix(step)}_temp", ignore_errors=True)

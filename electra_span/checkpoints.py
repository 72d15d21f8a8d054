"""Saving and restoring the whole state of a training run, so that it goes on exactly where it was."""

import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from electra_span.config import UserError


class CheckpointError(UserError):
    """A checkpoint that cannot be written or read."""


class Checkpoints:
    """The checkpoints of one run, the latest few of them, in one folder.

    Args:
        directory: their folder.
        variables: the model's, saved by their paths.
        num_kept: how many are kept.
        state: what else makes up the run, by name: optimizer, input iterator and the like.
    """

    def __init__(
        self, directory: pathlib.Path, variables: Sequence[keras.Variable], *, num_kept: int = 1, **state: Any
    ) -> None:
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        weights = {variable.path: variable.value for variable in variables}
        self._checkpoint = tf.train.Checkpoint(step=self._step, weights=weights, **state)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(directory), max_to_keep=num_kept)
        self._is_whole = bool(state)

    def save(self, step: int) -> None:
        """Writes the state after `step` updates; the older ones stay until it is whole.

        Raises:
            CheckpointError: it could not be written, for example to a full disk.
        """
        self._step.assign(step)
        try:
            self._manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"cannot write a checkpoint to {self._manager.directory}: {reason}") from error

    def restore_latest(self) -> int | None:
        """Restores the latest checkpoint that is whole; returns its number of updates, or None where there is none.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        paths = self._manager.checkpoints
        for path in reversed(paths):
            try:
                status = self._checkpoint.restore(path)
                if self._is_whole:
                    status.assert_existing_objects_matched()
                else:
                    status.expect_partial()
            except (tf.errors.OpError, AssertionError, ValueError) as error:
                logging.warning("cannot restore %s, going back to the one before: %s", path, str(error).splitlines()[0])
            else:
                return int(self._step.numpy())
        if paths:
            raise CheckpointError(f"none of the {len(paths)} checkpoints in {self._manager.directory} can be read")
        return None

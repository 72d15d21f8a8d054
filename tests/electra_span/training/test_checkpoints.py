"""Checkpoints: whole, the latest few, and never lost to one that is damaged or cannot be written."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span.training.checkpoints import CheckpointError, Checkpoints
from tests.tiny_run import limited_file_size


class _Run:
    """Some state of a run: two variables, an optimizer's slot, and an iterator over batches with a shuffle buffer."""

    def __init__(self, directory, width=50, **options):
        self.weights = [keras.Variable(np.zeros([3, width], np.float32), name=name) for name in ("kernel", "bias")]
        self.slot = tf.Variable(tf.zeros([7]))
        dataset = tf.data.Dataset.range(1000).shuffle(40, seed=3).batch(2)
        self.iterator = iter(dataset)
        state = {"slots": {"kernel": self.slot}, "iterator": self.iterator}
        self.checkpoints = Checkpoints(directory, self.weights, **options, **state)

    def step(self, step):
        """Changes everything as a step would."""
        numbers = np.random.default_rng(step)
        for weight in self.weights:
            weight.assign(numbers.standard_normal(weight.shape))
        self.slot.assign_add(tf.ones([7]))
        return next(self.iterator).numpy().tolist()

    def values(self):
        return [value.numpy().tolist() for value in (*(weight.value for weight in self.weights), self.slot)]


def _trained(directory, steps, **options):
    """Returns a run saved after each of these steps, and what it was then: its values, and the batches after it."""
    run = _Run(directory, **options)
    values, batches = {}, {}
    for step in range(1, max(steps) + 3):
        batches[step] = run.step(step)
        if step in steps:
            run.checkpoints.save(step)
            values[step] = run.values()
    return run, values, batches


def _names(directory):
    return sorted(path.name for path in directory.iterdir())


def _files(*steps):
    return sorted(f"ckpt-{step}.{kind}" for step in steps for kind in ("data-00000-of-00001", "index"))


def test_there_is_nothing_to_restore_at_first(tmp_path):
    assert _Run(tmp_path / "checkpoints").checkpoints.restore_latest() is None
    assert not (tmp_path / "checkpoints").exists()


def test_the_latest_is_restored_with_weights_state_and_input_position(tmp_path):
    _, values, batches = _trained(tmp_path, {2, 5}, num_kept=3)
    resumed = _Run(tmp_path, num_kept=3)
    assert resumed.checkpoints.restore_latest() == 5
    assert resumed.values() == values[5]
    assert [resumed.step(step) for step in (6, 7)] == [batches[6], batches[7]]


@pytest.mark.parametrize(("num_kept", "kept"), [(1, [9]), (2, [7, 9]), (5, [2, 4, 5, 7, 9])])
def test_only_the_latest_few_are_kept(tmp_path, num_kept, kept):
    _trained(tmp_path, {1, 2, 4, 5, 7, 9}, num_kept=num_kept)
    assert _names(tmp_path) == _files(*kept)


def _flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGES = {
    "cut off": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "missing": lambda path: path.unlink(),
    "garbage": lambda path: path.write_bytes(np.random.default_rng(0).bytes(3000)),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "one bit flipped": _flip_a_bit,
}


@pytest.mark.parametrize("file", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, file, damage):
    _, values, batches = _trained(tmp_path, {2, 5}, num_kept=3)
    DAMAGES[damage](tmp_path / f"ckpt-5.{file}")
    resumed = _Run(tmp_path, num_kept=3)
    assert resumed.checkpoints.restore_latest() == 2
    assert resumed.values() == values[2]
    assert [resumed.step(step) for step in (3, 4)] == [batches[3], batches[4]]


def test_what_could_not_be_read_gives_way_to_the_next_checkpoint(tmp_path):
    _trained(tmp_path, {2, 5}, num_kept=2)
    os.truncate(tmp_path / "ckpt-5.index", 10)
    resumed = _Run(tmp_path, num_kept=1)
    resumed.checkpoints.restore_latest()
    resumed.checkpoints.save(3)
    assert _names(tmp_path) == _files(3)


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    _trained(tmp_path, {2, 5}, num_kept=2)
    (tmp_path / "ckpt-7_temp").mkdir()
    (tmp_path / "ckpt-7_temp" / "part-00000-of-00001.index").touch()
    for name in ("ckpt-7.data-00000-of-00001", "ckpt-5.index.tempstate123", "nonfinite_batch_7.npz"):
        (tmp_path / name).touch()
    _Run(tmp_path).checkpoints.remove_unfinished()
    assert _names(tmp_path) == [*_files(2, 5), "nonfinite_batch_7.npz"]


def test_checkpoints_that_a_training_replaces_while_they_are_read_are_passed_over(tmp_path, monkeypatch):
    run, values, _ = _trained(tmp_path, {2, 5}, num_kept=2)
    reader = _Run(tmp_path)
    read = tf.train.Checkpoint.read

    def read_late(checkpoint, path):
        if path.endswith("-5"):  # a training replaces both, before the first one is read
            for step in (8, 9):
                values[step] = run.step(step) and run.values()
                run.checkpoints.save(step)
        return read(checkpoint, path)

    monkeypatch.setattr(tf.train.Checkpoint, "read", read_late)
    assert reader.checkpoints.restore_latest() == 9
    assert reader.values() == values[9]


def test_no_checkpoint_that_can_be_read_is_an_error_and_no_new_start(tmp_path):
    _trained(tmp_path, {2, 5}, num_kept=2)
    for path in tmp_path.glob("*.data-*"):
        os.truncate(path, 10)
    with pytest.raises(CheckpointError, match=r"none of the 2 checkpoints in .* can be read"):
        _Run(tmp_path).checkpoints.restore_latest()


@pytest.mark.parametrize("other", ["width", "names"])
def test_a_checkpoint_of_another_model_is_an_error(tmp_path, other):
    _trained(tmp_path, {2})
    run = _Run(tmp_path, width=50 if other == "names" else 51)
    names = ("kernel", "gamma") if other == "names" else ("kernel", "bias")
    weights = [keras.Variable(weight.value, name=name) for weight, name in zip(run.weights, names, strict=True)]
    with pytest.raises(CheckpointError, match="none of the 1 checkpoints"):
        Checkpoints(tmp_path, weights).restore_latest()


def test_weights_are_read_alone_where_no_state_is_wanted(tmp_path):
    _, values, _ = _trained(tmp_path, {2})
    run = _Run(tmp_path)
    assert Checkpoints(tmp_path, run.weights).restore_latest() == 2
    assert run.values()[:2] == values[2][:2]


def test_a_checkpoint_that_cannot_be_written_leaves_the_older_ones_and_no_rest(tmp_path):
    run, values, _ = _trained(tmp_path, {2}, width=3000)
    with limited_file_size(20_000), pytest.raises(CheckpointError, match=r"cannot write .*ckpt-4.*older ones are kept"):
        run.checkpoints.save(4)
    assert _names(tmp_path) == _files(2)
    resumed = _Run(tmp_path, width=3000)
    assert resumed.checkpoints.restore_latest() == 2
    assert resumed.values() == values[2]


def test_only_the_writer_writes(tmp_path):
    _trained(tmp_path / "checkpoints", {2}, is_writer=False)
    assert not (tmp_path / "checkpoints").exists()

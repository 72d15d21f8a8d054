"""The losses of each kind of head against recorded runs of the original's graph."""

import numpy as np
import pytest
import tensorflow as tf

from finetune.batches import PADDING_TASK, FinetuningBatch
from finetune.objective import WeightedTask, make_loss_function, row_losses
from tests.golden_finetuning import TRAINING_MODES, read_tasks

TARGETS = {
    "cola": {"labels": "label_ids"},
    "mnli": {"labels": "label_ids"},
    "sts": {"labels": "targets"},
    "chunk": {"positions": "labeled_positions", "labels": "labels", "weights": "labels_mask"},
    "squad": {"start_positions": "start_positions", "end_positions": "end_positions", "is_impossible": "is_impossible"},
}
FLOATS = ("targets", "labels_mask", "is_impossible")


def _batch(recorded, task_ids):
    inputs, tensors = recorded.inputs(), recorded.tensors
    targets = {
        head.task: {
            name: tf.constant(tensors[f"in/{head.task}_{theirs}"], tf.float32 if theirs in FLOATS else tf.int32)
            for name, theirs in TARGETS[head.task].items()
        }
        for head in recorded.model.head_configs
    }
    return FinetuningBatch(
        inputs["input_ids"], inputs["input_mask"], inputs["segment_ids"], tf.constant(task_ids), targets
    )


def _row_losses(recorded, batch, head):
    states = recorded.model.encoder(batch.input_ids, batch.input_mask, batch.segment_ids)
    return row_losses(
        recorded.model.heads[head.task], head, states, batch, batch.targets[head.task], answerable_weight=0.5
    )


@pytest.mark.parametrize("mode", ["multitask", *TRAINING_MODES])
def test_the_loss_of_each_row_is_the_originals(golden, mode):
    recorded = read_tasks(golden(f"tf1_finetune/{mode}"))
    batch = _batch(recorded, [0, 1, 2, 3])
    for head in recorded.model.head_configs:
        np.testing.assert_allclose(
            _row_losses(recorded, batch, head), recorded.tensors[f"{head.task}/loss"], atol=2e-5, rtol=2e-5
        )


def test_every_row_counts_by_its_own_task_and_padding_not_at_all(golden):
    recorded = read_tasks(golden("tf1_finetune/multitask"))
    tasks = [
        WeightedTask(head.task, head, weight)
        for head, weight in zip(recorded.model.head_configs, (1, 2, 3, 4), strict=True)
    ]
    loss_function = make_loss_function(recorded.model, tasks, answerable_weight=0.5)
    batch = _batch(recorded, [3, PADDING_TASK, 0, 3])
    loss, sums = loss_function(batch, batch, None, tf.constant(0))
    chunk, cola = recorded.tensors["chunk/loss"], recorded.tensors["cola/loss"]
    np.testing.assert_allclose(sums["chunk_loss"], chunk[0] + chunk[3], rtol=1e-5)
    np.testing.assert_allclose(loss, (4 * (chunk[0] + chunk[3]) + cola[2]) / 3, rtol=1e-5)
    assert [float(sums[f"{task.slug}_rows"]) for task in tasks] == [1, 0, 0, 2]


def test_the_original_minimises_the_sum_of_what_is_averaged_here(golden):
    recorded = read_tasks(golden("tf1_finetune/multitask"))
    tasks = [WeightedTask(head.task, head) for head in recorded.model.head_configs]
    batch = _batch(recorded, recorded.tensors["in/task_id"].astype(np.int32))
    loss, _ = make_loss_function(recorded.model, tasks, answerable_weight=0.5)(batch, batch, None, tf.constant(0))
    np.testing.assert_allclose(4 * loss, recorded.tensors["loss"], rtol=1e-5)

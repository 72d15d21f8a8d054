"""Losses and predictions of each kind of head. Losses are float32 [B], one for each row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from electra_span.head_config import HeadConfig
from electra_span.models import ElectraTaskModel
from electra_span.ops import split_seed
from electra_span.training.step import LossFunction, Sums
from finetune.batches import FinetuningBatch

Targets = Mapping[str, tf.Tensor]
_cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits


class WeightedTask(NamedTuple):
    """A task of a multi-task loss.

    Attributes:
        slug: name of the task's targets in a batch.
        head: config of the task's head in the model.
        weight: weight of the task's loss.
    """

    slug: str
    head: HeadConfig
    weight: float = 1.0


def make_loss_function(
    model: ElectraTaskModel, tasks: Sequence[WeightedTask], *, answerable_weight: float
) -> LossFunction:
    """Returns the mean loss of a batch's rows, each by its own task, as a `LossFunction` with metric sums.

    Args:
        model: model with a head for each task.
        tasks: tasks in the order of the batch's task_ids.
        answerable_weight: weight of the loss of answerability.
    """

    def loss_function(
        microbatch: FinetuningBatch, batch: FinetuningBatch, dropout_seed: tf.Tensor | None, step: tf.Tensor
    ) -> tuple[tf.Tensor, Sums]:
        del step
        encoder_seed, *head_seeds = split_seed(dropout_seed, 1 + len(tasks))
        states = model.encoder(
            microbatch.input_ids, microbatch.input_mask, microbatch.segment_ids, dropout_seed=encoder_seed
        )
        total, sums = tf.zeros([]), {}
        # As in the original, every head is computed on every row: shapes do not depend on the tasks in a batch.
        for number, (task, head_seed) in enumerate(zip(tasks, head_seeds, strict=True)):
            losses = row_losses(
                model.heads[task.head.task], task.head, states, microbatch, microbatch.targets[task.slug],
                dropout_seed=head_seed, answerable_weight=answerable_weight,
            )  # fmt: skip
            is_own = tf.cast(tf.equal(microbatch.task_ids, number), tf.float32)
            sums[f"{task.slug}_loss"] = tf.reduce_sum(losses * is_own)
            sums[f"{task.slug}_rows"] = tf.reduce_sum(is_own)
            total += task.weight * sums[f"{task.slug}_loss"]
        # Deviation: the original minimises the sum over the batch. Only clipping hid that the learning rate then
        # depends on the batch size.
        num_rows = tf.reduce_sum(tf.cast(batch.task_ids >= 0, tf.float32))
        return total / num_rows, {**sums, "total_loss": total}

    return loss_function


def row_losses(
    layer: Any,
    head: HeadConfig,
    states: tf.Tensor,
    batch: FinetuningBatch,
    targets: Targets,
    *,
    dropout_seed: tf.Tensor | None = None,
    answerable_weight: float = 0.0,
) -> tf.Tensor:
    """Returns the loss of each row, computed as if all rows belonged to this task: float32 [B].

    Args:
        layer: layer of the head.
        head: config of the head.
        states: hidden states of the encoder, [B, L, H].
        batch: batch of the states.
        targets: targets of the task.
        dropout_seed: int32 [2]; None for no dropout.
        answerable_weight: weight of the loss of answerability.
    """
    if head.kind == "classification":
        return _cross_entropy(labels=targets["labels"], logits=layer(states, dropout_seed))
    if head.kind == "regression":
        return tf.square(layer(states, dropout_seed) - targets["labels"])
    if head.kind == "tagging":
        of_words = _cross_entropy(labels=targets["labels"], logits=layer(states, targets["positions"]))  # [B, W]
        return tf.reduce_sum(of_words * targets["weights"], axis=-1)
    logits = layer(states, batch.segment_ids, batch.input_mask, targets["start_positions"])
    of_start = _cross_entropy(labels=targets["start_positions"], logits=logits.start)
    of_end = _cross_entropy(labels=targets["end_positions"], logits=logits.end)
    losses = (of_start + of_end) / 2.0
    if logits.answerable is not None:
        losses += answerable_weight * tf.nn.sigmoid_cross_entropy_with_logits(
            labels=targets["is_impossible"], logits=logits.answerable
        )
    return losses


def make_prediction_function(
    model: ElectraTaskModel, task: WeightedTask, *, beam_size: int
) -> Callable[[FinetuningBatch], dict[str, tf.Tensor]]:
    """Returns the function of a batch of one task's rows that gives the predictions a `Task` decodes."""
    layer, head = model.heads[task.head.task], task.head

    def predict(batch: FinetuningBatch) -> dict[str, tf.Tensor]:
        states = model.encoder(batch.input_ids, batch.input_mask, batch.segment_ids)
        targets = batch.targets[task.slug]
        if head.kind == "tagging":
            classes = tf.argmax(layer(states, targets["positions"]), axis=-1, output_type=tf.int32)
            return {"classes": classes, "loss": row_losses(layer, head, states, batch, targets)}
        if head.kind != "questions":
            return {"logits": layer(states), "loss": row_losses(layer, head, states, batch, targets)}
        spans = layer.best_spans(states, batch.segment_ids, batch.input_mask, beam_size)
        return {name: getattr(spans, name) for name in _names_of_spans(head)}

    return predict


def _names_of_spans(head: HeadConfig) -> list[str]:
    """Returns what is read of the best spans to decode them."""
    names = ["start_logits", "end_logits"]
    if head.joint_prediction:
        names = ["start_top_log_probs", "start_top_index", "end_top_log_probs", "end_top_index"]
        if not head.answerable_classifier:
            names.append("start_logits")  # the one at position 0 speaks for no answer
    return [*names, "answerable_logit"] if head.answerable_classifier else names

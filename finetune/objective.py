"""What is minimised, and what is predicted, for each kind of head. Losses are float32 [B], one a row."""

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
    """A task as its loss needs it.

    Attributes:
        slug: by which a batch names its targets.
        head: of the model.
        weight: of its loss.
    """

    slug: str
    head: HeadConfig
    weight: float = 1.0


def make_loss_function(
    model: ElectraTaskModel, tasks: Sequence[WeightedTask], *, answerable_weight: float
) -> LossFunction:
    """Returns the mean loss of a batch's rows, each by its own task, and the sums that are reported.

    Deviation: the original minimises the sum over the batch, which clipping by the global norm makes nearly the same.

    Args:
        model: with a head for each task.
        tasks: in the order of the batch's task_ids.
        answerable_weight: of the loss of answerability.
    """

    def loss_function(
        part: FinetuningBatch, whole: FinetuningBatch, seed: tf.Tensor | None, step: tf.Tensor
    ) -> tuple[tf.Tensor, Sums]:
        del step
        of_encoder, *of_heads = split_seed(seed, 1 + len(tasks))
        states = model.encoder(part.input_ids, part.input_mask, part.segment_ids, dropout_seed=of_encoder)
        total, sums = tf.zeros([]), {}
        for number, (task, dropout_seed) in enumerate(zip(tasks, of_heads, strict=True)):
            losses = row_losses(
                model.heads[task.head.task], task.head, states, part, part.targets[task.slug],
                dropout_seed=dropout_seed, answerable_weight=answerable_weight,
            )  # fmt: skip
            is_own = tf.cast(tf.equal(part.task_ids, number), tf.float32)
            sums[f"{task.slug}_loss"] = tf.reduce_sum(losses * is_own)
            sums[f"{task.slug}_rows"] = tf.reduce_sum(is_own)
            total += task.weight * sums[f"{task.slug}_loss"]
        num_rows = tf.reduce_sum(tf.cast(whole.task_ids >= 0, tf.float32))
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
    """Returns the loss of each row, as if all rows were of this task.

    Args:
        layer: the head's.
        head: what it is.
        states: [B, L, H].
        batch: of the states.
        targets: of the task.
        dropout_seed: int32 [2]; None for no dropout.
        answerable_weight: of the loss of answerability.
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
    """Returns a function of a batch, all of whose rows are the task's, that gives what a `Task` reads of its rows."""
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

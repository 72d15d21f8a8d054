"""What a model predicts for all rows of a task."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from electra_span.task_model import ElectraTaskModel
from electra_span.training import take_part
from finetune.batches import BatchMaker, FinetuningBatch
from finetune.objective import make_prediction_function
from finetune.run import Run
from finetune.task import Predictions, Task

PredictionStep = Callable[[FinetuningBatch], dict[str, np.ndarray]]


def make_prediction_step(
    predict: Callable[[FinetuningBatch], dict[str, tf.Tensor]],
    *,
    strategy: tf.distribute.Strategy,
    signature: FinetuningBatch,
    compile_step: bool = False,
) -> PredictionStep:
    """Returns a function of a batch that gives the predictions for its rows, computed by all replicas.

    Args:
        predict: of rows of a batch.
        strategy: the replicas; a batch has a multiple of their number of rows.
        signature: of the batches.
        compile_step: have XLA compile it as a whole.
    """
    compiled = tf.function(predict, jit_compile=compile_step, autograph=False)

    def replica_step(batch: FinetuningBatch) -> dict[str, tf.Tensor]:
        context = tf.distribute.get_replica_context()
        part = take_part(batch, context.replica_id_in_sync_group, strategy.num_replicas_in_sync)
        return compiled(part)

    @tf.function(autograph=False, input_signature=[signature])
    def run(batch: FinetuningBatch) -> dict[str, tf.Tensor]:
        return strategy.run(replica_step, args=(batch,))

    def prediction_step(batch: FinetuningBatch) -> dict[str, np.ndarray]:
        return {name: _gathered(strategy, value).numpy() for name, value in run(batch).items()}

    return prediction_step


def predict_rows(step: PredictionStep, batches: BatchMaker) -> Predictions:
    """Returns the predictions for all rows of the one task of a batch maker, in their order."""
    found: dict[str, list[np.ndarray]] = {}
    for rows, batch in batches.in_order_of_length():
        for name, values in step(batch).items():
            column = found.setdefault(name, [np.zeros(0)] * batches.num_rows)
            for row, value in zip(rows.tolist(), values, strict=False):  # what follows is padding
                column[row] = value
    return found


def _gathered(strategy: tf.distribute.Strategy, value: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas."""
    return value if strategy.num_replicas_in_sync == 1 else strategy.gather(value, axis=0)


class Predictor:
    """What a model predicts for the tasks of a run."""

    def __init__(self, run: Run, model: ElectraTaskModel) -> None:
        self._run, self._model = run, model
        self._step = functools.cache(self._make_step)

    def predict(self, task: Task, split: str, batch_size: int) -> Predictions:
        """Returns the predictions for all rows of a split."""
        rows = {task.slug: self._run.rows(task, split)}
        return predict_rows(self._step(task.slug, batch_size), self._run.batches(rows, batch_size))

    def _make_step(self, slug: str, batch_size: int) -> PredictionStep:
        run = self._run
        task, weighted = next(pair for pair in zip(run.tasks, run.weighted_tasks, strict=True) if pair[0].slug == slug)
        rows = {slug: run.rows(task, task.evaluation_splits[0])}
        return make_prediction_step(
            make_prediction_function(self._model, weighted, beam_size=run.config.beam_size),
            strategy=run.strategy,
            signature=run.batches(rows, batch_size).signature(),
            compile_step=run.execution.compile_step,
        )

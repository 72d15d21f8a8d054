"""What a model predicts for all rows of a task."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from electra_span.models import ElectraTaskModel
from electra_span.training.step import take_part
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
        self._steps: dict[tuple[str, int], PredictionStep] = {}

    def predict(self, task: Task, split: str, batch_size: int) -> Predictions:
        """Returns the predictions for all rows of a split."""
        batches = self._run.batches({task.slug: self._run.rows(task, split)}, batch_size)
        if (task.slug, batch_size) not in self._steps:
            self._steps[task.slug, batch_size] = self._make_step(task, batches)
        return predict_rows(self._steps[task.slug, batch_size], batches)

    def _make_step(self, task: Task, batches: BatchMaker) -> PredictionStep:
        run = self._run
        weighted = next(each for each in run.weighted_tasks if each.slug == task.slug)
        return make_prediction_step(
            make_prediction_function(self._model, weighted, beam_size=run.config.beam_size),
            strategy=run.strategy,
            signature=batches.signature(),
            compile_step=run.execution.compile_step,
        )

"""The training session, around a linear model."""

import itertools
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import HparamError
from electra_span.files import JsonLines
from electra_span.training.devices import Execution
from electra_span.training.log import TrainingLog
from electra_span.training.loop import LoopSettings, NonFiniteLossError
from electra_span.training.session import TrainingSession, TrainingStage, check_batch_sizes, make_update

B, NUM_FEATURES, NUM_STEPS = 4, 3, 7
FLOAT32 = Execution("float32", compile_step=False, compile_kernels=False, skips_padding=False)


class Batch(NamedTuple):
    inputs: tf.Tensor  # float32 [B, NUM_FEATURES]


class Killed(BaseException):
    """The end of a process, as far as the session can tell."""


def _batches(first_step):
    for step in itertools.count(first_step):
        yield Batch(tf.constant(np.random.default_rng(step).standard_normal((B, NUM_FEATURES)), tf.float32))


class Run:
    """A run of two stages: the bias alone for three steps, then kernel and bias."""

    def __init__(self, folder, execution=FLOAT32):
        self.folder, strategy = folder, tf.distribute.OneDeviceStrategy("CPU:0")
        with strategy.scope():
            self.kernel = keras.Variable(np.ones([NUM_FEATURES, 1], np.float32), name="kernel")
            self.bias = keras.Variable(np.zeros([1], np.float32), name="bias")
        self.evaluated = []
        settings = {"strategy": strategy, "execution": execution, "weight_decay_rate": 0.0}
        stages = [
            TrainingStage(0, [make_update(self.loss, [self.bias], **settings)], lambda step: tf.constant(0.5)),
            TrainingStage(
                3, [make_update(self.loss, [self.kernel, self.bias], **settings)], lambda step: tf.constant(0.25)
            ),
        ]
        self.session = TrainingSession(
            folder,
            [self.kernel, self.bias],
            stages,
            strategy=strategy,
            execution=execution,
            settings=LoopSettings(NUM_STEPS, 2, 3, 5, batch_tokens=lambda step: 1),
            seed=1,
            num_accumulation_steps=2,
            state={"optimizers": [update.optimizer for stage in stages for update in stage.updates]},
            rescue_dir=folder,
        )

    def loss(self, microbatch, batch, dropout_seed, step):
        errors = tf.square(tf.matmul(microbatch.inputs, self.kernel) + self.bias - 1.0)
        errors *= tf.random.stateless_uniform([], dropout_seed)
        return tf.reduce_sum(errors) / batch.inputs.shape[0], {"errors": tf.reduce_sum(errors)}

    def evaluate(self, step):
        self.evaluated.append(step)
        return {"bias": float(self.bias.numpy()[0])}

    def train(self, batches=None):
        first_step = self.session.restore() or 0
        batches = batches or _batches(first_step)
        summarize = lambda sums, step: {"errors": float(sums["errors"]), "steps": float(sums["num_steps"])}  # noqa: E731
        self.session.run(batches, first_step, summarize=summarize, evaluate=self.evaluate)
        return self

    def outcome(self):
        lines = [(self.folder / name).read_text().splitlines() for name in ("train_log.jsonl", "eval_log.jsonl")]
        lines[0] = [line.partition(', "tokens_per_second"')[0] for line in lines[0]]
        return lines, self.kernel.numpy().tolist(), self.bias.numpy().tolist()


def test_each_stage_makes_its_own_updates_by_its_own_learning_rate(tmp_path):
    run = Run(tmp_path)
    kernels = []
    run.session.restore()
    for step, batch in enumerate(itertools.islice(_batches(0), 5)):
        run.session.train_step(batch, tf.constant(step, tf.int64))
        kernels.append(run.kernel.numpy().copy())
    assert all((kernel == 1.0).all() for kernel in kernels[:3])
    assert all((kernel != 1.0).all() for kernel in kernels[3:])
    Run(tmp_path).train()
    lines = JsonLines(tmp_path / "train_log.jsonl").read()
    assert [line["learning_rate"] for line in lines] == [0.5, 0.25, 0.25, 0.25]
    assert all(line["gradient_norm"] > 0 for line in lines)


@pytest.mark.parametrize("after_step", [2, 4, 6])
def test_a_killed_session_goes_on_to_the_same_bits_and_logs(tmp_path, monkeypatch, after_step):
    alone = Run(tmp_path / "alone").train()
    advance = TrainingLog.advance

    def die(log, step):
        advance(log, step)
        if step == after_step:
            raise Killed

    monkeypatch.setattr(TrainingLog, "advance", die)
    with pytest.raises(Killed):
        Run(tmp_path / "killed").train()
    monkeypatch.undo()
    resumed = Run(tmp_path / "killed").train()
    assert resumed.outcome() == alone.outcome()
    assert alone.evaluated == [0, 5, 7]
    assert Run(tmp_path / "killed").train().evaluated == []  # all evaluations were made


def test_the_names_in_a_checkpoint_are_those_that_earlier_runs_wrote(tmp_path):
    Run(tmp_path, FLOAT32._replace(dtype="mixed_float16")).train()
    names = {
        name.partition("/.ATTRIBUTES")[0]
        for name, _ in tf.train.list_variables(str(tmp_path / "checkpoints" / "ckpt-7"))
    }
    assert names - {"_CHECKPOINTABLE_OBJECT_GRAPH"} == {
        "step", "weights/kernel", "weights/bias", "window/_values", "loss_scale/value", "loss_scale/quiet_steps",
        "optimizers/0/first_moments/bias", "optimizers/0/second_moments/bias",
        "optimizers/1/first_moments/bias", "optimizers/1/second_moments/bias",
        "optimizers/1/first_moments/kernel", "optimizers/1/second_moments/kernel",
    }  # fmt: skip


def test_float16_skips_steps_that_are_not_finite_and_float32_does_not(tmp_path):
    spoiled = Batch(tf.fill([B, NUM_FEATURES], np.nan))
    batches = [spoiled, *itertools.islice(_batches(1), NUM_STEPS)]
    with pytest.raises(NonFiniteLossError, match="step 1"):
        Run(tmp_path / "float32").train(iter(batches))
    Run(tmp_path / "float16", FLOAT32._replace(dtype="mixed_float16")).train(iter(batches))


def test_a_batch_that_cannot_be_divided_is_an_error():
    sizes = {"train_batch_size": 12, "eval_batch_size": 6}
    check_batch_sizes(sizes, num_replicas=2, num_accumulation_steps=3)
    with pytest.raises(HparamError, match="train_batch_size must be a multiple of 8, with 2 devices"):
        check_batch_sizes(sizes, num_replicas=2, num_accumulation_steps=4)
    with pytest.raises(HparamError, match="eval_batch_size must be a multiple of 4, with 4 devices"):
        check_batch_sizes(sizes, num_replicas=4, num_accumulation_steps=1)

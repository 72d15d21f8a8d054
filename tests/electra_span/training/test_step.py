"""Train and evaluation steps, around a linear model."""

from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span.training.optimizer import AdamW
from electra_span.training.step import LossScale, Update, make_evaluation_step, make_train_step, take_microbatch

B, NUM_FEATURES, NUM_OUTPUTS = 12, 5, 3


class Batch(NamedTuple):
    inputs: tf.Tensor  # float32 [B, NUM_FEATURES]
    targets: tf.Tensor  # float32 [B, NUM_OUTPUTS]
    weights: tf.Tensor  # float32 [B]


def _batch(seed=0, size=B):
    numbers = np.random.default_rng(seed)
    weights = numbers.integers(0, 3, size)  # parts of a batch have unequal sums of weights
    arrays = (numbers.standard_normal((size, NUM_FEATURES)), numbers.standard_normal((size, NUM_OUTPUTS)), weights)
    return Batch(*(tf.constant(array, tf.float32) for array in arrays))


class Linear:
    """A linear model with its optimizer: what there is to train."""

    def __init__(self, *, dropout_rate=0.0):
        numbers = np.random.default_rng(1)
        self.strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        self.dropout_rate = dropout_rate
        with self.strategy.scope():
            shapes = {"kernel": (NUM_FEATURES, NUM_OUTPUTS), "bias": (NUM_OUTPUTS,)}
            self.kernel, self.bias = (
                keras.Variable(numbers.standard_normal(shape).astype(np.float32), name=name)
                for name, shape in shapes.items()
            )
            self.variables = [self.kernel, self.bias]
            self.optimizer = AdamW(self.variables, weight_decay_rate=0.1)

    def loss(self, part, whole, seed, step):
        inputs = part.inputs
        if self.dropout_rate:
            kept = tf.random.stateless_uniform(tf.shape(inputs), seed) >= self.dropout_rate
            inputs *= tf.cast(kept, tf.float32)
        errors = tf.square(tf.matmul(inputs, self.kernel) + self.bias - part.targets)
        squares = tf.reduce_sum(tf.reduce_mean(errors, axis=1) * part.weights)
        return squares / tf.reduce_sum(whole.weights), {"squares": squares, "weight": tf.reduce_sum(part.weights)}

    def train_step(self, **options):
        settings = {"learning_rate": lambda step: tf.constant(0.1), "seed": 7, **options}
        return make_train_step([Update(self.loss, self.variables, self.optimizer)], strategy=self.strategy, **settings)

    def values(self):
        slots = (*self.optimizer.first_moments.values(), *self.optimizer.second_moments.values())
        return [variable.numpy() for variable in (*self.variables, *slots)]


def _assert_equal(values, others, **tolerance):
    for value, other in zip(values, others, strict=True):
        np.testing.assert_allclose(value, other, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


def _run(model, num_steps=4, **options):
    """Returns the sums of some steps."""
    train_step = model.train_step(**options)
    results = [train_step(_batch(step), tf.constant(step, tf.int64)) for step in range(num_steps)]
    return [{name: float(value) for name, value in result.sums.items()} for result in results]


def test_a_step_updates_with_the_clipped_gradient_of_the_whole_batch():
    model, batch = Linear(), _batch()
    with tf.GradientTape() as tape:
        loss, _ = model.loss(batch, batch, None, 0)
    gradients = tape.gradient(loss, [variable.value for variable in model.variables])
    norm = float(tf.linalg.global_norm(gradients))
    assert norm > 1  # or nothing is clipped

    result = model.train_step(clip_norm=0.5)(batch, tf.constant(0, tf.int64))
    expected = Linear()
    expected.optimizer.apply([gradient * 0.5 / norm for gradient in gradients], tf.constant(0.1))
    _assert_equal(model.values(), expected.values())
    assert bool(result.is_finite)
    sums = {name: float(value) for name, value in result.sums.items()}
    assert sums == pytest.approx(
        {"squares": float(loss * tf.reduce_sum(batch.weights)), "weight": float(tf.reduce_sum(batch.weights)),
         "gradient_norm": norm, "num_steps": 1.0}
    )  # fmt: skip


@pytest.mark.parametrize("num_accumulation_steps", [2, 3, 12])
def test_accumulated_parts_are_one_big_batch(num_accumulation_steps):
    whole, parts = Linear(), Linear()
    expected = _run(whole)
    sums = _run(parts, num_accumulation_steps=num_accumulation_steps)
    for step, numbers in enumerate(sums):
        assert numbers == pytest.approx(expected[step], rel=1e-5)
    _assert_equal(parts.values(), whole.values())


def test_a_compiled_step_is_the_plain_one():
    plain, compiled = Linear(), Linear()
    assert _run(compiled, compile_step=True)[-1] == pytest.approx(_run(plain)[-1], rel=1e-5)
    _assert_equal(compiled.values(), plain.values())


def test_dropout_follows_from_seed_and_step_and_differs_between_parts():
    def squares(num_steps=2, step=0, **options):
        model = Linear(dropout_rate=0.5)
        batch = Batch(*(tf.tile(field[:1], [B, *[1] * (len(field.shape) - 1)]) for field in _batch(3)))
        train_step = model.train_step(learning_rate=lambda step: tf.constant(0.0), **options)
        return float(train_step(batch, tf.constant(step, tf.int64)).sums["squares"])

    assert squares() == squares()
    assert len({squares(), squares(step=1), squares(seed=8)}) == 3
    halves = [squares(num_accumulation_steps=2), 2 * squares(num_accumulation_steps=12)]
    assert len(set(halves)) == 2


@pytest.mark.parametrize("spoiled", ["inputs", "targets"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_gradient_that_is_not_finite_changes_nothing(spoiled, value):
    model = Linear()
    train_step = model.train_step()
    train_step(_batch(), tf.constant(0, tf.int64))
    before = model.values()
    batch = _batch(1)
    weights = tf.ones_like(batch.weights)
    spoiled_field = tf.concat([getattr(batch, spoiled)[:-1], tf.fill([1, getattr(batch, spoiled).shape[1]], value)], 0)
    result = train_step(batch._replace(weights=weights, **{spoiled: spoiled_field}), tf.constant(1, tf.int64))
    assert not bool(result.is_finite)
    assert {name: float(number) for name, number in result.sums.items()} == dict.fromkeys(result.sums, 0.0)
    for value, other in zip(model.values(), before, strict=True):
        np.testing.assert_array_equal(value, other)


def test_a_reported_sum_that_is_not_finite_changes_nothing():
    model = Linear()
    loss = model.loss
    model.loss = lambda *arguments: (loss(*arguments)[0], {"logarithm": tf.math.log(0.0)})
    before = model.values()
    assert not bool(model.train_step()(_batch(), tf.constant(0, tf.int64)).is_finite)
    _assert_equal(model.values(), before, rtol=0, atol=0)


def test_the_loss_scale_does_not_change_the_update():
    plain, scaled = Linear(), Linear()
    expected = _run(plain)
    assert _run(scaled, loss_scale=LossScale())[-1] == pytest.approx(expected[-1], rel=1e-5)
    _assert_equal(scaled.values(), plain.values())


def test_the_loss_scale_is_halved_by_an_overflow_and_doubled_after_a_quiet_time():
    model, loss_scale = Linear(), LossScale(initial=2.0**15, steps_to_double=3)
    train_step = model.train_step(loss_scale=loss_scale)
    huge = _batch()._replace(inputs=tf.fill([B, NUM_FEATURES], 1e17))  # the gradient is finite before it is scaled
    scales = []
    for step, batch in enumerate([_batch(), _batch(), huge, *[_batch()] * 7, huge]):
        is_finite = bool(train_step(batch, tf.constant(step, tf.int64)).is_finite)
        assert is_finite == (batch is not huge)
        scales.append(float(loss_scale.value) / 2.0**15)
    assert scales == [1, 1, 0.5, 0.5, 0.5, 1, 1, 1, 2, 2, 1]


def test_the_loss_scale_stays_at_least_1():
    loss_scale = LossScale(initial=2.0)
    for _ in range(3):
        loss_scale.update(tf.constant(False))
    assert float(loss_scale.value) == 1.0


def test_evaluation_sums_over_the_batch():
    model, batch = Linear(), _batch()
    step = make_evaluation_step(lambda part: model.loss(part, part, None, 0)[1], strategy=model.strategy)
    expected = model.loss(batch, batch, None, 0)[1]
    assert {name: float(value) for name, value in step(batch).items()} == pytest.approx(
        {name: float(value) for name, value in expected.items()}
    )


@pytest.mark.parametrize("num_parts", [1, 3, 12])
def test_parts_are_all_rows_in_order_with_static_shapes(num_parts):
    batch = _batch()
    parts = [take_microbatch(batch, tf.constant(index), num_parts) for index in range(num_parts)]
    for name in Batch._fields:
        fields = [getattr(part, name) for part in parts]
        assert {field.shape[0] for field in fields} == {B // num_parts}
        np.testing.assert_array_equal(tf.concat(fields, axis=0), getattr(batch, name))

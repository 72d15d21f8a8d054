"""Values that change during training."""

import numpy as np
import pytest
import tensorflow as tf

from electra_span.schedules import value_at, values_of

RISE_AND_FALL = [[10, 0.2], [20, 0.6], [24, 0.4]]


def test_a_number_is_in_force_at_every_step():
    assert value_at(0.15, tf.constant(7)) == 0.15
    assert values_of(0.15) == [0.15]


@pytest.mark.parametrize("step", [0, 10, 11, 17, 20, 22, 24, 1000])
def test_a_line_is_straight_between_its_points_and_level_outside(step):
    value = tf.function(value_at)(RISE_AND_FALL, tf.constant(step, tf.int64))
    steps, values = np.transpose(RISE_AND_FALL)
    assert float(value) == pytest.approx(np.interp(step, steps, values), rel=1e-6)


def test_the_values_of_a_line_are_those_of_its_points():
    assert values_of(RISE_AND_FALL) == [0.2, 0.6, 0.4]

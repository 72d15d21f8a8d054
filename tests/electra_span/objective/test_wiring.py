"""Two models that fit ELECTRA's objective, and those that do not: what is refused before the first step."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span.objective.wiring import WiringError
from tests.tiny_keras_models import LENGTH, VOCAB_SIZE, tiny_convolution, tiny_electra, tiny_ids, tiny_mlp
from tests.tiny_models import MASK


class _Remembering(keras.Model):
    """A discriminator that reads what the generator computed."""

    def __init__(self, generator):
        super().__init__()
        self.states = lambda ids: generator(ids)
        self.dense = keras.layers.Dense(1)

    def call(self, ids):
        return self.dense(self.states(ids))


class _Fixed(keras.Model):
    """A model that learns nothing."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs_of_each = outputs

    def call(self, ids):
        x = tf.cast(ids, tf.float32)[:, :, None] - 5.5
        return x * tf.range(1.0, self.outputs_of_each + 1)


def _sharing_discriminator():
    generator = tiny_mlp(VOCAB_SIZE)
    return generator, _Remembering(keras.Model(generator.input, generator.get_layer("hidden").output))


@pytest.mark.parametrize(
    ("make", "options", "ids", "message"),
    [
        (lambda: (tiny_mlp(VOCAB_SIZE, activation="softmax"), tiny_mlp(1)), {}, {}, "the generator returns logits"),
        (lambda: (tiny_mlp(VOCAB_SIZE), tiny_mlp(1, activation="sigmoid")), {}, {}, "last activation is sigmoid"),
        (lambda: (tiny_mlp(VOCAB_SIZE), tiny_mlp(3)), {}, {}, r"\[B, L\] logits.*discriminator_layer"),
        (lambda: (tiny_mlp(7), tiny_mlp(1)), {"vocab_size": VOCAB_SIZE}, {}, f"static size {VOCAB_SIZE}. Received: 7"),
        (
            lambda: (tiny_mlp(7), tiny_mlp(1)),
            {"word_embeddings": np.ones([VOCAB_SIZE, 5])},
            {},
            "static size 5. Received: 7",
        ),
        (lambda: (tiny_mlp(MASK + 2), tiny_mlp(1)), {}, {}, f"from 0 to {MASK + 1}"),
        (
            lambda: (tiny_mlp(MASK), tiny_mlp(1)),
            {},
            {},
            f"mask_id is one of the generator's {MASK} ids. Received: {MASK}",
        ),
        (lambda: (tiny_mlp(VOCAB_SIZE), tiny_mlp(1)), {"pad_id": -1}, {}, "pad_id is one of"),
        (lambda: (tiny_mlp(VOCAB_SIZE), tiny_mlp(1)), {}, {"ids": tiny_ids()[0]}, r"input_ids are \[B, L\]"),
        (lambda: (tiny_mlp(VOCAB_SIZE), tiny_mlp(1)), {}, {"ids": tiny_ids() / 2}, "ids are integers"),
        (lambda: (tiny_mlp(VOCAB_SIZE), _Fixed(1)), {}, {}, "a gradient into the discriminator. Received: none"),
        (_sharing_discriminator, {}, {}, "no gradient into the generator's own weights. Received: one into"),
        (lambda: (keras.Sequential([tiny_mlp(9), keras.layers.Flatten()]), tiny_mlp(1)), {}, {}, r"\[B, L, V\] logits"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(make, options, ids, message):
    model = tiny_electra(*make(), **options)
    model.compile("adam")
    with pytest.raises(WiringError, match=message):
        model.check_wiring(ids.get("ids", tiny_ids()))
    if not ids:
        with pytest.raises(WiringError, match=message):
            model.fit(tiny_ids(), verbose=0)
        assert int(model.step) == 0


def test_a_generator_whose_loss_trains_nothing_is_refused_unless_it_is_frozen():
    class Detached(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = tiny_mlp(VOCAB_SIZE)

        def call(self, ids):
            return tf.stop_gradient(self.inner(ids))

    generator = Detached()
    with pytest.raises(WiringError, match=r"a gradient into the generator\. Received: none"):
        tiny_electra(generator).check_wiring(tiny_ids())
    generator.trainable = False
    tiny_electra(generator).check_wiring(tiny_ids())


def test_what_fits_raises_and_warns_nothing():
    zeros = tiny_mlp(1)
    zeros.get_layer("last").kernel.assign(tf.zeros([8, 1]))
    positive = tiny_mlp(1)
    positive.get_layer("last").kernel.assign(tf.zeros([8, 1]))
    positive.get_layer("last").bias.assign([0.4])
    subclassed = _Fixed(1)
    subclassed.layer = keras.layers.Embedding(VOCAB_SIZE, 1)
    subclassed.call = lambda ids: subclassed.layer(ids)
    nonnegative = tiny_mlp(VOCAB_SIZE)
    nonnegative.get_layer("last").kernel.assign(tf.zeros([8, VOCAB_SIZE]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for pair in (
            (None, zeros),
            (None, positive),
            (None, subclassed),
            (nonnegative, None),
            (None, tiny_convolution(1)),
        ):
            tiny_electra(*pair).check_wiring(tiny_ids())


def test_a_sigmoid_that_no_layer_shows_is_warned_of():
    class Hidden(keras.Model):
        def __init__(self):
            super().__init__()
            self.embedding = keras.layers.Embedding(VOCAB_SIZE, 1)

        def call(self, ids):
            return tf.sigmoid(self.embedding(ids))

    with pytest.warns(UserWarning, match="between 0 and 1"):
        tiny_electra(discriminator=Hidden()).check_wiring(tiny_ids())


def test_a_sigmoid_behind_other_layers_is_found():
    inner = tiny_mlp(1, activation="sigmoid")
    reshaped = keras.Model(inner.input, keras.layers.Reshape([LENGTH])(inner.output))
    as_operation = tiny_mlp(1)
    as_operation = keras.Model(as_operation.input, keras.ops.squeeze(keras.ops.sigmoid(as_operation.output), -1))
    nested = keras.Sequential([keras.Input([LENGTH], dtype="int32"), inner])
    for discriminator in (reshaped, as_operation, nested):
        with pytest.raises(WiringError, match="last activation is sigmoid"):
            tiny_electra(discriminator=discriminator).check_wiring(tiny_ids())


def test_a_layer_that_cannot_be_tapped_is_refused():
    embedding = keras.layers.Embedding(VOCAB_SIZE, 5, name="words")
    generator, discriminator = tiny_mlp(VOCAB_SIZE, embedding=embedding), tiny_mlp(1, embedding=embedding)
    with pytest.raises(WiringError, match=r"one of \[.*'hidden', 'last'\]. Received: 'hiden'"):
        tiny_electra(generator, discriminator, discriminator_layer="hiden")
    with pytest.raises(WiringError, match=r"needs a functional model.*Received: _Fixed"):
        tiny_electra(generator, _Fixed(1), discriminator_layer=0)
    with pytest.raises(WiringError, match="Received: 'words', which other models use too"):
        tiny_electra(generator, discriminator, discriminator_layer="words")


def test_several_outputs_are_refused_with_their_names():
    ids = keras.Input([LENGTH], dtype="int32")
    states = keras.layers.Embedding(VOCAB_SIZE, 6)(ids)
    backbone = keras.Model(ids, {"sequence_output": states, "pooled_output": states[:, 0]})
    with pytest.raises(WiringError, match=r"Received: \['(pooled|sequence)_output', .*keras.Model\("):
        tiny_electra(backbone).check_wiring(tiny_ids())


def test_a_model_whose_class_is_private_leaves_no_name_scope_open():
    with pytest.raises(WiringError, match="a gradient into the discriminator"):
        tiny_electra(discriminator=_Fixed(1)).check_wiring(tiny_ids())
    layer = keras.layers.Dense(2, name="alone")
    layer.build([None, 3])
    assert layer.kernel.path == "alone/kernel"

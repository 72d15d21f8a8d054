"""ELECTRA's objective around any two Keras models: what is computed, trained, reported and saved."""

import functools
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span import Electra
from electra_span.objective.corruption import corrupt_batch
from electra_span.objective.losses import LossWeights, joint_losses, masked_lm_losses
from electra_span.objective.masking import MaskingConfig
from pretrain.model import build_model
from tests.tiny_keras_models import LENGTH, PAD, VOCAB_SIZE, tiny_convolution, tiny_electra, tiny_ids, tiny_mlp
from tests.tiny_models import CLS, MASK, SEP, TINY, TINY_GENERATOR, randomize

GUIDE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "any_two_models.md"
REPORTED = {"loss", "mlm_loss", "disc_loss", "gen_acc", "disc_acc", "disc_auc"}


class _Reading(keras.Model):
    """One of our encoders' models, which reads ids and mask as two arguments, as a model of one input."""

    def __init__(self, model):
        super().__init__()
        self.model, self.built = model, True

    def call(self, inputs):
        return self.model(*inputs)


def _gradients(model, ids, name):
    """Whether the generator's ("mlm") or the discriminator's ("disc") loss changes each variable, by its id()."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(getattr(model.compute_losses(model(ids)), name))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    dense = [gradient is not None and bool(np.any(tf.convert_to_tensor(gradient) != 0)) for gradient in gradients]
    return dict(zip(map(id, model.trainable_variables), dense, strict=True))


def test_the_guides_example_has_30_lines_and_learns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert len([line for line in example.splitlines() if line.strip()]) <= 30
    namespace = {}
    keras.utils.set_random_seed(1)
    exec(example, namespace)
    history = namespace["history"].history
    assert set(history) == REPORTED
    for name in ("loss", "mlm_loss", "disc_loss"):
        assert history[name][-1] < 0.9 * history[name][0], name
    assert (tmp_path / "discriminator.keras").is_file()


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5, "disallow_correct": True, "gen_weight": 2.0}])
def test_losses_are_those_of_pretraining_on_the_same_batch(options):
    corrupt = functools.partial(corrupt_batch, disallow_correct=options.get("disallow_correct", False))
    ours = build_model(TINY, TINY_GENERATOR, corrupt=corrupt, temperature=options.get("temperature"))
    randomize(ours)
    model = tiny_electra(
        _Reading(ours.generator),
        _Reading(ours.discriminator),
        generator_inputs=lambda ids, mask: (ids, mask),
        discriminator_inputs=lambda ids, mask: (ids, mask),
        **options,
    )
    outputs = model(tiny_ids())
    losses = model.compute_losses(outputs)
    weights = LossWeights(gen=options.get("gen_weight", 1.0), disc=50.0)
    expected = joint_losses(ours(outputs.batch), outputs.batch, outputs.batch, weights=weights)
    np.testing.assert_allclose(losses.total, expected.total, rtol=1e-6)
    used = outputs.batch.masked_lm_weights.numpy() > 0
    np.testing.assert_allclose(losses.mlm[used], expected.mlm[used], rtol=1e-5)
    tokens = outputs.batch.input_mask.numpy() > 0
    np.testing.assert_allclose(losses.disc[tokens], expected.disc[tokens], rtol=1e-5, atol=1e-6)


def test_hidden_states_and_a_table_equal_logits():
    hidden = tiny_mlp(7)
    table, bias = keras.Variable(np.random.default_rng(1).normal(size=(VOCAB_SIZE, 7))), np.arange(VOCAB_SIZE) / 10
    scores = keras.layers.Dense(VOCAB_SIZE)
    scores.build([None, 7])
    scores.set_weights([np.transpose(table), bias])
    discriminator = tiny_mlp(1)
    of_states = tiny_electra(hidden, discriminator, word_embeddings=table, output_bias=bias)(tiny_ids())
    of_logits = tiny_electra(keras.Model(hidden.input, scores(hidden.output)), discriminator)(tiny_ids())
    np.testing.assert_allclose(of_states.predictions.mlm_logits, of_logits.predictions.mlm_logits, atol=1e-5)
    np.testing.assert_array_equal(
        of_states.predictions.detection.corruption.sampled_ids, of_logits.predictions.detection.corruption.sampled_ids
    )


def test_with_a_table_logits_are_formed_at_masked_positions_only():
    model = tiny_electra(tiny_mlp(5), word_embeddings=np.ones([VOCAB_SIZE, 5], np.float32))
    graph = tf.function(model).get_concrete_function(tf.TensorSpec([6, LENGTH], tf.int32)).graph
    most = max(tensor.shape.num_elements() or 0 for node in graph.get_operations() for tensor in node.outputs)
    num_slots = round(0.3 * LENGTH)
    assert 6 * num_slots * VOCAB_SIZE <= most < 6 * LENGTH * VOCAB_SIZE


def test_a_tables_variables_are_trained():
    table = keras.Variable(np.random.default_rng(1).normal(size=(VOCAB_SIZE, 5)), name="table")
    bias = keras.Variable(np.zeros(VOCAB_SIZE), name="bias")
    model = tiny_electra(tiny_mlp(5), word_embeddings=table, output_bias=bias)
    model.check_wiring(tiny_ids())
    gradients = _gradients(model, tiny_ids(), "mlm")
    assert gradients[id(table)]
    assert gradients[id(bias)]


def test_one_embedding_layer_in_both_models_is_trained_by_both_losses():
    embedding = keras.layers.Embedding(VOCAB_SIZE, 5, name="words")
    generator, discriminator = tiny_mlp(5, embedding=embedding), tiny_mlp(1, embedding=embedding)
    model = tiny_electra(generator, discriminator, word_embeddings=embedding)
    model.check_wiring(tiny_ids())
    num_variables = len(generator.trainable_variables) + len(discriminator.trainable_variables)
    assert len(model.trainable_variables) == num_variables - 1
    table = id(embedding.embeddings)
    assert _gradients(model, tiny_ids(), "mlm")[table]
    assert _gradients(model, tiny_ids(), "disc")[table]


@pytest.mark.parametrize("layer", ["hidden", -2])
def test_a_named_layer_of_the_discriminator_gets_a_head(layer):
    discriminator = tiny_mlp(3)  # its own outputs are no logits
    model = tiny_electra(discriminator=discriminator, discriminator_layer=layer)
    model.check_wiring(tiny_ids())
    states = keras.Model(discriminator.input, discriminator.get_layer("hidden").output)(tiny_ids())
    np.testing.assert_allclose(
        model.discriminate(tiny_ids()), (states @ model.head.kernel + model.head.bias)[..., 0], rtol=1e-5, atol=1e-6
    )
    gradients = _gradients(model, tiny_ids(), "disc")
    assert gradients[id(model.head.kernel)]
    assert gradients[id(discriminator.get_layer("hidden").kernel)]
    assert id(discriminator.get_layer("last").kernel) not in gradients


def test_models_of_other_inputs_get_what_is_made_of_ids_and_mask():
    """The inputs of a keras_hub backbone, whose states depend on the mask."""

    def backbone(outputs):
        inputs = {name: keras.Input([None], dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
        x = keras.layers.Embedding(VOCAB_SIZE, 6)(inputs["token_ids"])
        mask = keras.ops.expand_dims(keras.ops.cast(inputs["padding_mask"], "float32"), -1)
        x = x + keras.ops.sum(x * mask, axis=1, keepdims=True)
        return keras.Model(inputs, keras.layers.Dense(outputs)(x))

    def inputs(ids, mask):
        return {"token_ids": ids, "padding_mask": mask}

    discriminator = backbone(1)
    model = tiny_electra(backbone(VOCAB_SIZE), discriminator, generator_inputs=inputs, discriminator_inputs=inputs)
    model.compile("adam")
    assert set(model.fit(tiny_ids(), verbose=0).history) == REPORTED
    expected = discriminator(inputs(tiny_ids(), tiny_ids() != PAD))[..., 0]
    np.testing.assert_allclose(model.predict(tiny_ids(), verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_fit_trains_both_models_and_reports_means_without_padding():
    ids = tiny_ids(num_rows=24)
    model = tiny_electra(tiny_convolution(VOCAB_SIZE), tiny_convolution(1))
    model.compile(keras.optimizers.SGD(0.0))
    reported = model.evaluate(ids, batch_size=8, return_dict=True, verbose=0)
    assert set(reported) == REPORTED
    totals = dict.fromkeys(("mlm", "hits", "disc"), 0.0)
    masked, tokens, by_class = 0, 0, np.zeros([2, 2])
    for rows in np.split(ids, 3):
        batch, predictions = model(rows, training=False)
        weights, mask = batch.masked_lm_weights.numpy(), batch.input_mask.numpy() > 0
        logits, replaced = predictions.detection.logits.numpy(), predictions.detection.corruption.is_replaced.numpy()
        mlm = masked_lm_losses(predictions.mlm_logits, batch.masked_lm_ids)
        totals["mlm"] += np.sum(weights * mlm)
        totals["hits"] += np.sum(weights * (np.argmax(predictions.mlm_logits, axis=-1) == batch.masked_lm_ids))
        totals["disc"] += np.sum(np.where(replaced, np.logaddexp(0, -logits), np.logaddexp(0, logits))[mask])
        masked, tokens = masked + weights.sum(), tokens + mask.sum()
        for kind in (0, 1):
            of_kind = mask & (replaced == kind)
            by_class[kind] += np.sum(of_kind), np.sum(of_kind & ((logits > 0) == kind))
    np.testing.assert_allclose(reported["mlm_loss"], totals["mlm"] / masked, rtol=1e-5)
    np.testing.assert_allclose(reported["gen_acc"], totals["hits"] / masked, rtol=1e-5)
    np.testing.assert_allclose(reported["disc_loss"], totals["disc"] / tokens, rtol=1e-5)
    np.testing.assert_allclose(reported["disc_acc"], np.mean(by_class[:, 1] / by_class[:, 0]), rtol=1e-5)
    assert abs(reported["loss"] - reported["mlm_loss"] - 50 * reported["disc_loss"]) < 0.5


def test_two_tiny_models_overfit_a_few_rows():
    keras.utils.set_random_seed(3)
    ids = tiny_ids(num_rows=32)
    model = tiny_electra(tiny_convolution(VOCAB_SIZE), tiny_convolution(1))
    model.compile(keras.optimizers.Adam(0.02))
    before = model.evaluate(ids, return_dict=True, verbose=0)
    model.fit(np.tile(ids, [300, 1]), verbose=0)
    after = model.evaluate(ids, return_dict=True, verbose=0)
    assert after["gen_acc"] > before["gen_acc"] + 0.2
    assert before["disc_auc"] < 0.65 < 0.75 < after["disc_auc"]
    assert after["disc_acc"] > 0.55


def test_masks_differ_from_step_to_step_and_stay_in_evaluation():
    model, ids = tiny_electra(), tiny_ids()

    def masked(training):
        return model(ids, training=training).batch.masked_lm_positions.numpy()

    assert np.any(masked(True) != masked(True))
    assert int(model.step) == 2
    first = masked(False)
    masked(True)
    np.testing.assert_array_equal(masked(False), first)
    np.testing.assert_array_equal(tiny_electra()(ids).batch.masked_lm_positions, first)
    assert np.any(tiny_electra(seed=1)(ids).batch.masked_lm_positions != first)


def test_masks_spare_special_ids_and_padding():
    model = tiny_electra(mask_prob=1.0, replace_probs=(0.5, 0.5, 0.0), vocab_size=VOCAB_SIZE)
    ids = tiny_ids(num_rows=40)
    batch = model(ids).batch
    changed = batch.masked_input_ids.numpy() != ids
    assert not np.any(changed & np.isin(ids, [PAD, CLS, SEP]))
    written = batch.masked_input_ids.numpy()[changed]
    assert np.any(written == MASK)
    assert np.any(written != MASK)
    assert not np.any(np.isin(written, [PAD, CLS, SEP]))


def test_the_number_of_masked_positions_follows_the_length_or_is_given():
    assert tiny_electra()(tiny_ids()).batch.masked_lm_ids.shape[1] == 3
    assert tiny_electra(max_predictions_per_seq=2)(tiny_ids()).batch.masked_lm_ids.shape[1] == 2
    assert tiny_electra(max_predictions_per_seq=99)(tiny_ids()).batch.masked_lm_ids.shape[1] == LENGTH


def test_spans_are_masked_by_a_masking_of_its_own():
    masking = MaskingConfig(
        mask_prob=0.4, max_predictions_per_seq=4, mask_id=MASK, special_ids=(PAD, CLS, SEP, MASK), masking="span"
    )
    model = Electra(tiny_mlp(VOCAB_SIZE), tiny_mlp(1), mask_id=MASK, pad_id=PAD, masking=masking)
    assert np.any(model(tiny_ids(num_rows=30)).batch.span_offset > 0)
    model.compile("adam", jit_compile="auto")
    assert not model.jit_compile
    model.fit(tiny_ids(), verbose=0)


def test_a_loop_of_ones_own_trains():
    model, ids, optimizer = tiny_electra(), tf.constant(tiny_ids(num_rows=16)), keras.optimizers.Adam(0.02)
    model.check_wiring(ids)

    @tf.function
    def step(ids):
        with tf.GradientTape() as tape:
            losses = model.compute_losses(model(ids, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(losses.total, model.trainable_variables), model.trainable_variables, strict=True)
        )
        return losses.total

    totals = [float(step(ids)) for _ in range(40)]
    assert np.mean(totals[-5:]) < 0.9 * np.mean(totals[:5])


def test_saved_weights_go_on_where_training_stopped(tmp_path):
    def make():
        model = tiny_electra(
            tiny_mlp(5), discriminator_layer="hidden", word_embeddings=keras.Variable(np.ones([VOCAB_SIZE, 5]))
        )
        model.compile(keras.optimizers.SGD(0.01))
        model.train_on_batch(tiny_ids())
        return model

    model, restored = make(), make()
    model.fit(tiny_ids(), batch_size=2, epochs=2, verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    restored.load_weights(tmp_path / "m.weights.h5")
    assert int(restored.step) == 7
    for other in (model, restored):
        other.fit(tiny_ids(seed=1), batch_size=2, shuffle=False, verbose=0)
    for ours, theirs in zip(model.variables, restored.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def test_losses_that_layers_add_count():
    model = tiny_electra(discriminator=tiny_mlp(1, regularizer=keras.regularizers.L2(3.0)))
    outputs = model(tiny_ids())
    added = 3.0 * tf.reduce_sum(tf.square(model.discriminator.get_layer("hidden").kernel.value))
    assert added > 1
    expected = model.compute_losses(outputs).total + added
    np.testing.assert_allclose(model.compute_loss(y_pred=outputs), expected, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_logits_and_losses_in_float32(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = tiny_electra(
            tiny_mlp(5), word_embeddings=keras.layers.Embedding(VOCAB_SIZE, 5), discriminator_layer="hidden"
        )
        model.word_embeddings.build()
        model.compile("adam")
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
        history = model.fit(tiny_ids(), verbose=0).history
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(history["loss"][0])
    predictions = model(tiny_ids()).predictions
    assert predictions.mlm_logits.dtype == predictions.detection.logits.dtype == tf.float32


def test_compiled_by_xla_it_trains():
    model = tiny_electra()
    model.compile(keras.optimizers.SGD(0.05), jit_compile=True)
    history = model.fit(tiny_ids(), epochs=30, verbose=0).history["loss"]
    assert model.jit_compile
    assert history[-1] < 0.9 * history[0]


# Rows of 11 tokens go to one replica, of 6 to the other: the mean of the replicas' means is not that of the batch.
ON_REPLICAS = """
import keras, numpy as np, tensorflow as tf
from tests.tiny_keras_models import tiny_electra
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = tiny_electra()
    model.compile(keras.optimizers.SGD(0.1))
ids = np.full([6, 11], 7)
ids[3:, 6:] = 0
reported = model.fit(ids, batch_size=6, shuffle=False, verbose=0).history
print(keras.ops.convert_to_numpy(model.step), *[reported[name][0] for name in ("loss", "mlm_loss", "disc_loss")])
"""


def test_losses_are_means_over_all_replicas():
    command = [sys.executable, "-c", ON_REPLICAS]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=GUIDE.parents[1])
    step, loss, mlm_loss, disc_loss = map(float, done.stdout.split())
    assert step == 1
    np.testing.assert_allclose(loss, mlm_loss + 50 * disc_loss, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_prob": 0.0}, "mask_prob is above 0"),
        ({"replace_probs": (0.5, 0.2, 0.2)}, "sum to 1"),
        ({"replace_probs": (0.8, 0.1, 0.1)}, "vocab_size must be given"),
        ({"output_bias": np.zeros(3)}, "output_bias goes with word_embeddings"),
        (
            {"masking": MaskingConfig(mask_prob=0.1, max_predictions_per_seq=2, mask_id=MASK, special_ids=())},
            "masking is given alone.*Received: special_ids, mask_prob",
        ),
        (
            {
                "masking": MaskingConfig(mask_prob=0.1, max_predictions_per_seq=2, mask_id=1, special_ids=()),
                "special_ids": None,
                "mask_prob": None,
            },
            f"mask_id is that of masking, 1. Received: {MASK}",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny_electra(**options)


def test_ids_of_unknown_length_are_refused():
    ids = keras.Input([None], dtype="int32")
    models = [keras.Model(ids, keras.layers.Embedding(VOCAB_SIZE, size)(ids)) for size in (VOCAB_SIZE, 1)]
    with pytest.raises(ValueError, match="ids have a static length"):
        tf.function(tiny_electra(*models)).get_concrete_function(tf.TensorSpec([None, None], tf.int32))
    tf.function(tiny_electra(*models)).get_concrete_function(tf.TensorSpec([None, 9], tf.int32))

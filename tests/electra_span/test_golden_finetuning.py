"""Models for tasks against recorded runs of the original's fine-tuning graph."""

import numpy as np
import pytest
import tensorflow as tf

from tests.golden_finetuning import MODES, TRAINING_MODES, read_tasks, tf1_gradients

ENCODERS = [{}, {"compile_kernels": True, "skips_padding": True}]


def _read(golden, name, **options):
    folder = golden(f"tf1_finetune/{name}")
    if not folder.is_dir():
        pytest.skip(f"the recorded mode {name!r} is not here")
    return folder, read_tasks(folder, **options)


def _assert_logits(actual, expected):
    """Asserts equality to 2e-5, or to one unit of the last place where 1000 was subtracted."""
    np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=2e-5)


@pytest.mark.parametrize("options", ENCODERS)
def test_many_heads_of_one_encoder_equal_the_originals(golden, options):
    _, recorded = _read(golden, "multitask", **options)
    model, expected, _ = recorded
    logits = model(**recorded.inputs())
    for task in ("cola", "mnli"):
        np.testing.assert_allclose(logits[task], expected[f"{task}/logits"], atol=2e-5)
    np.testing.assert_allclose(logits["sts"], expected["sts/predictions"], atol=2e-5)
    states = model.encoder(**recorded.inputs())
    at_words = model.heads["chunk"](states, expected["in/chunk_labeled_positions"])
    np.testing.assert_allclose(at_words, expected["chunk/logits"], atol=2e-5)
    of_words = tf.gather(logits["chunk"], expected["in/chunk_labeled_positions"], batch_dims=1)
    np.testing.assert_allclose(of_words, expected["chunk/logits"], atol=2e-5)


@pytest.mark.parametrize("options", ENCODERS)
@pytest.mark.parametrize("name", MODES)
def test_best_spans_equal_the_originals(golden, name, options):
    _, recorded = _read(golden, name, **options)
    (task,) = recorded.model.heads
    found = _best_spans(recorded)
    expected = recorded.tensors
    # An encoder that skips padding has no states there.
    compared = (expected["in/input_mask"] == 1) | (not options)
    _assert_logits(found.start_logits[compared], expected[f"{task}/start_logits"][compared])
    for output in ("start_top_log_probs", "end_top_log_probs"):
        _assert_logits(getattr(found, output), expected[f"{task}/{output}"])
        index = output.replace("log_probs", "index")
        np.testing.assert_array_equal(getattr(found, index), expected[f"{task}/{index}"])
    if found.answerable_logit is None:
        assert name == "squadv1_plain"
    else:
        _assert_logits(found.answerable_logit, expected[f"{task}/answerable_logit"])
    if found.end_logits is None:  # the original has zeros then
        assert "joint" in name
    else:
        _assert_logits(found.end_logits[compared], expected[f"{task}/end_logits"][compared])


def _best_spans(recorded):
    (head,) = recorded.model.heads.values()
    inputs = recorded.inputs()
    states = recorded.model.encoder(**inputs)
    return head.best_spans(states, inputs["segment_ids"], inputs["input_mask"], recorded.beam_size)


def _training_logits(recorded):
    (head,) = recorded.model.heads.values()
    inputs = recorded.inputs()
    starts = tf.constant(recorded.tensors["in/squad_start_positions"], tf.int32)
    return head(recorded.model.encoder(**inputs), inputs["segment_ids"], inputs["input_mask"], starts)


@pytest.mark.parametrize("name", TRAINING_MODES)
def test_logits_given_the_true_start_equal_the_originals(golden, name):
    _, recorded = _read(golden, name)
    logits, expected = _training_logits(recorded), recorded.tensors
    _assert_logits(logits.start, expected["squad/start_logits"])
    _assert_logits(logits.end, expected["squad/end_logits"])
    _assert_logits(logits.answerable, expected["squad/answerable_logit"])
    starts = _best_spans(recorded)
    _assert_logits(starts.start_top_log_probs, expected["squad/start_top_log_probs"])
    np.testing.assert_array_equal(starts.start_top_index, expected["squad/start_top_index"])


def _losses_of_questions(logits, expected):
    """The original's loss of each window: half of start's and end's, and half of answerability's."""
    losses = 0.5 * tf.nn.sigmoid_cross_entropy_with_logits(
        tf.constant(expected["in/squad_is_impossible"], tf.float32), logits.answerable
    )
    for kind in ("start", "end"):
        positions = expected[f"in/squad_{kind}_positions"]
        losses += 0.5 * tf.nn.sparse_softmax_cross_entropy_with_logits(positions, getattr(logits, kind))
    return losses


@pytest.mark.parametrize("options", ENCODERS)
@pytest.mark.parametrize("name", TRAINING_MODES)
def test_losses_and_gradients_of_questions_equal_the_originals(golden, name, options):
    folder, recorded = _read(golden, name, **options)
    with tf.GradientTape() as tape:
        losses = _losses_of_questions(_training_logits(recorded), recorded.tensors)
        loss = tf.reduce_sum(losses)
    np.testing.assert_allclose(losses, recorded.tensors["squad/loss"], rtol=2e-6)
    np.testing.assert_allclose(loss, recorded.tensors["loss"], rtol=1e-6)
    _assert_gradients(tape, loss, recorded.model, folder)


def test_losses_and_gradients_of_many_tasks_equal_the_originals(golden):
    folder, recorded = _read(golden, "multitask")
    with tf.GradientTape() as tape:
        losses = _losses_of_tasks(recorded)
        loss = tf.reduce_sum([losses[task][row] for row, task in enumerate(recorded.model.heads)])
    for task, of_rows in losses.items():
        np.testing.assert_allclose(of_rows, recorded.tensors[f"{task}/loss"], rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(loss, recorded.tensors["loss"], rtol=1e-6)
    _assert_gradients(tape, loss, recorded.model, folder)


def _losses_of_tasks(recorded):
    """The original's loss of each row by task; of tags it is the sum over words."""
    expected, logits = recorded.tensors, recorded.model(**recorded.inputs())
    losses = {
        task: tf.nn.sparse_softmax_cross_entropy_with_logits(expected[f"in/{task}_label_ids"], logits[task])
        for task in ("cola", "mnli")
    }
    losses["sts"] = tf.square(logits["sts"] - expected["in/sts_targets"])
    of_words = tf.gather(logits["chunk"], expected["in/chunk_labeled_positions"], batch_dims=1)
    of_words = tf.nn.sparse_softmax_cross_entropy_with_logits(expected["in/chunk_labels"], of_words)
    losses["chunk"] = tf.reduce_sum(of_words * expected["in/chunk_labels_mask"], axis=1)
    return losses


def _assert_gradients(tape, loss, model, folder):
    variables = model.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    expected = tf1_gradients(model, dict(np.load(folder / "grads.npz")))
    assert any("embeddings" in path for path in expected)
    of_heads = {variable.path for head in model.heads.values() for variable in head.trainable_variables}
    assert of_heads <= set(expected)
    for variable, gradient in zip(variables, gradients, strict=True):
        if variable.path in expected:
            recorded = expected[variable.path]
            atol = 2e-5 * max(1.0, np.abs(recorded).max())
            np.testing.assert_allclose(
                tf.convert_to_tensor(gradient), recorded, rtol=0, atol=atol, err_msg=variable.path
            )

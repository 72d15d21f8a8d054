"""Models for tasks: what their heads return, under which circumstances, and how their variables are called."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import HparamError
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraTaskModel
from electra_span.published.names import names_of, relative_path
from electra_span.training.optimizer import layerwise_rate
from tests.tiny_models import TINY, randomize

IDS = np.array([[2, 7, 36, 3, 9, 10, 3], [2, 30, 3, 11, 3, 0, 0]], np.int32)
MASK = (IDS > 0).astype(np.int32)
SEGMENTS = np.array([[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]], np.int32)
ALLOWED = np.array([[1, 0, 0, 0, 1, 1, 1], [1, 0, 0, 1, 1, 0, 0]], bool)
INPUTS = {"input_ids": IDS, "input_mask": MASK, "segment_ids": SEGMENTS}

LABELS = HeadConfig(task="labels", kind="classification", labels=("a", "b", "c"))
SCORE = HeadConfig(task="score", kind="regression")
TAGS = HeadConfig(task="tags", kind="tagging", labels=("O", "B", "I", "E", "S"))
JOINT = HeadConfig(task="joint", kind="questions")
BY_FIRST = HeadConfig(task="by_first", kind="questions", answerable_uses_start_logits=False)
APART = HeadConfig(task="apart", kind="questions", joint_prediction=False)
PLAIN = HeadConfig(task="plain", kind="questions", joint_prediction=False, answerable_classifier=False)
DENSE = dataclasses.replace(LABELS, task="dense", classifier="dense")
HEADS = (LABELS, SCORE, TAGS, JOINT, BY_FIRST, APART, PLAIN, DENSE)
QUESTIONS = (JOINT, BY_FIRST, APART, PLAIN)


def _model(*heads, dtype="float32", **options):
    model = ElectraTaskModel(ElectraEncoder(TINY, name="electra", dtype=dtype, **options), heads, dtype=dtype)
    randomize(model)
    return model


def _best_spans(model, head, inputs, beam_size):
    states = model.encoder(**inputs)
    return model.heads[head.task].best_spans(states, inputs["segment_ids"], inputs["input_mask"], beam_size)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_logits_are_float32_of_the_documented_shapes_under_any_precision(dtype):
    model = _model(*HEADS, dtype=dtype)
    logits = model(**INPUTS)
    assert list(logits) == [head.task for head in HEADS]
    for head, shape in ((LABELS, (2, 3)), (DENSE, (2, 3)), (SCORE, (2,)), (TAGS, (2, 7, 5))):
        assert (logits[head.task].shape, logits[head.task].dtype) == (shape, tf.float32)
    for head in QUESTIONS:
        assert _shapes(logits[head.task]) == [
            (2, 7), None if head.joint_prediction else (2, 7), (2,) if head.answerable_classifier else None
        ]  # fmt: skip
        beams = [(2, 4), (2, 4), (2, 4, 4), (2, 4, 4)]
        assert _shapes(_best_spans(model, head, INPUTS, 4)) == [*beams, *_shapes(logits[head.task])]


def _shapes(tensors):
    assert all(tensor.dtype in (tf.float32, tf.int32) for tensor in tensors if tensor is not None)
    return [None if tensor is None else tuple(tensor.shape) for tensor in tensors]


def test_mask_and_segments_may_be_left_out():
    model = _model(LABELS, JOINT)
    logits = model(input_ids=IDS)
    whole = model(input_ids=IDS, input_mask=np.ones_like(IDS), segment_ids=np.zeros_like(IDS))
    np.testing.assert_array_equal(logits["labels"], whole["labels"])
    np.testing.assert_array_equal(logits["joint"].start, whole["joint"].start)


def test_tags_at_positions_are_those_of_the_tokens_there():
    model = _model(TAGS)
    positions = np.array([[1, 4, 5], [3, 1, 0]])
    at_positions = model.heads["tags"](model.encoder(**INPUTS), positions)
    of_tokens = np.take_along_axis(model(**INPUTS)["tags"].numpy(), positions[:, :, None], axis=1)
    np.testing.assert_allclose(at_positions, of_tokens, rtol=1e-6)


@pytest.mark.parametrize("head", QUESTIONS, ids=lambda head: head.task)
def test_answers_are_in_the_second_segment_or_at_position_0(head):
    model = _model(head)
    states = model.encoder(**INPUTS)
    layer = model.heads[head.task]
    logits = layer(states, SEGMENTS, MASK, start_positions=np.array([4, 0]))
    raw = layer.position_logits(states)
    assert len(raw) == (1 if head.joint_prediction else 2)
    np.testing.assert_allclose(logits.start, raw[0] + np.where(ALLOWED, 0.0, -1000.0), rtol=1e-6)
    assert np.array_equal(logits.end > -500, ALLOWED)


def test_position_0_is_allowed_once_where_all_is_one_segment():
    model = _model(APART)
    states, layer = model.encoder(**INPUTS), model.heads["apart"]
    logits = layer(states, np.ones_like(SEGMENTS), MASK)
    np.testing.assert_array_equal(logits.start[0], layer.position_logits(states)[0][0])


@pytest.mark.parametrize("head", [JOINT, BY_FIRST], ids=lambda head: head.task)
def test_a_beam_holds_the_best_starts_and_the_best_ends_for_each(head):
    model = _model(head)
    spans = _best_spans(model, head, INPUTS, 2)
    states, layer = model.encoder(**INPUTS), model.heads[head.task]
    for rank in range(2):
        starts = spans.start_top_index[:, rank]
        logits = layer(states, SEGMENTS, MASK, start_positions=starts)
        log_probs = tf.nn.log_softmax(logits.start).numpy()
        np.testing.assert_allclose(spans.start_top_log_probs[:, rank], np.sort(log_probs)[:, -1 - rank], rtol=1e-5)
        ends = tf.nn.log_softmax(logits.end).numpy()
        np.testing.assert_array_equal(spans.end_top_index[:, rank], np.argsort(-ends)[:, :2])
        np.testing.assert_allclose(spans.end_top_log_probs[:, rank], -np.sort(-ends)[:, :2], rtol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.05)])
def test_a_beam_of_compiled_kernels_is_the_same(dtype, tolerance):
    plain, compiled = (_model(JOINT, dtype=dtype, compile_kernels=compiles) for compiles in (False, True))
    states = plain.encoder(**INPUTS)
    wanted, found = (model.heads["joint"].best_spans(states, SEGMENTS, MASK, 7) for model in (plain, compiled))
    np.testing.assert_allclose(found.start_top_log_probs, wanted.start_top_log_probs, atol=1e-5)
    np.testing.assert_allclose(_by_position(found), _by_position(wanted), atol=tolerance)
    assert not np.array_equal(found.end_top_log_probs, wanted.end_top_log_probs)  # by another formula


def _by_position(spans):
    """Returns the log-probabilities of ends in the order of their positions, which all are in the beam."""
    return np.take_along_axis(spans.end_top_log_probs.numpy(), np.argsort(spans.end_top_index, axis=-1), axis=-1)


def test_a_beam_longer_than_the_rows_is_filled_up_at_position_0():
    model = _model(JOINT)
    long, short = (_best_spans(model, JOINT, INPUTS, size) for size in (9, 7))
    assert _shapes(long)[:4] == [(2, 9), (2, 9), (2, 9, 9), (2, 9, 9)]
    for name in ("start_top_log_probs", "end_top_log_probs"):
        np.testing.assert_allclose(getattr(long, name)[..., 7:], -1e30)
    for name in ("start_top_index", "end_top_index"):
        np.testing.assert_array_equal(getattr(long, name)[..., 7:], 0)
    np.testing.assert_allclose(long.start_top_log_probs[:, :7], short.start_top_log_probs, rtol=1e-6)
    np.testing.assert_array_equal(long.end_top_index[:, :7, :7], short.end_top_index)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("head", [JOINT, APART], ids=lambda head: head.task)
def test_graphs_of_rows_of_any_length_compiled_or_not_say_the_same(head, jit_compile):
    model = _model(head, LABELS, TAGS)
    specs = {name: tf.TensorSpec([None, None], tf.int32) for name in INPUTS}

    @tf.function(jit_compile=jit_compile, input_signature=[specs], autograph=False)
    def predict(inputs):
        states = model.encoder(**inputs)
        beam = model.heads[head.task].best_spans(states, inputs["segment_ids"], inputs["input_mask"], 6)
        return beam, model(**inputs)

    for length in (7, 5):
        inputs = {name: tf.constant(value[:, :length]) for name, value in INPUTS.items()}
        expected = tf.nest.flatten([_best_spans(model, head, inputs, 6), model(**inputs)])
        for found, wanted in zip(tf.nest.flatten(predict(inputs)), expected, strict=True):
            if wanted is not None:
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", QUESTIONS, ids=lambda head: head.task)
def test_an_encoder_that_skips_padding_gives_the_same_answers(head):
    plain, skipping = (_model(head, skips_padding=skips) for skips in (False, True))
    for found, wanted in zip(*(_best_spans(model, head, INPUTS, 3) for model in (skipping, plain)), strict=True):
        if wanted is not None and wanted.shape[1:] == (7,):
            np.testing.assert_allclose(found[MASK == 1], wanted[MASK == 1], rtol=1e-5, atol=1e-5)
            assert np.all(found[MASK == 0] < -500)
        elif wanted is not None:
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", [LABELS, SCORE, DENSE], ids=lambda head: head.task)
def test_dropout_is_drawn_from_its_seed_at_the_encoders_rate(head):
    layer, states = _model(head).heads[head.task], tf.ones([4000, 1, TINY.hidden_size])
    first, again, other = (layer(states, dropout_seed=tf.constant(seed)) for seed in ([1, 2], [1, 2], [3, 4]))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    without = layer(states)
    assert np.ptp(without, axis=0).max() < 1e-5
    if head.classifier == "linear":
        kernel = layer.prediction.kernel.numpy()
        rate = TINY.hidden_dropout_prob
        deviation = np.sqrt(np.sum(kernel**2, axis=0) * rate / (1 - rate))
        np.testing.assert_allclose(np.std(first, axis=0), deviation, rtol=0.06)
        np.testing.assert_allclose(np.mean(first, axis=0), without[0], atol=5 * deviation.max() / math.sqrt(4000))


def test_variables_have_paths_of_their_own_and_the_learning_rate_of_heads():
    heads = [
        dataclasses.replace(TAGS, task="layer_1"), dataclasses.replace(JOINT, task="embeddings"), DENSE, APART
    ]  # fmt: skip
    with keras.name_scope("left_open"):
        model = _model(*heads)
    paths = [variable.path for variable in model.variables]
    assert len(set(paths)) == len(paths)
    of_encoder = {variable.path for variable in model.encoder.variables}
    for path in set(paths) - of_encoder:
        assert path.split("/")[0] in {f"{head.task}_head" for head in heads}
        assert path.split("/")[-1] in ("kernel", "bias")
        assert layerwise_rate(path, num_layers=2, decay=0.8) == 1.0
    assert all(layerwise_rate(path, num_layers=2, decay=0.8) < 1.0 for path in of_encoder)


@pytest.mark.parametrize("heads", [HEADS, *((head,) for head in HEADS)], ids=lambda heads: heads[-1].task)
def test_the_table_of_names_holds_every_variable_once(heads):
    model = _model(*heads)
    assert {name.ours: name.shape for name in names_of(model)} == {
        relative_path(variable): tuple(variable.shape) for variable in model.variables
    }
    for names in zip(*names_of(model), strict=True):
        if isinstance(names[0], str):
            assert len(set(names)) == len(names)


def test_heads_start_from_glorots_uniform_and_biases_of_0():
    model = ElectraTaskModel(ElectraEncoder(TINY, name="electra"), HEADS)
    for head in model.heads.values():
        for variable in head.variables:
            value = variable.numpy()
            limit = math.sqrt(6 / sum(value.shape))
            assert np.abs(value).max() <= (limit if value.ndim == 2 else 0.0), variable.path
            assert value.ndim == 1 or np.abs(value).max() > 0.5 * limit, variable.path


@pytest.mark.parametrize(("heads", "message"), [((), "one at least"), ((SCORE, LABELS, SCORE), "'score' 2 times")])
def test_a_model_has_heads_of_different_tasks(heads, message):
    with pytest.raises(HparamError, match=message):
        ElectraTaskModel(ElectraEncoder(TINY), heads)

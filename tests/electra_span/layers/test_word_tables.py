"""Tables of words: vectors, products and starts of full and compositional ones, against the full table of vectors."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.layers import embeddings as embeddings_module
from electra_span.layers.embeddings import CompositionalWords, Embeddings, Table
from tests.tiny_models import TINY

OPERATIONS = {
    "multiply": np.multiply,
    "add": np.add,
    "concat": lambda quotients, remainders: np.concatenate([quotients, remainders], axis=-1),
}


def _embeddings(**changes):
    embeddings = Embeddings(dataclasses.replace(TINY, **changes), name="embeddings")
    embeddings.build()
    return embeddings


def _compositional(operation, **changes):
    return _embeddings(embedding_type="compositional", compositional_operation=operation, **changes)


@pytest.mark.parametrize("vocab_size", [36, 37, 43])
@pytest.mark.parametrize("num_buckets", [None, 1, 36])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_words_vector_is_made_of_the_rows_of_its_quotient_and_its_remainder(operation, num_buckets, vocab_size):
    words = _compositional(operation, vocab_size=vocab_size, compositional_num_buckets=num_buckets)
    quotients, remainders = (words.tables[name].whole().numpy() for name in ("word_quotients", "word_remainders"))
    buckets = num_buckets or math.ceil(math.sqrt(vocab_size))
    width = TINY.embedding_size // 2 if operation == "concat" else TINY.embedding_size
    assert quotients.shape == (math.ceil(vocab_size / buckets), width)
    assert remainders.shape == (buckets, width)
    expected = np.stack(
        [OPERATIONS[operation](quotients[word // buckets], remainders[word % buckets]) for word in range(vocab_size)]
    )
    np.testing.assert_array_equal(words.words.full_table(), expected)
    np.testing.assert_array_equal(words.words.lookup(tf.constant([[7, 0], [35, 7]])), expected[[[7, 0], [35, 7]]])
    assert len(np.unique(expected, axis=0)) == vocab_size


@pytest.mark.parametrize("operation", OPERATIONS)
def test_vectors_of_a_real_vocabulary_are_distinct_and_start_with_the_deviation_asked_for(operation):
    keras.utils.set_random_seed(3)
    sizes = {"vocab_size": 30522, "embedding_size": 128}
    table = _compositional(operation, **sizes).words.full_table().numpy()
    assert len(np.unique(table, axis=0)) == 30522
    # The entries are no independent draws: those of two tables of 175 x 128 are.
    assert abs(table.std() - 0.02) < 0.02 * 0.015
    assert abs(table.mean()) < 0.0005
    wider = _compositional(operation, **sizes, initializer_range=0.1).words.full_table().numpy()
    assert abs(wider.std() - 0.1) < 0.1 * 0.015


def _with_gradients(words, variables, vectors, upstream, logits_of):
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        logits = logits_of(words)
        loss = tf.reduce_sum(logits * upstream)
    gradients = tape.gradient(loss, [vectors, *(variable.value for variable in variables)])
    return logits, [tf.convert_to_tensor(gradient) for gradient in gradients]


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("num_buckets", [None, 5])
@pytest.mark.parametrize("operation", [None, *OPERATIONS])
def test_logits_and_their_gradients_are_those_of_the_full_table(operation, num_buckets, is_large, monkeypatch):
    monkeypatch.setattr(embeddings_module, "LARGE_VOCABULARY", 3 if is_large else 10**9)
    embeddings = _compositional(operation, compositional_num_buckets=num_buckets) if operation else _embeddings()
    generator = np.random.default_rng(0)
    tables = [table.variable for name, table in embeddings.tables.items() if name.startswith("word_")]
    for variable in tables:
        variable.assign(generator.standard_normal(variable.shape))
    vectors = tf.constant(generator.standard_normal([3, TINY.embedding_size]), tf.float32)
    upstream = tf.constant(generator.standard_normal([3, TINY.vocab_size]), tf.float32)
    logits, gradients = _with_gradients(
        embeddings.words, tables, vectors, upstream, lambda words: embeddings.logits(vectors)
    )
    expected, expected_gradients = _with_gradients(
        embeddings.words, tables, vectors, upstream, lambda words: vectors @ tf.transpose(words.full_table())
    )
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_full_table_of_a_large_vocabulary_is_never_formed_in_training(operation):
    vocab_size, width, num_vectors = 2**17 + 5, 64, 3
    embeddings = _compositional(operation, vocab_size=vocab_size, embedding_size=width)

    @tf.function
    def gradients(vectors, ids):
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            loss = tf.reduce_logsumexp(embeddings.logits(vectors)) + tf.reduce_sum(embeddings.words.lookup(ids))
        return tape.gradient(loss, [vectors, *(variable.value for variable in embeddings.variables)])

    signature = (tf.TensorSpec([num_vectors, width]), tf.TensorSpec([2, 7], tf.int32))
    graph = gradients.get_concrete_function(*signature).graph
    shapes = [tensor.shape for operation in graph.get_operations() for tensor in operation.outputs]
    elements = [shape.num_elements() for shape in shapes if shape.is_fully_defined()]
    assert 3 * vocab_size <= max(elements) < 4 * vocab_size < vocab_size * width
    assert all(shape.rank is not None for shape in shapes)


def test_a_million_words_take_at_most_three_thousandths_of_a_full_tables_parameters():
    sizes = {"vocab_size": 1_000_000, "embedding_size": 128}
    counts = []
    for embedding_type in ("full", "compositional"):
        tables = EncoderConfig(**sizes, embedding_type=embedding_type).embedding_tables
        counts.append(sum(rows * columns for name, (rows, columns) in tables.items() if name.startswith("word_")))
    assert counts == [128_000_000, 256_000]
    assert counts[1] <= 0.003 * counts[0]


@pytest.mark.parametrize("operation", [None, *OPERATIONS])
def test_tables_with_bases_start_as_them_follow_them_and_train_their_differences_alone(operation):
    base = _compositional(operation) if operation else _embeddings()
    ours = Embeddings(base.config, base.tables, name="embeddings")
    ours.build()
    names = {f"embeddings/{name}_delta" for name in base.config.embedding_tables}
    assert {variable.path for variable in ours.variables} == {*names, "embeddings/norm/gamma", "embeddings/norm/beta"}
    np.testing.assert_array_equal(ours.words.full_table(), base.words.full_table())
    for variable in base.variables:
        variable.assign(variable + 0.5)
    np.testing.assert_array_equal(ours.words.full_table(), base.words.full_table())
    ids = tf.constant([[30, 7, 7]])
    with tf.GradientTape() as tape:
        x = ours(ids, positions=tf.constant([[0, 1, 2]]), segment_ids=tf.constant([[0, 1, 1]]))
        loss = tf.reduce_sum(x * tf.cast(tf.range(TINY.embedding_size), tf.float32) ** 2)
    variables = [variable.value for variable in (*ours.variables, *base.variables)]
    gradients = tape.gradient(loss, variables)
    num_own = len(ours.variables)
    assert all(np.any(tf.convert_to_tensor(gradient).numpy() != 0) for gradient in gradients[:num_own])
    assert all(gradient is None for gradient in gradients[num_own:])


def test_a_table_is_its_base_plus_its_difference():
    base, delta = np.random.default_rng(0).standard_normal([2, 4, 3]).astype(np.float32)
    table = Table(tf.Variable(delta), Table(tf.Variable(base)))
    np.testing.assert_array_equal(table.whole(), base + delta)
    np.testing.assert_array_equal(table.lookup(tf.constant([[3], [1]])), (base + delta)[[[3], [1]]])
    rows = Table(tf.Variable(base[:2])), Table(tf.Variable(base[2:]), Table(tf.Variable(delta[:2])))
    words = CompositionalWords(*rows, vocab_size=3, operation="multiply")
    np.testing.assert_allclose(words.full_table()[2], base[1] * (base[2] + delta[0]))

"""Whole words and spans: where they lie, how long they are, and what is read around them."""

import dataclasses
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from electra_span.objective.batches import MaskedBatch
from electra_span.objective.masking import MaskingConfig, draw_tokens, mask_tokens
from electra_span.objective.spans import choose_spans, geometric_probs, length_of
from electra_span.objective.words import choose_words
from tests.electra_span.objective.masking_reference import (
    CLS,
    IS_CONTINUATION,
    MASK,
    SEP,
    SPECIAL_IDS,
    VOCAB_SIZE,
    candidates_of,
    check_boundaries,
    chosen,
    config_of,
    examples_of,
    mask,
    most_in_spans,
    runs_of,
    sentences,
    wanted_of,
    words_of,
)

KINDS = {
    "token": {"masking": "token"},
    "whole_word": {"masking": "whole_word"},
    "span": {"masking": "span", "replace_unit": "span"},
    "span of words": {"masking": "span", "span_whole_words": True, "replace_unit": "span"},
}
# Ids of no row, so that a random token is told from all others.
RANDOM_IDS = range(VOCAB_SIZE, VOCAB_SIZE + 20)
RANDOM_COUNTS = np.array([0] * VOCAB_SIZE + [1] * len(RANDOM_IDS))


def config_for(kind: str, mask_prob: float, num_slots: int, **changes) -> MaskingConfig:
    settings = {"replace_probs": (0.8, 0.1, 0.1), "random_token_counts": RANDOM_COUNTS, **KINDS[kind], **changes}
    return config_of(mask_prob, num_slots, is_continuation=IS_CONTINUATION, **settings)


def spans_of(batch: MaskedBatch, row: int) -> list[range]:
    """Returns the spans of a row, as positions and offsets tell them."""
    used = batch.masked_lm_weights[row] == 1
    spans: list[range] = []
    for position, offset in zip(batch.masked_lm_positions[row][used], batch.span_offset[row][used], strict=True):
        assert position == (spans[-1].stop if offset else position)
        start = spans.pop().start if offset else position
        spans.append(range(start, position + 1))
        assert len(spans[-1]) == offset + 1
    return spans


def check_row(batch: MaskedBatch, row: int, ids: list[int], config: MaskingConfig) -> None:
    """Asserts that what was chosen in a row keeps the rules of its kind of masking."""
    spans = spans_of(batch, row)
    chosen_here = [position for span in spans for position in span]
    assert sorted(set(chosen_here)) == chosen_here
    assert all(candidates_of(ids)[position] for position in chosen_here)
    check_boundaries(batch, row, ids, spans, config.max_span_length)
    wanted = wanted_of(ids, config)
    if config.masking == "token":
        assert len(chosen_here) == wanted
        assert all(len(span) == 1 for span in spans)
    elif config.masking == "whole_word":
        assert len(chosen_here) <= wanted
        assert set(spans) <= set(words_of(ids))
        assert all(len(word) > wanted - len(chosen_here) for word in set(words_of(ids)) - set(spans))
    else:
        members = [position in chosen_here for position in range(len(ids))]
        assert runs_of(members) == spans  # so that they never touch
        if config.span_whole_words:
            check_spans_of_words(ids, spans, wanted, config.max_span_length)
        else:
            stretches = runs_of(candidates_of(ids))
            most = sum(most_in_spans(len(stretch), config.max_span_length) for stretch in stretches)
            assert all(len(span) <= config.max_span_length for span in spans)
            assert len(chosen_here) == min(wanted, most)


def check_spans_of_words(ids: list[int], spans: list[range], wanted: int, longest: int) -> None:
    """Asserts that spans hold whole words, but for one cut, and that all are chosen that are wanted or can be."""
    words, count = words_of(ids), sum(map(len, spans))
    starts, ends = {word.start for word in words}, {word.stop for word in words}
    assert {span.start for span in spans} <= starts
    cut = [span for span in spans if span.stop not in ends]
    assert len(cut) <= (count == wanted)
    assert all(sum(position in starts for position in span) <= longest for span in spans)
    assert count <= wanted
    members = {position for span in spans for position in span}
    if count < wanted:
        assert all({word.start - 1, *word, word.stop} & members for word in words)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[int]], int, MaskingConfig, int]:
    """Draws rows of any ids (specials anywhere) and of any length, their padded length, a config and a seed."""
    length = draw(st.integers(1, 23))
    ids = st.one_of(st.integers(0, VOCAB_SIZE - 1), st.integers(5, VOCAB_SIZE - 1), st.sampled_from(SPECIAL_IDS))
    rows = draw(st.lists(st.lists(ids, max_size=length), min_size=1, max_size=4))
    config = config_for(
        draw(st.sampled_from(sorted(KINDS))),
        draw(st.floats(0.01, 0.9)),
        draw(st.integers(1, length)),
        span_geometric_p=draw(st.sampled_from([0.05, 0.2, 0.7, 1.0])),
        max_span_length=draw(st.sampled_from([1, 2, 3, 10])),
    )
    return rows, length, config, draw(st.integers(0, 2**62))


@settings(max_examples=100, deadline=None)
@given(cases())
def test_every_kind_of_masking_keeps_its_rules_for_any_rows(case):
    rows, length, config, seed = case
    batch = mask(examples_of(rows, length), config, (seed, 3))
    for row, ids in enumerate(rows):
        check_row(batch, row, ids, config)
    used = batch.masked_lm_weights == 1
    originals = np.take_along_axis(batch.input_ids, batch.masked_lm_positions, axis=1)
    np.testing.assert_array_equal(batch.masked_lm_ids, originals * used)
    changed = batch.masked_input_ids != batch.input_ids
    assert np.all(chosen(batch)[changed] == 1)
    assert np.all(np.isin(batch.masked_input_ids[changed], [MASK, *RANDOM_IDS]))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_papers_size_keep_the_rules(kind):
    generator = np.random.default_rng(1)
    rows = [[CLS, *generator.integers(5, VOCAB_SIZE, 126).tolist(), SEP] for _ in range(12)]
    for row in rows[:6]:
        row[63] = SEP
    config = config_for(kind, 0.15, 19)
    batch = mask(examples_of(rows, 128), config)
    for row, ids in enumerate(rows):
        check_row(batch, row, ids, config)
    assert np.all(batch.masked_lm_weights.sum(axis=1) == 19)  # there are words of one token in every row


@pytest.mark.parametrize("kind", KINDS)
def test_separators_between_joined_texts_are_never_chosen_and_no_span_crosses_one(kind):
    generator = np.random.default_rng(2)
    rows = [[CLS, *generator.integers(5, VOCAB_SIZE, 62).tolist(), SEP] for _ in range(200)]
    for row in rows:
        for place in generator.choice(np.arange(2, 62), size=9, replace=False):
            row[place] = SEP
    config = config_for(kind, 0.4, 26, max_span_length=10)
    batch = mask(examples_of(rows, 70), config)
    is_separator = batch.input_ids == SEP
    assert (batch.masked_input_ids[is_separator] == SEP).all()
    num_chosen_beside = 0
    for row, ids in enumerate(rows):
        check_row(batch, row, ids, config)
        places = np.flatnonzero(is_separator[row])
        for span in spans_of(batch, row):
            assert np.searchsorted(places, span.start) == np.searchsorted(places, span.stop - 1)
            num_chosen_beside += span.start - 1 in places or span.stop in places
    assert num_chosen_beside > 200


@pytest.mark.parametrize("kind", KINDS)
def test_crowded_rows_keep_the_rules(kind):
    words = np.random.default_rng(2).integers(5, VOCAB_SIZE, (40, 126)).tolist()
    rows = [[CLS, *row, SEP] for row in words]
    config = config_for(kind, 0.4, 51)  # so crowded that spans placed without care would touch in most rows
    batch = mask(examples_of(rows, 128), config)
    for row, ids in enumerate(rows):
        check_row(batch, row, ids, config)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_candidates_gets_no_predictions(kind):
    batch = mask(examples_of([[], [CLS, SEP], [CLS]], 5), config_for(kind, 0.5, 4))
    for name in ("positions", "ids", "weights"):
        assert not getattr(batch, f"masked_lm_{name}").any()
    assert not any(field.any() for field in batch[7:11])


@pytest.mark.parametrize("kind", KINDS)
def test_graph_and_eager_give_equal_masks_and_other_seeds_others(kind):
    examples, config = sentences(8, 32), config_for(kind, 0.25, 8)
    graph = tf.function(lambda seed: mask_tokens(examples, seed=seed, config=config), autograph=False)
    first = graph(tf.constant((7, 0), tf.int64))
    for field, in_graph in zip(mask(examples, config, (7, 0)), first, strict=True):
        np.testing.assert_array_equal(field, in_graph)
    assert first.masked_lm_positions.shape == first.span_left.shape == first.span_weights.shape == (8, 8)
    other = graph(tf.constant((7, 1), tf.int64))
    assert np.any(first.masked_lm_positions != other.masked_lm_positions)
    shapes = graph.get_concrete_function(tf.TensorSpec([2], tf.int64)).output_shapes
    assert shapes == MaskedBatch(*4 * [tf.TensorShape([8, 32])], *8 * [tf.TensorShape([8, 8])])


def test_geometric_law_is_spanberts():
    probs = geometric_probs(0.2, 10)
    expected = [0.2241, 0.1792, 0.1434, 0.1147, 0.0918, 0.0734, 0.0587, 0.0470, 0.0376, 0.0301]
    np.testing.assert_allclose(probs, expected, atol=6e-5)
    assert geometric_probs(1.0, 3) == (1, 0, 0)


def test_frequencies_of_200000_drawn_lengths_are_within_three_sigma_of_the_law():
    probs = np.array(geometric_probs(0.2, 10))
    lengths = length_of(tf.random.stateless_uniform([200_000], (7, 1)), tuple(probs)).numpy()
    frequencies = np.bincount(lengths, minlength=11)[1:] / lengths.size
    assert np.all(np.abs(frequencies - probs) < 3 * np.sqrt(probs * (1 - probs) / lengths.size))
    assert abs(lengths.mean() - 3.797) < 0.02


@pytest.mark.parametrize("num_segments", [1, 2])
def test_200000_placed_spans_are_within_three_sigma_of_the_law_with_the_last_of_a_row_cut(num_segments):
    num_rows, count, probs = 38_000, 19, np.array(geometric_probs(0.2, 10))
    examples = sentences(num_rows, 128)
    if num_segments == 2:  # long spans meet its [SEP] more often than short ones
        examples = examples._replace(input_ids=tf.where(tf.range(128) == 63, SEP, examples.input_ids))
    batch = mask(examples, config_for("span", 0.15, count))
    is_last = np.diff(np.pad(batch.span_offset, [[0, 0], [0, 1]]), axis=1) != 1
    observed = np.bincount(batch.span_offset[is_last] + 1, minlength=11)[1:]
    is_reached = np.zeros(count + 1)  # probability that so many tokens are chosen after some span
    is_reached[0] = 1
    for total in range(1, count + 1):
        is_reached[total] = sum(
            is_reached[total - length] * probs[length - 1] for length in range(1, min(total, 10) + 1)
        )
    assert observed.sum() > 200_000
    for length in range(1, 11):
        whole = is_reached[: count - length + 1].sum() * probs[length - 1]
        cut = is_reached[count - length] * probs[length:].sum()
        expected = num_rows * (whole + cut)
        assert abs(observed[length - 1] - expected) < 3 * math.sqrt(expected), length


def test_a_span_starts_at_each_place_where_it_fits_with_equal_probability():
    num_rows = 6000
    candidates = tf.constant([[False] + 5 * [True] + [False] + 9 * [True] + [False]] * num_rows)
    spans = choose_spans(
        candidates, None, tf.fill([num_rows], 3), num_slots=3, length_probs=(0.0, 0.0, 1.0), seed=tf.constant((7, 2))
    )
    observed = np.bincount(spans.positions.numpy()[:, 0], minlength=17)
    places = [1, 2, 3, *range(7, 14)]
    assert observed[places].sum() == num_rows
    chi_square = ((observed[places] - num_rows / 10) ** 2).sum() / (num_rows / 10)
    assert abs(chi_square - 9) < 3 * math.sqrt(2 * 9)


@pytest.mark.parametrize("kind", ["span", "whole_word"])
def test_all_parts_of_a_row_are_chosen_about_equally_often(kind):
    num_rows = 3000
    batch = mask(sentences(num_rows, 128), config_for(kind, 0.15, 19))
    shares = chosen(batch)[:, 1:-1].mean(axis=0)
    noise = 4 * math.sqrt(0.15 * 0.85 / num_rows)
    assert np.all(np.abs(shares[12:-12] - shares[12:-12].mean()) < noise)
    assert shares.min() > 0.04  # at the ends fewer spans can cover a position


def test_pairs_of_words_are_chosen_as_often_as_independent_draws_would():
    num_rows = 20000
    candidates = tf.constant([[False] + 10 * [True] + [False]] * num_rows)
    continues = tf.zeros_like(candidates)
    words = choose_words(candidates, continues, tf.fill([num_rows], 3), num_slots=3, seed=tf.constant((7, 4)))
    times = tf.reduce_sum(tf.one_hot(words.positions, 12), axis=1).numpy()[:, 1:-1]
    together = (times.T @ times)[np.triu_indices(10, k=1)]
    expected = num_rows * 3 / 10 * 2 / 9
    assert np.abs(together - expected).max() < 4.5 * math.sqrt(expected)


def test_all_words_are_chosen_where_all_fit():
    rows = [[CLS, 7, 9, 8, SEP, 10, 11, 12, 12, SEP], [7, 7, 8, 6, SEP]]
    batch = mask(examples_of(rows, 10), config_for("whole_word", 0.99, 10))
    assert chosen(batch).tolist() == [[0, 1, 1, 1, 0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("kind", ["span", "span of words"])
def test_a_span_is_masked_replaced_or_kept_as_a_whole(kind):
    batch = mask(sentences(3000, 66), config_for(kind, 0.25, 16))
    read = np.take_along_axis(batch.masked_input_ids, batch.masked_lm_positions, axis=1)
    ways = np.where(read == MASK, 0, np.where(read >= VOCAB_SIZE, 1, 2))
    used = batch.masked_lm_weights == 1
    same_span = (batch.span_offset[:, 1:] > 0) & used[:, 1:]
    assert np.all((ways[:, 1:] == ways[:, :-1])[same_span])
    shares = np.bincount(ways[used & (batch.span_offset == 0)], minlength=3)
    for share, prob in zip(shares / shares.sum(), (0.8, 0.1, 0.1), strict=True):
        assert abs(share - prob) < 3 * math.sqrt(prob * (1 - prob) / shares.sum())


def test_tokens_of_a_span_are_replaced_independently_where_the_unit_is_the_position():
    batch = mask(sentences(3000, 66), config_for("span", 0.25, 16, replace_unit="position"))
    read = np.take_along_axis(batch.masked_input_ids, batch.masked_lm_positions, axis=1)
    becomes_mask = read == MASK
    same_span = batch.span_offset[:, 1:] > 0
    correlation = np.corrcoef(becomes_mask[:, 1:][same_span], becomes_mask[:, :-1][same_span])[0, 1]
    assert abs(correlation) < 3 / math.sqrt(same_span.sum())
    for share, prob in (((becomes_mask).mean(), 0.8), ((read >= VOCAB_SIZE).mean(), 0.1)):
        assert abs(share - prob) < 3 * math.sqrt(prob * (1 - prob) / read.size)


def test_positions_of_a_replaced_span_get_tokens_of_their_own():
    batch = mask(sentences(2000, 66), config_for("span", 0.25, 16, replace_probs=(0, 1, 0)))
    read = np.take_along_axis(batch.masked_input_ids, batch.masked_lm_positions, axis=1)
    same_span = batch.span_offset[:, 1:] > 0
    equal = (read[:, 1:] == read[:, :-1])[same_span]
    assert abs(equal.mean() - 1 / 20) < 3 * math.sqrt(1 / 20 * 19 / 20 / equal.size)


@pytest.mark.parametrize("counts", [[0, 1, 1, 0, 1, 1, 1], [0, 3, 100, 0, 40, 0, 7]], ids=["uniform", "frequency"])
def test_random_tokens_come_as_often_as_their_counts_say_and_never_where_that_is_0(counts):
    num_tokens, weights = 40_000, np.array(counts) / sum(counts)
    observed = np.bincount(draw_tokens(num_tokens, np.array(counts), tf.constant((7, 3))), minlength=7)
    expected = num_tokens * weights
    assert not observed[expected == 0].any()
    chi_square = ((observed - expected)[expected > 0] ** 2 / expected[expected > 0]).sum()
    degrees = np.count_nonzero(counts) - 1
    assert abs(chi_square - degrees) < 3 * math.sqrt(2 * degrees)


def test_a_masking_that_lacks_its_tables_is_refused():
    with pytest.raises(ValueError, match="is_continuation must be given"):
        dataclasses.replace(config_for("whole_word", 0.15, 4), is_continuation=None)
    with pytest.raises(ValueError, match="random_token_counts must be given"):
        dataclasses.replace(config_for("span", 0.15, 4), random_token_counts=None)

"""Masking: which tokens are chosen, how many, and what the generator reads there."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from electra_span.objective.batches import MaskedBatch, PretrainingExamples
from electra_span.objective.masking import (
    MaskingConfig,
    candidate_positions,
    choose_positions,
    mask_tokens,
    num_predictions,
)
from tests.electra_span.objective.masking_reference import (
    CLS,
    FIRST_WORD,
    MASK,
    PAD,
    SEP,
    SPECIAL_IDS,
    UNK,
    VOCAB_SIZE,
    chosen,
    config_of,
    examples_of,
    mask,
    sentences,
)


@st.composite
def masking_cases(draw: st.DrawFn) -> tuple[list[list[int]], int, MaskingConfig, int]:
    """Draws rows of any length and any ids (specials anywhere), their padded length, a config and a seed."""
    length = draw(st.integers(1, 23))
    ids = st.one_of(st.integers(0, VOCAB_SIZE - 1), st.sampled_from(SPECIAL_IDS))
    rows = draw(st.lists(st.lists(ids, max_size=length), min_size=1, max_size=4))
    mask_prob = draw(st.floats(0.01, 0.9))
    mask_share = draw(st.sampled_from([0, 0.85, 1]))
    config = config_of(mask_prob, draw(st.integers(1, length)), replace_probs=(mask_share, 0, 1 - mask_share))
    return rows, length, config, draw(st.integers(0, 2**62))


@settings(max_examples=150, deadline=None)
@given(masking_cases())
def test_masking_keeps_its_rules_for_any_rows(case: tuple[list[list[int]], int, MaskingConfig, int]):
    rows, length, config, seed = case
    examples = examples_of(rows, length)
    batch = mask(examples, config, (seed, 3))

    for row, ids in enumerate(rows):
        used = batch.masked_lm_weights[row] == 1
        positions = batch.masked_lm_positions[row]
        candidates = [position for position, token in enumerate(ids) if token not in SPECIAL_IDS]
        share = round(float(np.float32(config.mask_prob) * np.float32(len(ids))))
        wanted = min(max(1, share), config.max_predictions_per_seq, len(candidates))
        assert used.sum() == wanted
        assert np.all(used[:wanted])
        assert set(positions[used]) <= set(candidates)
        assert np.all(np.diff(positions[used]) > 0)
        assert batch.masked_lm_ids[row][used].tolist() == [ids[position] for position in positions[used]]
        assert not np.any(positions[~used])
        assert not np.any(batch.masked_lm_ids[row][~used])
        assert not np.any(batch.masked_lm_weights[row][~used])

    changed = batch.masked_input_ids != batch.input_ids
    assert np.all(chosen(batch)[changed] == 1)
    assert np.all(batch.masked_input_ids[changed] == MASK)
    for before, after in zip(examples, (batch.input_ids, batch.segment_ids, batch.input_mask), strict=True):
        np.testing.assert_array_equal(before, after)
    assert np.all((batch.sampling_uniforms >= 0) & (batch.sampling_uniforms < 1))


def test_masking_never_selects_special_tokens_nor_padding():
    examples = examples_of([[CLS, 9, MASK, SEP, UNK, PAD, 11, SEP], [CLS, 12, SEP]], 11)
    batch = mask(examples, config_of(0.9, 9))
    assert chosen(batch).tolist() == [[0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0], [0, 1] + 9 * [0]]


def test_padding_is_never_selected_whatever_its_ids_are():
    examples = sentences(2, 11)
    examples = examples._replace(input_mask=examples.input_mask * tf.constant([1] * 5 + [0] * 6))
    assert chosen(mask(examples, config_of(0.9, 9))).tolist() == 2 * [[0, 1, 1, 1, 1] + 6 * [0]]


def test_a_row_without_candidates_gets_no_predictions():
    batch = mask(examples_of([[], [CLS, SEP], [CLS, 8, SEP]], 11), config_of(0.5, 4))
    assert batch.masked_lm_weights.sum(axis=1).tolist() == [0, 0, 1]
    assert not batch.masked_lm_positions[:2].any()
    assert not batch.masked_lm_ids[:2].any()
    np.testing.assert_array_equal(batch.masked_input_ids[:2], batch.input_ids[:2])


@pytest.mark.parametrize(("mask_prob", "length", "count"), [(0.15, 128, 19), (0.15, 512, 77), (0.25, 512, 128)])
def test_full_rows_of_the_papers_sizes_get_their_exact_count_of_distinct_positions(mask_prob, length, count):
    num_slots = int((mask_prob + 0.005) * length)
    times = chosen(mask(sentences(16, length), config_of(mask_prob, num_slots)))
    assert np.all(times.sum(axis=1) == count)
    assert times.max() == 1


@pytest.mark.parametrize(("length", "count"), [(10, 2), (18, 4), (22, 6), (26, 6)])
def test_half_a_token_rounds_to_the_even_count(length, count):
    rows = [[CLS, *range(FIRST_WORD, FIRST_WORD + length - 2), SEP]]
    mask_prob = (count + (0.5 if length in (18, 26) else -0.5)) / length
    assert mask(examples_of(rows, 30), config_of(mask_prob, 20)).masked_lm_weights.sum() == count


def test_share_of_chosen_tokens_that_become_mask_is_85_percent():
    batch = mask(sentences(2000, 64), config_of(0.25, 16))
    used = batch.masked_lm_weights == 1
    became_mask = np.take_along_axis(batch.masked_input_ids, batch.masked_lm_positions, axis=1)[used] == MASK
    three_sigma = 3 * math.sqrt(0.85 * 0.15 / used.sum())
    assert used.sum() == 32000
    assert abs(became_mask.mean() - 0.85) < three_sigma


def test_replacement_is_decided_anew_for_each_slot():
    batch = mask(sentences(4000, 64), config_of(0.25, 16))
    became_mask = np.take_along_axis(batch.masked_input_ids, batch.masked_lm_positions, axis=1) == MASK
    correlation = np.corrcoef(became_mask, rowvar=False)[np.triu_indices(16, k=1)]
    assert np.abs(correlation).max() < 4.5 / math.sqrt(len(became_mask))


def test_positions_are_uniform_over_the_candidates():
    num_rows, length, count = 4000, 66, 16
    batch = mask(sentences(num_rows, length), config_of(count / length, count))
    observed = chosen(batch)[:, 1:-1].sum(axis=0)
    expected = num_rows * count / (length - 2)
    # Draws without replacement vary less than independent ones, by (candidates - count) / (candidates - 1).
    chi_square = ((observed - expected) ** 2).sum() / expected * (length - 3) / (length - 2 - count)
    degrees = length - 3
    assert abs(chi_square - degrees) < 3 * math.sqrt(2 * degrees)


def test_pairs_of_positions_are_chosen_as_often_as_independent_draws_would():
    times = chosen(mask(sentences(20000, 12), config_of(0.25, 3)))[:, 1:-1]
    together = (times.T @ times)[np.triu_indices(10, k=1)]
    expected = 20000 * 3 / 10 * 2 / 9
    assert np.abs(together - expected).max() < 4.5 * math.sqrt(expected)


def test_sampling_uniforms_are_uniform():
    uniforms = mask(sentences(2000, 64), config_of(0.25, 16)).sampling_uniforms
    counts = np.histogram(uniforms, bins=20, range=(0, 1))[0]
    expected = uniforms.size / 20
    assert abs(((counts - expected) ** 2).sum() / expected - 19) < 3 * math.sqrt(2 * 19)


def test_sampling_uniforms_do_not_depend_on_replacement_nor_on_position():
    batch = mask(sentences(2000, 64), config_of(0.25, 16))
    became_mask = np.take_along_axis(batch.masked_input_ids, batch.masked_lm_positions, axis=1) == MASK
    for other in (became_mask, batch.masked_lm_positions):
        correlation = np.corrcoef(batch.sampling_uniforms.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 3 / math.sqrt(other.size)


def test_equal_seeds_give_equal_masks_and_other_seeds_others():
    examples, config = sentences(8, 32), config_of(0.25, 8)
    first = mask(examples, config, (7, 0))
    for before, again in zip(first, mask(examples, config, (7, 0)), strict=True):
        np.testing.assert_array_equal(before, again)
    for other_seed in ((7, 1), (8, 0), (7, -1)):
        other = mask(examples, config, other_seed)
        assert np.any(first.masked_lm_positions != other.masked_lm_positions)
        assert np.any(first.sampling_uniforms != other.sampling_uniforms)


def test_graph_and_eager_give_equal_masks_in_static_shapes():
    examples, config = sentences(8, 32), config_of(0.25, 8)
    graph = tf.function(lambda examples, seed: mask_tokens(examples, seed=seed, config=config))
    in_graph = graph(examples, tf.constant((7, 0), tf.int64))
    for eager, compiled in zip(mask(examples, config, (7, 0)), in_graph, strict=True):
        np.testing.assert_array_equal(eager, compiled)
    assert graph.get_concrete_function(examples, tf.constant((7, 0), tf.int64)).output_shapes == MaskedBatch(
        *4 * [tf.TensorShape([8, 32])], *8 * [tf.TensorShape([8, 8])]
    )


def test_choose_positions_draws_the_counts_it_is_given():
    candidates = tf.constant([[False, True, True, False, True, True], [True] * 6, [False] * 6])
    positions, is_used = choose_positions(candidates, tf.constant([4, 2, 0]), 4, tf.constant([1, 2]))
    assert positions.numpy()[0].tolist() == [1, 2, 4, 5]
    assert is_used.numpy().sum(axis=1).tolist() == [4, 2, 0]
    assert positions.numpy()[2].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("mask_prob", [0.15, 0.25, 0.5])
def test_counts_and_candidates_equal_the_originals(golden, mask_prob):
    recorded, examples, config = read_recorded(golden, mask_prob)
    candidates = candidate_positions(examples, config.special_ids)
    np.testing.assert_array_equal(candidates, recorded["candidates"])
    # Without a candidate and with fewer candidates than the share of the length, ours are fewer: see the deviations.
    counts = num_predictions(examples.input_mask, candidates, config).numpy()
    expected = np.minimum(recorded["weights"].sum(axis=1), recorded["candidates"].sum(axis=1))
    np.testing.assert_array_equal(counts, expected)
    assert config.max_predictions_per_seq == recorded["weights"].shape[1]


@pytest.mark.parametrize("mask_prob", [0.15, 0.25, 0.5])
def test_deviation_positions_are_distinct_where_the_original_repeats_some(golden, mask_prob):
    recorded, examples, config = read_recorded(golden, mask_prob)
    assert chosen(as_batch(recorded)).max() > 1
    assert chosen(mask(examples, config)).max() == 1


@pytest.mark.parametrize(("length", "num_draws", "num_distinct"), [(128, 19, 17.69), (512, 77, 71.5)])
def test_a_share_of_0138_masks_as_many_positions_as_the_originals_draws_with_replacement_reach(
    length, num_draws, num_distinct
):
    draws = np.random.default_rng(0).integers(0, length - 2, (20_000, num_draws))
    reached = np.mean([len(set(row)) for row in draws.tolist()])
    assert abs(reached - num_distinct) < 0.1
    batch = mask(sentences(2, length), config_of(0.138, num_draws))
    np.testing.assert_allclose(batch.masked_lm_weights.sum(axis=1), reached, atol=0.6)


@pytest.mark.parametrize("mask_prob", [0.15, 0.25, 0.5])
def test_deviation_a_row_without_candidates_gets_weight_0_where_the_original_overruns(golden, mask_prob):
    recorded, examples, config = read_recorded(golden, mask_prob)
    batch = mask(examples, config)
    for row in (0, 1):  # [CLS], and [CLS] [SEP]
        assert recorded["positions"][row, 0] == examples.input_ids.shape[1]
        assert recorded["weights"][row, 0] == 1
        assert not batch.masked_lm_weights[row].any()
    assert batch.masked_lm_positions.max() < examples.input_ids.shape[1]


def read_recorded(golden, mask_prob: float) -> tuple[dict[str, np.ndarray], PretrainingExamples, MaskingConfig]:
    """Returns what the original chose for rows of 1 to 64 tokens, those rows, and its config."""
    helpers = np.load(golden("tf1/helpers.npz"))
    prefix = f"mask_{mask_prob}/"
    recorded = {name.removeprefix(prefix): helpers[name] for name in helpers if name.startswith(prefix)}
    input_ids, input_mask = tf.constant(helpers["mask/input_ids"]), tf.constant(helpers["mask/input_mask"])
    examples = PretrainingExamples(input_ids, tf.zeros_like(input_ids), input_mask)
    num_slots = int((mask_prob + 0.005) * 64)
    config = MaskingConfig(
        mask_prob=mask_prob, max_predictions_per_seq=num_slots, mask_id=103, special_ids=(0, 101, 102, 103)
    )
    return recorded, examples, config


def as_batch(recorded: dict[str, np.ndarray]) -> MaskedBatch:
    """Returns the original's choice as a batch, without what it drew beyond the rows."""
    is_inside = recorded["positions"] < 64
    return MaskedBatch(
        input_ids=recorded["unmasked"],
        masked_input_ids=recorded["input_ids"],
        input_mask=None,
        segment_ids=None,
        masked_lm_positions=recorded["positions"],
        masked_lm_ids=recorded["ids"],
        masked_lm_weights=recorded["weights"] * is_inside,
        span_left=None,
        span_right=None,
        span_offset=None,
        span_weights=None,
        sampling_uniforms=None,
    )

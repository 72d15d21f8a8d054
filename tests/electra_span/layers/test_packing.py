"""Packing: what it leaves out, and that it comes back in place."""

import numpy as np
import pytest
import tensorflow as tf

from electra_span.layers.packing import keep_all, skip_padding

MASKS = {
    "full": np.ones((3, 11), np.int32),
    "padded": (np.arange(11) < np.array([[11], [6], [2]])).astype(np.int32),
    "holes": np.array([[1, 0, 1, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 1]], np.int32),
    "empty": np.zeros((2, 5), np.int32),
    "one": np.eye(1, 40, 39, dtype=np.int32),
}


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
@pytest.mark.parametrize("name", MASKS)
def test_unpacking_brings_every_real_token_back_and_zeros_elsewhere(name, shape):
    mask = MASKS[name]
    x = np.random.default_rng(0).standard_normal((*mask.shape, *shape)).astype(np.float32)
    packing = skip_padding(mask)
    packed = packing.pack(x)
    restored = packing.unpack(packed).numpy()
    np.testing.assert_array_equal(restored[mask == 1], x[mask == 1])
    left_out = np.any(restored != x, axis=tuple(range(2, restored.ndim))) if shape else restored != x
    assert np.all(restored[left_out] == 0)
    assert packed.shape[1:] == shape
    assert mask.size - left_out.sum() == packed.shape[0]


@pytest.mark.parametrize("name", MASKS)
def test_few_more_than_the_real_tokens_are_kept(name):
    mask = MASKS[name]
    num_kept = skip_padding(mask).pack(mask).shape[0]
    assert mask.sum() <= num_kept <= min(mask.size, mask.sum() + max(mask.size // 16, mask.sum() // 8, 1))


def test_batches_of_all_shapes_keep_few_different_numbers_of_tokens():
    kept = set()
    for size in (1500, 1700, 2400, 3200, 4096):
        for num_tokens in range(1024, size + 1, 41):
            kept.add(skip_padding((np.arange(size) < num_tokens).astype(np.int32)[None]).indices.shape[0])
    assert len(kept - {1500, 1700, 2400, 3200}) <= 17


def test_kept_real_tokens_come_first_and_in_order():
    mask = MASKS["padded"]
    places = np.arange(mask.size).reshape(mask.shape)
    packed = skip_padding(mask).pack(places).numpy()
    np.testing.assert_array_equal(packed[: mask.sum()], places[mask == 1])


def test_packing_that_keeps_all_keeps_all():
    x = tf.reshape(tf.range(2 * 5 * 3), [2, 5, 3])
    packing = keep_all(tf.zeros([2, 5], tf.int32))
    assert packing.pack(x).shape == (10, 3)
    np.testing.assert_array_equal(packing.unpack(packing.pack(x)), x)


def test_packing_works_inside_a_graph_whose_shapes_are_not_static():
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def round_trip(mask):
        packing = skip_padding(mask)
        return packing.unpack(packing.pack(mask))

    for mask in MASKS.values():
        np.testing.assert_array_equal(round_trip(mask), mask)

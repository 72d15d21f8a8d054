"""What models read of raw strings: the same as fine-tuning makes of them, in a graph."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_span.inference.text_batch import inner_tokens, read_parts, read_texts
from finetune.features import pair_features
from tests.electra_span.inference.tiny_text_models import TEXTS, VOCABULARY, sentence_piece, wordpiece

TOKENIZER = wordpiece()
CLS, SEP, MASK = TOKENIZER.cls_id, TOKENIZER.sep_id, TOKENIZER.mask_id


def rows_of(batch):
    lengths = batch.input_mask.numpy().sum(axis=1)
    return [row[:length].tolist() for row, length in zip(batch.input_ids.numpy(), lengths, strict=True)]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=5),
    st.integers(5, 16),
)
def test_pairs_are_read_as_finetuning_reads_them(lengths, max_seq_length):
    first, second = ([" ".join(["cat"] * size[side]) for size in lengths] for side in (0, 1))
    batch = read_texts(
        tf.constant(first), tf.constant(second), tokenizer=TOKENIZER, max_seq_length=max_seq_length, places=True
    )
    flat = [TOKENIZER.encode_flat(texts) for texts in (first, second)]
    wanted = pair_features(*flat, max_seq_length=max_seq_length, cls_id=CLS, sep_id=SEP)
    for row, (start, end) in enumerate(itertools.pairwise(wanted.row_splits)):
        size = end - start
        assert batch.input_ids[row, :size].numpy().tolist() == wanted.input_ids[start:end].tolist()
        assert batch.segment_ids[row, :size].numpy().tolist() == wanted.segment_ids[start:end].tolist()
        assert batch.input_mask[row].numpy().tolist() == [1] * size + [0] * (wanted.lengths().max() - size)
        is_pair = lengths[row][1] > 0
        assert bool(batch.is_cut[row]) == (sum(lengths[row]) + 2 + is_pair > max_seq_length)
        is_special = np.isin(batch.input_ids[row], [CLS, SEP, TOKENIZER.pad_id])
        assert np.array_equal(batch.starts[row] < 0, is_special)


@pytest.mark.parametrize("make_tokenizer", [wordpiece, sentence_piece])
def test_places_are_code_points_of_the_texts_and_special_tokens_have_none(make_tokenizer):
    tokenizer = make_tokenizer()
    batch = read_texts(tf.constant(TEXTS), tokenizer=tokenizer, max_seq_length=16, places=True)
    found = inner_tokens(batch, tf.constant(tokenizer.vocabulary))
    ids, offsets = tokenizer.encode_with_offsets(TEXTS)
    for row, text in enumerate(TEXTS):
        count = min(len(ids[row]), 14)
        assert rows_of(batch)[row] == [tokenizer.cls_id, *ids[row][:14], tokenizer.sep_id]
        assert found.is_token[row].numpy().tolist() == [True] * count + [False] * (14 - count)
        assert [token.decode() for token in found.tokens[row, :count].numpy()] == tokenizer.tokens(ids[row][:14])
        places = list(zip(found.starts[row].numpy().tolist(), found.ends[row].numpy().tolist(), strict=True))
        assert places == offsets[row][:14] + [(-1, -1)] * (14 - count)
        assert bool(batch.is_cut[row]) == (len(ids[row]) > 14), text


def test_bytes_that_are_no_text_are_dropped():
    batch = read_texts(tf.constant([b"the \xff\xfecat"]), tokenizer=TOKENIZER, max_seq_length=9)
    assert rows_of(batch) == [[CLS, *TOKENIZER.encode(["the cat"])[0], SEP]]


def test_masks_stand_between_parts_without_the_blanks_before_them():
    parts = tf.ragged.constant([["the ", " sat"], ["cat"], ["", ""], ["a", " \u00a0", "."]])
    batch = read_parts(parts, tokenizer=TOKENIZER, max_seq_length=9)
    the, cat, sat, a, stop = (VOCABULARY.index(token) for token in ("the", "cat", "sat", "a", "."))
    assert [row[1:-1] for row in rows_of(batch)] == [[the, MASK, sat], [cat], [MASK], [a, MASK, MASK, stop]]


def test_blanks_before_a_mask_make_no_token_of_their_own():
    tokenizer = sentence_piece()
    batch = read_parts(tf.ragged.constant([["the  ", "cat"]]), tokenizer=tokenizer, max_seq_length=9)
    the, cat = tokenizer.encode(["the", "cat"])
    assert rows_of(batch)[0][1:-1] == [*the, tokenizer.mask_id, *cat]


def test_no_texts_are_read_as_no_rows():
    batch = read_texts(tf.constant([], tf.string), tokenizer=TOKENIZER, max_seq_length=9, places=True)
    assert batch.input_ids.shape[0] == 0

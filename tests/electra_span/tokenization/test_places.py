import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from electra_span.tokenization import normalization


@given(rows=st.lists(st.tuples(st.lists(st.integers(0, 2**32 - 1)), st.lists(st.integers(0, 2**32 - 1))), max_size=4))
@hypothesis_settings(deadline=None)
def test_positions_are_ranked_among_the_numbers_of_their_own_row(rows):
    among = tf.ragged.constant([sorted(row[1]) for row in rows], tf.int64, ragged_rank=1)
    positions = tf.ragged.constant([row[0] for row in rows], tf.int64, ragged_rank=1)
    ranks = normalization.num_up_to(positions.flat_values[tf.newaxis], positions.value_rowids(), among)
    expected = [sum(each <= value for each in row[1]) for row in rows for value in row[0]]
    assert (ranks.dtype, ranks.numpy().tolist()) == (tf.int32, [expected])


def test_bytes_are_in_the_characters_of_their_own_text():
    lengths = normalization.utf8_lengths(tf.strings.unicode_decode(["aé日\U0001f600", "", "\x00ß"], "UTF-8"))
    assert lengths.to_list() == [[1, 2, 3, 4], [], [1, 2]]
    positions, rows = tf.constant([[0, 1, 2, 9, 10, 0, 2], [1, 3, 5, 6, 10, 1, 3]]), tf.constant([0, 0, 0, 0, 0, 2, 2])
    characters = normalization.characters_at(positions, tf.cast(rows, tf.int64), lengths)
    assert characters.numpy().tolist() == [[0, 1, 1, 3, 4, 0, 1], [1, 2, 2, 3, 4, 1, 2]]


def test_no_byte_is_in_a_character_that_normalisation_drops():
    lengths = tf.ragged.constant([[1], [0, 2, 0, 1]])
    characters = normalization.characters_at(tf.constant([[0, 1, 2]]), tf.constant([1, 1, 1], tf.int64), lengths)
    assert characters.numpy().tolist() == [[1, 1, 3]]


def test_a_character_is_found_in_the_rows_that_are_searched_alone():
    texts = tf.constant(["日a日", "日", "b", "é日"])
    ends = normalization.ends_of("日", texts, tf.constant([0, 2, 3], tf.int64))
    assert ends.to_list() == [[3, 7], [], [], [5]]
    assert normalization.ends_of("日", texts[:0], tf.constant([], tf.int64)).to_list() == []
    assert np.all(ends.row_splits == [0, 2, 2, 2, 3])

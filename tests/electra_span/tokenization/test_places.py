import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from electra_span.tokenization import places

ROWS = st.lists(st.tuples(st.lists(st.integers(0, 2**32)), st.lists(st.integers(0, 2**32))), max_size=4)


@given(rows=ROWS)
@hypothesis_settings(deadline=None)
def test_numbers_are_ranked_among_those_of_their_own_row(rows):
    values, among = (
        tf.ragged.constant([list(side) for side in sides], tf.int64, ragged_rank=1)
        for sides in ([row[0] for row in rows], [sorted(row[1]) for row in rows])
    )
    ranks = places.num_not_above(values, among)
    assert ranks.dtype == tf.int32
    assert ranks.to_list() == [[sum(each <= value for each in row[1]) for value in row[0]] for row in rows]


def test_characters_end_where_their_bytes_do():
    texts = ["aé日\U0001f600", "", "\x00ß"]
    lengths = places.utf8_lengths(tf.strings.unicode_decode(texts, "UTF-8"))
    assert lengths.to_list() == [[1, 2, 3, 4], [], [1, 2]]
    assert places.ends_in_bytes(lengths).to_list() == [[1, 3, 6, 10], [], [1, 3]]


def test_a_character_is_found_in_the_rows_that_are_searched_alone():
    texts = tf.constant(["日a日", "日", "b", "é日"])
    ends = places.ends_of("日", texts, tf.constant([0, 2, 3], tf.int64))
    assert ends.to_list() == [[3, 7], [], [], [5]]
    assert places.ends_of("日", texts[:0], tf.constant([], tf.int64)).to_list() == []
    assert np.all(ends.row_splits == [0, 2, 2, 2, 3])

"""Every answer is in one class, and is scored as SQuAD 2.0's evaluator does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.analysis.judging import (
    ANSWERED,
    CLASS_MEANINGS,
    CORRECT,
    DISJOINT,
    MISSING,
    OVERLAPPING,
    REFUSED,
    TOO_LONG,
    TOO_SHORT,
    judge,
)
from finetune.metrics.squad import question_scores


@pytest.mark.parametrize(
    ("gold", "prediction", "error_class", "lenient"),
    [
        (["Rome"], "rome!", CORRECT, 1),
        (["the old king", "King"], "a king", CORRECT, 1),
        ([], "", CORRECT, 1),
        ([], "the", CORRECT, 1),  # nothing is left of it
        (["Rome"], "in Rome, in May", TOO_LONG, 1),
        (["the old king"], "king", TOO_SHORT, 1),
        (["art"], "party", DISJOINT, 0),  # words, not letters
        (["sea of Rome"], "sea Rome", OVERLAPPING, 0),  # not one after the other
        (["old king"], "king of Rome", OVERLAPPING, 0),
        (["Rome", "the old town of Rome"], "old town", TOO_SHORT, 1),
        (["king", "sea in May at noon"], "sea of king", TOO_LONG, 1),  # king is nearer than sea
        (["Rome"], "Paris", DISJOINT, 0),
        (["Rome"], "", REFUSED, 0),
        (["Rome"], "the ...", REFUSED, 0),
        ([], "Rome", ANSWERED, 0),
        (["Rome"], None, MISSING, 0),
        ([], None, MISSING, 0),
    ],
)
def test_answers_are_told_apart(gold, prediction, error_class, lenient):
    answer = judge(gold, prediction)
    assert (answer.error_class, answer.lenient) == (error_class, lenient)
    expected = (0.0, 0.0) if prediction is None else question_scores(gold, prediction)
    assert (answer.exact, answer.f1) == expected


def test_the_nearest_gold_answer_has_most_words_in_common():
    assert judge(["Paris", "the city of Rome", "Rome today"], "Rome").nearest_gold == "Rome today"
    assert judge(["Paris", "Rome"], "Oslo").nearest_gold == "Paris"
    assert judge([], "Oslo").nearest_gold == ""


def test_a_refused_answer_is_right_only_where_there_is_none():
    assert judge([], "Rome", is_refused=True)[:4] == ("", 1.0, 1.0, 1.0)
    refused = judge(["the"], "Rome", is_refused=True)  # an answer without words is one all the same
    assert (refused.text, refused.exact, refused.f1, refused.lenient) == ("", 0.0, 0.0, 0.0)
    assert refused.error_class == REFUSED


_TEXTS = st.lists(st.sampled_from(["the", "king", "old", "sea", "Rome!", ","]), max_size=4).map(" ".join)


@given(st.lists(_TEXTS, max_size=3), _TEXTS, st.booleans())
def test_right_answers_are_correct_and_no_others(gold, prediction, is_refused):
    answer = judge(gold, prediction, is_refused=is_refused)
    assert (answer.error_class == CORRECT) == (answer.exact == 1)
    assert answer.error_class in CLASS_MEANINGS
    assert answer.lenient >= answer.exact
    assert answer.f1 >= answer.exact
    if answer.error_class in (TOO_LONG, TOO_SHORT):
        assert answer.lenient == 1
    if answer.error_class == DISJOINT:
        assert answer.f1 == 0

"""Questions are told apart by their properties, and the groups' scores are means over their questions."""

import pytest

from finetune.analysis.breakdowns import ANSWERABLE, UNANSWERABLE, breakdowns
from finetune.analysis.judging import judge
from tests.finetune.analysis.made_up import question


def _groups(questions, key, predictions=None):
    predictions = predictions or ["Rome"] * len(questions)
    judged = [judge(row.gold_texts, text) for row, text in zip(questions, predictions, strict=True)]
    kinds = {kind.key: kind for kind in breakdowns(questions, [judged])}
    return kinds[key]


def test_scores_are_means_over_the_questions_of_a_group():
    questions = [question("a", "Who?"), question("b", "who, then?"), question("c", "Why?"), question("d", "Who?", ())]
    kind = _groups(questions, "question_word", ["Rome", "in Rome", "May", "May"])
    assert [(row.name, row.num_questions) for row in kind.groups] == [("who", 3), ("why", 1)]
    exact, f1, lenient = kind.groups[0].scores[0]
    assert (exact, f1, lenient) == pytest.approx((100 / 3, 100 * (1 + 2 / 3) / 3, 200 / 3))
    assert kind.group_of_question == ["who", "who", "why", "who"]
    assert [row.name for row in _groups(questions, "answerable").groups] == [ANSWERABLE, UNANSWERABLE]


@pytest.mark.parametrize(
    ("num_words", "name"),
    [(1, "1"), (3, "3"), (4, "4 to 5"), (5, "4 to 5"), (6, "6 to 10"), (20, "11 to 20"), (21, "21 or more")],
)
def test_answers_are_as_long_as_the_shortest(num_words, name):
    context = " ".join(f"w{number}" for number in range(40))
    shortest = " ".join(f"w{number}" for number in range(num_words))
    kind = _groups([question(gold_texts=(context, shortest), context=context)], "answer_length")
    assert [row.name for row in kind.groups] == [name]


def test_unanswerable_questions_have_answers_of_no_length():
    assert _groups([question(gold_texts=())], "answer_length").groups[0].name == UNANSWERABLE


@pytest.mark.parametrize(
    ("key", "num_words", "name"),
    [
        ("question_length", 0, "0 to 5"),
        ("question_length", 5, "0 to 5"),
        ("question_length", 6, "6 to 7"),
        ("question_length", 20, "16 to 20"),
        ("question_length", 21, "21 or more"),
        ("context_length", 50, "0 to 50"),
        ("context_length", 51, "51 to 100"),
        ("context_length", 1000, "501 to 1000"),
        ("context_length", 1001, "1001 or more"),
    ],
)
def test_lengths_are_counted_in_words(key, num_words, name):
    text = " \n".join(["word"] * num_words)
    row = question(text=text, gold_texts=()) if key == "question_length" else question(gold_texts=(), context=text)
    assert [group.name for group in _groups([row], key).groups] == [name]


def test_groups_are_in_the_order_of_their_property():
    questions = [question(str(number), "w " * number) for number in (30, 1, 8, 6)]
    names = [row.name for row in _groups(questions, "question_length").groups]
    assert names == ["0 to 5", "6 to 7", "8 to 9", "21 or more"]

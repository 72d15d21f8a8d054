"""Questions are told apart by the first word that asks, whatever surrounds it."""

import pytest

from finetune.analysis.breakdowns import QUESTION_WORDS, question_word


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("What is it?", "what"),
        ("what's up", "what"),
        ("“What’s up?”", "what"),
        ("WHAT?", "what"),
        ("Why?", "why"),
        ("(who", "who"),
        ("Who're they?", "who"),
        ("To whom was it given, and when?", "whom"),
        ("Whose is it?", "whose"),
        ("In which year, and where?", "which"),
        ("When did who win?", "when"),
        ("Where-ever? where", "where"),
        ("How far is it?", "how far"),
        ("For how LONG?", "how long"),
        ("how, many", "how many"),
        ("How much?", "how much"),
        ("How old is he?", "how old"),
        ("How?", "how other"),
        ("How did Somehow win?", "how other"),
        ("Somehow whatever somewhat", "other"),
        ("Name the town.", "other"),
        ("", "other"),
        ("東京はどこ？", "other"),
    ],
)
def test_the_first_word_that_asks_counts(question, word):
    assert question_word(question) == word
    assert word in QUESTION_WORDS

"""Excerpts hold the answers, marked, and as much of the context as is needed."""

from finetune.analysis.excerpts import BOTH, GOLD, NEITHER, PREDICTED, Piece, excerpt
from finetune.qa.examples import Answer
from tests.finetune.analysis.made_up import question


def _marks(pieces):
    return [(piece.text, piece.mark) for piece in pieces if piece.mark]


def test_gold_and_predicted_answers_are_marked():
    row = question(gold_texts=("the old king",))
    assert _marks(excerpt(row, "the old king", ["king in Rome"])) == [
        ("the old ", GOLD),
        ("king", BOTH),
        (" in Rome", PREDICTED),
    ]
    assert "".join(piece.text for piece in excerpt(row, "the old king", [""])) == row.context
    assert _marks(excerpt(row, "the old king", [""])) == [("the old king", GOLD)]


def test_the_gold_answer_is_the_one_at_its_offset_and_the_prediction_the_nearest_to_it():
    context = "19 of 19 and 19, 20 or 20"
    row = question(context=context, gold_texts=())._replace(answers=(Answer("19", 13),))
    pieces = excerpt(row, "19", ["20"])
    assert pieces == [
        Piece("19 of 19 and ", NEITHER),
        Piece("19", GOLD),
        Piece(", ", NEITHER),
        Piece("20", PREDICTED),
        Piece(" or 20", NEITHER),
    ]
    assert _marks(excerpt(row, "19", ["19"])) == [("19", BOTH)]


def test_what_is_far_from_both_is_left_out():
    context = f"start {'word ' * 100}Rome {'word ' * 200}May {'word ' * 100}end"
    pieces = excerpt(question(context=context), "Rome", ["May"])
    text = "".join(piece.text for piece in pieces)
    assert text.count(" … ") == 3
    assert len(text) < 700
    assert _marks(pieces) == [("Rome", GOLD), ("May", PREDICTED)]
    assert set(text.split()) == {"…", "word", "Rome", "May"}  # no part of a word


def test_a_context_without_either_is_shown_from_its_beginning():
    context = "word " * 100
    pieces = excerpt(question(context=context, gold_texts=()), "", ["nowhere"])
    assert pieces[0].text.startswith("word word")
    assert pieces[-1].text == " … "
    assert excerpt(question(context="", gold_texts=()), "", ["x"]) == []

"""An analysis of answers of which every error is known."""

import pytest

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
)
from finetune.analysis.tables import summary_line
from tests.finetune.analysis.made_up import ROWS, analysis_of

EXPECTED = {
    "correct": CORRECT,
    "too long": TOO_LONG,
    "too short": TOO_SHORT,
    "overlapping": OVERLAPPING,
    "disjoint": DISJOINT,
    "refused": REFUSED,
    "article": REFUSED,
    "answered": ANSWERED,
    "silent": CORRECT,
    "missing": MISSING,
}


def test_every_error_is_in_its_class_and_counted(tmp_path):
    analysis = analysis_of(tmp_path, threshold=0.0)
    classes = {
        row.id: answer.error_class for row, answer in zip(analysis.questions, analysis.models[0].answers, strict=True)
    }
    assert classes == EXPECTED
    counts = {name: list(EXPECTED.values()).count(name) for name in CLASS_MEANINGS}
    assert analysis.error_classes == [counts]
    assert list(analysis.error_classes[0]) == list(CLASS_MEANINGS)


def test_examples_are_of_their_class_and_of_the_seed(tmp_path):
    rows = {f"q{number}": ("Who?", ("Rome",), "May", "May", 0.0) for number in range(40)}
    rows["long"] = ("Who?", ("Rome",), "in Rome", "May", 0.0)
    drawn = [analysis_of(tmp_path, rows=rows, num_examples=7, seed=seed).examples for seed in (1, 1, 2)]
    long, disjoint = drawn[0]
    assert (long.title, long.num_all, long.questions) == (TOO_LONG, 1, [40])
    assert (disjoint.title, disjoint.num_all, len(disjoint.questions)) == (DISJOINT, 40, 7)
    assert disjoint.questions == sorted(set(disjoint.questions))
    assert drawn[0] == drawn[1] != drawn[2]


def test_one_kind_of_error_does_not_move_another_s_examples(tmp_path):
    rows = {f"q{number}": ("Who?", ("Rome",), "May", "May", 0.0) for number in range(40)}
    before = analysis_of(tmp_path, rows=rows, num_examples=5).examples[0]
    rows["long"] = ("Who?", ("Rome",), "in Rome", "May", 0.0)
    assert analysis_of(tmp_path, rows=rows, num_examples=5).examples[1] == before


def test_two_models_are_compared_on_the_same_questions(tmp_path):
    analysis = analysis_of(tmp_path, models=2, has_null_odds=False)
    right = [[answer.exact == 1 for answer in model.answers] for model in analysis.models]
    only = [
        {row.id for row, a, b in zip(analysis.questions, *right, strict=True) if (a, b) == pair}
        for pair in ((1, 0), (0, 1))
    ]
    assert only == [{"correct"}, {"too long", "too short", "article", "answered", "missing"}]
    assert analysis.comparison.mcnemar[:2] == (1, 5)
    exact = analysis.comparison.differences["exact"].interval
    assert exact.mean == pytest.approx(-0.4)
    assert exact.low < -0.4 < exact.high
    names = [[analysis.questions[place].id for place in row.questions] for row in analysis.differing]
    assert [set(row) for row in names] == only
    assert [row.title for row in analysis.differing] == ["only A is right", "only B is right"]


def test_one_model_is_compared_with_none(tmp_path):
    analysis = analysis_of(tmp_path)
    assert analysis.comparison is None
    assert analysis.differing == []
    assert len(analysis.breakdowns[0].groups[0].scores) == 1


def test_the_line_tells_scores_threshold_and_missing_predictions(tmp_path):
    line = summary_line(analysis_of(tmp_path, threshold=0.0))
    path = tmp_path / "a.json"
    assert line.startswith(f"A {path}: exact match 20.000, F1 ")
    assert line.endswith(f"at threshold 0 (given); {len(ROWS)} questions, 1 without prediction")
    assert "A - B: F1 -" in summary_line(analysis_of(tmp_path, models=2))

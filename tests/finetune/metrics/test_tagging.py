import collections
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_span.tags import (
    BIOES,
    PLAIN,
    READINGS,
    LabelWriter,
    Span,
    bio_tags,
    bioes_tags,
    iob1_tags,
    scheme_of_file,
    scheme_of_labels,
    spans_of,
)
from finetune.metrics.tagging import SpanCounts, span_counts, tagging_scores

TAGS = ["O", *(f"{position}-{kind}" for position in "BIES" for kind in "XY")]
# Where conlleval's tables say that a span ends before a tag, or starts at it, for tags of one kind.
ENDS = {"BB", "BS", "BO", "IB", "IS", "IO", *("E" + after for after in "BIESO"), *("S" + after for after in "BIESO")}
STARTS = {"OI", "OE", "EI", "EE", "SI", "SE", *(before + after for before in "OBIES" for after in "BS")}


def conlleval_spans(tags: list[str]) -> set[Span]:
    """Goes through a sentence as conlleval does: with a table of ends and one of starts."""
    spans, first = set(), None
    before, before_kind = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        position, _, kind = tag.partition("-")
        other = before != "O" and before_kind != kind
        if first is not None and (before + position in ENDS or other):
            spans.add(Span(first, place - 1, before_kind))
            first = None
        if before + position in STARTS or (position != "O" and before_kind != kind):
            first = place
        before, before_kind = position, kind
    return spans


@settings(deadline=None)
@given(st.lists(st.sampled_from(TAGS), max_size=9))
def test_spans_are_those_of_conlleval(tags):
    spans = spans_of(tags)
    assert set(spans) == conlleval_spans(tags)
    assert spans == sorted(spans)


@settings(deadline=None)
@given(st.lists(st.sampled_from(TAGS), max_size=9), st.sampled_from(READINGS))
def test_tags_made_of_spans_stand_for_these_spans_in_either_reading(tags, reading):
    spans = spans_of(tags, reading)
    for tagged in (bioes_tags(spans, len(tags)), bio_tags(spans, len(tags))):
        assert spans_of(tagged, "conlleval") == spans_of(tagged, "original") == spans


def test_spans_and_tags_are_the_recorded_ones_in_the_original_reading(golden):
    for case in json.loads(golden("glue/tagging.json").read_text())["spans"]:
        spans = spans_of(case["tags"], "original")
        assert [list(span) for span in spans] == case["spans"]
        assert bioes_tags(spans, len(case["tags"])) == case["bioes"]
        assert bio_tags(spans, len(case["tags"])) == case["bio"]


def test_spans_of_two_kinds_are_never_one(golden):
    recorded = json.loads(golden("glue/tagging.json").read_text())["spans"]
    differ = [case["tags"] for case in recorded if [list(span) for span in spans_of(case["tags"])] != case["spans"]]
    assert differ == [
        ["B-A", "I-B", "I-B"], ["O", "I-A", "E-A", "I-B", "O"], ["B-A", "E-A", "E-A"], ["S-A", "I-A", "E-A"],
    ]  # fmt: skip
    assert spans_of(["B-A", "I-B", "I-B"]) == [Span(0, 0, "A"), Span(1, 2, "B")]
    assert spans_of(["B-A", "E-A", "E-A"]) == [Span(0, 1, "A"), Span(2, 2, "A")]


def test_scores_are_the_recorded_ones(golden):
    recorded = json.loads(golden("glue/tagging.json").read_text())
    names = {number: tag for tag, number in recorded["features"]["256"]["label_mapping"].items()}
    metrics = recorded["metrics"]
    gold, predicted = ([[names[tag] for tag in row] for row in metrics[key]] for key in ("labels", "predictions"))
    expected = metrics["EntityLevelF1Scorer"] | metrics["AccuracyScorer"]
    scores = tagging_scores(gold, predicted, "original")
    assert scores == pytest.approx({key: expected[key] for key in ("precision", "recall", "f1", "accuracy")}, abs=1e-9)
    by_conlleval = {"precision": 100 * 19 / 46, "recall": 100 * 19 / 31, "f1": 200 * 19 / (46 + 31)}
    assert tagging_scores(gold, predicted) == pytest.approx({**by_conlleval, "accuracy": scores["accuracy"]})


def test_baseline_of_conll_2000_has_its_published_scores(shared_data):
    """The most frequent chunk tag of each part of speech: precision 72.58, recall 82.14, F1 77.07, accuracy 77.29."""
    files = [(shared_data / f"chunk/{name}.txt").read_text(encoding="utf-8") for name in ("train", "test")]
    train, test = ([[line.split() for line in part.splitlines()] for part in file.split("\n\n")] for file in files)
    counts = collections.defaultdict(collections.Counter)
    for _, part_of_speech, tag in (row for sentence in train for row in sentence):
        counts[part_of_speech][tag] += 1
    gold = [[row[2] for row in sentence] for sentence in test]
    predicted = [[counts[row[1]].most_common(1)[0][0] for row in sentence] for sentence in test]
    scores = {name: round(value, 2) for name, value in tagging_scores(gold, predicted).items()}
    assert scores == {"precision": 72.58, "recall": 82.14, "f1": 77.07, "accuracy": 77.29}


def test_spans_are_counted_by_kind():
    gold = [["B-X", "I-X", "O", "S-Y"], ["O", "B-X"]]
    predicted = [["B-X", "I-X", "S-Y", "S-Y"], ["O", "B-Z"]]
    assert span_counts(gold, predicted) == {
        "X": SpanCounts(2, 1, 1), "Y": SpanCounts(1, 2, 1), "Z": SpanCounts(0, 1, 0),
    }  # fmt: skip


def test_nothing_found_or_nothing_there_scores_0():
    assert tagging_scores([["O", "S-X"]], [["O", "O"]]) == {"precision": 0, "recall": 0, "f1": 0, "accuracy": 50}
    assert tagging_scores([["O", "O"]], [["O", "S-X"]]) == {"precision": 0, "recall": 0, "f1": 0, "accuracy": 50}
    assert tagging_scores([], []) == {"precision": 0, "recall": 0, "f1": 0, "accuracy": 0}


def test_a_word_without_prediction_is_an_error():
    with pytest.raises(ValueError, match=r"sentence 1: every word must have a predicted tag. Received: 1 tags for 2"):
        tagging_scores([["O"], ["O", "O"]], [["O"], ["O"]])


ALIKE = {
    "BIOES": "O S-X O B-X I-X E-X S-X B-Y E-Y",
    "BIO": "O B-X O B-X I-X I-X B-X B-Y I-Y",
    "IOB1": "O I-X O I-X I-X I-X B-X I-Y I-Y",
    "BMES": "O S-X O B-X M-X E-X S-X B-Y E-Y",
    "BILOU": "O U-X O B-X I-X L-X U-X B-Y L-Y",
    "BMEWO": "O W-X O B-X M-X E-X W-X B-Y E-Y",
    "underscores": "O B_X O B_X I_X I_X B_X B_Y I_Y",
    "suffixes": "O X-B O X-B X-I X-I X-B Y-B Y-I",
    "suffixes with underscores": "O X_S O X_B X_I X_E X_S Y_B Y_E",
}
PLAIN_TAGS = [
    "NN VBZ -LRB- NN-TL S I B", "NOUN PROPN X O", "ART|1 KON", "O COMMA PERIOD", "N V I A", "LABEL_0 LABEL_1", "S E",
]  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_the_same_spans_are_read_from_every_scheme_and_written_in_it(name):
    tags = ALIKE[name].split()
    scheme = scheme_of_file(collections.Counter(tags))
    assert scheme == scheme_of_labels(sorted(set(tags)))
    spans = spans_of(scheme.canonical(tags))
    assert spans == [Span(1, 1, "X"), Span(3, 5, "X"), Span(6, 6, "X"), Span(7, 8, "Y")]
    bioes = bioes_tags(spans, len(tags))
    written = LabelWriter(sorted(set(tags))).written(bioes)
    assert spans_of(scheme.canonical(written)) == spans
    if name == "IOB1":
        assert iob1_tags(spans, len(tags)) == tags
    else:
        assert written == tags
    assert span_counts([bioes], [scheme.canonical(written)])["X"] == SpanCounts(3, 3, 3)


def test_positions_alone_are_spans_of_no_kind():
    scheme = scheme_of_labels(["B", "M", "E", "S"])
    assert spans_of(scheme.canonical(["S", "B", "M", "E", "B", "E"])) == [
        Span(0, 0, ""),
        Span(1, 3, ""),
        Span(4, 5, ""),
    ]
    assert scheme_of_labels(["B", "I"]) == scheme_of_labels(["O", "B", "I"]) == scheme
    assert LabelWriter(["B", "I"]).written(["S", "B", "I", "E"]) == ["B", "B", "I", "I"]


@pytest.mark.parametrize("tags", PLAIN_TAGS)
def test_tags_without_positions_are_plain(tags):
    tags = tags.split()
    assert scheme_of_file(collections.Counter(tags)) == scheme_of_labels(tags) == PLAIN
    assert LabelWriter(tags).written(tags) == tags


def test_labels_of_padding_do_not_decide_and_parts_of_plain_ones_do():
    assert scheme_of_labels(["[PAD]", "O", "B-X", "I-X", "X", "[CLS]", "[SEP]"]) == BIOES
    assert scheme_of_labels(["ADP", "NOUN", "B-NOUN", "I-NOUN", "B-ADP", "I-ADP", "B-VERB", "I-VERB"]) == PLAIN
    assert scheme_of_labels(["O"]) == BIOES


def test_a_kind_that_the_labels_lack_stays_as_it_is():
    assert LabelWriter(["O", "B-X", "I-X"]).written(["S-Z", "S-X", "O"]) == ["S-Z", "B-X", "O"]
    assert LabelWriter(["O", "I-X"]).written(["B-X", "E-X", "S-X"]) == ["I-X", "I-X", "I-X"]

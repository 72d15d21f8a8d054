"""The page shows the analysis, fetches nothing, and takes no text for markup."""

import html.parser
import re

import pytest

from finetune.analysis.page import page
from tests.finetune.analysis.made_up import ROWS, analysis_of

_VOID = {"meta", "mark", "br"}


class _Page(html.parser.HTMLParser):
    """Collects the elements, attributes and text of a page, and checks that elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.texts, self._open = [], [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("has_null_odds", [True, False])
def test_the_page_is_whole_and_fetches_nothing(tmp_path, models, has_null_odds):
    text = page(analysis_of(tmp_path, models=models, has_null_odds=has_null_odds))
    seen = _Page(text)
    assert not {"script", "link", "img", "iframe", "object", "use", "image", "a", "base", "form"} & set(seen.elements)
    assert not {name for name, _ in seen.attributes if name.startswith("on") or name in ("src", "href", "style")}
    assert not re.search(r"url\(|@import|https?:", text)
    assert ("When it does not answer" in seen.text) == has_null_odds
    assert ("Where they differ" in seen.text) == (models == 2)
    assert ("polyline" in seen.elements) == has_null_odds
    assert "nan" not in text.lower().replace("unanswer", "")


HOSTILE = "</svg></style><script>alert(1)</script>\"'&amp;<img src=x onerror=y>\u202e\x00\ud800\t\n"


def test_hostile_ids_and_texts_are_shown_and_never_obeyed(tmp_path):
    rows = {
        HOSTILE + kind: (f"Who {HOSTILE}?", golds, prediction, HOSTILE, -1.0)
        for kind, golds, prediction in (
            ("a", ("Rome",), HOSTILE),
            ("b", (), HOSTILE),
            ("c", ("Rome",), None),
            ("d", ("Rome",), "in Rome"),
        )
    }
    benign = {
        name: ("Who?", row[1], row[2] and "x", "x", -1.0) for name, row in zip("abcd", rows.values(), strict=True)
    }
    hostile_folder, benign_folder = tmp_path / "<script>&", tmp_path / "b"
    for folder in (hostile_folder, benign_folder):
        folder.mkdir()
    text = page(analysis_of(hostile_folder, rows=rows, models=2, threshold=0.0))
    seen = _Page(text)
    other = _Page(page(analysis_of(benign_folder, rows=benign, models=2, threshold=0.0)))
    assert set(seen.elements) == set(other.elements)
    assert {name for name, _ in seen.attributes} == {name for name, _ in other.attributes}
    assert "<script" not in text
    assert "\\u202e" not in text
    assert not re.search("[\x00-\x08\u202a-\u202e\ud800-\udfff]", text)
    assert "<script>alert(1)</script>\"'&amp;<img src=x onerror=y>\ufffd\ufffd\ufffd" in seen.text
    assert "<script>&" in seen.text


def test_the_page_tells_scores_groups_errors_and_examples(tmp_path):
    text = _Page(page(analysis_of(tmp_path, threshold=0.0))).text
    for expected in (
        "Answers of a.json to gold.json",
        "10 questions: 8 with an answer, 2 without.",
        "1 questions have no prediction, or no null odds, and count as wrong (missing).",
        "exact match 20.00 0.00 to 50.00",
        "used here: 0",
        "By question word",
        "how long 1 0.00 0.00 0.00",
        "Wrong answers: 8",
        "answered the unanswerable 1 10.0 %",
        "too short 1 of 1; a part of a gold answer",
        "Whom did she meet? right the old king · the old king in Rome answered king (F1 0.67, null odds -4)",
    ):
        assert expected in text, expected


def test_the_page_says_which_model_is_better(tmp_path):
    rows = {
        f"q{n}": ("Who?", ("Rome",), "Rome" if n % 4 else "May", "Rome" if n % 5 else "May", 0.0) for n in range(60)
    }
    text = _Page(page(analysis_of(tmp_path, models=2, has_null_odds=False, rows=rows))).text
    assert "Is one better? No: their F1 differs by 5.00 points, which chance explains (A − B: 95 %" in text
    rows = {
        f"q{n}": ("Who?", ("Rome",), "Rome" if n % 4 else "May", "May" if n % 3 else "Rome", 0.0) for n in range(60)
    }
    text = _Page(page(analysis_of(tmp_path, models=2, has_null_odds=False, rows=rows))).text
    assert "Yes, A: its F1 is 41.67 points higher (A − B: 95 % interval" in text
    assert "A alone is right at 30 questions, B alone at 5; McNemar's exact test on exact match: p < 0.001." in text


def test_the_page_says_where_squad_v1_s_evaluator_differs(tmp_path):
    rows = {"q": ("Who?", ("the",), "the", "x", 0.0), "r": ROWS["correct"]}
    text = _Page(page(analysis_of(tmp_path, rows=rows, has_null_odds=False))).text
    assert "answers without words in another way, gives A: exact match 100.00, F1 50.00." in text
    assert "1.1's evaluator" not in page(analysis_of(tmp_path, rows={"r": ROWS["correct"]}, has_null_odds=False))


def test_a_page_without_errors_says_so(tmp_path):
    text = _Page(page(analysis_of(tmp_path, rows={"r": ROWS["correct"]}, has_null_odds=False))).text
    assert "every answer is right" in text
    assert "Wrong answers" not in text


def test_a_threshold_far_from_all_null_odds_leaves_the_curve_its_room(tmp_path):
    near, far = (page(analysis_of(tmp_path, threshold=value)) for value in (-2.0, 1e6))
    curves = [re.findall(r'<polyline[^>]* points="([^"]*)"', text) for text in (near, far)]
    assert curves[0] == curves[1]
    assert "used here: 1e+06" in far


@pytest.mark.parametrize("prediction", ["Rome", "Paris", None])
def test_a_single_question_is_enough(tmp_path, prediction):
    rows = {"q": ("Who?", ("Rome",), prediction, "May", 0.5), "r": ("Why?", (), "", "", 0.5)}
    for threshold in (None, 0.5, 1e6):
        _Page(page(analysis_of(tmp_path, rows=rows, models=2, threshold=threshold)))

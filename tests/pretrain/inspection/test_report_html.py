import html.parser
import re

import pytest

from pretrain.inspection.report_html import bar_chart, report_html
from pretrain.inspection.report_text import report_text

HOSTILE = '<script src="https://evil.example/x.js">alert(1)</script><img onerror=x> & "quoted" \x1b[31m\u202e\x00 </td>'
PLACE = {"text": HOSTILE, "file": 'a<b>"&.txt'}


@pytest.fixture
def report():
    """A report in which every text is hostile."""
    return {
        "corpus": {"files": 1, "bytes": 5000, "sources": {"text<": {}}},
        "text": {
            "documents": 7,
            "lines": 11,
            "words": 300,
            "characters": 2000,
            "different_characters": 30,
            "lines_by_characters": {"1": 4, "2 to 3": 0, "4 to 7": 7},
            "documents_by_words": {"32 to 63": 7},
        },
        "tokens": {
            "max_seq_length": 128,
            "format": "pairs",
            "num_examples": 3,
            "tokens_in": 400,
            "tokens_a_word": 1.3333,
            "characters_a_token": 5.0,
            "unknown_tokens": 1,
            "unknown_rate": 0.0025,
            "fill": 0.8125,
            "dropped": {"end_of_row": 12},
            "examples_by_fill": {"0 to 5 %": 1, "95 to 100 %": 2},
        },
        "scripts": {"Latin": 1800, "punctuation": 200},
        "repetitions": {
            "threshold": 0.8,
            "near_duplicate_documents": 2,
            "alike_documents": 1,
            "repeated_lines": 3,
            "repeated_long_lines": 1,
            "long_lines_have_words": 10,
            "groups": [{"near_duplicates": 2, "similarity": 0.9, "original": PLACE, "duplicate": PLACE}],
            "most_repeated_lines": [{"times": 3, **PLACE}],
        },
        "overlap": {
            "ngram_words": 13,
            "least_words": 8,
            "contaminated_documents": 1,
            "files": [{"file": "<dev>.json", "texts": 5, "texts_too_short": 2, "texts_shared": 1}],
            "examples": [{"document": 4, "shared": HOSTILE}],
        },
        "longest_lines": [{"characters": 90, **PLACE}],
        "strangest_lines": [{"bits_a_character": 9.5, **PLACE}],
    }


class _Page(html.parser.HTMLParser):
    """Collects a page's tags, attributes and text, and checks that each tag is closed."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts, self._open = [], [], [], []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "rect"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_page_holds_everything_and_fetches_nothing(report):
    page = report_html(report, "my corpus")
    parsed = _Page(page)
    assert not re.search(r"(https?:)?//(?!evil\.example)", page)
    assert {"script", "link", "img", "iframe", "object"}.isdisjoint(parsed.tags)
    assert {"src", "href", "onerror"}.isdisjoint(name for name, _ in parsed.attributes)
    assert "url(" not in page
    assert "@import" not in page
    assert parsed.tags.count("svg") == 4
    text = " ".join(parsed.texts)
    for expected in ("my corpus", "1.333", "0.2500 %", "81.2 %", "Latin", "1,800 (90.0 %)", "1 of 5 texts", "9.5"):
        assert expected in text, expected


def test_hostile_text_is_text(report):
    page = report_html(report, HOSTILE)
    shown = "".join(_Page(page).texts)
    expected = HOSTILE.replace("\x1b", "\ufffd").replace("\x00", "\ufffd").replace("\u202e", "\ufffd")
    assert shown.count(expected) == 7 + 1  # in the tables and the heading, and in the title before more
    assert "<img" not in page
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", page)
    assert "<dev>.json" in shown


def test_page_is_readable_in_light_and_dark_and_aloud(report):
    page = report_html(report, "c")
    assert "prefers-color-scheme: dark" in page
    assert 'lang="en"' in page
    attributes = _Page(page).attributes
    labels = [value for name, value in attributes if name == "aria-label"]
    assert "Characters by script: Latin 1800, punctuation 200" in labels
    assert [value for name, value in attributes if name == "role"] == ["img"] * 4


def test_page_does_without_tokens_and_evaluation_files(report):
    page = report_html({**report, "tokens": None, "overlap": None}, "c")
    assert _Page(page).tags.count("svg") == 3
    assert "evaluation" not in page.lower()


def test_bars_are_as_long_as_their_counts_and_names_are_escaped():
    chart = bar_chart("a <b>", {"<x>": 4, "y": 2, "z": 0})
    widths = [float(width) for width in re.findall(r'<rect[^>]*width="([\d.]+)"', chart)]
    assert widths[0] == 2 * widths[1] > widths[2] == 0
    assert "&lt;x&gt;" in chart
    assert "<x>" not in chart
    assert "<b>" not in chart
    assert "2 (33.3 %)" in chart
    assert "<rect" not in bar_chart("nothing", {})


def test_text_names_every_number_and_obeys_no_terminal(report):
    text = report_text(report)
    assert "\x1b" not in text
    assert "\u202e" not in text
    for expected in ("tokens a word", "1.333", "2 (28.57 %)", "3 (27.27 %)", "1 of 5 texts", "9.50: <script", "Latin"):
        assert expected in text, expected
    assert "overlap" not in report_text({**report, "overlap": None, "tokens": None})

import pytest

from pretrain.library_text import module_docstrings, paragraphs, sentences


def test_hard_wrapped_lines_become_one_paragraph():
    text = """\
        A line of prose that ends because the next word would not have
        fitted, and goes on here.
        Short line, so this is not wrapped
        and this is a line of its own."""
    assert list(paragraphs(text)) == [
        "A line of prose that ends because the next word would not have fitted, and goes on here.",
        "Short line, so this is not wrapped",
        "and this is a line of its own.",
    ]


@pytest.mark.parametrize("marker", ["*", "-", "1.", ">>>", ":param", "@return"])
def test_list_items_and_prompts_begin_a_new_line(marker):
    item = f"{marker} an item whose line is long enough to have been wrapped there"
    assert list(paragraphs(f"{item}\n{item}\n")) == [item, item]


def test_rules_and_table_borders_are_dropped():
    assert list(paragraphs("Title\n=====\n\n+---+\n| a |\n+---+")) == ["Title", "| a |"]


def test_paragraph_is_split_after_sentences_and_not_after_abbreviations():
    paragraph = "It is so, e.g. In this case. (See there.) Is it? `Yes`! and 3.5 is a number."
    assert sentences(paragraph) == [
        "It is so, e.g. In this case.",
        "(See there.)",
        "Is it?",
        "`Yes`! and 3.5 is a number.",
    ]


def test_docstrings_of_a_module_come_in_the_order_of_its_source(tmp_path):
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "__init__.py").write_text("def area():\n    pass\n")
    source = '"""Boxes."""\nclass Box:\n    def open(self):\n        """Opens."""\ndef pack():\n    """Packs."""\n'
    (tmp_path / "shapes" / "box.py").write_text(source)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_box.py").write_text('"""A test."""\n')
    assert list(module_docstrings(tmp_path)) == [
        ("shapes", ["", ""]),
        ("shapes.box", ["Boxes.", "", "Opens.", "Packs."]),
    ]

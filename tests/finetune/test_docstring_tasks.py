import subprocess
import sys

from finetune.docstring_tasks import MASK, PLACEHOLDER, Docstring, cloze_questions, package_texts

LONG = "This sentence about {} has words enough to be taken for a text of a docstring that stands alone."


def _docstrings(*texts: tuple[str, str]) -> list[Docstring]:
    return [Docstring(module, (text,)) for module, text in texts]


def _asked(*sentences: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Returns the questions about a docstring, each with its name and where the context has it."""
    splits = cloze_questions([Docstring("a.module", sentences)], seed=1)
    return {row.question: (row.name, row.answer_starts) for row in (*splits.train, *splits.dev)}


def test_modules_belong_to_their_package_and_stand_ins_to_that_of_the_other():
    modules = {
        "email.message": "email",
        "_pydecimal": "decimal",
        "_collections_abc": "collections_abc",
        "pydoc": "pydoc",
    }
    assert {module: Docstring(module, ()).package for module in modules} == modules


def test_names_of_all_packages_are_masked_in_any_case_and_inside_of_words():
    rows = _docstrings(
        ("email.message", LONG.format("an EmailMessage")), ("xml.dom", LONG.format("XML and e-mail, email"))
    )
    splits = package_texts(rows, seed=0)
    assert sorted((row.label, row.text) for row in (*splits.train, *splits.dev)) == [
        ("email", LONG.format(f"an {MASK}Message")),
        ("xml", LONG.format(f"{MASK} and e-mail, {MASK}")),
    ]


def test_a_text_of_two_packages_is_left_out_and_one_that_is_there_twice_taken_once():
    both, twice, once = (LONG.format(thing) for thing in ("boxes", "bags", "cups"))
    rows = _docstrings(("xml", both), ("email", both), ("xml", twice), ("xml.dom", twice), ("email", once))
    splits = package_texts(rows, seed=0)
    assert sorted((*splits.train, *splits.dev)) == [(twice, "xml"), (once, "email")]


def test_short_sentences_are_joined_to_texts_and_too_short_a_rest_is_left_out():
    sentences = (LONG.format("one"), "And another one follows it here.", "A rest.")
    splits = package_texts([Docstring("queue", sentences)], seed=0)
    assert [row.text for row in (*splits.train, *splits.dev)] == [" ".join(sentences[:2])]


def test_a_question_is_a_sentence_with_a_gap_and_its_context_the_others():
    splits = cloze_questions(
        [
            Docstring(
                "shop", ("Open the box first.", "Then the Counter counts all the boxes.", "A Counter or two Counter.")
            )
        ],
        seed=1,
    )
    (row,) = (row for row in (*splits.train, *splits.dev))
    assert row.question == f"Then the {PLACEHOLDER} counts all the boxes."
    assert (row.title, row.context, row.name) == ("shop", "Open the box first. A Counter or two Counter.", "Counter")
    assert row.answer_starts == (22, 37)


def test_identifiers_are_names_and_first_words_and_constants_are_not():
    assert _asked(
        "Opened files are read by the given read_line() function here.",
        "Opened are those for which read_line() was called, or None.",
    ) == {
        f"Opened files are read by the given {PLACEHOLDER} function here.": ("read_line()", (27,)),
        f"Opened are those for which {PLACEHOLDER} was called, or None.": ("read_line()", (35,)),
    }


def test_a_name_that_is_part_of_another_is_neither_found_nor_said_to_be_missing():
    asked = _asked(
        "What is looked for in sys.path is not found there.", "Not so the_sys.path, sys.path_hooks or xsys.path."
    )
    assert not [question for question in asked if question.startswith("What is")]


def test_a_sentence_that_gives_the_question_of_another_is_not_asked_about_again():
    texts = [f"What is looked for in {name} here is found there.|{name} is it." for name in ("a_path", "a_name")]
    splits = cloze_questions([Docstring("paths", tuple(text.split("|"))) for text in texts], seed=1)
    assert [row.name for row in (*splits.train, *splits.dev)] == ["a_path"]


def test_a_name_the_context_does_not_have_has_no_answer():
    asked = _asked("It will raise an IndexError where there is no such row.", "It looks the_row up in the table.")
    assert asked[f"It will raise an {PLACEHOLDER} where there is no such row."] == ("IndexError", ())


def test_a_context_without_any_name_is_not_asked_about():
    assert _asked("It will raise an IndexError where there is no such row.", "It looks up the row.") == {}


def test_tasks_import_no_deep_learning_library():
    code = "import sys, finetune.docstring_tasks; assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

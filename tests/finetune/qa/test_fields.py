"""Every field of a question by the type that a JSON writer gave it, as docs/finetuning.md says row by row."""

import copy
import json
import pathlib

import pytest

from finetune.qa.datasets import dataset_of_folder, read_split
from finetune.qa.examples import Answer
from finetune.qa.readers import read_questions
from finetune.readers.reading import DataError
from tests.finetune.qa.newsqa_tables import row, span, write_table

DOCS = pathlib.Path(__file__).parents[3] / "docs" / "finetuning.md"
CONTEXT = "In 1984 the leader was John Smith."
SMITH = {"text": "John Smith", "answer_start": 23}
ABSENT = object()
TYPES = ("text", "number", "boolean", "null or absent", "list or object")
BAD = "bad"


def read(path, file_format="squad", *, for_training=False):
    return read_questions(path, file_format, for_training=for_training)


def write(folder, content, name="file.json"):
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def squad_of(field, value):
    """Returns a file of two questions, the first of which has a value in a field."""
    qa = {"id": "q", "question": "who?", "answers": [dict(SMITH)], "is_impossible": False}
    paragraph = {"context": CONTEXT, "qas": [qa]}
    article = {"title": "t", "paragraphs": [paragraph]}
    owner = next(o for o in (qa, paragraph, article, qa["answers"][0]) if field in o)
    owner[field] = value
    if value is ABSENT:
        del owner[field]
    other = {"context": CONTEXT, "qas": [{"id": "z", "question": "?", "answers": [SMITH]}]}
    return {"version": 2, "data": [article, {"paragraphs": [other]}]}


def mrqa_of(field, value):
    """Returns two lines of MRQA; see squad_of."""
    detected = {"text": "John Smith", "char_spans": [[23, 32]]}
    qa = {"qid": "q", "question": "who?", "answers": ["John Smith"], "detected_answers": [detected]}
    if field == "char_spans":
        detected[field] = [[value, 32]]
    else:
        qa[field] = value
    if value is ABSENT:
        del qa[field]
    return [{"context": CONTEXT, "qas": [qa]}, {"context": CONTEXT, "qas": [{**qa, "qid": "z", "answers": []}]}]


def quac_of(field, value):
    """Returns a dialogue of QuAC of two turns; see squad_of."""
    qa = {"id": "q", "question": "who?", "orig_answer": SMITH, "answers": []}
    turn = {name: content for name, content in {**qa, field: value}.items() if content is not ABSENT}
    return {"data": [{"paragraphs": [{"context": CONTEXT, "qas": [{**qa, "id": "z"}, turn]}]}]}


# By the field: of values of each type what the question then has in an attribute, or BAD where it is left out.
SQUAD = {
    "id": (
        "id",
        [("text", "1", "1"), ("text", "", BAD), ("number", 83394, "83394"), ("number", 83394.0, "83394")],
        [("number", 1.5, BAD), ("boolean", True, BAD), ("null or absent", None, BAD), ("null or absent", ABSENT, BAD)],
        [("list or object", ["1"], BAD)],
    ),
    "question": (
        "text",
        [("text", "who?", "who?"), ("text", "", ""), ("number", 1984, "1984"), ("number", 12.5, BAD)],
        [("boolean", False, BAD), ("null or absent", None, BAD), ("null or absent", ABSENT, BAD)],
        [("list or object", {}, BAD)],
    ),
    "context": (
        "context",
        [("text", "", ""), ("number", 1984, "1984"), ("number", 1984.0, BAD), ("boolean", True, BAD)],
        [("null or absent", None, BAD), ("null or absent", ABSENT, BAD), ("list or object", [CONTEXT], BAD)],
    ),
    "text": (
        "gold_texts",
        [("text", "Smith", ("Smith",)), ("text", " ", ()), ("number", 1984, ("1984",)), ("number", 12.5, BAD)],
        [("boolean", True, BAD), ("null or absent", None, ()), ("null or absent", ABSENT, ())],
        [("list or object", ["Smith"], BAD)],
    ),
    "answer_start": (
        "answers",
        [("text", "23", (Answer("John Smith", 23),)), ("text", "23.0", (Answer("John Smith", 23),)), ("text", "x", ())],
        [("number", 23.0, (Answer("John Smith", 23),)), ("number", 23.5, ()), ("number", -1, ()), ("number", 999, ())],
        [("boolean", True, ()), ("null or absent", None, ()), ("null or absent", ABSENT, ())],
        [("list or object", [23], ())],
    ),
    "answers": (
        "gold_texts",
        [("text", "Smith", BAD), ("number", 23, BAD), ("boolean", False, BAD), ("null or absent", None, ())],
        [
            ("null or absent", ABSENT, ()),
            ("list or object", [], ()),
            ("list or object", [SMITH, None], ("John Smith",)),
        ],
        [("list or object", {"text": ["John Smith"], "answer_start": [23]}, ("John Smith",))],
        [("list or object", SMITH, ("John Smith",)), ("list or object", {"text": [], "answer_start": []}, ())],
        [("list or object", {"text": ["a"], "answer_start": []}, BAD), ("list or object", ["Smith"], BAD)],
    ),
    "paragraphs": (
        None,
        [("text", "x", BAD), ("number", 1, BAD), ("boolean", True, BAD), ("list or object", {}, BAD)],
        [("null or absent", None, "an article without paragraphs"), ("list or object", [], None)],
        [("null or absent", ABSENT, "an article without paragraphs")],
    ),
    "qas": (
        None,
        [("text", "x", BAD), ("number", 1, BAD), ("boolean", True, BAD), ("list or object", {}, BAD)],
        [("null or absent", None, "a paragraph without qas"), ("list or object", [], None)],
        [("null or absent", ABSENT, "a paragraph without qas")],
    ),
    "title": (
        "id",
        [("text", "", "q"), ("number", 1, "q"), ("boolean", True, "q"), ("null or absent", None, "q")],
        [("null or absent", ABSENT, "q"), ("list or object", [1], "q")],
    ),
}
IMPOSSIBLE = [  # the type, is_impossible, whether the question is with no answer, with one
    ("text", "true", True, BAD),
    ("text", "False", False, False),
    ("text", "1", True, BAD),
    ("text", "", True, False),
    ("text", "maybe", BAD, BAD),
    ("number", 1, True, BAD),
    ("number", 0.0, False, False),
    ("number", 2, BAD, BAD),
    ("boolean", True, True, BAD),
    ("boolean", False, False, False),
    ("null or absent", None, True, False),
    ("null or absent", ABSENT, True, False),
    ("list or object", [], BAD, BAD),
]
MRQA = {
    "detected_answers": [
        ("text", "Smith", BAD),
        ("number", 1, BAD),
        ("boolean", True, BAD),
        ("null or absent", None, ()),
        ("null or absent", ABSENT, ()),
        ("list or object", ["Smith"], BAD),
        ("list or object", [{"text": "", "char_spans": [[0, 0]]}], ()),
        ("list or object", {"text": ["Smith"], "char_spans": [{"start": [28], "end": [32]}]}, (Answer("Smith", 28),)),
        ("list or object", [{"text": "Smith", "char_spans": [{"start": 28, "end": 32}]}], (Answer("Smith", 28),)),
    ],
    "char_spans": [
        ("text", "23", (Answer("John Smith", 23),)),
        ("number", 23.0, (Answer("John Smith", 23),)),
        ("boolean", True, ()),
        ("null or absent", None, ()),
        ("list or object", [23], ()),
    ],
}
QUAC = {
    "orig_answer": [
        ("text", "Smith", BAD),
        ("number", 1, BAD),
        ("boolean", True, BAD),
        ("null or absent", None, False),
        ("null or absent", ABSENT, False),
        ("list or object", {"text": "CANNOTANSWER", "answer_start": 5}, True),
        ("list or object", {"text": "", "answer_start": -1}, True),
        ("list or object", {"text": "Smith", "answer_start": "28"}, False),
    ],
}
NEWSQA = {
    "validated_answers": [  # whether validators' votes were for the question being bad, or the row is bad
        ("text", '{"bad_question": "2"}', True),
        ("text", '{"bad_question": "many"}', BAD),
        ("number", '{"bad_question": 2.0, "none": 1}', True),
        ("number", '{"bad_question": 1.5}', BAD),
        ("boolean", '{"bad_question": true}', BAD),
        ("null or absent", "", False),
        ("null or absent", "null", False),
        ("null or absent", "NaN", False),
        ("list or object", '["bad_question"]', BAD),
        ("list or object", '{"bad_question": [2]}', BAD),
    ],
    "is_question_bad": [
        ("text", "often", BAD),
        ("number", "0.5", True),
        ("number", "7", BAD),
        ("boolean", "true", BAD),
        ("null or absent", "?", False),
        ("null or absent", "nan", False),
        ("list or object", "[1]", BAD),
    ],
}


def cases(table):
    return [(field, kind, *values) for field, rows in table.items() for kind, *values in rows]


def check(questions, tally, attribute, expected):
    if expected == BAD:
        assert [question.id for question in questions] == ["z"]
        assert tally.left_out.total() == 1
    else:
        assert len(questions) == 2
        question = next(question for question in questions if question.id != "z")
        assert getattr(question, attribute) == expected
        assert not tally.left_out


@pytest.mark.parametrize(
    ("field", "attribute", "kind", "value", "expected"),
    [(field, rows[0], *case) for field, rows in SQUAD.items() for part in rows[1:] for case in part],
)
def test_a_field_of_squad_means_what_its_type_says(tmp_path, field, attribute, kind, value, expected):
    questions, tally = read(write(tmp_path, squad_of(field, value)))
    if attribute is not None:
        check(questions, tally, attribute, expected)
        return
    assert [question.id for question in questions] == ["z"]
    assert tally.left_out.total() == (expected == BAD)
    assert list(tally.noted) == ([] if expected in (BAD, None) else [expected])


@pytest.mark.parametrize(("kind", "value", "without", "with_answer"), IMPOSSIBLE)
def test_is_impossible_means_what_its_type_says_and_follows_from_answers_where_it_says_nothing(
    tmp_path, kind, value, without, with_answer
):
    for answers, expected in (([{"text": "", "answer_start": -1}], without), ([SMITH], with_answer)):
        content = squad_of("is_impossible", value)
        content["data"][0]["paragraphs"][0]["qas"][0]["answers"] = answers
        check(*read(write(tmp_path, content)), "is_impossible", expected)


@pytest.mark.parametrize(("field", "kind", "value", "expected"), cases(MRQA))
def test_a_field_of_mrqa_means_what_its_type_says(tmp_path, field, kind, value, expected):
    first, second = mrqa_of(field, value)
    second["qas"][0]["detected_answers"] = []
    path = tmp_path / "file.jsonl"
    path.write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n")
    check(*read(path, "mrqa"), "answers", expected)


@pytest.mark.parametrize(("field", "kind", "value", "expected"), cases(QUAC))
def test_a_field_of_quac_means_what_its_type_says(tmp_path, field, kind, value, expected):
    check(*read(write(tmp_path, quac_of(field, value)), "quac"), "is_impossible", expected)


@pytest.mark.parametrize(("field", "kind", "value", "expected"), cases(NEWSQA))
def test_a_field_of_newsqa_means_what_its_type_says(tmp_path, field, kind, value, expected):
    fields = {"is_question_bad": "?", field: value}
    rows = [row(ranges=span("19"), **fields), row(question="And who?", ranges=span("19"))]
    questions, tally = read(write_table(tmp_path / "t.csv", rows), "newsqa")
    assert len(questions) == 2 - (expected is not False)
    assert tally.left_out.total() == (expected == BAD)
    assert tally.passed_over.total() == (expected is True)


def test_the_table_in_the_documentation_has_a_row_for_every_field_that_is_tested_in_every_type():
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| field | text |"))
    assert [cell.strip() for cell in lines[start].strip("|").split("|")] == ["field", *TYPES]
    documented = set()
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        documented.update(part for part in line.split("|")[1].split("`")[1::2])
    tested = {field: {case[0] for part in rows[1:] for case in part} for field, rows in SQUAD.items()}
    tested |= {field: {case[0] for case in rows} for field, rows in {**MRQA, **QUAC, **NEWSQA}.items()}
    tested["is_impossible"] = {case[0] for case in IMPOSSIBLE}
    assert set(tested) == documented - {"qid"}
    assert all(types == set(TYPES) for types in tested.values())


def test_placeholders_without_text_are_no_answers_and_negatives_are_kept(tmp_path):
    placeholders = [
        {"text": "", "answer_start": -1},
        {"text": None},
        {"text": " ", "answer_category": "NOT_GIVEN"},
        None,
    ]
    qas = [
        {"id": number, "question": "?", "answers": [answer], **fields}
        for number, (answer, fields) in enumerate((a, f) for a in placeholders for f in ({"is_impossible": True}, {}))
    ]
    for for_training in (True, False):
        questions, tally = read(
            write(tmp_path, {"data": [{"context": CONTEXT, "qas": qas}]}), for_training=for_training
        )
        assert [question.id for question in questions] == list("01234567")
        assert all(question.is_impossible and not question.gold_texts for question in questions)
        assert tally.num_bad == 0


def test_an_answer_without_text_among_others_is_left_out_and_noted(tmp_path):
    qa = {"id": 1, "question": "?", "answers": [{"text": "", "answer_start": 0}, SMITH]}
    questions, tally = read(write(tmp_path, {"data": [{"context": CONTEXT, "qas": [qa]}]}), for_training=True)
    assert questions[0].gold_texts == ("John Smith",)
    assert tally.noted == {"an answer without text among others": 1}
    assert "1 with a note (an answer without text among others)" in tally.summary()
    assert tally.num_bad == 0


def test_answers_to_an_answerable_question_that_all_lack_text_are_bad_in_training(tmp_path):
    qa = {"id": 1, "question": "?", "answers": [{"text": "", "answer_start": 0}], "is_impossible": False}
    path = write(tmp_path, squad_of("qas", [qa]))
    assert read(path, for_training=True).tally.left_out == {"no answer": 1}
    assert read(path).tally.kept == {"no answer": 1}


def test_ids_that_are_the_same_text_are_those_of_one_question(tmp_path):
    qas = [{"id": value, "question": "?", "answers": [SMITH]} for value in (1, "1", 1.0)]
    questions, tally = read(write(tmp_path, {"data": [{"context": CONTEXT, "qas": qas}]}))
    assert len(questions) == 1
    assert tally.left_out == {"the id of another question": 2}


FLAT = [
    {
        "id": 1,
        "title": None,
        "context": CONTEXT,
        "question": "who?",
        "answers": {"text": ["Smith"], "answer_start": [28]},
    },
    {"id": 2, "title": None, "context": CONTEXT, "question": "why?", "answers": {"text": [], "answer_start": []}},
]


@pytest.mark.parametrize("layout", ["data", "list", "lines", "lines with a byte order mark", "one line", "paragraphs"])
def test_questions_in_rows_with_their_contexts_are_read_in_every_container(tmp_path, layout):
    lines = "".join(json.dumps(question) + "\r\n" for question in FLAT)
    paragraphs = [{"context": CONTEXT, "qas": [{**question, "context": "ignored"}]} for question in FLAT]
    contents = {
        "data": json.dumps({"version": "x", "data": FLAT}),
        "list": json.dumps(FLAT, indent=1),
        "lines": lines + "\n\n",
        "lines with a byte order mark": f"\ufeff{lines}",
        "one line": json.dumps(FLAT[0]),
        "paragraphs": json.dumps(paragraphs),
    }
    path = tmp_path / "train.json"
    path.write_text(contents[layout], encoding="utf-8")
    questions, tally = read(path, for_training=True)
    assert tally.num_bad == 0
    expected = [(Answer("Smith", 28),)] if layout == "one line" else [(Answer("Smith", 28),), ()]
    assert [question.answers for question in questions] == expected
    assert [question.is_impossible for question in questions] == [False, True][: len(expected)]


def test_a_bad_line_of_questions_in_rows_is_named_and_left_out(tmp_path, caplog):
    path = tmp_path / "train.json"
    path.write_text(f'{json.dumps(FLAT[0])}\n{{"id": 7,\n[1]\n"x"\n{json.dumps(FLAT[1])}')
    questions, tally = read(path)
    assert len(questions) == 2
    assert tally.left_out == {"malformed JSON": 1, "not of this format": 2}
    assert f"{path}: line 2: malformed JSON: line 1, column 10: " in caplog.text


@pytest.mark.parametrize(
    ("context", "text", "start", "unit"),
    [
        ("😀😀😀😀 the leader", "leader", 13, "UTF-16 code units"),
        ("ééééééé the leader", "leader", 19, "bytes of UTF-8"),
        ("😀😀😀 he she", "he", 7, "UTF-16 code units"),  # in code points the word there is "she"
    ],
)
def test_offsets_in_another_unit_are_named(tmp_path, context, text, start, unit):
    qa = {"id": "a", "question": "?", "answers": [{"text": text, "answer_start": start}]}
    path = write(tmp_path, {"data": [{"context": context, "qas": [qa, {**FLAT[1], "id": "b"}]}]})
    rule = f"an answer whose offset counts {unit}, not code points"
    assert read(path, for_training=True).tally.left_out == {rule: 1}
    assert read(path).tally.kept == {rule: 1}


@pytest.mark.parametrize(
    ("content", "reason"), [('{"data": [1' + "0" * 5000 + "]}", "more than 4,300 digits"), ("[" * 10**5, "too deeply")]
)
def test_json_beyond_limits_is_named(tmp_path, content, reason):
    path = tmp_path / "train.json"
    path.write_text(content)
    for file_format in ("squad", "quac"):
        with pytest.raises(DataError, match=rf"train\.json: .*{reason}"):
            read(path, file_format)
    path.write_text(f"{content}\n" + json.dumps(mrqa_of("qid", "q")[0]))
    _, tally = read(path, "mrqa")
    assert tally.left_out == {"malformed JSON": 1}


def test_a_folder_of_json_lines_is_of_the_format_that_its_fields_have(tmp_path):
    folders = {"squad": [json.dumps(row) for row in FLAT], "mrqa": [json.dumps(line) for line in mrqa_of("qid", "q")]}
    for file_format, lines in folders.items():
        folder = tmp_path / file_format
        folder.mkdir()
        (folder / "train.jsonl").write_text("\n".join(lines))
        dataset = dataset_of_folder("mine", folder)
        assert (dataset.file_format, dataset.has_impossible) == (file_format, file_format == "squad")
        assert len(read_split(dataset, "train", folder).questions) == 2


VALUES = (
    None,
    True,
    -1,
    2.5,
    10**30,
    "",
    "x",
    "\ud800",
    [],
    {},
    [None],
    ["x"],
    {"text": [1], "answer_start": None},
    ABSENT,
)
FUZZED = {
    "squad": {"data": [squad_of("title", "t")["data"][0], {**FLAT[0], "id": "flat"}]},
    "quac": quac_of("answers", [SMITH]),
    "mrqa": mrqa_of("qid", "q")[0],
}


def places_in(value, place=()):
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from places_in(item, (*place, name))


def replaced(content, place, value):
    content = copy.deepcopy(content)
    owner = content
    for name in place[:-1]:
        owner = owner[name]
    if value is ABSENT:
        del owner[place[-1]]
    else:
        owner[place[-1]] = value
    return content


@pytest.mark.parametrize("for_training", [True, False])
@pytest.mark.parametrize("file_format", FUZZED)
def test_any_value_in_any_place_is_read_or_named(tmp_path, file_format, for_training, monkeypatch):
    monkeypatch.setattr("finetune.readers.reading.logging.warning", lambda *_: None)
    messages: list[str] = []
    for place in list(places_in(FUZZED[file_format]))[1:]:
        for value in VALUES:
            path = write(tmp_path, replaced(FUZZED[file_format], place, value))
            try:
                questions = read(path, file_format, for_training=for_training).questions
            except DataError as error:
                messages.append(str(error))
                continue
            for question in questions:
                assert all(isinstance(text, str) for text in (question.id, question.text, question.context))
                assert all(question.context[answer.start : answer.end] == answer.text for answer in question.answers)
                assert all(text.strip() for text in question.gold_texts)
                assert not (question.is_impossible and question.answers + question.gold_texts)
                assert question.is_impossible or question.answers or not for_training
    assert all("file.json: " in message and "\n" not in message for message in messages)

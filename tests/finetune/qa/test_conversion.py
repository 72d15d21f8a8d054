"""Converted files hold every usable question once, with every answer at its offset, and say what became of the rest."""

import contextlib
import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.qa import conversion
from finetune.qa.conversion import convert_to_squad
from finetune.qa.examples import Answer
from finetune.qa.newsqa import BAD_QUESTION, BEYOND_STORY
from finetune.qa.readers import read_questions
from finetune.readers.reading import BadRowLimit, DataError
from tests.finetune.qa.newsqa_tables import STORY, row, span, write_table

OTHER_STORY = 'A "quoted" story\n\twith ünïcode, 東京 and \u2028 in it.'


@pytest.fixture
def output(tmp_path):
    return tmp_path / "new" / "squad.json"


@pytest.fixture
def table(tmp_path):
    """Two stories whose questions take turns."""
    rows = [
        row("How many?", f"{span('19')}|None"),
        row("Which city?", span("東京", OTHER_STORY), story_id="s2", story_text=OTHER_STORY),
        row("Who?", f"{span('Judge Ada López ')}|{span('Ada López')}|900:905"),
        row("How many?", "None|None"),
        row("Bad?", "None", is_question_bad="1.0"),
        row("Broken?", "1-2"),
        row("What else?", span('"quoted" ', OTHER_STORY), story_id="s2", story_text=OTHER_STORY),
    ]
    return write_table(tmp_path / "combined-newsqa-data-v1.csv", rows)


def _questions(file):
    """Returns the questions of a written file by their texts, after it has been read without a complaint."""
    questions, tally = read_questions(file, "squad", for_training=True)
    assert tally.num_bad == 0
    for question in questions:
        assert all(question.context[answer.start : answer.end] == answer.text for answer in question.answers)
        assert all(answer.text == answer.text.strip() for answer in question.answers)
        assert question.gold_texts == tuple(dict.fromkeys(answer.text for answer in question.answers))
    return questions


def test_written_questions_are_read_again_with_every_answer_at_its_offset(table, output):
    convert_to_squad(table, "newsqa", output)
    written = {question.id: question for question in _questions(output)}
    read = {question.id: question for question in read_questions(table, "newsqa", for_training=True).questions}
    assert {name: question._replace(gold_texts=()) for name, question in written.items()} == {
        name: question._replace(gold_texts=()) for name, question in read.items()
    }
    assert [answer.text for question in written.values() for answer in question.answers] == [
        "19",
        "Judge Ada López",
        "Ada López",
        "東京",
        '"quoted"',
    ]


def test_a_context_is_written_once_whatever_the_order_of_its_questions(table, output):
    convert_to_squad(table, "newsqa", output)
    data = json.loads(output.read_bytes())
    assert data["version"] == "v2.0"
    assert [article["title"] for article in data["data"]] == ["newsqa"]
    paragraphs = data["data"][0]["paragraphs"]
    assert [
        (p["context"], [qa["question"] for qa in p["qas"]]) for p in sorted(paragraphs, key=lambda p: p["context"])
    ] == [
        (OTHER_STORY, ["Which city?", "What else?"]),
        (STORY, ["How many?", "Who?", "How many?"]),
    ]
    assert [qa["is_impossible"] for p in paragraphs for qa in p["qas"] if not qa["answers"]] == [True]


def test_contexts_are_kept_no_longer_than_until_their_last_question(tmp_path, output, monkeypatch):
    stories = [f"story {number // 2}" for number in range(8)]
    rows = [row(str(n), "0:5", story_id=text, story_text=text) for n, text in enumerate(stories)]
    file = write_table(tmp_path / "a.csv", rows)
    seen = []
    read = conversion.iterate_questions

    def noting(*arguments, **settings):
        for question in read(*arguments, **settings):
            seen.append("question")
            yield question

    def write(_, __, paragraphs):
        for _ in paragraphs:
            seen.append("paragraph")

    monkeypatch.setattr(conversion, "iterate_questions", noting)
    monkeypatch.setattr(conversion, "write_squad", write)
    monkeypatch.setattr(conversion, "whole_file", contextlib.nullcontext)
    convert_to_squad(file, "newsqa", output)
    assert seen == ["question", "question", "paragraph"] * 4


def test_the_report_counts_everything_and_names_the_first(table, output):
    report = convert_to_squad(table, "newsqa", output)
    assert report.to_json() == {
        "input": str(table),
        "output": str(output),
        "read": 7,
        "written": 5,
        "impossible": 1,
        "paragraphs": 2,
        "answers": 5,
        "not_converted": {
            BAD_QUESTION: {"count": 1, "first": ["line 16, story './contoso/stories/2e1d4.story'"]},
            "an answer range that is not START:END": {"count": 1, "first": ["line 20"]},
        },
        "converted_although": {
            BEYOND_STORY: {"count": 1, "first": ["line 8, story './contoso/stories/2e1d4.story'"]},
            "an answer range without text": {"count": 1, "first": ["line 8, story './contoso/stories/2e1d4.story'"]},
        },
        "noted": {},
        "answer_texts_without_place": 0,
    }
    assert report.line().endswith(
        "squad.json: 5 of 7 questions written (1 impossible) in 2 paragraphs with 5 answers; not converted: 2 "
        "(1 an answer range that is not START:END, 1 a question that annotators called bad)"
    )


def test_the_same_file_is_converted_to_the_same_bytes(table, output, tmp_path):
    convert_to_squad(table, "newsqa", output)
    first = output.read_bytes()
    (tmp_path / "again.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
    convert_to_squad(tmp_path / "again.csv.gz", "newsqa", output)
    assert output.read_bytes() == first
    assert first.isascii()


_STORIES = st.lists(
    st.sampled_from(["a", "19", " ", "\n", "\r\n", "é", "東", "\u2028", '"', ",", "|", "😀"]), max_size=12
)
_RANGES = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=3)


@given(st.lists(st.tuples(_STORIES, _RANGES), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_every_range_with_text_is_an_answer_at_its_offset(tmp_path_factory, stories):
    folder = tmp_path_factory.mktemp("any")
    rows, expected = [row("last", "0:1", story_id="end", story_text="x")], {"last": [Answer("x", 0)]}
    for number, (pieces, spans) in enumerate(stories):
        ranges = "|".join(f"{start}:{end}" for start, end in spans) or "None"
        rows.append(row(str(number), ranges, story_id=str(number), story_text="".join(pieces)))
        story = "".join(pieces).replace("\r\n", "\n")
        marked = [(story[start:end].strip(), start, end) for start, end in spans]
        answers = [Answer(text, story.index(text, start, end)) for text, start, end in marked if text]
        if answers or not spans:
            expected[str(number)] = list(dict.fromkeys(answers))
    file = write_table(folder / "any.csv", rows)
    convert_to_squad(file, "newsqa", folder / "out.json", limit=BadRowLimit(num_rows=100))
    questions = read_questions(
        folder / "out.json", "squad", for_training=True, limit=BadRowLimit(num_rows=100)
    ).questions
    assert {question.text: [*question.answers] for question in questions} == expected
    for question in questions:
        assert all(question.context[answer.start : answer.end] == answer.text for answer in question.answers)


def _mrqa_line(context, *questions):
    qas = [
        {
            "qid": name,
            "question": f"{name}?",
            "answers": texts,
            "detected_answers": [{"text": text, "char_spans": spans} for text, spans in detected],
        }
        for name, texts, detected in questions
    ]
    return json.dumps({"context": context, "qas": qas})


@pytest.mark.parametrize("has_header", [True, False])
@pytest.mark.parametrize("is_compressed", [True, False])
def test_mrqa_keeps_every_place_of_every_answer(tmp_path, output, has_header, is_compressed):
    context = "To be, or not to be: that is to be asked."
    spans = [[start, start + 4] for start in (14, 29)]  # the last code point is inclusive
    lines = [
        *(['{"header": {"dataset": "d"}}'] if has_header else []),
        _mrqa_line(context, ("m0", ["to be", "an alias"], [("to be", spans)])),
        _mrqa_line("Another one.", ("m1", ["one"], [("one", [[8, 10]])])),
        _mrqa_line(context, ("m2", ["asked"], [("asked", [[35, 39]])]), ("m3", ["nowhere"], [("nowhere", [[3, 9]])])),
        "{",
    ]
    content = "\n".join(lines).encode()
    (tmp_path / "in").write_bytes(gzip.compress(content) if is_compressed else content)
    report = convert_to_squad(tmp_path / "in", "mrqa", output)
    first, second, third = _questions(output)
    assert (first.id, first.answers) == ("m1", (Answer("one", 8),))
    assert (second.id, second.answers) == ("m0", (Answer("to be", 14), Answer("to be", 29)))
    assert third.answers == (Answer("asked", 35),)
    counts = report.to_json()
    assert counts["not_converted"].keys() == {"no answer is at its offset", "malformed JSON"}
    assert counts["not_converted"]["malformed JSON"]["first"] == [f"line {len(lines)}"]
    assert counts["answer_texts_without_place"] == 1
    assert counts["paragraphs"] == 2


def _quac(path, *turns, context="Ann met Bob in Rome. CANNOTANSWER"):
    qas = [
        {
            "id": f"C_1_q#{number}",
            "question": f"question {number}?",
            "orig_answer": _at(context, texts[0]),
            "answers": [_at(context, text) for text in texts],
        }
        for number, texts in enumerate(turns)
    ]
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    return path


def _at(context, text):
    return {"text": text, "answer_start": context.index(text)}


def test_quac_s_cannotanswer_is_in_no_answer_and_no_context(tmp_path, output):
    none = "CANNOTANSWER"
    file = _quac(tmp_path / "q.json", ["Ann", none, "Ann met Bob", "Ann"], [none, "Bob"], [none, none])
    report = convert_to_squad(file, "quac", output)
    assert none.encode() not in output.read_bytes()
    questions = _questions(output)
    assert [question.id for question in questions] == ["C_1_q#0", "C_1_q#1", "C_1_q#2"]
    assert [question.is_impossible for question in questions] == [False, True, True]
    assert questions[0].answers == (Answer("Ann", 0), Answer("Ann met Bob", 0))
    assert report.num_impossible == 2


def test_history_is_what_training_on_quac_reads(tmp_path, output):
    file = _quac(tmp_path / "q.json", ["Ann"], ["Bob"], ["Rome"])
    for turns in (0, 1, 2):
        convert_to_squad(file, "quac", output, history_turns=turns)
        read = read_questions(file, "quac", for_training=True, history_turns=turns).questions
        assert [question.text for question in _questions(output)] == [question.text for question in read]
    assert _questions(output)[2].text == "question 0? Ann question 1? Bob question 2?"


@pytest.mark.parametrize(
    ("name", "file_format"), [("mrqa/NewsQA_sample.jsonl", "mrqa"), ("quac/quac_sample.json", "quac")]
)
def test_real_samples_are_converted(shared_data, output, name, file_format):
    file = shared_data / name
    convert_to_squad(file, file_format, output)
    read = read_questions(file, file_format, for_training=True).questions
    written = {question.id: question for question in _questions(output)}
    assert written.keys() == {question.id for question in read}
    assert all(written[question.id].context == question.context for question in read)
    assert all(set(written[question.id].answers) == set(question.answers) for question in read)


def test_lone_halves_of_characters_are_written_as_they_were_read(tmp_path, output):
    file = tmp_path / "in.jsonl"
    file.write_text(_mrqa_line("a \ud83d b", ("m0", ["b"], [("b", [[4, 4]])])))
    convert_to_squad(file, "mrqa", output)
    assert _questions(output)[0].context == "a \ud83d b"


@pytest.mark.parametrize("ending", ["none", "too many", "is input", "is folder", "no folder"])
def test_after_an_error_the_output_is_as_it_was(table, output, ending):
    output.parent.mkdir()
    output.write_text("as it was")
    message = {
        "none": "no question can be used",
        "too many": "1 of the first 3 rows are bad",
        "is input": "must be another file",
        "is folder": "cannot be written: Is a directory",
        "no folder": "cannot be written: ",
    }[ending]
    if ending == "none":
        write_table(table, [])
    target = {"is input": table, "is folder": output.parent, "no folder": output / "a" / "b"}.get(ending, output)
    before = table.read_bytes()
    with pytest.raises(DataError, match=message):
        convert_to_squad(
            table, "newsqa", target, limit=BadRowLimit(num_rows=0, rate=0) if ending == "too many" else None
        )
    assert output.read_text() == "as it was"
    assert table.read_bytes() == before
    assert list(output.parent.iterdir()) == [output]


def test_an_export_of_an_annotation_tool_and_a_table_of_questions_become_the_same_file(tmp_path):
    context = "One 😀 two."
    placeholder = {"text": "", "answer_start": -1, "answer_category": "NOT_GIVEN"}
    answer = {"text": "two", "answer_start": "6"}
    export = [
        {"id": 83394, "question": "a?", "is_impossible": "true", "answers": [placeholder]},
        {"id": 83395.0, "question": "b?", "is_impossible": 0, "answers": [answer, placeholder]},
    ]
    columns = [{"text": [], "answer_start": []}, {"text": ["two"], "answer_start": [6]}]
    table = [
        {"id": question["id"], "question": question["question"], "context": context, "answers": answers}
        for question, answers in zip(export, columns, strict=True)
    ]
    contents = {
        "export.json": json.dumps({"data": [{"paragraphs": [{"context": context, "qas": export}]}]}),
        "table.json": json.dumps({"data": table}),
        "table.jsonl": "\n".join(map(json.dumps, table)),
    }
    written = set()
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
        report = convert_to_squad(tmp_path / name, "squad", tmp_path / "out.json")
        assert (report.num_written, report.num_impossible, report.num_answers) == (2, 1, 1)
        written.add((tmp_path / "out.json").read_text())
    assert len(written) == 1
    questions = read_questions(tmp_path / "out.json", "squad", for_training=True).questions
    assert [(question.id, question.is_impossible) for question in questions] == [("83394", True), ("83395", False)]

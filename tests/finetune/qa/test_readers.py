"""Files of questions become one kind of question; what is wrong with them is counted and named."""

import gzip
import json

import pytest

from finetune.qa.examples import Answer, locate_answer
from finetune.qa.readers import read_questions
from finetune.readers.reading import BadRowLimit, DataError

CONTEXT = "The leader was John  Smith (1895-1943). He was born in Zürich."


def _qa(number=0, text="John  Smith", start=15, **fields):
    answers = [{"text": text, "answer_start": start}]
    return {"id": f"q{number}", "question": "who?", "answers": answers, **fields}


def _squad(path, *qas, context=CONTEXT):
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(qas)}]}]}))
    return path


def _mrqa(path, *lines):
    path.write_bytes("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines).encode())
    return path


def _mrqa_line(qid="m0", spans=((15, 25),), text="John  Smith"):
    detected = [{"text": text, "char_spans": [list(span) for span in spans]}]
    return {
        "context": CONTEXT,
        "qas": [{"qid": qid, "question": "who?", "answers": [text], "detected_answers": detected}],
    }


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file.json"


def test_every_located_answer_is_the_text_at_its_offset(shared_data):
    for name in ("squad-v1.1/dev.json", "squad-v2.0/dev.json"):
        questions, tally = read_questions(shared_data / name, "squad", for_training=True)
        assert tally.num_bad == 0
        assert len(questions) == tally.num_rows
        for question in questions:
            assert question.is_impossible == (not question.answers)
            assert all(question.context[answer.start : answer.end] == answer.text for answer in question.answers)


def test_quac_and_mrqa_samples_are_read(shared_data):
    for name, file_format, number in (("mrqa/NewsQA_sample.jsonl", "mrqa", 17), ("quac/quac_sample.json", "quac", 6)):
        questions, tally = read_questions(shared_data / name, file_format, for_training=True)
        assert len(questions) == number
        assert tally.num_bad == (6 if file_format == "quac" else 0)  # the sample of QuAC has one dialogue twice
        for question in questions:
            assert question.answers
            assert all(question.context[answer.start : answer.end] == answer.text for answer in question.answers)


@pytest.mark.parametrize(
    ("text", "start", "answer"),
    [
        ("John  Smith", 15, Answer("John  Smith", 15)),
        ("john smith", 15, Answer("John  Smith", 15)),  # case and white space are the context's
        ("1895", 27, Answer("1895", 28)),  # within the words that are touched
        ("1895", 15, None),
        ("Zürich.", 55, Answer("Zürich.", 55)),
        ("Zürich. And", 55, None),
        ("born", -4, None),
        ("born", 99, None),
        (" ", 3, None),
        ("", 3, None),
    ],
)
def test_answers_are_found_at_their_offsets_or_in_the_words_there(text, start, answer):
    assert locate_answer(CONTEXT, text, start) == answer


def test_is_impossible_follows_from_no_answers_where_nothing_tells(file):
    questions = [_qa(0), _qa(1, is_impossible=False), {**_qa(2), "answers": []}]
    questions.append({**_qa(3), "answers": [], "is_impossible": True})
    read = read_questions(_squad(file, *questions), "squad", for_training=True)
    assert [question.is_impossible for question in read.questions] == [False, False, True, True]
    assert read.tally.num_bad == 0


def test_answers_of_all_annotators_are_kept_once_each(file):
    answers = [{"text": "Smith", "answer_start": 21}, {"text": "John  Smith", "answer_start": 15}]
    qa = {**_qa(), "answers": [*answers, answers[0]]}
    question = read_questions(_squad(file, qa), "squad", for_training=False).questions[0]
    assert question.answers == (Answer("Smith", 21), Answer("John  Smith", 15))
    assert question.gold_texts == ("Smith", "John  Smith")


def test_questions_without_their_answer_are_left_out_of_training_only(file, caplog):
    _squad(file, _qa(0), _qa(1, "absent"), _qa(2, "Zürich", 3), {**_qa(3), "answers": [], "is_impossible": False})
    questions, tally = read_questions(file, "squad", for_training=True)
    assert [question.id for question in questions] == ["q0"]
    assert tally.left_out == {"no answer is at its offset": 2, "no answer": 1}
    assert f"{file}: data[0].paragraphs[0].qas[1], id 'q1': no answer is at its offset" in caplog.text

    questions, tally = read_questions(file, "squad", for_training=False)
    assert [question.id for question in questions] == ["q0", "q1", "q2", "q3"]
    assert [question.gold_texts for question in questions] == [("John  Smith",), ("absent",), ("Zürich",), ()]
    assert [len(question.answers) for question in questions] == [1, 0, 0, 0]
    assert tally.kept == {"an answer that is not at its offset": 2, "no answer": 1}


def test_bad_questions_are_counted_by_what_is_wrong(file):
    bad = [
        _qa(0),
        {**_qa(1), "id": True},
        {**_qa(1), "id": ""},
        {**_qa(1), "question": ["who?"]},
        _qa(1, is_impossible=True),
        {"id": "q1", "answers": []},
        {**_qa(1), "answers": "John"},
        "q1",
    ]
    tally = read_questions(_squad(file, _qa(0), *bad), "squad", for_training=False).tally
    assert tally.num_rows == 9
    assert tally.left_out == {
        "the id of another question": 1,
        "the id must be text or a whole number": 1,
        "the id is missing": 1,
        "question, context and answers must be text": 1,
        "an answer to a question that is called impossible": 1,
        "'question' is missing": 1,
        "'answers' must be a list": 1,
        "not of this format": 1,
    }


def test_empty_texts_are_counted_and_kept(file):
    empty = _squad(file, {**_qa(0), "question": " "})
    questions, tally = read_questions(empty, "squad", for_training=False)
    assert len(questions) == 1
    assert set(tally.kept) == {"no text of the question"}
    blank = _squad(file, {**_qa(0), "answers": []}, context="\n")
    assert read_questions(blank, "squad", for_training=False).tally.kept == {"no text of the context": 1}


def test_too_many_bad_questions_stop(file):
    _squad(file, _qa(0), *[_qa(number, "absent") for number in range(1, 5)])
    limit = BadRowLimit(num_rows=3, rate=0.1)
    with pytest.raises(DataError, match=r"4 of the first 5 rows are bad.*id 'q4': no answer is at its offset"):
        read_questions(file, "squad", for_training=True, limit=limit)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"data": [\n{"paragraphs": ]}', r"file.json: malformed JSON at line 2, column 16"),
        (b"\xff\xfe", "file.json: not UTF-8 at byte 0"),
        (b"[]", "no question can be used"),
        (b"{}", "must be a JSON object with a list of articles"),
        (b'{"data": []}', "no question can be used; is it in the format squad"),
        (b'{"data": [{"paragraph": 1}]}', "no question can be used"),
        (b"\x1f\x8b broken", "cannot be read"),
        (gzip.compress(b'{"data": []}', mtime=0)[:-9], "cannot be read: Compressed file ended"),
    ],
)
def test_files_of_another_kind_are_errors(file, content, message):
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_questions(file, "squad", for_training=True)


def test_a_missing_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read: No such file"):
        read_questions(tmp_path / "none.jsonl", "mrqa", for_training=True)


def test_settings_that_do_not_fit_are_errors(file):
    with pytest.raises(DataError, match=r"one of squad, mrqa, quac, newsqa\. Received: 'csv'"):
        read_questions(file, "csv", for_training=True)
    with pytest.raises(DataError, match="history_turns are for quac"):
        read_questions(file, "squad", for_training=True, history_turns=2)
    with pytest.raises(DataError, match=r"at least 0\. Received: -1"):
        read_questions(file, "quac", for_training=True, history_turns=-1)


def test_mrqa_is_read_with_or_without_header_and_compression(file):
    header = {"header": {"dataset": "d"}}
    plain = read_questions(_mrqa(file, header, "\n", _mrqa_line()), "mrqa", for_training=True)
    assert plain.questions[0].answers == (Answer("John  Smith", 15),)
    assert plain.tally.num_rows == 1
    file.write_bytes(gzip.compress(file.read_bytes()))
    assert read_questions(file, "mrqa", for_training=True).questions == plain.questions
    without = read_questions(_mrqa(file, _mrqa_line()), "mrqa", for_training=True)
    assert without.questions == plain.questions


def test_mrqa_keeps_every_place_of_every_detected_answer(file):
    line = _mrqa_line(spans=((4, 7), (40, 41)), text="he")
    detected = line["qas"][0]["detected_answers"]
    detected.append({"text": "Zürich", "char_spans": [[55, 60]]})
    question = read_questions(_mrqa(file, line), "mrqa", for_training=True).questions[0]
    assert question.answers == (Answer("He", 40), Answer("Zürich", 55))
    assert question.gold_texts == ("he",)


def test_malformed_lines_of_mrqa_are_counted_with_their_number(file, caplog):
    _mrqa(file, _mrqa_line("m0"), '{"context": \n', _mrqa_line("m1"), {"context": "no questions"}, _mrqa_line("m0"))
    questions, tally = read_questions(file, "mrqa", for_training=True)
    assert [question.id for question in questions] == ["m0", "m1"]
    assert tally.left_out == {"malformed JSON": 1, "the id of another question": 1}
    assert tally.noted == {"a paragraph without qas": 1}
    assert f"{file}: line 2: malformed JSON: line 1, column 12: Expecting value" in caplog.text
    assert f"{file}: line 5.qas[0], id 'm0': the id of another question" in caplog.text


def _quac(path, *turns):
    qas = [
        {"id": f"t{number}", "question": f"question {number}?", "orig_answer": orig, "answers": answers}
        for number, (orig, answers) in enumerate(turns)
    ]
    context = f"{CONTEXT} CANNOTANSWER"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    return path


def _given(text):
    return {"text": text, "answer_start": f"{CONTEXT} CANNOTANSWER".index(text)}


def test_quac_s_cannotanswer_is_impossible_and_in_no_context(file):
    none = _given("CANNOTANSWER")
    _quac(file, (none, [none, _given("Smith")]), (_given("Zürich"), [none, _given("born in Zürich"), _given("Zürich")]))
    first, second = read_questions(file, "quac", for_training=True).questions
    assert first.is_impossible
    assert first.gold_texts == first.answers == ()
    assert not second.is_impossible
    assert second.gold_texts == ("Zürich", "born in Zürich")
    assert first.context == second.context == CONTEXT


def test_quac_s_questions_begin_with_the_turns_before_them(file):
    _quac(file, *[(_given(text), []) for text in ("Smith", "1895", "Zürich")])
    texts = [q.text for q in read_questions(file, "quac", for_training=True, history_turns=1).questions]
    assert texts == ["question 0?", "question 0? Smith question 1?", "question 1? 1895 question 2?"]
    texts = [q.text for q in read_questions(file, "quac", for_training=True, history_turns=5).questions]
    assert texts[2] == "question 0? Smith question 1? 1895 question 2?"

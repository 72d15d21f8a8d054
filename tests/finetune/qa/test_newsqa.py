"""Tables of NewsQA become questions with the answers of all annotators, each at its offset."""

import gzip
import json

import pytest

from finetune.qa.examples import Answer
from finetune.qa.newsqa import BAD_QUESTION, BEYOND_STORY, WITHOUT_TEXT
from finetune.qa.readers import read_questions
from finetune.readers.reading import BadRowLimit, DataError
from tests.finetune.qa.newsqa_tables import STORY, TOKEN_COLUMNS, row, span, write_table

NINETEEN = span("19")
SECOND = span("19", occurrence=1)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "combined-newsqa-data-v1.csv"


def _read(file, **settings):
    return read_questions(file, "newsqa", for_training=True, **settings)


def _only(file, *rows, **settings):
    return _read(write_table(file, rows), **settings).questions[0]


def test_answers_are_those_of_all_annotators_at_the_ranges_they_marked(file):
    ranges = f"{SECOND}|{NINETEEN},{span('Nineteen')}|None|{SECOND}"
    question = _only(file, row(ranges=ranges))
    expected = [(text, int(part.split(":")[0])) for text, part in (("19", SECOND), ("19", NINETEEN))]
    assert question.answers == (*expected, Answer("Nineteen", STORY.index("Nineteen")))
    assert question.gold_texts == ("19", "Nineteen")
    assert question.context == STORY
    assert not question.is_impossible


def test_validated_answers_come_first_by_their_votes(file):
    votes = json.dumps({"none": 4, span("Monday"): 1, SECOND: 2})
    question = _only(file, row(ranges=f"{NINETEEN}|{SECOND}", validated_answers=votes))
    assert [answer.start for answer in question.answers] == [
        int(part.split(":")[0]) for part in (SECOND, span("Monday"), NINETEEN)
    ]


def test_white_space_around_an_answer_is_no_part_of_it(file):
    start, end = (int(number) for number in span("\n\n\nNineteen, ").split(":"))
    question = _only(file, row(ranges=f"{start}:{end}|{start + 3}:{end - 1}"))
    assert question.answers == (Answer("Nineteen,", start + 3),)


def test_ranges_count_a_line_end_of_two_characters_as_one(file):
    question = _only(file, row(ranges=span("Monday"), story_text=STORY.replace("\n", "\r\n")))
    assert question.answers == (Answer("Monday", STORY.index("Monday")),)
    assert question.context == STORY


@pytest.mark.parametrize("ranges", ["None|None", "None", "", "none|bad_question"])
def test_questions_without_a_range_are_impossible(file, ranges):
    question = _only(file, row(ranges=ranges))
    assert question.is_impossible
    assert question.gold_texts == question.answers == ()


@pytest.mark.parametrize(
    ("fields", "is_bad"),
    [
        ({"is_question_bad": "0.5"}, True),
        ({"is_question_bad": "0.49"}, False),
        ({"is_question_bad": "?"}, False),
        ({"is_question_bad": "", "validated_answers": '{"bad_question": 2, "3:7": 1}'}, True),
        ({"is_question_bad": "?", "validated_answers": '{"bad_question": 1, "3:7": 2}'}, False),
        ({"is_question_bad": "0.0", "validated_answers": '{"bad_question": 2}'}, False),
    ],
)
def test_bad_questions_are_counted_and_are_no_mistakes_of_the_file(file, fields, is_bad):
    rows = [row("a", NINETEEN), *[row(str(number), NINETEEN, **fields) for number in range(20)]]
    questions, tally = _read(write_table(file, rows))
    assert len(questions) == (1 if is_bad else 21)
    assert tally.passed_over == ({BAD_QUESTION: 20} if is_bad else {})
    assert tally.num_bad == 0


def test_ids_are_those_of_story_question_and_occurrence_and_the_same_every_time(file):
    rows = [row("a", NINETEEN), row("b", NINETEEN), row("a", SECOND), row("a", NINETEEN, story_id="s2")]
    ids = [question.id for question in _read(write_table(file, rows)).questions]
    assert len(set(ids)) == 4
    assert ids[0] == "newsqa-8c11cb1c16931294337783dd"
    among_others = [row("c", NINETEEN), rows[3], rows[0], row("a", is_question_bad="1.0"), rows[1]]
    again = [question.id for question in _read(write_table(file, among_others)).questions]
    assert again[1:] == [ids[3], ids[0], ids[1]]


def test_ranges_of_words_are_told_by_the_header(file):
    story = "-LRB- Contoso -RRB- -- A  court froze 19 accounts .\nAda López said 19 ."
    rows = [
        {"story_id": "s", "story_text": story, "question": "How many ?", "answer_token_ranges": "7:9,13:14"},
        {"story_id": "s", "story_text": story, "question": "Why ?", "answer_token_ranges": "-1:-1"},
    ]
    first, second = _read(write_table(file, rows, TOKEN_COLUMNS)).questions
    assert first.answers == (Answer("19 accounts", 38), Answer("19", story.rindex("19")))
    assert second.is_impossible
    with_both = [{**rows[0], "answer_char_ranges": "0:5"}]
    assert _read(write_table(file, with_both, (*TOKEN_COLUMNS, "answer_char_ranges"))).questions == [first]


def test_ranges_beyond_the_story_are_cut_and_counted(file):
    start = STORY.index("Monday")
    end = len(STORY)
    questions, tally = _read(write_table(file, [row("a", f"{start}:{end + 9}"), row("b", f"9:4,{NINETEEN}")]))
    assert questions[0].answers == (Answer("Monday.", start),)
    assert [answer.text for answer in questions[1].answers] == ["19"]
    assert tally.kept == {BEYOND_STORY: 1, WITHOUT_TEXT: 1}
    words = {"story_id": "s", "story_text": "one two", "question": "q", "answer_token_ranges": "1:3"}
    questions, tally = _read(write_table(file, [words], TOKEN_COLUMNS))
    assert questions[0].answers == (Answer("two", 4),)
    assert tally.kept == {BEYOND_STORY: 1}


def test_questions_none_of_whose_ranges_has_text_are_not_taken_for_impossible(file):
    tally = _read(write_table(file, [row("a", NINETEEN), row("b", "9:4|900:904")])).tally
    assert tally.left_out == {"no answer": 1}
    words = {"story_id": "s", "story_text": "one two", "question": "q", "answer_token_ranges": "7:9"}
    rows = [words, {**words, "question": "r", "answer_token_ranges": "0:1"}]
    assert _read(write_table(file, rows, TOKEN_COLUMNS)).tally.left_out == {"no answer": 1}


def test_mistakes_are_named_with_their_line(file, caplog):
    bad = [
        row("b", "4-9"),
        row("c", NINETEEN, validated_answers='{"none": '),
        row("d", NINETEEN, validated_answers='["none"]'),
        row("e", NINETEEN, is_question_bad="often"),
        row("f", NINETEEN, story_id=""),
    ]
    write_table(file, [row("a", NINETEEN), *bad])
    with open(file, "ab") as stream:
        stream.write(b"a,row,too short\n")
        stream.write(b"s,q,0:2,0.0,0.0,,\xff\xfe\n")
    tally = _read(file).tally
    assert tally.left_out == {
        "an answer range that is not START:END": 1,
        "validated_answers is malformed JSON": 1,
        "validated_answers must be a JSON object of votes by range": 1,
        "is_question_bad must be a share, or '?' where nobody was asked": 1,
        "the id is missing": 1,
        "not 7 fields": 1,
        "not UTF-8": 1,
    }
    assert f"{file}: line 6: an answer range that is not START:END: '4-9'; the row is left out" in caplog.text
    assert tally.first_places["not 7 fields"] == ["line 26"]
    with pytest.raises(DataError, match=r"line 10: validated_answers is malformed"):
        _read(file, limit=BadRowLimit(num_rows=1, rate=0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"line 1: a table of NewsQA must have.*Received: none"),
        (b"story_id,question,story_text\n", r"answer_token_ranges or answer_char_ranges\. Received: 'story_id', 'qu"),
        (b"story_id,question,story_text,answer_char_ranges,question\n", "once each"),
        (b'story_id,question,story_text,answer_char_ranges\ns,q,"text,0:1\n', "line 2: a quotation mark opens a field"),
        (b'{"data": []}', "line 1: a table of NewsQA must have"),
        (b"story_id,question,story_text,answer_char_ranges\n", "no question can be used; is it in the format newsqa"),
    ],
)
def test_other_tables_are_errors(file, content, message):
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        _read(file)


def test_tables_may_be_compressed_and_begin_with_a_byte_order_mark(file):
    plain = _read(write_table(file, [row("a", NINETEEN)]))
    file.write_bytes(gzip.compress(b"\xef\xbb\xbf" + file.read_bytes()))
    assert _read(file).questions == plain.questions

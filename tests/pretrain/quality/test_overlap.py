import gzip
import json

import numpy as np
import pytest

from electra_span.config import UserError
from pretrain.quality.overlap import evaluation_texts, find_overlap, load_ngrams
from pretrain.quality.words import words_of

CONTEXT = "The quick brown fox, it is said, jumped over twelve lazy dogs and one cat before dinner."
QUESTION = "Which animals did the quick fox jump over?"  # 8 words
ANSWER = "twelve lazy dogs"


@pytest.fixture
def squad(tmp_path):
    qas = [{"id": "56be4db0acb8001400a502ec", "question": QUESTION, "answers": [{"text": ANSWER, "answer_start": 44}]}]
    value = {"data": [{"title": "Fox", "paragraphs": [{"context": CONTEXT, "qas": qas}]}], "version": "1.1"}
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def _overlap(documents, *paths):
    """Returns what documents, each a list of lines, share with evaluation files."""
    lines = [line for document in documents for line in document]
    return find_overlap(words_of(lines), lines, np.cumsum([*map(len, documents)]).tolist(), load_ngrams(paths))


def test_document_with_thirteen_words_in_a_row_is_contaminated(squad):
    run = "quick brown fox it is said jumped over twelve lazy dogs and one"
    documents = [
        [f"before {run.upper()} after"],
        [run.removesuffix(" one")],  # 12 words
        ["Quick, brown fox: it is said", "jumped over twelve lazy dogs -- and one ..."],  # over two lines
        ["quick brown fox it is said"],
        ["jumped over twelve lazy dogs and one"],  # over two documents
        [run.replace("twelve", "eleven")],
    ]
    found = _overlap(documents, squad)
    assert found.is_contaminated.tolist() == [True, False, True, False, False, False]
    assert found.examples == [(0, run), (2, run)]


def test_shorter_texts_are_looked_for_as_a_whole_and_the_shortest_not_at_all(squad):
    documents = [[f"so: {QUESTION.lower()} none"], [QUESTION.replace("Which", "")], [ANSWER], ["Fox"]]
    assert _overlap(documents, squad).is_contaminated.tolist() == [True, False, False, False]
    (file,) = load_ngrams((squad,)).files
    assert (file.num_texts, file.num_short_texts) == (2, 4)  # context, question; answer, id, title, version


def test_texts_of_several_files_are_told_apart(squad, tmp_path):
    other = tmp_path / "train.tsv"
    other.write_text(f"id\tsentence\n1\tone two three four five six seven eight\n2\t{QUESTION}\n", encoding="utf-8")
    evaluation = load_ngrams((squad, other))
    found = _overlap([[QUESTION]], squad, other)
    ngrams, texts = evaluation.owners
    assert sorted(evaluation.file_of_text[texts[np.isin(ngrams, found.ngrams)]].tolist()) == [0, 1]
    assert [file.num_texts for file in evaluation.files] == [2, 2]


def test_nothing_to_look_for_is_nothing_found(tmp_path):
    (tmp_path / "short.txt").write_text("too short\n", encoding="utf-8")
    assert not _overlap([["too short"]], tmp_path / "short.txt").is_contaminated.any()
    assert not _overlap([["too short"]]).is_contaminated.any()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", '{"k": ["x", {"deep": "y"}], "n": 3, "z": null}', ["x", "y"]),
        ("a.json", '{"k": "x"}\n{"k": "y"}\n', ["x", "y"]),
        ("a.jsonl", '\n{"k": "x"}\n\n["y"]\n', ["x", "y"]),
        ("a.tsv", 'x\t"y\r\nz\n', ["x", '"y', "z"]),
        ("a.csv", 'x,"y\nand ""z"""\n', ["x", 'y\nand "z"']),
        ("a.txt", "x\n\ny\n", ["x", "", "y"]),
        ("a", "\ufeffx", ["x"]),
    ],
)
def test_every_string_of_an_evaluation_file_counts(name, content, expected, tmp_path):
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert list(evaluation_texts(path)) == expected
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert list(evaluation_texts(packed)) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b'{"k": \n', r"a\.json: malformed JSON at line 2, column 1: Expecting value"),
        ("a.jsonl", b'{"k": 1}\n{\n', r"a\.jsonl: line 2: malformed JSON"),
        ("a.json", b'{"k": %s}' % (b"9" * 5000), r"a\.json: an integer in the JSON has more than 4,300 digits"),
        ("a.json", b"[" * 100_000, r"a\.json: JSON is nested too deeply"),
        ("a.jsonl", b'{"k": %s}' % (b"9" * 5000), r"a\.jsonl: line 1: an integer in the JSON"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl: line 1: JSON is nested too deeply"),
        ("a.txt", b"abc\xff", r"a\.txt: not UTF-8 at byte 3"),
    ],
)
def test_files_that_cannot_be_read_are_errors_with_their_place(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(evaluation_texts(path))


def test_missing_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.json: No such file"):
        load_ngrams((tmp_path / "nowhere.json",))

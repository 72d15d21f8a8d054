"""Files of answers are checked before they are used."""

import pytest

from finetune.analysis.models import read_null_odds, read_predictions
from finetune.readers.reading import DataError


def test_answers_and_null_odds_are_read_by_id(tmp_path):
    file = tmp_path / "p.json"
    file.write_text('\ufeff{"a": "x", "b": ""}', encoding="utf-8")
    assert read_predictions(file) == {"a": "x", "b": ""}
    file.write_text('{"a": -2.5, "b": 3}')
    assert read_null_odds(file) == {"a": -2.5, "b": 3.0}


def test_numbers_as_text_and_text_as_numbers_are_read(tmp_path):
    file = tmp_path / "p.json"
    file.write_text('{"a": 1984, "b": "-2.5"}')
    assert read_predictions(file) == {"a": "1984", "b": "-2.5"}
    assert read_null_odds(file) == {"a": 1984.0, "b": -2.5}


@pytest.mark.parametrize(
    ("content", "reader", "message"),
    [
        (b'{"a": "x",\n "b"}', read_predictions, r"p\.json: malformed JSON at line 2, column 5"),
        (b"\xff", read_predictions, r"p\.json: not UTF-8"),
        (b"[" * 100_000, read_predictions, r"p\.json: JSON is nested too deeply"),
        (b'["a"]', read_predictions, r"p\.json: must be a JSON object"),
        (b'{"a": "x", "b": "y", "a": "x"}', read_predictions, r"p\.json: the key 'a' is there twice"),
        (b'{"a": null}', read_predictions, r"id 'a': a prediction must be a string\. Received: None"),
        (b'{"a": "x"}', read_null_odds, r"id 'a': null odds must be a finite number\. Received: 'x'"),
        (b'{"a": null}', read_null_odds, r"null odds must be a finite number\. Received: None"),
        (b'{"a": 1.5}', read_predictions, r"a prediction must be a string\. Received: 1\.5"),
        (b'{"a": true}', read_predictions, r"a prediction must be a string\. Received: True"),
        (b'{"a": 1' + b"0" * 5000 + b"}", read_predictions, r"more than 4,300 digits"),
        (b'{"a": true}', read_null_odds, r"Received: True"),
        (b'{"a": NaN}', read_null_odds, r"Received: nan"),
        (b'{"a": 1' + b"0" * 400 + b"}", read_null_odds, r"Received: 1000.*\.\.\."),
    ],
)
def test_other_files_are_errors_that_name_the_place(tmp_path, content, reader, message):
    file = tmp_path / "p.json"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        reader(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: cannot be read \(No such file"):
        read_predictions(tmp_path / "none.json")

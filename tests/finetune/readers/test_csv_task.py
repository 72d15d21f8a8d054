import collections
import pathlib

import pytest

from electra_span.config import UserError
from finetune.readers.csv_tables import CsvSettings, read_csv
from finetune.readers.csv_task import csv_files, read_csv_task, stratified_split
from finetune.readers.reading import BadRowLimit, DataError, Example

NO_BAD_ROWS = BadRowLimit(num_rows=0, rate=0)
SCORES = CsvSettings(is_regression=True)


def write(folder: pathlib.Path, text: str, name: str = "train.csv", encoding: str = "utf-8") -> pathlib.Path:
    (folder / name).write_bytes(text.encode(encoding, "surrogateescape"))
    return folder / name


def read_error(file: pathlib.Path, settings: CsvSettings | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read_csv(file, settings or CsvSettings(), limit=NO_BAD_ROWS)
    return str(caught.value).removeprefix("1 of the first ").replace(f"{file.parent}/", "")


def test_quotes_delimiters_and_line_ends_inside_fields_are_those_of_csv(tmp_path):
    file = write(tmp_path, 'label,text\r\n good ,"one, ""two""\r\nthree"\r\n\r\nbad,four\n')
    assert read_csv(file, CsvSettings(), limit=NO_BAD_ROWS).examples == [
        Example(0, 'one, "two"\r\nthree', None, "good"),
        Example(1, "four", None, "bad"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "settings"),
    [
        ("t.tsv", "mood\ta\tb\nx\tone\ttwo\n", {}),
        ("t.csv", "mood;a;b\nx;one;two\n", {"delimiter": ";"}),
        ("t.csv", "\ufeffmood,a,b\nx,one,two\n", {}),
    ],
)
def test_columns_go_by_their_names_in_tables_of_any_delimiter(tmp_path, name, text, settings):
    settings = CsvSettings(text_column="a", text_pair_column="b", label_column="mood", **settings)
    assert read_csv(write(tmp_path, text, name), settings).examples == [Example(0, "one", "two", "x")]


def test_quotation_marks_can_be_text(tmp_path):
    file = write(tmp_path, 'text\tlabel\n"Well\t1\nso "it" goes"\t0\n', "train.tsv")
    examples = read_csv(file, CsvSettings(has_quotes=False), limit=NO_BAD_ROWS).examples
    assert [example.text_a for example in examples] == ['"Well', 'so "it" goes"']


def test_other_encodings_are_read_and_what_is_none_of_them_is_named(tmp_path):
    file = write(tmp_path, "text,label\nhä,1\nde,0\n", encoding="latin-1")
    assert read_csv(file, CsvSettings(encoding="latin-1")).examples[0].text_a == "hä"
    assert read_error(file) == (
        "1 rows are bad, more than 0 and more than 0.0%; the last: train.csv: line 2: not utf-8-sig"
    )


@pytest.mark.parametrize(
    ("row", "mistake"),
    [
        ("a", "line 4: not 2 fields. Received: 1"),
        ("a,x,y", "line 4: not 2 fields. Received: 3"),
        ("a, ", "line 4: no label"),
        (",x", "line 4: empty text"),
        ('"a"b,x', "line 4: malformed CSV: ',' expected after '\"'"),
    ],
)
def test_a_bad_row_is_named_with_the_line_it_starts_in(tmp_path, row, mistake):
    file = write(tmp_path, f'text,label\n"one\ntwo",x\n{row}\nb,y\n')
    assert read_error(file).endswith(f"the last: train.csv: {mistake}")
    read = read_csv(file, CsvSettings())
    assert (read.tally.num_rows, read.tally.num_bad) == (3, 1)
    kept = [0, 1, 2] if "empty" in mistake else [0, 2]
    assert [example.example_id for example in read.examples] == kept


def test_a_quotation_mark_that_none_closes_stops_as_it_hides_the_rest(tmp_path):
    file = write(tmp_path, 'text,label\na,x\n"b,y\nc,x\n')
    assert read_error(file).startswith("train.csv: line 3: a quotation mark opens a field and none closes it")


@pytest.mark.parametrize(
    ("header", "mistake"),
    [
        ("texts,label", "one column 'text' (text_column). Received: 'texts', 'label'"),
        ("text,labels", "one column 'label' (label_column). Received: 'text', 'labels'"),
        ("text,text,label", "one column 'text' (text_column). Received: 'text', 'text', 'label'"),
        ("text;label", "one column 'text' (text_column). Received: 'text;label'; another delimiter?"),
        ("", "one column 'text' (text_column). Received: 'a', 'x'"),
    ],
)
def test_a_column_that_is_missing_or_there_twice_is_an_error(tmp_path, header, mistake):
    assert read_error(write(tmp_path, f"{header}\na,x\n")) == f"train.csv: line 1: there must be {mistake}"


def test_missing_and_empty_files_are_errors(tmp_path):
    assert read_error(tmp_path / "train.csv").startswith("train.csv: cannot be read: No such file")
    assert read_error(write(tmp_path, "text,label\n")) == "train.csv: there are no examples in it"
    assert read_error(write(tmp_path, "")).endswith("(text_column). Received: none")


def test_a_label_that_training_did_not_have_is_left_out_and_counted(tmp_path):
    write(tmp_path, "text,label\na,x\nb,y\n")
    write(tmp_path, "text,label\nc,y\nd,z\n", "dev.csv")
    task = read_csv_task(tmp_path, CsvSettings())
    assert task.labels == ("x", "y")
    assert task.splits["dev"] == [Example(0, "c", None, "y")]
    assert [tally.left_out for tally in task.tallies] == [{}, {"the label is none of x, y": 1}]


def test_a_test_table_may_be_without_labels_and_then_loses_no_row(tmp_path):
    write(tmp_path, "text,label\na,x\nb,y\n")
    write(tmp_path, "text\nc\n", "test.csv")
    task = read_csv_task(tmp_path, CsvSettings())
    assert task.splits["test"] == [Example(0, "c", None, None)]
    write(tmp_path, "text\nc\nd,e\n", "test.csv")
    with pytest.raises(DataError, match=r"test\.csv: line 3: not 1 fields.*every row of this file needs an answer"):
        read_csv_task(tmp_path, CsvSettings())


@pytest.mark.parametrize("label", ["-1", "", " ", "?", "LABEL_9"])
def test_a_test_table_without_a_known_label_is_one_without_labels(tmp_path, label, caplog):
    write(tmp_path, "text,label\na,x\nb,y\n")
    write(tmp_path, "".join(["text,label\n", *(f"t{number},{label}\n" for number in range(30))]), "test.csv")
    task = read_csv_task(tmp_path, CsvSettings(), limit=NO_BAD_ROWS)
    assert len(task.splits["test"]) == 30
    assert {example.label for example in task.splits["test"]} == {None}
    assert "test.csv: no row has a known label in the column 'label'" in caplog.text


@pytest.mark.parametrize("label", ["-1", "-1.0", "", "nan"])
def test_a_test_table_with_one_score_outside_of_those_of_training_is_one_without_labels(tmp_path, label):
    write(tmp_path, "text,label\na,0.5\nb,5\nc,3\nd,2\n")
    write(tmp_path, f"text,label\nc,{label}\nd,{label}\n", "test.csv")
    task = read_csv_task(tmp_path, SCORES, limit=NO_BAD_ROWS)
    assert [example.label for example in task.splits["test"]] == [None, None]
    write(tmp_path, "text,label\nc,6\nd,7\n", "test.csv")
    assert [example.label for example in read_csv_task(tmp_path, SCORES).splits["test"]] == [6, 7]


def test_a_test_table_with_a_known_label_is_one_with_labels(tmp_path):
    write(tmp_path, "text,label\na,x\nb,y\n")
    write(tmp_path, "text,label\nc,x\nd,-1\n", "test.csv")
    task = read_csv_task(tmp_path, CsvSettings())
    assert task.splits["test"] == [Example(0, "c", None, "x")]
    assert [tally.left_out for tally in task.tallies] == [{}, {"the label is none of x, y": 1}]


def test_development_examples_need_labels(tmp_path):
    write(tmp_path, "text,label\na,x\nb,y\n")
    write(tmp_path, "text,label\nc,-1\n", "dev.csv")
    with pytest.raises(DataError, match=r"dev\.csv: line 2: the label is none of x, y\. Received: '-1'"):
        read_csv_task(tmp_path, CsvSettings(), limit=NO_BAD_ROWS)


def test_scores_are_numbers_and_have_a_range(tmp_path):
    rows = "".join(f"t{number},{number / 4}\n" for number in range(20))
    file = write(tmp_path, f"text,label\nlow,-1e0\n{rows}high,nan\nword,much\n")
    task = read_csv_task(file, SCORES)
    assert task.labels is None
    assert task.score_range == (-1.0, 4.75)
    assert [len(task.splits[split]) for split in ("train", "dev")] == [19, 2]
    assert task.tallies[0].left_out == {"the score is no number": 2}


@pytest.mark.parametrize(
    ("rows", "settings", "mistake"),
    [
        (["a,x", "b,x"], CsvSettings(), "there must be two classes or more. Received: 'x' alone"),
        (["a,1", "b,1", "c,1"], SCORES, "there must be two scores or more. Received: 1 alone"),
        ([f"a,{number}" for number in range(30)], CsvSettings(), "is_regression. Received: 30 different labels in 30"),
    ],
)
def test_labels_that_tell_nothing_apart_or_everything_are_an_error(tmp_path, rows, settings, mistake):
    with pytest.raises(DataError, match=mistake):
        read_csv_task(write(tmp_path, "\n".join(["text,label", *rows])), settings)


def test_a_folder_has_a_table_of_each_split(tmp_path):
    for name in ("train.tsv", "test.csv", "other.csv"):
        write(tmp_path, "", name)
    assert csv_files(tmp_path) == {"train": tmp_path / "train.tsv", "test": tmp_path / "test.csv"}
    write(tmp_path, "", "train.csv")
    with pytest.raises(DataError, match=r"one table of train. Received: train\.csv and train\.tsv"):
        csv_files(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"there must be a train\.csv or train\.tsv"):
        csv_files(tmp_path / "empty")


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ({"delimiter": ", "}, "csv_delimiter must be one character"),
        ({"encoding": "utf-9"}, "encoding must be the name"),
    ],
)
def test_settings_that_are_impossible_are_errors(settings, mistake):
    with pytest.raises(UserError, match=mistake):
        CsvSettings(**settings)


def examples_of(**numbers: int) -> list[Example]:
    labels = [label for label, number in numbers.items() for _ in range(number)]
    return [Example(number, f"text {number}", None, label) for number, label in enumerate(labels)]


def test_the_split_takes_the_same_share_of_each_class_and_leaves_a_single_text():
    examples = examples_of(a=60, b=20, c=3, d=1)
    train, dev = stratified_split(examples, 0.2, seed=1)
    assert collections.Counter(example.label for example in dev) == {"a": 12, "b": 4, "c": 1}
    assert sorted(train + dev) == examples
    assert train == sorted(train)
    assert dev == sorted(dev)


def test_the_split_goes_by_the_seed_and_the_texts_and_not_by_their_order():
    examples = examples_of(a=60, b=20)
    dev = stratified_split(examples, 0.2, seed=1)[1]
    assert sorted(stratified_split(examples[::-1], 0.2, seed=1)[1]) == dev
    assert stratified_split(examples, 0.2, seed=2)[1] != dev


def test_equal_texts_stay_together():
    examples = [Example(number, f"text {number % 10}", None, "a") for number in range(100)]
    train, dev = stratified_split(examples, 0.2, seed=1)
    assert len(dev) == 20
    assert {example.text_a for example in train}.isdisjoint(example.text_a for example in dev)


def test_reviews_and_tweets_are_read_whole(shared_data):
    reviews = read_csv_task(shared_data / "csv/imdb_sample.csv", CsvSettings(), limit=NO_BAD_ROWS)
    assert reviews.labels == ("negative", "positive")
    assert {split: len(examples) for split, examples in reviews.splits.items()} == {"train": 900, "dev": 100}
    settings = CsvSettings(label_column="airline_sentiment")
    tweets = read_csv_task(shared_data / "csv/airline_tweets.csv", settings, limit=NO_BAD_ROWS)
    assert tweets.labels == ("negative", "neutral", "positive")
    assert sum(map(len, tweets.splits.values())) == 14640
    counts = {
        split: collections.Counter(example.label for example in tweets.splits[split]) for split in ("train", "dev")
    }
    shares = [counts["dev"][label] / (counts["train"] + counts["dev"])[label] for label in tweets.labels]
    assert shares == pytest.approx([0.1] * 3, abs=0.01)
    assert any("\n" in example.text_a for example in tweets.splits["train"])

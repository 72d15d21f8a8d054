import csv
import io
import json

import pytest

from electra_span.config import UserError
from pretrain.sources import kinds, lines, rows, streams
from pretrain.sources.corpus import CorpusError, TextRange, plan_tasks, read_batches
from pretrain.sources.settings import SourceSettings


def _write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _read(path, **settings):
    """Returns the documents of a file, each a list of lines, and what was counted."""
    counts = {}
    (documents,) = read_batches(
        [TextRange(path, 0, path.stat().st_size)],
        blanks_separate_docs=True,
        settings=SourceSettings(**settings),
        counts=counts,
    )
    starts = [0, *documents.document_ends]
    texts = [documents.lines[start:end] for start, end in zip(starts, documents.document_ends, strict=False)]
    (kind,) = counts
    return texts, kind, counts[kind]


def test_each_object_of_json_lines_is_a_document_with_its_lines(tmp_path):
    content = (
        '\ufeff{"text": " one \\r\\ntwo\\n\\nthree"}\r\n\n{"text": null, "a": 1}\n{"text": "\\n \\n"}\n{"text": "four"}'
    )
    texts, kind, counts = _read(_write(tmp_path / "a.jsonl", content))
    assert texts == [["one", "two", "three"], ["four"]]
    assert kind == "json_lines"
    assert (counts.num_rows, counts.rows_without_text, counts.num_documents) == (4, 2, 2)


@pytest.mark.parametrize("block_bytes", [1, 3, 10_000])
@pytest.mark.parametrize("indent", [None, 2])
def test_each_object_of_a_json_array_is_a_document(tmp_path, monkeypatch, block_bytes, indent):
    monkeypatch.setattr(streams, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(rows, "BLOCK_BYTES", block_bytes)
    values = [{"body": 'ü "one"\ntwo'}, {"body": "", "text": "no"}, {"a": [{"b": "]"}], "body": "three"}]
    texts, kind, counts = _read(_write(tmp_path / "a.json", json.dumps(values, indent=indent)), text_field="body")
    assert texts == [['ü "one"', "two"], ["three"]]
    assert kind == "json_array"
    assert (counts.num_rows, counts.rows_without_text) == (3, 1)
    assert _read(_write(tmp_path / "a.json", " [ ] \n"))[0] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x"', "malformed JSON at column 13: Expecting"),
        ("[" * 100_000, "JSON is nested too deeply"),
        ('{"text": "a", "n": %s}' % ("9" * 5000), "an integer in the JSON has more than 4,300 digits"),
        ('{"tekst": "x", "id": 1}', r"no field 'text' \(--text-field\); there are 'tekst', 'id'"),
        ('{"text": 3}', "the field 'text' must be a string. Received: int"),
        ('["text"]', "a row must be a JSON object. Received: list"),
        ('{"text": "\\ud800 half"}', "character 0 of the text is none"),
    ],
)
def test_row_of_json_lines_that_cannot_be_read_is_an_error_with_its_line_or_skipped(tmp_path, line, message):
    path = _write(tmp_path / "a.jsonl", '{"text": "one"}\n\n' + line + '\n{"text": "two"}\n')
    with pytest.raises(CorpusError, match=rf"a\.jsonl: line 3: {message}"):
        _read(path)
    texts, _, counts = _read(path, on_bad_text="skip")
    assert texts == [["one"], ["two"]]
    assert (counts.num_rows, counts.rows_skipped) == (3, 1)


def test_lines_before_a_range_are_not_counted_without_need(tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "_count_lines", None)
    path = _write(tmp_path / "a.jsonl", '{"text": "onę"}\n' * 100)
    for task in plan_tasks([path], task_bytes=300, blanks_separate_docs=True):
        assert set(next(read_batches(task, blanks_separate_docs=True)).lines) == {"onę"}


def test_range_of_json_lines_knows_the_lines_before_it(tmp_path):
    path = _write(tmp_path / "a.jsonl", '{"text": "one"}\n' * 100 + "{\n")
    tasks = plan_tasks([path], task_bytes=300, blanks_separate_docs=True)
    assert len(tasks) > 4
    texts = [document for task in tasks[:-1] for document in next(read_batches(task, blanks_separate_docs=True)).lines]
    assert set(texts) == {"one"}
    with pytest.raises(CorpusError, match="line 101: malformed JSON"):
        list(read_batches(tasks[-1], blanks_separate_docs=True))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[\n{"text": "a"},\n{"text": b}]', "line 3: malformed JSON: Expecting value"),
        ('[{"text": "a"}\n{"text": "b"}]', "line 2: malformed JSON: expected ',', found '{'"),
        ('[{"text": "a"}\n', "line 2: malformed JSON: expected ',', found the end of the file"),
        ('[{"text": "a"}]\n\nx', "line 3: malformed JSON: expected the end, found 'x'"),
        ('[{"text": "a"},\n{"text": "b", "n": %s}]' % ("9" * 5000), "line 2: an integer in the JSON has more than"),
        ('[{"text": "a"},\n{"text": ' + "[" * 100_000, "line 2: JSON is nested too deeply"),
        ('[{"text": "a"},\n"b"]', "line 2: a row must be a JSON object. Received: str"),
    ],
)
def test_malformed_json_array_is_an_error_with_its_line(tmp_path, monkeypatch, content, message):
    for block_bytes in (1, 1000):
        monkeypatch.setattr(rows, "BLOCK_BYTES", block_bytes)
        with pytest.raises(CorpusError, match=rf"a\.json: {message}"):
            _read(_write(tmp_path / "a.json", content))


def test_json_array_on_one_line_may_be_longer_than_any_line(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(rows, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(streams, "BLOCK_BYTES", 10)
    monkeypatch.setattr(rows, "BLOCK_BYTES", 10)
    path = _write(tmp_path / "a.json", b"\xef\xbb\xbf" + json.dumps([{"text": "good"}] * 50).encode())
    assert _read(path)[0] == [["good"]] * 50
    with pytest.raises(CorpusError, match="line 1: malformed JSON"):
        _read(_write(path, json.dumps([{"text": "good"}, {"text": "x" * 500}])))
    with pytest.raises(CorpusError, match="not UTF-8 at byte 13 "):
        _read(_write(path, b'[{"text": "a\n\xe9"}]'))


def test_json_of_a_file_without_suffix_is_known_by_its_first_line(tmp_path):
    assert _read(_write(tmp_path / "wiki_00", '{"id": "1", "text": "one"}\n'))[:2] == ([["one"]], "json_lines")
    assert _read(_write(tmp_path / "a.txt", '{"text": "one"}\n'))[:2] == ([['{"text": "one"}']], "text")


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_each_row_of_a_table_is_a_document_with_its_quoted_lines(tmp_path, suffix, delimiter, line_end):
    texts = ['say "hi", twice\tor\nmore\n\nlast', "", "ü plain", " "]
    table = io.StringIO()
    writer = csv.writer(table, delimiter=delimiter, lineterminator=line_end)
    writer.writerows([["id", "text"], *enumerate(texts)])
    content = "\ufeff" + table.getvalue().replace("\nmore", f"{line_end.removesuffix(chr(10))}\nmore")
    read, kind, counts = _read(_write(tmp_path / f"a{suffix}", content))
    assert read == [['say "hi", twice\tor', "more", "last"], ["ü plain"]]
    assert kind == suffix[1:]
    assert (counts.num_rows, counts.rows_without_text, counts.num_documents) == (4, 2, 2)


def test_blank_lines_of_a_table_are_rows_without_text(tmp_path):
    texts, _, counts = _read(_write(tmp_path / "a.csv", "text\none\n\ntwo\n"))
    assert texts == [["one"], ["two"]]
    assert (counts.num_rows, counts.rows_without_text) == (3, 1)


@pytest.mark.parametrize("content", ["", "text,id\n"])
def test_table_without_rows_has_no_text(tmp_path, content):
    assert _read(_write(tmp_path / "a.csv", content))[0] == []


def test_missing_column_is_an_error_with_those_there_are(tmp_path):
    path = _write(tmp_path / "a.csv", "id,tweet\n1,x\n")
    with pytest.raises(CorpusError, match=r"a\.csv: no column 'text' \(--col-name\); there are 'id', 'tweet'"):
        _read(path)
    with pytest.raises(CorpusError, match="no column 'text'"):
        _read(path, on_bad_text="skip")
    assert _read(path, col_name="tweet")[0] == [["x"]]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "§"])
def test_fields_of_a_table_are_told_apart_by_the_delimiter_that_is_named(tmp_path, delimiter):
    row = delimiter.join(["7", f'"Käse, 3,50 {delimiter} Brot"'])
    path = _write(tmp_path / "a.csv", f"id{delimiter}text\n{row}\n")
    assert _read(path, csv_delimiter=delimiter)[0] == [[f"Käse, 3,50 {delimiter} Brot"]]


@pytest.mark.parametrize("delimiter", ["", ";;", "\n", "\r", '"'])
def test_delimiter_that_cannot_be_one_is_an_error(delimiter):
    with pytest.raises(UserError, match="csv_delimiter must be one character"):
        SourceSettings(csv_delimiter=delimiter)


@pytest.mark.parametrize(
    ("header", "suffix", "remedy"),
    [
        ("id;text", ".csv", "';'"),
        ("id\ttext", ".csv", r"'\\t'"),
        ("id|text", ".csv", r"'\|'"),
        ("id,text", ".tsv", "','"),
    ],
)
def test_header_of_another_delimiter_is_an_error_that_names_it(tmp_path, header, suffix, remedy):
    path = _write(tmp_path / f"a{suffix}", f"{header}\n1{header[2]}x\n")
    with pytest.raises(CorpusError, match=f"no column 'text'.* only '.*try --csv-delimiter {remedy}"):
        _read(path)


def test_quoted_header_of_another_delimiter_is_an_error_even_where_bad_rows_are_skipped(tmp_path):
    path = _write(tmp_path / "a.csv", '"id";"text"\n1;x\n')
    with pytest.raises(CorpusError, match=r"a\.csv: line 1: malformed CSV: .*--csv-delimiter"):
        _read(path, on_bad_text="skip")
    assert _read(path, csv_delimiter=";")[0] == [["x"]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("3", "line 4: 1 fields, where the header has 2"),
        ("3,x,y", "line 4: 3 fields, where the header has 2"),
        ('3,"x" y', "line 4: malformed CSV: .*--csv-quotes=false"),
    ],
)
def test_row_of_a_table_that_breaks_its_rules_is_an_error_with_its_line_or_skipped(tmp_path, row, message):
    path = _write(tmp_path / "a.csv", f'id,text\n1,"one\nline"\n{row}\n4,two\n')
    with pytest.raises(CorpusError, match=rf"a\.csv: {message}"):
        _read(path)
    texts, _, counts = _read(path, on_bad_text="skip")
    assert texts == [["one", "line"], ["two"]]
    assert counts.rows_skipped == 1


def test_quotation_that_does_not_end_is_an_error_where_it_starts(tmp_path):
    path = _write(tmp_path / "a.csv", 'id,text\n1,one\n2,"two\n3,three\n')
    with pytest.raises(CorpusError, match=r"a\.csv: line 3: malformed CSV: unexpected end of data"):
        _read(path)
    assert _read(path, csv_quotes=False)[0] == [["one"], ['"two'], ["three"]]


def test_bytes_of_a_table_that_are_no_text_are_an_error_or_their_row_counted(tmp_path):
    path = _write(tmp_path / "a.csv", b'id,text\n1,one\n\xe9,"two\nlines"\n3,thr\xe9e\n')
    with pytest.raises(CorpusError, match="not UTF-8 at byte 14 "):
        _read(path)
    skipped, _, counts = _read(path, on_bad_text="skip")
    assert skipped == [["one"], ["two", "lines"]]
    assert (counts.num_rows, counts.rows_skipped) == (3, 1)
    replaced, _, counts = _read(path, on_bad_text="replace")
    assert replaced == [["one"], ["two", "lines"], ["thr\ufffde"]]
    assert counts.rows_replaced == 1
    assert _read(path, encoding="latin-1")[0] == [["one"], ["two", "lines"], ["thrée"]]


def test_table_of_utf16_is_read_by_its_encoding(tmp_path):
    path = _write(tmp_path / "a.tsv", "id\ttext\r\n1\t計画\r\n".encode("utf-16"))
    assert _read(path, encoding="utf-16")[:2] == ([["計画"]], "tsv")


def test_too_many_rows_that_cannot_be_read_are_an_error(tmp_path):
    path = _write(tmp_path / "a.jsonl", '{"text": "good"}\n' * 50 + "{}\n" * 102)
    with pytest.raises(CorpusError, match=r"101 of the first 151 rows .*a\.jsonl: line 151: no field"):
        _read(path, on_bad_text="skip")


def test_real_tweets_with_quoted_lines_are_as_many_as_the_table_says(shared_data):
    path = shared_data / "csv" / "airline_tweets.csv"
    with path.open(encoding="utf-8", newline="") as file:
        expected = [row["text"] for row in csv.DictReader(file)]
    texts, _, counts = _read(path)
    assert [line for text in texts for line in text] == [
        line.strip() for text in expected for line in text.replace("\r\n", "\n").split("\n") if line.strip()
    ]
    assert counts.num_rows == len(expected) > 14_000
    assert counts.num_documents + counts.rows_without_text == len(expected)


@pytest.mark.parametrize("form", ["dictionary", "large_string", "string_view"])
def test_a_parquet_column_of_text_may_be_of_any_arrow_type_of_text(tmp_path, form):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts = pyarrow.array(["one", "two", None, "one"])
    column = texts.dictionary_encode() if form == "dictionary" else texts.cast(getattr(pyarrow, form)())
    parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
    assert parquet.read_schema(tmp_path / "a.parquet").field("text").type == column.type
    assert _read(tmp_path / "a.parquet")[0] == [["one"], ["two"], ["one"]]


@pytest.mark.parametrize("is_struct_first", [True, False])
def test_a_parquet_column_with_a_dot_in_its_name_is_not_a_field_of_a_struct(tmp_path, is_struct_first):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"doc": pyarrow.array([{"text": "in a struct"}]), "doc.text": pyarrow.array(["flat"])}
    names = list(columns) if is_struct_first else list(columns)[::-1]
    parquet.write_table(pyarrow.table({name: columns[name] for name in names}), tmp_path / "a.parquet")
    assert _read(tmp_path / "a.parquet", col_name="doc.text")[0] == [["flat"]]


def test_each_row_of_parquet_is_a_document(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    table = {"id": [1, 2, 3, 4], "text": ["one\r\ntwo", None, "", "three"]}
    parquet.write_table(pyarrow.table(table), path)
    texts, kind, counts = _read(path)
    assert texts == [["one", "two"], ["three"]]
    assert kind == "parquet"
    assert (counts.num_rows, counts.rows_without_text) == (4, 2)
    with pytest.raises(CorpusError, match=r"a\.parquet: no column 'body' .*'id', 'text'"):
        _read(path, col_name="body")
    with pytest.raises(CorpusError, match=r"a\.parquet: the column 'id' must be one of strings. Received: int64"):
        _read(path, col_name="id")
    for damaged in (path.read_bytes()[:-9], b"PAR1", b""):
        with pytest.raises(CorpusError, match=r"a\.parquet: cannot read Parquet"):
            _read(_write(path, damaged))


def test_missing_pyarrow_is_an_error_that_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(CorpusError, match=r"a\.parquet: to read Parquet .*pip install"):
        _read(_write(tmp_path / "a.parquet", b"PAR1"))


def test_a_parquet_file_may_have_a_column_twice_or_without_any_text(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    twice = pyarrow.table([pyarrow.array(["one"]), pyarrow.array(["two"])], names=["text", "text"])
    parquet.write_table(twice, tmp_path / "a.parquet")
    assert _read(tmp_path / "a.parquet")[0] == [["one"]]  # the first, as in CSV
    parquet.write_table(pyarrow.table({"text": pyarrow.nulls(3)}), tmp_path / "b.parquet")
    texts, _, counts = _read(tmp_path / "b.parquet")
    assert (texts, counts.rows_without_text) == ([], 3)

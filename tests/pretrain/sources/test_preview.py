import gzip

import pytest

from pretrain.sources import kinds as module
from pretrain.sources.kinds import preview
from pretrain.sources.settings import CorpusError, SourceSettings


def _write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_first_texts_and_the_kinds_of_all_files_are_shown(tmp_path):
    files = [
        _write(tmp_path / "a.csv", "id,text\n1,\n2,one\n"),
        _write(tmp_path / "b.txt.gz", gzip.compress(b"\n" + b"word " * 100)),
        _write(tmp_path / "c.jsonl", ""),
        _write(tmp_path / "d.txt", "three"),
        _write(tmp_path / "e.txt", "four"),
    ]
    *shown, summary = preview(files, SourceSettings())
    long = "word " * 20
    assert [line.partition(": ")[2] for line in shown] == ["one", f"{long} ...", "three"]
    assert summary == "files tried: 5, by kind: csv 1, json_lines 1, text 2, text+gzip 1"


def test_each_files_start_is_tried(tmp_path):
    files = [_write(tmp_path / "a.csv", "text\none\n"), _write(tmp_path / "b.csv", "tweet\ntwo\n")]
    with pytest.raises(CorpusError, match=r"b\.csv: no column 'text'"):
        list(preview(files, SourceSettings()))


def test_only_the_start_of_a_file_is_read(tmp_path):
    path = _write(tmp_path / "a.txt", b"good line\n" * 200_000 + b"\xff\n")
    assert "good line" in next(preview([path], SourceSettings()))


def test_of_many_files_some_spread_over_them_are_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_NUM_FILES", 2)
    files = [_write(tmp_path / f"{number}.txt", str(number)) for number in range(5)]
    first, second, summary = preview(files, SourceSettings())
    assert (first[-3:], second[-3:]) == (": 0", ": 3")
    assert summary.startswith("files tried: 2 of 5")


def test_files_without_any_text_are_an_error(tmp_path):
    files = [_write(tmp_path / "a.txt", " \n\n"), _write(tmp_path / "b.csv", "text\n\n")]
    with pytest.raises(CorpusError, match="No text in any of the 2 files"):
        list(preview(files, SourceSettings()))


def test_a_text_that_a_terminal_would_obey_is_shown_without_its_control_characters(tmp_path):
    (tmp_path / "a.txt").write_text("red\x1b[2Jgood\n", encoding="utf-8")
    first, *_ = preview([tmp_path / "a.txt"], SourceSettings())
    assert first.endswith("red\ufffd[2Jgood")

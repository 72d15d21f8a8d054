import pytest

from pretrain.sources import lines, streams
from pretrain.sources.lines import read_lines, read_text_lines
from pretrain.sources.settings import CorpusError, SourceSettings, Tally
from pretrain.sources.streams import open_stream


def _write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _lines(path, **settings):
    with open_stream(path) as stream:
        return list(read_lines(stream, Tally(SourceSettings(**settings))))


def _text_lines(path, **settings):
    tally = Tally(SourceSettings(**settings))
    with open_stream(path) as stream:
        return list(read_text_lines(stream, tally)), tally.counts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\r\n\r\ntwo\r\n", ["one", "", "two"]),
        (b"\xef\xbb\xbfone\n", ["one"]),
        (b"\n\n", ["", ""]),
        ("a\u2028b\x0cc\x85d\n".encode(), ["a\u2028b\x0cc\x85d"]),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path, content, expected):
    assert _lines(_write(tmp_path / "file", content)) == expected


def test_lines_are_whole_for_any_size_of_block(tmp_path, monkeypatch):
    expected = [f"line {number} ü€😀" * (number % 5) for number in range(50)]
    path = _write(tmp_path / "file", "\ufeff" + "\r\n".join(expected))
    for block_bytes in (1, 2, 7, 100):
        monkeypatch.setattr(streams, "BLOCK_BYTES", block_bytes)
        assert _lines(path) == expected


def test_bytes_that_are_not_utf8_are_an_error_with_file_and_offset(tmp_path, monkeypatch):
    path = _write(tmp_path / "latin.txt", b"\xef\xbb\xbfone\ntwo\nthr\xe9e\n")
    for block_bytes in (4, 1000):
        monkeypatch.setattr(streams, "BLOCK_BYTES", block_bytes)
        with pytest.raises(CorpusError, match=r"latin\.txt: not UTF-8 at byte 14 .*--encoding"):
            _lines(path)


def test_character_cut_by_the_end_of_the_file_is_an_error_with_offset(tmp_path):
    with pytest.raises(CorpusError, match="not UTF-8 at byte 3 "):
        _lines(_write(tmp_path / "file", "ab\n€".encode()[:-1]))


def test_line_without_end_is_an_error_and_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK_BYTES", 10)
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 50)
    with pytest.raises(CorpusError, match="line at byte 3 is longer"):
        _lines(_write(tmp_path / "file", b"ab\n" + b"x" * 200))


def test_file_that_got_shorter_while_it_was_read_is_an_error(tmp_path):
    path = _write(tmp_path / "file", b"abc\n")
    with open_stream(path) as stream, pytest.raises(CorpusError, match="ends at byte 4, not 9: it was changed"):
        list(read_lines(stream, Tally(SourceSettings()), 0, 9))


@pytest.mark.parametrize(
    ("on_bad_text", "expected", "skipped", "replaced"),
    [
        ("skip", ["one", "three", "four \ufffd ü"], 2, 0),
        ("replace", ["one", "tw\ufffd", "three", "four \ufffd ü", "\ufffd\ufffd"], 0, 2),
    ],
)
def test_lines_that_cannot_be_decoded_are_counted(tmp_path, monkeypatch, on_bad_text, expected, skipped, replaced):
    path = _write(tmp_path / "file", b"one\ntw\xe9\nthree\n" + "four \ufffd ü\n".encode() + b"\xff\xfe\n")
    for block_bytes in (1, 1000):
        monkeypatch.setattr(streams, "BLOCK_BYTES", block_bytes)
        read, counts = _text_lines(path, on_bad_text=on_bad_text)
        assert read == expected
        assert (counts.num_rows, counts.rows_skipped, counts.rows_replaced) == (5, skipped, replaced)


@pytest.mark.parametrize("on_bad_text", ["skip", "replace"])
def test_too_many_lines_that_cannot_be_decoded_are_an_error(tmp_path, on_bad_text):
    path = _write(tmp_path / "file", b"good\n" * 500 + b"bad\xe9\n" * 101)
    with pytest.raises(CorpusError, match=r"101 of the first 601 rows .*--max-bad-rate 0.01.*file: line 600 after"):
        _text_lines(path, on_bad_text=on_bad_text)
    assert len(_text_lines(path, on_bad_text=on_bad_text, max_bad_rate=0.2)[0]) >= 500
    assert len(_text_lines(_write(path, b"good\n" * 10 + b"\xe9\n" * 100), on_bad_text=on_bad_text)[0]) >= 10

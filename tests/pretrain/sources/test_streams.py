import bz2
import gzip
import lzma
import zipfile

import pytest

from electra_span.config import UserError
from pretrain.sources import streams
from pretrain.sources.kinds import read_source
from pretrain.sources.settings import CorpusError, SourceSettings, Tally
from pretrain.sources.streams import as_utf8, inner_suffix, open_stream, packing_of, unpacked

CONTENT = b"".join(b"%d of some text\n" % number for number in range(5000))


def _zstd(content):
    return pytest.importorskip("zstandard").compress(content)


PACKERS = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, ".zst": _zstd}


def _read_all(stream, size=1000):
    blocks = []
    while block := stream.read(size):
        assert len(block) <= size
        blocks.append(block)
    return b"".join(blocks)


def _unpacked(path):
    with open_stream(path) as stream:
        return packing_of(stream), _read_all(unpacked(stream))


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_files_are_recognised_by_content_alone(tmp_path, suffix):
    path = tmp_path / "file"
    path.write_bytes(PACKERS[suffix](CONTENT))
    packing, content = _unpacked(path)
    assert packing in ("gzip", "xz", "bzip2", "zstd")
    assert content == CONTENT


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_pieces_that_follow_each_other_are_read_as_one(tmp_path, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(PACKERS[suffix](CONTENT[:100]) + PACKERS[suffix](b"") + PACKERS[suffix](CONTENT[100:]))
    assert _unpacked(path)[1] == CONTENT


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_file_that_is_cut_off_or_damaged_is_an_error_that_names_it(tmp_path, suffix):
    path = tmp_path / f"text{suffix}"
    packed = PACKERS[suffix](CONTENT)
    path.write_bytes(packed[:-10])
    with pytest.raises(CorpusError, match=rf"text\{suffix}: cannot unpack"):
        _unpacked(path)
    middle = len(packed) // 2
    path.write_bytes(packed[:middle] + bytes(byte ^ 255 for byte in packed[middle : middle + 40]) + packed[middle:])
    with pytest.raises(CorpusError, match=rf"text\{suffix}: cannot unpack"):
        _unpacked(path)


@pytest.mark.parametrize("suffix", PACKERS)
def test_file_that_is_not_packed_as_its_name_says_is_an_error(tmp_path, suffix):
    path = tmp_path / f"text{suffix}"
    for content in (b"", CONTENT):
        path.write_bytes(content)
        with pytest.raises(CorpusError, match=rf"text\{suffix}: not \w+, as its name says"):
            _unpacked(path)


def test_missing_zstandard_is_an_error_that_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    path = tmp_path / "text.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd")
    with pytest.raises(CorpusError, match=r"text.zst: to read zstd .*pip install"):
        _unpacked(path)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.csv", ".csv"), ("a.CSV.GZ", ".csv"), ("b/a.tgz", ".tar"), ("a.tar.xz", ".tar"), ("wiki_00", ""), ("a.xz", "")],
)
def test_suffix_of_a_packing_does_not_count(name, suffix):
    assert inner_suffix(name) == suffix


def test_peeking_takes_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"abcdef")
    with open_stream(tmp_path / "file") as stream:
        assert stream.peek(3) == b"abc"
        assert stream.read(2) == b"ab"
        assert stream.peek(3) == b"cde"
        assert stream.peek(100) == b"cdef"
        assert _read_all(stream, 3) == b"cdef"


def test_file_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(CorpusError, match=r"Cannot read .*gone: No such file"), open_stream(tmp_path / "gone"):
        pass


TEXT = "Müller\nплан\n計画 x\n" * 30


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "gb18030", "utf-8-sig"])
def test_other_encodings_become_utf8_for_any_size_of_block(tmp_path, monkeypatch, encoding):
    (tmp_path / "file").write_bytes(TEXT.encode(encoding))
    for block_bytes in (1, 3, 1000):
        monkeypatch.setattr(streams, "BLOCK_BYTES", block_bytes)
        with open_stream(tmp_path / "file") as stream:
            assert _read_all(as_utf8(stream, SourceSettings(encoding=encoding))).decode() == TEXT


@pytest.mark.parametrize(
    ("encoding", "content", "offset"),
    [
        ("utf-16-le", "ab\n".encode("utf-16-le") + b"\x00\xdc" + "c".encode("utf-16-le"), 6),
        ("utf-16", "ab".encode("utf-16") + b"c", 6),
        ("gb18030", "計畫".encode("gb18030") + b"\xff" + b"a", 4),
        ("cp1252", b"abc\x81", 3),
        ("ascii", b"abc\xe9d", 3),
    ],
)
def test_what_cannot_be_decoded_is_an_error_with_offset_or_one_bad_byte(
    tmp_path, monkeypatch, encoding, content, offset
):
    (tmp_path / "file").write_bytes(content)
    for block_bytes in (1, 2, 1000):
        monkeypatch.setattr(streams, "BLOCK_BYTES", block_bytes)
        with (
            open_stream(tmp_path / "file") as stream,
            pytest.raises(CorpusError, match=rf"file: not {encoding.upper()} at byte {offset} "),
        ):
            _read_all(as_utf8(stream, SourceSettings(encoding=encoding)))
        with open_stream(tmp_path / "file") as stream:
            assert _read_all(as_utf8(stream, SourceSettings(encoding=encoding, on_bad_text="skip"))).count(255) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoding": "nonsense"}, "encoding must be the name of a text encoding"),
        ({"encoding": "base64"}, "encoding must be the name of a text encoding"),
        ({"on_bad_text": "hope"}, "on_bad_text must be one of error, replace, skip"),
        ({"max_bad_rate": 1.5}, "max_bad_rate must be from 0 to 1"),
    ],
)
def test_impossible_settings_are_errors_that_name_them(change, message):
    with pytest.raises(UserError, match=message):
        SourceSettings(**change)


@pytest.mark.parametrize("on_bad_text", ["error", "replace", "skip"])
@pytest.mark.parametrize("name", ["corpus.zip", "report.txt", "table.csv", "rows.jsonl"])
def test_containers_are_named_by_what_they_are_whatever_becomes_of_bad_text(tmp_path, name, on_bad_text):
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("a.txt", "some words\n" * 50)
    with pytest.raises(CorpusError, match=rf"{name} is a zip archive, .* which is not read here"):
        list(
            read_source(
                tmp_path / name,
                Tally(SourceSettings(on_bad_text=on_bad_text)),
                start=0,
                end=(tmp_path / name).stat().st_size,
                blanks_separate_docs=True,
            )
        )

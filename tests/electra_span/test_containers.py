import bz2
import gzip
import io
import lzma
import os
import pickle
import sqlite3
import tarfile
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from electra_span.config import UserError
from electra_span.containers import HEAD_BYTES, check_hub_snapshot, check_plain_text, container_of
from electra_span.convert.sources import read_source
from electra_span.published.save_load import load_pretrained
from electra_span.tokenization import load_tokenizer
from tests.in_process import run_command

WORDS = b"plain words\n" * 200


def _zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("word/document.xml", WORDS)
    return content.getvalue()


def _tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = len(WORDS)
        archive.addfile(member, io.BytesIO(WORDS))
    return content.getvalue()


def _npy() -> bytes:
    content = io.BytesIO()
    np.save(content, np.arange(5))
    return content.getvalue()


def _sqlite() -> bytes:
    with sqlite3.connect(":memory:") as database:
        database.execute("create table words (word text)")
        return database.serialize()


def _tfrecord() -> bytes:
    example = b"\n\x0a\n\x08\n\x01a\x12\x03\x1a\x01\x00"
    return len(example).to_bytes(8, "little") + b"\xa1\xb2\xc3\xd4" + example


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (_zip(), "a zip archive"),
        (_tar(), "a tar archive"),
        (_npy(), "a NumPy array"),
        (_sqlite(), "an SQLite database"),
        (gzip.compress(WORDS), "a gzip file"),
        (bz2.compress(WORDS), "a bzip2 file"),
        (lzma.compress(WORDS), "an xz file"),
        (lzma.compress(WORDS, lzma.FORMAT_ALONE), "an LZMA file"),
        (pickle.dumps(WORDS, protocol=2), "a Python pickle"),
        (pickle.dumps(WORDS), "a Python pickle"),
        (safetensors.numpy.save({"a": np.zeros(3)}), "a safetensors file"),
        (_tfrecord(), "a TFRecord file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a pointer of Git LFS"),
        (b"MZ\x90\0\3\0", "a program"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office before 2007"),
        (b"{\\rtf1\\ansi", "an RTF document"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "a RIFF file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # compressed files hold the time
)
def test_files_that_hold_no_plain_text_are_named_by_their_first_bytes(tmp_path, content, name):
    found = container_of(content[:HEAD_BYTES])
    assert found is not None
    assert found.startswith(name)
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"vocab\.txt is {name}.*, not a text file"):
        check_plain_text(tmp_path / "vocab.txt")


def test_arrow_files_and_streams_are_named():
    pyarrow = pytest.importorskip("pyarrow")
    ipc = pytest.importorskip("pyarrow.ipc")
    table = pyarrow.table({"text": ["a"]})
    for new, name in ((ipc.new_file, "an Arrow file"), (ipc.new_stream, "an Arrow stream")):
        content = io.BytesIO()
        with new(content, table.schema) as writer:
            writer.write_table(table)
        assert container_of(content.getvalue()[:HEAD_BYTES]).startswith(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PK",
        "PAR1 is",
        "%PDF-1 is",
        "{\\rtf1 is",
        "x" * 254 + "ajustar",
        "RIFF is a word",
        "The ftyp box",
        "ID3 tags",
        "Rar! said he",
        "{\\rtfm",
        "BZh9",
        "]",
        "ORC\nand",
        "MZ",
        "ÿØ",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_text_is_not_taken_for_anything_else(text, encoding):
    assert container_of((text + " and more words\n" * 40).encode(encoding)[:HEAD_BYTES]) is None


def test_orc_files_are_named():
    pyarrow, orc = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.orc")
    content = io.BytesIO()
    orc.write_table(pyarrow.table({"text": ["a"]}), content)
    assert container_of(content.getvalue()[:HEAD_BYTES]) == "an ORC file"


@pytest.mark.parametrize("has_blobs", [True, False])
@pytest.mark.parametrize("has_ref", [True, False])
def test_the_upper_folder_of_the_hub_cache_is_told_to_take_its_snapshot(tmp_path, has_ref, has_blobs):
    folder = tmp_path / "models--x--y"
    for name in (*(["blobs"] if has_blobs else []), "refs", "snapshots/abc", "snapshots/def"):
        (folder / name).mkdir(parents=True)
    if has_ref:
        (folder / "refs/main").write_text("def")
    for snapshot in ("def",) if has_ref else ("abc", "def"):
        with pytest.raises(UserError, match=f"give its snapshot: .*/snapshots/{snapshot}"):
            check_hub_snapshot(folder)
    check_hub_snapshot(folder / "snapshots/abc")
    with pytest.raises(UserError, match="snapshots"):
        load_tokenizer(folder)
    with pytest.raises(UserError, match="snapshots"):
        load_pretrained(folder)
    with pytest.raises(UserError, match="snapshots"):
        read_source(folder, {})
    assert "snapshots" in run_command("scripts.describe_model", folder).mistake


@pytest.mark.parametrize("character", "考者鴟")
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_chinese_text_in_two_bytes_a_character_is_not_taken_for_anything_else(character, encoding):
    for following in map(chr, range(0x4E00, 0x9FA6)):
        found = container_of((character + following + "的" * 200).encode(encoding))
        assert found is None, (character, following, found)


def test_a_file_that_is_missing_is_left_to_its_reader(tmp_path):
    check_plain_text(tmp_path / "nowhere")
    check_plain_text(tmp_path)


def test_a_pipe_is_left_to_its_reader(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    check_plain_text(tmp_path / "pipe")

import io
import tarfile

import pytest

from pretrain.sources import streams
from pretrain.sources.corpus import CorpusError, TextRange, read_batches
from pretrain.sources.settings import SourceSettings


def _tar(members, mode="w", **settings):
    """Returns an archive of (name or header, content) pairs."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, **settings) as archive:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def _read(path, content, **settings):
    """Returns the documents of an archive, each a list of lines, and what was counted."""
    path.write_bytes(content)
    counts = {}
    (documents,) = read_batches(
        [TextRange(path, 0, len(content))],
        blanks_separate_docs=True,
        settings=SourceSettings(**settings),
        counts=counts,
    )
    starts = [0, *documents.document_ends]
    texts = [documents.lines[start:end] for start, end in zip(starts, documents.document_ends, strict=False)]
    return texts, counts


@pytest.mark.parametrize(("mode", "kind"), [("w", "tar"), ("w:gz", "tar+gzip"), ("w:xz", "tar+xz")])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_read_each_as_its_kind(tmp_path, mode, kind, form):
    long_name = "folder/" * 20 + "d.csv"
    members = [("a.txt", b"one\n\ntwo"), ("./b/c.jsonl", b'{"text": "three"}\n')]
    members += [] if form == tarfile.USTAR_FORMAT else [(long_name, b"id,text\n1,four\n")]
    texts, counts = _read(tmp_path / "file", _tar(members, mode, format=form))
    assert texts == [["one"], ["two"], ["three"], ["four"]][: len(members) + 1]
    assert list(counts) == [kind]
    assert counts[kind].num_files == 1


def test_openwebtext_is_archives_of_texts_each_of_which_is_a_document(tmp_path):
    inner = _tar([("1.txt", b"one\n\ntwo\n"), ("2.txt", b'{"text": "x"}'), ("3.txt", b"<doc id=")], "w:xz")
    outer = _tar([("openwebtext/subset00_data.xz", inner), ("openwebtext/subset01_data.xz", inner)])
    texts, counts = _read(tmp_path / "owt.tar", outer, openwebtext=True)
    assert texts == [["one", "two"], ['{"text": "x"}'], ["<doc id="]] * 2
    assert counts["tar"].num_documents == 6
    assert _read(tmp_path / "subset00_data.xz", inner, openwebtext=True)[0] == texts[:3]
    assert len(_read(tmp_path / "owt.tar", outer)[0]) == 8
    with pytest.raises(CorpusError, match=r"a\.txt: no tar archive"):
        _read(tmp_path / "a.txt", b"text\n", openwebtext=True)


def test_names_lead_nowhere_and_what_is_no_file_is_passed_over(tmp_path):
    (tmp_path / "secret").write_text("secret\n", encoding="utf-8")
    outside = str(tmp_path / "outside")
    members = [
        (outside, b"one\n"),
        ("../../outside", b"two\n"),
        (_link("link", str(tmp_path / "secret")), b""),
        (_link("hard", outside, tarfile.LNKTYPE), b""),
        (_link("device", "", tarfile.CHRTYPE), b""),
        (_link("pipe", "", tarfile.FIFOTYPE), b""),
        ("folder/._three.txt", b"\xff\n"),
        ("evil\n\x1b[2J.txt", b"four\n"),
    ]
    folder = tmp_path / "corpus"
    folder.mkdir()
    texts, _ = _read(folder / "a.tar", _tar(members))
    assert texts == [["one"], ["two"], ["four"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "secret"]
    assert [path.name for path in folder.iterdir()] == ["a.tar"]


def test_member_that_is_no_text_is_an_error_with_both_names_on_one_line(tmp_path):
    content = _tar([("b/c\x1b[2J\n.txt", b"abc\xff\n")])
    with pytest.raises(CorpusError, match=r"a\.tar: b/c\?\[2J\?\.txt: not UTF-8 at byte 3 "):
        _read(tmp_path / "a.tar", content)
    assert _read(tmp_path / "a.tar", content, on_bad_text="replace")[0] == [["abc\ufffd"]]


def test_archive_that_is_cut_off_anywhere_is_an_error(tmp_path):
    content = _tar([("a.txt", b"one\n" * 300), ("b.txt", b"two\n")])
    member_bytes = 512 + 1536
    for size in (0, 100, 512, 600, member_bytes - 1, member_bytes, member_bytes + 100, member_bytes + 1024):
        with pytest.raises(CorpusError, match=r"a\.tar: damaged or cut off archive"):
            _read(tmp_path / "a.tar", content[:size])


def test_damaged_header_is_an_error_and_not_the_end(tmp_path):
    content = bytearray(_tar([("a.txt", b"one\n"), ("b.txt", b"two\n")]))
    content[1024] ^= 255
    with pytest.raises(CorpusError, match=r"a\.tar: damaged or cut off archive"):
        _read(tmp_path / "a.tar", bytes(content))


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, b"Z", tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [1 << 33, 1 << 60, -1, -512])
def test_impossible_sizes_are_errors_at_once(tmp_path, kind, size):
    info = tarfile.TarInfo("a.txt")
    info.type, info.size = kind, size
    content = info.tobuf(tarfile.GNU_FORMAT) + b"text\n".ljust(512, b"\0")
    with pytest.raises(CorpusError, match=r"a\.tar: damaged or cut off archive"):
        _read(tmp_path / "a.tar", content)


def test_negative_size_in_an_extended_header_is_an_error(tmp_path):
    info = tarfile.TarInfo("a.txt")
    info.pax_headers = {"size": "-1024"}
    content = info.tobuf(tarfile.PAX_FORMAT) + bytes(2048)
    with pytest.raises(CorpusError, match=r"a\.tar: damaged or cut off archive"):
        _read(tmp_path / "a.tar", content)


def test_long_chains_of_extended_headers_are_an_error(tmp_path):
    header = tarfile.TarInfo.create_pax_global_header({"a": "b"})
    local = header[:156] + tarfile.XHDTYPE + header[157:]
    checksum = 256 + sum(local[:148]) + sum(local[156:512])
    local = local[:148] + b"%06o\0 " % checksum + local[156:]
    with pytest.raises(CorpusError, match=r"a\.tar: damaged or cut off archive"):
        _read(tmp_path / "a.tar", local * 5000)


def test_archives_in_archives_are_read_to_a_depth(tmp_path):
    content = _tar([("a.txt", b"one\n")])
    for _ in range(2):
        content = _tar([("inner.tar", content)])
    assert _read(tmp_path / "a.tar", content)[0] == [["one"]]
    with pytest.raises(CorpusError, match="more than 3 deep"):
        _read(tmp_path / "a.tar", _tar([("inner.tar", content)]))


def test_headers_of_members_do_not_gather_in_memory(tmp_path, monkeypatch):
    kept = []
    next_member = tarfile.TarFile.next

    def counting_next(archive):
        kept.append(len(archive.members))
        return next_member(archive)

    monkeypatch.setattr(streams.tarfile.TarFile, "next", counting_next)
    texts, _ = _read(tmp_path / "a.tar", _tar([(f"{number}.txt", b"one\n") for number in range(50)]))
    assert len(texts) == 50
    assert max(kept) <= 1

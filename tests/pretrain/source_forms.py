"""The same documents in every form that a source may have."""

import bz2
import csv
import gzip
import html
import io
import json
import lzma
import random
import tarfile

import pytest


def _documents():
    """Returns documents, each a list of lines."""
    draws = random.Random(0)
    words = ["ab", "cde", "f,g", '"hi"', "x<y&z", "ünï", "計画", "k\tl"]
    return [[" ".join(draws.choices(words, k=draws.randint(1, 9))) for _ in range(n % 7 + 1)] for n in range(60)]


DOCUMENTS = _documents()
PLAIN = "\n\n".join("\n".join(lines) for lines in DOCUMENTS).encode()
ROWS = [{"id": number, "text": "\n".join(lines)} for number, lines in enumerate(DOCUMENTS)]


def table(delimiter=",", line_end="\r\n"):
    text = io.StringIO()
    writer = csv.DictWriter(text, ["id", "text"], delimiter=delimiter, lineterminator=line_end)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue().encode()


def tar(members, mode="w"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


TEXTS = [(f"{number:03}.txt", "\n".join(lines).encode()) for number, lines in enumerate(DOCUMENTS)]
JSON_LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
WIKI = "".join(
    f'<doc id="{n}" url="" title="T&amp;C">\nT&amp;C\n\n{html.escape(chr(10).join(lines), quote=False)}\n</doc>\n'
    for n, lines in enumerate(DOCUMENTS)
).encode()


def zstd(content):
    return pytest.importorskip("zstandard").compress(content)


def parquet():
    pyarrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    columns = {"id": [row["id"] for row in ROWS], "text": [row["text"] for row in ROWS]}
    files.write_table(pyarrow.table(columns), file)
    return file.getvalue()


# Name of the file, how it is told in the manifest, what it holds, and what is said of it.
FORMS = [
    ("a.txt", "text", lambda: PLAIN, {}),
    ("no_suffix", "text", lambda: PLAIN.replace(b"\n", b"\r\n"), {}),
    ("bom.txt", "text", lambda: b"\xef\xbb\xbf" + PLAIN, {}),
    ("utf16.txt", "text", lambda: PLAIN.decode().encode("utf-16"), {"encoding": "utf-16"}),
    ("a.txt.gz", "text+gzip", lambda: gzip.compress(PLAIN), {}),
    ("a.txt.xz", "text+xz", lambda: lzma.compress(PLAIN), {}),
    ("a.bz2", "text+bzip2", lambda: bz2.compress(PLAIN), {}),
    ("a.zst", "text+zstd", lambda: zstd(PLAIN), {}),
    ("wiki_00", "wikiextractor", lambda: WIKI, {}),
    ("wiki_00.bz2", "wikiextractor+bzip2", lambda: bz2.compress(WIKI), {}),
    ("a.jsonl", "json_lines", lambda: JSON_LINES, {}),
    ("a.jsonl.zst", "json_lines+zstd", lambda: zstd(JSON_LINES), {}),
    ("a.json", "json_array", lambda: json.dumps(ROWS, indent=1, ensure_ascii=False).encode(), {}),
    ("a.json.gz", "json_array+gzip", lambda: gzip.compress(json.dumps(ROWS).encode()), {}),
    ("a.csv", "csv", table, {}),
    ("b.csv", "csv", lambda: table(line_end="\n").replace(b"id,text", b"id,body"), {"col_name": "body"}),
    ("a.csv.xz", "csv+xz", lambda: lzma.compress(table()), {}),
    ("c.csv", "csv", lambda: table(";"), {"csv_delimiter": ";"}),
    ("a.tsv", "tsv", lambda: table("\t"), {}),
    ("a.parquet", "parquet", parquet, {}),
    ("a.tar", "tar", lambda: tar(TEXTS), {}),
    ("a.tgz", "tar+gzip", lambda: tar(TEXTS, "w:gz"), {}),
    ("tables.tar", "tar", lambda: tar([("a/rows.csv", table())]), {}),
    (
        "openwebtext.tar",
        "tar",
        lambda: tar([(f"{n}.xz", tar(TEXTS[n * 30 : n * 30 + 30], "w:xz")) for n in range(2)]),
        {"openwebtext": True},
    ),
]

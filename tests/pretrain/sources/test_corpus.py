import pytest

from pretrain.sources import corpus, lines
from pretrain.sources.corpus import (
    CorpusError,
    Documents,
    TextRange,
    corpus_files,
    corpus_lines,
    matching_files,
    plan_tasks,
    read_batches,
)


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_documents(ranges, **settings):
    (documents,) = read_batches(ranges, **settings)
    return documents


def _read(path, *, blanks_separate_docs=True):
    whole = [TextRange(path, 0, path.stat().st_size)]
    return read_documents(whole, blanks_separate_docs=blanks_separate_docs)


def test_files_of_all_folders_are_sorted_and_hidden_ones_left_out(tmp_path):
    for name in ("b.txt", "a/z.txt", "a/c/wiki_00", ".hidden", ".cache/x.txt", "a/.d"):
        _write(tmp_path / name, "text\n")
    assert [str(path.relative_to(tmp_path)) for path in corpus_files(tmp_path)] == ["a/c/wiki_00", "a/z.txt", "b.txt"]


def test_folder_without_files_is_an_error_that_names_it(tmp_path):
    with pytest.raises(CorpusError, match=rf"at least one text file.*{tmp_path}"):
        corpus_files(tmp_path)
    with pytest.raises(CorpusError, match=r"must be a folder.*nowhere"):
        corpus_files(tmp_path / "nowhere")


def test_link_to_nothing_is_an_error_that_names_it(tmp_path):
    _write(tmp_path / "a.txt", "text\n")
    (tmp_path / "b.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(CorpusError, match=r"Cannot read .*b\.txt: it links to .*gone"):
        corpus_files(tmp_path)


def test_patterns_stand_for_files_and_for_what_is_in_folders(tmp_path):
    for name in ("a.txt", "b.csv", "c/d.csv", "c/e/f.csv", "c/e/.hidden", "[g].txt"):
        _write(tmp_path / name, "text\n")

    def names(*patterns):
        files = matching_files([f"{tmp_path}/{pattern}" for pattern in patterns])
        return [str(path.relative_to(tmp_path)) for path in files]

    assert names("b.csv", "*.csv", "a.txt") == ["a.txt", "b.csv"]
    assert names("**/*.csv") == ["b.csv", "c/d.csv", "c/e/f.csv"]
    assert names("c") == ["c/d.csv", "c/e/f.csv"]
    assert names("[g].txt") == ["[g].txt"]
    with pytest.raises(CorpusError, match=r"must match a file.*\*\.json"):
        names("a.txt", "*.json")


def test_blank_lines_and_ends_of_files_end_documents(tmp_path):
    first = _write(tmp_path / "a", "\n  one \ntwo\n \t\n\nthree\n")
    second = _write(tmp_path / "b", "four\n")
    ranges = [TextRange(path, 0, path.stat().st_size) for path in (first, second)]
    assert read_documents(ranges, blanks_separate_docs=True) == (["one", "two", "three", "four"], [2, 3, 4])
    assert read_documents(ranges, blanks_separate_docs=False) == (["one", "two", "three", "four"], [3, 4])


WIKI = """<doc id="12" url="?curid=12" title="AT&amp;T &quot;Bell&quot;">
AT&T "Bell"

AT&T is a company.
Section.
</doc>
<doc id="13" url="?curid=13" title="Empty">
Empty


</doc>
<doc id="14" url="?curid=14" title="Tacitus">
Tacitus

Tacitus
wrote <doc> and < doc.
</doc>
"""


@pytest.mark.parametrize(("blanks_separate_docs", "ends"), [(True, [2, 4]), (False, [2, 4])])
def test_tags_and_titles_of_wikiextractor_are_left_out(tmp_path, blanks_separate_docs, ends):
    lines, document_ends = _read(_write(tmp_path / "wiki_00", WIKI), blanks_separate_docs=blanks_separate_docs)
    assert lines == ["AT&T is a company.", "Section.", "Tacitus", "wrote <doc> and < doc."]
    assert document_ends == ends


def test_first_line_that_does_not_repeat_the_title_is_kept(tmp_path):
    text = '<doc id="1" url="" title="Name">\nText at once.\nName\n</doc>\n'
    assert _read(_write(tmp_path / "wiki", text)).lines == ["Text at once.", "Name"]


def test_every_title_of_real_wikipedia_is_removed(shared_data):
    path = shared_data / "corpus" / "enwiki" / "wiki_00"
    raw = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    num_tags = sum(line.startswith(("<doc id=", "</doc>")) for line in raw)
    lines, _ = _read(path)
    assert not any(line.startswith(("<doc id=", "</doc>")) for line in lines)
    assert len(lines) == sum(map(bool, raw)) - num_tags - num_tags // 2


def test_small_files_share_tasks_and_a_large_one_is_cut_where_documents_end(tmp_path):
    small = [_write(tmp_path / f"a{number}", "word\n" * 4) for number in range(5)]
    large = _write(tmp_path / "b", "".join(f"document {number}\nmore of it\n\n" for number in range(40)))
    tasks = plan_tasks([*small, large], task_bytes=100, blanks_separate_docs=True)
    assert [[text_range.path for text_range in task] for task in tasks[:2]] == [small[:3], [*small[3:], large]]
    ranges = [text_range for task in tasks for text_range in task if text_range.path == large]
    assert len(ranges) > 5
    assert [ranges[0].start, *(each.end for each in ranges)] == [*(each.start for each in ranges), large.stat().st_size]
    for each in ranges:
        assert read_documents([each], blanks_separate_docs=True).lines[0].startswith("document")


@pytest.mark.parametrize("blanks_separate_docs", [True, False])
@pytest.mark.parametrize("task_bytes", [1, 30, 77, 100_000])
def test_lines_do_not_depend_on_where_files_are_cut(tmp_path, blanks_separate_docs, task_bytes):
    path = _write(tmp_path / "file", WIKI + "plain ü\r\n\r\ntext\n" * 9 + "no end")
    tasks = plan_tasks([path], task_bytes=task_bytes, blanks_separate_docs=blanks_separate_docs)
    whole = _read(path, blanks_separate_docs=blanks_separate_docs)
    parts = [read_documents(ranges, blanks_separate_docs=blanks_separate_docs) for ranges in tasks]
    assert [line for part in parts for line in part.lines] == whole.lines


def test_document_without_end_is_cut_after_a_line_but_not_before_a_title(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "_BOUNDARY_SEARCH_BYTES", 50)
    text = '<doc id="1" url="" title="Name">\nName\n' + "line\n" * 100
    path = _write(tmp_path / "file", text)
    for task_bytes in range(1, 60):
        tasks = plan_tasks([path], task_bytes=task_bytes, blanks_separate_docs=False)
        lines = [line for ranges in tasks for line in read_documents(ranges, blanks_separate_docs=False).lines]
        assert lines == ["line"] * 100


def test_texts_that_are_too_long_for_the_memory_are_read_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "_BATCH_CHARACTERS", 20)
    monkeypatch.setattr(lines, "_PASSAGE_LINES", 1)
    path = _write(tmp_path / "file", "a ten long\n\n" * 3 + "\n" + "five!\n" * 12)
    whole = [TextRange(path, 0, path.stat().st_size)]
    counts = {}
    batches = list(read_batches(whole, blanks_separate_docs=True, counts=counts))
    assert batches[0] == Documents(["a ten long"] * 2, [1, 2])
    assert batches[1] == Documents(["a ten long", *["five!"] * 12], [1, 13])
    assert (counts["text"].num_files, counts["text"].num_documents) == (1, 4)
    assert list(corpus_lines([path])) == ["a ten long"] * 3 + ["five!"] * 12


def test_document_that_does_not_end_is_cut_at_the_size_of_two_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "_BATCH_CHARACTERS", 20)
    monkeypatch.setattr(lines, "_PASSAGE_LINES", 1)
    monkeypatch.setattr(lines, "_OPEN_PASSAGE_LINES", 2)
    path = _write(tmp_path / "file", "five!\n" * 21)
    batches = list(read_batches([TextRange(path, 0, path.stat().st_size)], blanks_separate_docs=True))
    assert [(len(batch.lines), batch.document_ends) for batch in batches] == [(8, [8]), (8, [8]), (5, [5])]


def test_entities_of_wikiextractor_are_decoded_and_those_of_plain_text_kept(tmp_path):
    text = '<doc id="1" url="" title="R&amp;D">\nR&amp;D\n\na &lt;b&gt; &amp;lt; c\n&nbsp;\n</doc>\n'
    assert _read(_write(tmp_path / "wiki", text)).lines == ["a <b> &lt; c"]
    assert _read(_write(tmp_path / "plain", "a &lt; b\n")).lines == ["a &lt; b"]

import numpy as np

from pretrain.quality.duplicates import Compared, fingerprints_of, joined
from pretrain.quality.filters import REASONS, DroppedLines, find_dropped_lines, keep_rest
from pretrain.quality.words import words_of
from pretrain.sources.corpus import Documents

LONG = "this line of ten words is long enough to go"
OTHER = "another line of ten words that differs from the first"


def _fingerprints(*documents, documents_too=True, lines_too=True, against=()):
    """Returns those of a task of documents, each a list of lines."""
    lines = [line for document in documents for line in document]
    ends = np.cumsum([*map(len, documents)]).tolist()
    return fingerprints_of(Documents(lines, ends), words_of(lines), Compared(documents_too, lines_too, against))


def _dropped(*tasks, threshold=0.8):
    found = find_dropped_lines(tasks, threshold)
    assert len(found) == len(tasks)
    return [
        [(line, REASONS[reason]) for line, reason in zip(*map(np.ndarray.tolist, task), strict=True)] for task in found
    ]


def test_first_of_several_documents_stays_whatever_task_it_is_in():
    first = _fingerprints(["one two three", "four five six"], ["something else"])
    second = _fingerprints(["unlike the others"], ["One, two; three!", "four five six"])
    assert _dropped(first, second) == [[], [(1, "duplicate_documents"), (2, "duplicate_documents")]]
    assert _dropped(second, first) == [[], [(0, "duplicate_documents"), (1, "duplicate_documents")]]


def test_repeated_lines_go_from_ten_words_on():
    first = _fingerprints(["History", LONG, LONG], ["History", OTHER], documents_too=False)
    second = _fingerprints(["History", LONG], [LONG.removesuffix(" go")], [f"{LONG}."], documents_too=False)
    assert _dropped(first, second) == [[(2, "duplicate_lines")], [(1, "duplicate_lines")]]


def test_line_whose_first_occurrence_goes_with_its_document_stays(tmp_path):
    evaluation = tmp_path / "dev.txt"
    evaluation.write_text("these eight words are an evaluation text indeed\n", encoding="utf-8")
    task = _fingerprints(
        ["these eight words are an evaluation text indeed", LONG], [LONG, OTHER], [LONG, "short"], against=(evaluation,)
    )
    assert _dropped(task) == [[(0, "overlap"), (1, "overlap"), (4, "duplicate_lines")]]


def test_document_like_one_that_overlaps_is_no_duplicate(tmp_path):
    evaluation = tmp_path / "dev.txt"
    shared = "here are eight words of an evaluation text"
    evaluation.write_text(shared, encoding="utf-8")
    words = " ".join(f"w{number}" for number in range(200))
    task = _fingerprints([f"{words} {shared}"], [words], [words], against=(evaluation,))
    assert _dropped(task) == [[(0, "overlap"), (2, "duplicate_documents")]]


def test_what_is_not_compared_stays():
    documents = (["one two three", LONG], ["one two three", LONG])
    assert _dropped(_fingerprints(*documents, documents_too=False, lines_too=False)) == [[]]
    assert _dropped(_fingerprints(*documents, documents_too=False)) == [[(3, "duplicate_lines")]]
    assert _dropped(_fingerprints(*documents, lines_too=False)) == [
        [(2, "duplicate_documents"), (3, "duplicate_documents")]
    ]


def test_fingerprints_of_batches_are_those_of_the_whole(tmp_path):
    evaluation = tmp_path / "dev.txt"
    evaluation.write_text(f"{LONG} and {OTHER}\n", encoding="utf-8")
    documents = [["a b c"], [LONG], [f"{LONG} and {OTHER}", "x"], [f"{LONG} and {OTHER}"], ["d"]]
    whole = _fingerprints(*documents, against=(evaluation,))
    parts = joined([_fingerprints(*documents[start:end], against=(evaluation,)) for start, end in ((0, 3), (3, 5))])
    for name in ("document_ends", "signatures", "line_hashes", "is_long"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name)), name
    assert parts.overlap.is_contaminated.tolist() == [False, False, True, True, False]
    assert np.array_equal(parts.overlap.ngrams, whole.overlap.ngrams)
    assert parts.overlap.examples == whole.overlap.examples


def test_tokens_of_dropped_lines_are_counted_by_reason():
    row_splits = np.array([0, 2, 5, 5, 6, 10, 11])
    dropped = DroppedLines(np.array([7, 9, 11, 12, 30]), np.array([0, 2, 1, 2, 0], np.uint8))
    kept = keep_rest(np.arange(11), row_splits, [2, 3, 4, 6], dropped, first_line=8)
    assert kept.ids.tolist() == [0, 1, 10]
    assert kept.row_splits.tolist() == [0, 2, 2, 3]
    assert kept.document_ends == [1, 2, 3]
    assert kept.dropped == {"duplicate_lines": 1, "overlap": 3 + 4}

import sys

import numpy as np
import pytest

from pretrain.quality import duplicates
from pretrain.quality.duplicates import find_near_duplicates, signatures
from pretrain.quality.settings import QualityError, QualityFilters
from pretrain.quality.words import words_of


def _text(start, num_words):
    return " ".join(f"w{number}" for number in range(start, start + num_words))


def _signatures(texts):
    words = words_of(texts)
    return signatures(words.hashes, words.line_ends.tolist())


def _duplicates(texts, threshold=0.8, **options):
    return find_near_duplicates(_signatures(texts), threshold, **options)


@pytest.mark.parametrize("num_shared", [150, 300, 450, 580])
def test_share_of_equal_numbers_estimates_the_jaccard_similarity(num_shared):
    # Both texts have 600 shingles, of which num_shared are in both.
    first, second = _signatures([_text(0, 604), _text(600 - num_shared, 604)])
    expected = num_shared / (1200 - num_shared)
    assert abs((first == second).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / 128)


def test_documents_above_the_threshold_are_duplicates_and_those_below_are_not():
    texts = [_text(0, 604), _text(30, 604), _text(10_000, 304), _text(10_150, 304), _text(0, 604)]
    found = _duplicates(texts)  # Jaccard of the second 0.905, of the fourth 0.33
    assert found.documents.tolist() == [1, 4]
    assert found.originals.tolist() == [0, 0]
    assert found.similarities[1] == 1
    assert 0.8 <= found.similarities[0] < 1


def test_threshold_moves_the_border():
    texts = [_text(0, 604), _text(200, 604)]  # Jaccard 0.5
    assert len(_duplicates(texts, 0.3).documents) == 1
    assert len(_duplicates(texts, 0.7).documents) == 0


def test_short_documents_are_duplicates_only_where_all_words_are_the_same():
    texts = ["same few words", "Same, few words!", "same few", "...", "---", "", "other words entirely here now"]
    assert _duplicates(texts).documents.tolist() == [1]


def test_documents_that_are_out_are_neither_duplicates_nor_originals():
    texts = [_text(0, 50)] * 4
    found = _duplicates(texts, is_out=np.array([True, False, True, False]))
    assert found.documents.tolist() == [3]
    assert found.originals.tolist() == [1]


def test_documents_without_company_can_be_left_to_themselves(monkeypatch):
    draws = np.random.default_rng(0)
    texts = [_text(int(start), 54) for start in draws.integers(0, 600, 150)]
    filtered = _duplicates(texts, 0.6)
    monkeypatch.setattr(duplicates, "_with_company", lambda rows, documents, bands: documents)
    unfiltered = _duplicates(texts, 0.6)
    assert 10 < len(filtered.documents) < 140
    for some, others in zip(filtered, unfiltered, strict=True):
        assert np.array_equal(some, others)


def test_long_documents_are_worked_through_in_parts_with_the_same_result(monkeypatch):
    whole = _signatures([_text(0, 100)])
    monkeypatch.setattr(duplicates, "_CHUNK_SHINGLES", 7)
    assert np.array_equal(_signatures([_text(0, 100)]), whole)


def test_signatures_are_those_of_the_library():
    datasketch = pytest.importorskip("datasketch")
    shingles = np.arange(5, dtype=np.uint32)
    expected = datasketch.MinHash(num_perm=128, hashfunc=int)
    for shingle in shingles:
        expected.update(shingle)
    assert np.array_equal(duplicates._minima(shingles), expected.hashvalues)


@pytest.mark.parametrize("threshold", [0.2, 0.96])
def test_thresholds_that_signatures_cannot_tell_are_errors(threshold):
    with pytest.raises(QualityError, match=rf"from 0.3 to 0.95. Received: {threshold}"):
        QualityFilters(duplicate_threshold=threshold)


def test_missing_package_is_an_error_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(QualityError, match=r"install datasketch: pip install 'electra-span\[inspect\]'"):
        _signatures(["a b c d e"])

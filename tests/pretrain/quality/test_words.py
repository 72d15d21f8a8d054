import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.quality import words
from pretrain.quality.words import ngram_hashes, word_texts, words_of


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("don’t: S.H.I.E.L.D. ended. So", ["don't", "s.h.i.e.l.d", "ended", "so"]),
        ("3.5 well-known 'quoted'", ["3.5", "well", "known", "quoted"]),
        ("我爱Python。", ["我", "爱", "python"]),
        ("カタ かな ไทย", ["カ", "タ", "か", "な", "ไ", "ท", "ย"]),
        ("Ｆｕｌｌ ﬁne CAFÉ", ["full", "fine", "café"]),
        ("हिन्दी привет", ["हिन्दी", "привет"]),
        ("... --- ***", []),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_in_lower_case(line, expected):
    assert word_texts([line]) == expected


def test_each_line_ends_after_its_last_word():
    assert words_of(["one two three", "", "...", "four"]).line_ends.tolist() == [3, 3, 3, 4]
    assert words_of([]).line_ends.tolist() == []


@given(st.lists(st.text(alphabet="abcAé.' 你ไ\u0301-", max_size=12), max_size=6))
def test_numbers_of_words_are_equal_where_their_texts_are(lines):
    texts, hashes = word_texts(lines), words_of(lines).hashes
    assert len(hashes) == len(texts)
    assert len(set(hashes.tolist())) == len(set(texts))
    assert len({*zip(hashes.tolist(), texts, strict=True)}) == len(set(texts))


def test_order_of_characters_and_of_words_matters():
    first, second, third = words_of(["abc acb abcd"]).hashes.tolist()
    assert len({first, second, third}) == 3
    ((_, pairs),) = ngram_hashes(words_of(["x y", "y x"]).hashes, (2,))
    assert pairs[0] != pairs[2]


def test_runs_of_words_have_equal_numbers_wherever_they_are():
    hashes = words_of(["a b c d e", "z b c d"]).hashes
    by_length = dict(ngram_hashes(hashes, (1, 3)))
    assert list(by_length) == [1, 3]
    assert len(by_length[3]) == 7
    assert by_length[3][1] == by_length[3][6]
    assert len(set(by_length[3].tolist())) == 6
    assert dict(ngram_hashes(hashes[:2], (3,)))[3].tolist() == []


def test_long_texts_are_worked_through_in_parts_with_the_same_result(monkeypatch):
    lines = ["some words here", "and more of them", "", "the end"]
    whole = words_of(lines)
    monkeypatch.setattr(words, "_CHUNK_CHARACTERS", 5)
    parts = words_of(lines)
    assert np.array_equal(parts.hashes, whole.hashes)
    assert np.array_equal(parts.line_ends, whole.line_ends)


def test_numbers_are_the_same_in_every_process():
    code = "from pretrain.quality.words import words_of; print(words_of(['Same everywhere'])[0].tolist())"
    root = Path(words.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, env={"PYTHONHASHSEED": "7"}
    )
    assert done.stdout.strip() == str(words_of(["same EVERYWHERE"]).hashes.tolist())

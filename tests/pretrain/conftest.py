"""Fixtures for tests of text preparation."""

import random
import string

import pytest


@pytest.fixture(scope="session")
def letter_vocab(tmp_path_factory):
    """A vocabulary file in which a word of k letters has k tokens."""
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    pieces = [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces, ""]), encoding="utf-8")
    return path


@pytest.fixture
def many_files(tmp_path):
    """A folder of twelve files of some 1,200 random letters and blanks, a task each where tasks have 2,000 bytes."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    draws = random.Random(1)
    for number in range(12):
        lines = ["".join(draws.choices("abc defgh", k=draws.randint(1, 60))) for _ in range(40)]
        (folder / f"{number:02}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder

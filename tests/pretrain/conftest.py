"""Fixtures for tests of text preparation."""

import string

import pytest


@pytest.fixture(scope="session")
def letter_vocab(tmp_path_factory):
    """A vocabulary file in which a word of k letters has k tokens."""
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    pieces = [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces, ""]), encoding="utf-8")
    return path

import pytest

from electra_span.tokenization import WordPieceTokenizer


@pytest.fixture(scope="session")
def wordpiece(shared_data):
    """The tokenizer of the recorded windows."""
    lines = (shared_data / "vocab" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return WordPieceTokenizer(lines[:-1])

import pytest

VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("a", "b", "c", "cafe", "the", "un", "aff", "able", "é", "e", "str", "x", "#", ".", ",", "'", "日", "本", "ᄒ"),
    *("##a", "##b", "##c", "##aff", "##able", "##s", "##asse", "##aße", "##e", "##é", "##x", "##ᅡ", "##ᆫ"),
)


@pytest.fixture(scope="session")
def vocabulary() -> tuple[str, ...]:
    """A vocabulary for tests that look at single pieces."""
    return VOCABULARY


@pytest.fixture
def vocab_file(tmp_path, vocabulary):
    """That vocabulary in a file."""
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    return path

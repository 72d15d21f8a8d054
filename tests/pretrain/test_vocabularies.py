import pytest

from electra_span.config import UserError
from electra_span.tokenization import WordPieceTokenizer, load_tokenizer, loading
from pretrain.vocabularies import Lines, OutputError, fit_of, write_tokenizer

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat")


@pytest.mark.parametrize(("max_lines", "used"), [(None, 10), (10, 10), (50, 10), (3, 3), (1, 1)])
def test_a_sample_is_spread_over_the_corpus_and_the_same_each_time(max_lines, used):
    lines = Lines(lambda: iter(map(str, range(10))), max_lines)
    sample = list(lines)
    assert list(lines) == sample
    assert (lines.num_lines, lines.num_used, len(sample)) == (10, used, used)
    if used == 3:
        assert sample == ["3", "6", "9"]


def test_the_fit_counts_unknown_tokens():
    tokenizer = WordPieceTokenizer(WORDS, True, None)
    assert fit_of(tokenizer, ["cat dog", "cat cat"])[:2] == (4, 1)
    assert fit_of(tokenizer, ["", " "])[:2] == (0, 0)


def test_a_tokenizers_folder_is_there_when_it_is_whole(tmp_path, monkeypatch):
    class Failing(WordPieceTokenizer):
        def save(self, folder, **settings):
            super().save(folder, **settings)
            raise OSError("disk full")

    with pytest.raises(UserError, match="made: disk full"):
        write_tokenizer(Failing(WORDS, True, None), tmp_path / "made", overwrite=False)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.chdir(tmp_path)
    tokenizer = WordPieceTokenizer(WORDS, True, None)
    for folder in (tmp_path / "made", tmp_path / "made", tmp_path.relative_to(tmp_path)):
        write_tokenizer(tokenizer, folder, overwrite=False)
        assert load_tokenizer(folder).fingerprint == tokenizer.fingerprint
    with pytest.raises(OutputError, match="--overwrite"):
        write_tokenizer(WordPieceTokenizer((*WORDS, "dog"), True, None), tmp_path / "made", overwrite=False)
    assert load_tokenizer(tmp_path / "made").fingerprint == tokenizer.fingerprint


def test_a_tokenizer_that_is_replaced_while_it_is_read_is_read_whole(tmp_path, monkeypatch):
    older, newer = (WordPieceTokenizer(WORDS, lowers, None) for lowers in (True, False))
    write_tokenizer(older, tmp_path, overwrite=False)
    read, replaced = loading.published.read_beside, []

    def read_late(path):
        result = read(path)
        if not replaced:
            replaced.append(write_tokenizer(newer, tmp_path, overwrite=True))
        return result

    monkeypatch.setattr(loading.published, "read_beside", read_late)
    assert load_tokenizer(tmp_path).fingerprint == newer.fingerprint != older.fingerprint

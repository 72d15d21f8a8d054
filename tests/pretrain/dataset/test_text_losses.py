import numpy as np
import pytest

from electra_span.tokenization import WordPieceTokenizer
from pretrain.builder import build
from pretrain.builder.settings import BuildSettings
from pretrain.dataset.text_losses import TextLosses, loss_warnings, losses_of, unreachable_tokens, vocabulary_warnings

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SOME = [*SPECIAL, "a"]


def _losses(tokenizer, *lines):
    return losses_of(tokenizer, lines, *tokenizer.encode_flat(lines))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("हिन्दी", 1),  # the virama; the vowel signs of this word take space of their own
        ("ที่", 2),  # vowel and tone above
        ("йёй", 3),
        ("がぎか", 2),
        ("sơn", 1),  # a letter of Vietnamese
        ("café ανάσα", 0),
        ("Äpfel schön für", 3),  # accents
        ("שָׁלוֹם بِسْمِ", 0),  # optional vowels
        ("\u2764\ufe0f", 0),
    ],
)
def test_letters_are_told_from_accents_that_are_stripped(text, count):
    assert _losses(WordPieceTokenizer(SOME), text).stripped_letters == count
    assert _losses(WordPieceTokenizer(SOME, strip_accents=False), text).stripped_letters == 0


def test_letters_of_words_that_are_too_long_are_counted_as_letters():
    tokenizer = WordPieceTokenizer([*SPECIAL, "ก", "##ก", "dog"])
    losses = _losses(tokenizer, "ก" * 295, "dog", "cat " * 300, "ก" * 200 + " " + "ก" * 201)
    assert losses == TextLosses(295 + 3 + 1200 + 402, 0, 2, 496)
    (warning,) = loss_warnings(losses)
    assert "496 of 1,900 characters (26.1%) are lost in 2 words" in warning
    assert "--tokenizer-type sentencepiece-unigram" in warning
    assert not loss_warnings(_losses(tokenizer, "cat " * 300))


@pytest.mark.parametrize("text", ["한" * 100, "a" * 300 + "\u0301" * 10], ids=["longer", "shorter"])
def test_words_are_too_long_or_not_after_normalisation(text):
    (words,) = WordPieceTokenizer(SOME).words([text])
    assert _losses(WordPieceTokenizer(SOME), text).letters_in_long_words == len(words[0])


def test_tokens_that_lowering_and_stripping_make_unreachable_are_counted():
    vocabulary = [*SPECIAL, "[unused1]", "Haus", "##Boot", "haus", "##ß", "größe", "."]
    assert unreachable_tokens(WordPieceTokenizer(vocabulary)) == ["Haus", "##Boot", "größe"]
    assert unreachable_tokens(WordPieceTokenizer(vocabulary, strip_accents=False)) == ["Haus", "##Boot"]
    assert unreachable_tokens(WordPieceTokenizer(vocabulary, do_lower_case=False)) == []
    (warning,) = vocabulary_warnings(WordPieceTokenizer(vocabulary))
    assert warning.startswith("3 of 12 tokens of the vocabulary")
    assert "--no-lower-case" in warning


def test_a_build_says_what_its_vocabulary_loses(tmp_path, caplog):
    vocab_file, corpus = tmp_path / "vocab.txt", tmp_path / "a.txt"
    vocab_file.write_text("\n".join([*SPECIAL, "Мой", "дом", "и", "##и"]), encoding="utf-8")
    corpus.write_text("Мой дом\n" * 40 + "и" * 201, encoding="utf-8")
    settings = BuildSettings(
        corpus_files=(str(corpus),), vocab_file=vocab_file, output_dir=tmp_path / "out", num_out_files=1
    )
    manifest = build.build_dataset(settings)
    names = ("characters_in", "stripped_letters", "long_words", "letters_in_long_words")
    assert [manifest[name] for name in names] == [40 * 7 + 201, 40, 1, 201]
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    for part in ("1 of 9 tokens of the vocabulary", "--no-strip-accents", "too long", "tokens (50.6%) are unknown"):
        assert any(part in message for message in messages), (part, messages)


def test_a_fitting_vocabulary_needs_no_warning():
    tokenizer = WordPieceTokenizer([*SPECIAL, "the", "cat"])
    assert loss_warnings(_losses(tokenizer, "The cat", "the  CAT")) == vocabulary_warnings(tokenizer) == []
    assert losses_of(tokenizer, [], np.zeros(0, np.int32), np.zeros(1, np.int64)) == TextLosses()

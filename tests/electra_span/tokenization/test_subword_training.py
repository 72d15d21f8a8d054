import pytest

from electra_span.tokenization import VocabularyError, load_tokenizer
from electra_span.tokenization.subword_training import train_bpe, train_sentencepiece

LINES = [f"The keeper's lamp number {number} lit the café and the sea" for number in range(30)]
NAMES = ["<s>", "<pad>", "</s>", "<unk>", "<eod>", "<mask>"]


def _train(kind, lines=LINES, **options):
    if kind == "bpe":
        return train_bpe(lines, **{"vocab_size": 320, **options})
    return train_sentencepiece(lines, model_type=kind.split("-")[1], **{"vocab_size": 90, **options})


KINDS = ["bpe", "sentencepiece-unigram", "sentencepiece-bpe"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_learned_tokenizer_fits_its_text_and_is_the_same_again(tmp_path, kind):
    tokenizer = _train(kind)
    assert tokenizer.vocabulary[:5] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    flat = tokenizer.encode_flat(LINES)
    assert tokenizer.unk_id not in flat.ids
    assert len(flat.ids) < 0.9 * sum(map(len, LINES))
    assert tokenizer.decode(tokenizer.encode(LINES[:1])[0]).strip() == LINES[0]
    assert _train(kind).fingerprint == tokenizer.fingerprint
    tokenizer.save(tmp_path)
    assert load_tokenizer(tmp_path).fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_have_the_given_names_and_order(kind):
    tokenizer = _train(kind, special_tokens=NAMES)
    assert list(tokenizer.vocabulary[:6]) == NAMES
    assert (tokenizer.cls_id, tokenizer.pad_id, tokenizer.mask_id) == (0, 1, 5)
    assert 4 in tokenizer.special_ids
    assert not set(tokenizer.encode(["<eod> <s> <mask>"])[0]) & set(tokenizer.special_ids)


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_lowered_where_that_is_wanted(kind):
    cased, lowered = _train(kind), _train(kind, lowercase=True)
    assert cased.encode(["The"]) != cased.encode(["the"])
    assert lowered.encode(["THE CAFÉ"]) == lowered.encode(["the café"])


def test_accents_are_stripped_where_that_is_wanted():
    assert _train("bpe", strip_accents=True).decode(_train("bpe", strip_accents=True).encode(["café"])[0]) == " cafe"
    assert _train("bpe").decode(_train("bpe").encode(["café"])[0]) == " café"


def test_rare_pairs_are_not_merged():
    assert _train("bpe", min_frequency=31).vocab_size < _train("bpe", min_frequency=2).vocab_size


@pytest.mark.parametrize("kind", KINDS[1:])
def test_rare_characters_are_unknown_below_full_coverage(kind):
    lines = [*LINES, "日本"]
    for coverage, is_unknown in ((0.99, True), (1.0, False)):
        tokenizer = _train(kind, lines, character_coverage=coverage)
        assert (tokenizer.unk_id in tokenizer.encode(["日本"])[0]) is is_unknown


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("bpe", {"vocab_size": 260}, "vocab_size must be at least 261, for all bytes. Received: 260"),
        ("bpe", {"min_frequency": 0}, "min_frequency must be at least 1. Received: 0"),
        ("bpe", {"special_tokens": NAMES[1:]}, "special tokens must include <s>"),
        ("sentencepiece-bpe", {"special_tokens": NAMES[:-1]}, "special tokens must include <mask>"),
        ("sentencepiece-bpe", {"character_coverage": 0.9}, "character_coverage must be from 0.98 to 1"),
        ("sentencepiece-unigram", {"lines": []}, "no SentencePiece model can be learned"),
        ("sentencepiece-bpe", {"vocab_size": 6}, "no SentencePiece model can be learned"),
    ],
)
def test_what_cannot_be_learned_is_refused(kind, options, message):
    with pytest.raises(VocabularyError, match=message):
        _train(kind, **options)

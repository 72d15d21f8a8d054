import random
import subprocess
import sys

import pytest

from electra_span.tokenization import VocabularyError, WordPieceTokenizer
from electra_span.tokenization.vocabulary_training import train_wordpiece

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LINES = [
    "The lighthouse keeper lit the lamp, and the lamp lit the sea.",
    "Café, naïve, Ärger: the keepers' words; 灯台 and 灯 too.",
    "A keeper keeps what a keeper kept.",
] * 3


def _learn(lines=LINES, **arguments):
    return train_wordpiece(lambda: iter(lines), **{"vocab_size": 90, **arguments})


def test_special_tokens_come_first_then_characters_then_longer_pieces():
    tokens, num_lines = _learn()
    assert num_lines == len(LINES)
    assert tokens[:5] == SPECIAL_TOKENS
    lengths = [len(token.removeprefix("##")) for token in tokens[5:]]
    num_characters = lengths.count(1)
    assert lengths[:num_characters] == [1] * num_characters
    assert "keeper" in tokens
    assert len(set(tokens)) == len(tokens) == 90


def test_the_vocabulary_knows_every_character_of_its_text_inside_words_too():
    tokenizer = WordPieceTokenizer(_learn(vocab_size=200).tokens)
    assert tokenizer.unk_id not in tokenizer.encode_flat(LINES).ids
    assert tokenizer.unk_id not in tokenizer.encode_flat(["wt alkt"]).ids


def test_punctuation_and_ideographs_have_no_form_inside_words():
    tokens = _learn(vocab_size=200).tokens
    assert {"灯", ",", "a", "##a"} <= set(tokens)
    assert not {"##灯", "##,"} & set(tokens)


@pytest.mark.parametrize(
    ("arguments", "kept", "lost"),
    [
        ({}, {"a", "c"}, {"A", "é", "ä"}),
        ({"strip_accents": False}, {"é", "ä"}, {"A", "Ä"}),
        ({"do_lower_case": False}, {"A", "é", "Ä"}, {"ä"}),
    ],
)
def test_the_text_is_normalised_as_the_tokenizer_will(arguments, kept, lost):
    tokens = set(_learn(vocab_size=200, **arguments).tokens)
    assert kept <= tokens
    assert not lost & tokens


def test_the_order_of_the_lines_does_not_matter():
    shuffled = random.Random(3).sample(LINES, len(LINES))
    assert _learn(shuffled) == _learn()


def test_every_process_learns_the_same_vocabulary():
    program = f"""
from electra_span.tokenization.vocabulary_training import train_wordpiece
print(train_wordpiece(lambda: iter({LINES!r}), vocab_size=90).tokens)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str(_learn().tokens)


def test_rare_pieces_are_left_out():
    assert "kept" in _learn(vocab_size=300, min_frequency=3).tokens
    assert "kept" not in _learn(vocab_size=300, min_frequency=4).tokens


def test_characters_leave_half_of_the_vocabulary_to_longer_pieces():
    lines = ["".join(map(chr, range(0x4E00, 0x4E80)))] * 2 + ["keeper keeps keepers kept"] * 5
    tokens = _learn(lines, vocab_size=40).tokens
    assert sum(len(token.removeprefix("##")) == 1 for token in tokens) == 20
    assert "keeper" in tokens


def test_tokens_too_long_for_the_tokenizer_are_left_out():
    word = "".join(random.Random(5).choices("abcdefghij", k=300))
    tokens = _learn([word] * 3, vocab_size=1000).tokens
    assert max(map(len, tokens)) <= 256
    assert WordPieceTokenizer(tokens).vocab_size == len(tokens)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocab_size": 9}, "vocab_size must be at least 10. Received: 9"),
        ({"min_frequency": 0}, "min_frequency must be at least 1. Received: 0"),
        ({"lines": ["", " \t"]}, "more text"),
    ],
)
def test_what_no_vocabulary_can_be_learned_from_is_refused(arguments, message):
    with pytest.raises(VocabularyError, match=message):
        _learn(**arguments)

"""Which words of a vocabulary another one has."""

import numpy as np
import pytest

from electra_span.convert.word_map import InitialWeightsError, map_words, same_words
from electra_span.tokenization import ByteLevelBpeTokenizer, SentencePieceTokenizer, WordPieceTokenizer
from electra_span.tokenization.byte_level_bpe import BpeDescription
from tests.electra_span.tokenization.tiny_tokenizers import BPE_VOCABULARY, MERGES, train_model

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SOURCE = WordPieceTokenizer([*SPECIAL, "a", "##b", "low"])


def test_tokens_are_found_by_their_strings_wherever_they_stand():
    target = WordPieceTokenizer(["low", "b", *reversed(SPECIAL), "##b", "a"])
    words = map_words("remap", SOURCE, 8, target, 11)
    np.testing.assert_array_equal(words.rows, [7, -1, 4, 3, 2, 1, 0, 6, 5, -1, -1])
    assert words.num_known == 8
    assert not words.is_identity


def test_rows_behind_the_last_token_belong_to_the_same_vocabulary_alone():
    assert map_words("remap", SOURCE, 10, SOURCE, 10).is_identity
    larger = map_words("remap", SOURCE, 10, SOURCE, 12)
    assert larger.num_known == 8
    assert not larger.is_identity


def test_special_tokens_are_the_same_by_their_roles():
    target = ByteLevelBpeTokenizer(BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES))
    words = map_words("remap", SOURCE, 8, target, target.vocab_size)
    ids = (target.pad_id, target.unk_id, target.cls_id, target.sep_id, target.mask_id)
    np.testing.assert_array_equal(words.rows[list(ids)], range(5))


@pytest.mark.parametrize(
    ("make", "head", "rest"),
    [
        (lambda: ByteLevelBpeTokenizer(BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES)), "Ġthe", "the"),
        (lambda: SentencePieceTokenizer(train_model("unigram")), "▁ran", "s"),
    ],
    ids=["bpe", "sentencepiece"],
)
def test_tokens_of_other_types_are_the_same_by_text_and_place(make, head, rest):
    target = make()
    source = WordPieceTokenizer([*SPECIAL, head[1:], f"##{rest}"])
    words = map_words("remap", source, 7, target, target.vocab_size)
    assert words.num_known == 7
    assert [words.rows[target.vocabulary.index(token)] for token in (head, rest)] == [5, 6]


def test_all_words_are_drawn_anew_or_kept_by_id_where_that_is_asked_for():
    assert map_words("new", SOURCE, 8, SOURCE, 8).num_known == 0
    assert map_words("same", None, 8, SOURCE, 8).is_identity
    assert same_words(3).is_identity
    with pytest.raises(InitialWeightsError, match=r"vocab_size must be the source's, 9. Received: 8"):
        map_words("same", None, 9, SOURCE, 8)


def test_a_source_without_a_vocabulary_says_what_to_do():
    with pytest.raises(InitialWeightsError, match='beside its weights, or set init_vocabulary to "same"'):
        map_words("remap", None, 8, SOURCE, 8)

"""What all tokenizers have in common, whatever their algorithm."""

import itertools

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
import tokenizers
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from electra_span.tokenization import ByteLevelBpeTokenizer, SentencePieceTokenizer, WordPieceTokenizer
from electra_span.tokenization.byte_level_bpe import BpeDescription
from tests.electra_span.tokenization.tiny_tokenizers import BPE_VOCABULARY, MERGES, train_model

KINDS = ("wordpiece", "bpe", "sentencepiece-unigram", "sentencepiece-bpe")
TEXTS = [
    *(
        "the unaffable café's",
        "  the\tcafé  ",
        " the\ncat",
        "",
        "straße 日本 \U0001f600\x00 ﬁ",
        "\x00 \u0301",
        "a" * 200,
    ),
    *("<mask> [MASK]</s> <eod> [SEP]", "a\ud800 the<br>\udfffcat", "abc[MASK]#x " * 3),
]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request, vocabulary):
    if request.param == "wordpiece":
        return WordPieceTokenizer(vocabulary)
    if request.param == "bpe":
        return ByteLevelBpeTokenizer(BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES))
    return SentencePieceTokenizer(train_model(request.param.partition("-")[2]))


@pytest.fixture(scope="module")
def published(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    tokenizer.save(folder)
    return folder


def test_every_way_to_encode_gives_the_same_ids(tokenizer):
    ids = tokenizer.encode(TEXTS)
    flat = tokenizer.encode_flat(TEXTS)
    assert (flat.ids.dtype, flat.row_splits.dtype) == (np.int32, np.int64)
    assert [row.tolist() for row in flat.rows()] == ids
    assert tokenizer.encode_with_offsets(TEXTS).ids == ids
    raw = [text.encode("utf-8", "ignore") for text in TEXTS]
    ragged = tokenizer.encode_ragged(tf.constant(raw))
    assert ragged.dtype == tf.int32
    assert ragged.to_list() == ids
    dataset = tf.data.Dataset.from_tensor_slices(raw).batch(4).map(tokenizer.encode_ragged)
    assert [row for batch in dataset for row in batch.to_list()] == ids


def test_words_have_the_same_ids_in_a_graph(tokenizer):
    words = ["the", "", " cat", "caf\u00e9", "\u00a0x", "\x1fx", "\x00", "\u2028"]
    in_graph = tf.function(tokenizer.encode_words_ragged, autograph=False)
    assert in_graph(tf.constant(words)).to_list() == tokenizer.encode_words(words)


def _rows_of(tokens):
    """Returns the rows of RaggedTokens as `encode_with_offsets` has them."""
    ids, starts, ends = (values.to_list() for values in tokens)
    return ids, [list(zip(*row, strict=True)) for row in zip(starts, ends, strict=True)]


def test_places_in_a_graph_are_those_of_the_fast_path(tokenizer):
    texts = [*(text.encode("utf-8", "ignore").decode() for text in TEXTS), "\ufeffthe", "e" * 900 + " the cat\n"]
    expected = tokenizer.encode_with_offsets(texts)
    tokens = tokenizer.encode_ragged_with_offsets(tf.constant(texts))
    assert [values.dtype for values in tokens] == [tf.int32] * 3
    assert _rows_of(tokens) == expected
    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(5).map(tokenizer.encode_ragged_with_offsets)
    assert all(spec.shape.rank == 2 for spec in dataset.element_spec)
    ids, offsets = zip(*(_rows_of(batch) for batch in dataset), strict=True)
    assert tuple(list(itertools.chain(*batches)) for batches in (ids, offsets)) == expected


@given(texts=st.lists(st.text() | st.text(st.sampled_from("the cat\né日\u3000<\u0301\U0001f600ﬁ한\x00")), max_size=3))
@hypothesis_settings(deadline=None, max_examples=20)
def test_places_in_any_text_are_those_of_the_fast_path(tokenizer, texts):
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    tokens = tokenizer.encode_ragged_with_offsets(tf.constant(texts, tf.string, [len(texts)]))
    assert _rows_of(tokens) == tokenizer.encode_with_offsets(texts)


def test_bytes_that_are_not_utf8_are_dropped_and_do_not_count(tokenizer):
    texts = tf.constant([b"the\xff cat", b"\xe2\x82"])
    assert tokenizer.encode_ragged(texts).to_list() == [tokenizer.encode(["the cat"])[0], []]
    tokens = tokenizer.encode_ragged_with_offsets(texts)
    assert _rows_of(tokens) == tokenizer.encode_with_offsets(["the cat", ""])


def test_no_text_has_no_ids_and_one_string_is_refused(tokenizer):
    assert tokenizer.encode([]) == []
    assert tokenizer.encode_flat([]).row_splits.tolist() == [0]
    assert tokenizer.encode_with_offsets([]) == ([], [])
    for encode in (tokenizer.encode_flat, tokenizer.encode_with_offsets):
        with pytest.raises(TypeError, match="not one string"):
            encode("the")


@given(text=st.text() | st.text(st.sampled_from("the cat\né日\u3000<s>[MASK]\U0001f600\ud800")))
@hypothesis_settings(deadline=None)
def test_no_text_has_a_special_id(tokenizer, text):
    (ids,) = tokenizer.encode([text])
    assert all(0 <= token_id < tokenizer.vocab_size for token_id in ids)
    assert not set(ids) & set(tokenizer.special_ids)
    names = [tokenizer.vocabulary[token_id] for token_id in tokenizer.special_ids]
    assert not set(tokenizer.encode([f"{text} {' '.join(names)}"])[0]) & set(tokenizer.special_ids)


@given(text=st.text(st.sampled_from("the catsorndm ,.é日本éßX\n1"), max_size=60))
@hypothesis_settings(deadline=None)
def test_published_file_has_the_same_ids_in_the_tokenizers_library(tokenizer, published, text):
    library = tokenizers.Tokenizer.from_file(str(published / "tokenizer.json"))
    assert tokenizer.encode([text]) == [library.encode(text, add_special_tokens=False).ids]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def byte_tokenizer(request):
    """SentencePiece in which bytes stand for what has no piece."""
    return SentencePieceTokenizer(train_model(request.param, byte_fallback=True, vocab_size=330))


@given(text=st.text() | st.text(st.sampled_from("the cat\né日\u3000<s>/\U0001f600\ud800ﬁ")))
@hypothesis_settings(deadline=None)
def test_nothing_of_a_normalised_text_is_lost_where_bytes_stand_for_what_has_no_piece(byte_tokenizer, text):
    (ids,) = byte_tokenizer.encode([text])
    library = sentencepiece.SentencePieceProcessor(model_proto=byte_tokenizer.model)
    normalised = library.normalize(text.encode("utf-8", "ignore").decode())
    assert byte_tokenizer.unk_id not in ids
    assert byte_tokenizer.decode(ids) == normalised.replace("▁", " ").removeprefix(" ")

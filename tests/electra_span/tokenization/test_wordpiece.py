import json
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from electra_span.tokenization import VocabularyError, WordPieceTokenizer, load_tokenizer

GOLDEN_SETTINGS = {
    "lower_strip": {"do_lower_case": True, "strip_accents": True},
    "lower_keep_accents": {"do_lower_case": True, "strip_accents": False},
    "cased": {"do_lower_case": False, "strip_accents": True},
}
TEXTS = ["The unaffable café's", "", "日本 straße", "a" * 200, "\x00 \u0301", "abc[MASK]#x " * 3]


@pytest.fixture(scope="module")
def tokenizer(vocabulary):
    return WordPieceTokenizer(vocabulary)


@pytest.fixture(scope="module", params=GOLDEN_SETTINGS)
def golden_tokenizer(request, shared_data):
    tokenizer = load_tokenizer(shared_data / "vocab" / "vocab.txt", **GOLDEN_SETTINGS[request.param])
    return request.param, tokenizer


@pytest.fixture(scope="module")
def small_vocabulary(golden):
    """The vocabulary that the ids in wordpiece/ were recorded with."""
    return golden("wordpiece/vocab.txt")


def _golden_rows(golden, name):
    with golden(f"tokenization/{name}").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_ids_are_those_of_the_original_on_every_golden_string(golden, golden_tokenizer):
    name, tokenizer = golden_tokenizer
    rows = _golden_rows(golden, "strings.jsonl")
    encoded = tokenizer.encode([row["text"] for row in rows])
    assert len(rows) > 200
    assert [row["i"] for row, ids in zip(rows, encoded, strict=True) if ids != row[name]["ids"]] == []
    assert [tokenizer.tokens(ids) for ids in encoded] == [row[name]["tokens"] for row in rows]


@pytest.mark.parametrize("name", GOLDEN_SETTINGS)
def test_ids_and_tokens_are_those_of_berts_own_class(golden, small_vocabulary, name):
    tokenizer = load_tokenizer(small_vocabulary, **GOLDEN_SETTINGS[name])
    rows = [json.loads(line) for line in golden("wordpiece/strings.jsonl").read_text().splitlines()]
    texts = [row["text"] for row in rows]
    encoded = tokenizer.encode(texts)
    assert len(rows) > 100
    assert [row["i"] for row, ids in zip(rows, encoded, strict=True) if ids != row[name]["ids"]] == []
    assert [tokenizer.tokens(ids) for ids in encoded] == [row[name]["tokens"] for row in rows]
    assert tokenizer.encode_with_offsets(texts).ids == encoded


def test_invalid_bytes_are_dropped_as_by_berts_own_class(golden, small_vocabulary):
    rows = [json.loads(line) for line in golden("wordpiece/bytes.jsonl").read_text().splitlines()]
    texts = tf.constant([bytes.fromhex(row["bytes_hex"]) for row in rows])
    ids = load_tokenizer(small_vocabulary).encode_ragged(texts).to_list()
    assert ids == [row["lower_strip"]["ids"] for row in rows]


def test_offsets_come_with_the_same_ids_on_every_golden_string(golden, golden_tokenizer):
    _, tokenizer = golden_tokenizer
    texts = [row["text"] for row in _golden_rows(golden, "strings.jsonl")]
    assert tokenizer.encode_with_offsets(texts).ids == tokenizer.encode(texts)


def test_unassigned_code_points_are_dropped_as_in_the_original(golden, golden_tokenizer):
    name, tokenizer = golden_tokenizer
    rows = _golden_rows(golden, "unicode_version_dependent.jsonl")
    # The first row's emoji are unassigned in the original's Unicode 14 but not in Unicode 15.
    assert tokenizer.encode([row["text"] for row in rows[1:]]) == [row[name]["ids"] for row in rows[1:]]


def test_invalid_bytes_are_dropped_as_in_the_original(golden, shared_data):
    tokenizer = load_tokenizer(shared_data / "vocab" / "vocab.txt")
    rows = _golden_rows(golden, "bytes.jsonl")
    texts = tf.constant([bytes.fromhex(row["bytes_hex"]) for row in rows])
    assert tokenizer.encode_ragged(texts).to_list() == [row["lower_strip"]["ids"] for row in rows]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The unaffable", ["the", "un", "##aff", "##able"]),
        ("Cafe\u0301s, CAFÉ.", ["cafe", "##s", ",", "cafe", "."]),
        ("日本a", ["日", "本", "a"]),
        ("한", ["ᄒ", "##ᅡ", "##ᆫ"]),
        ("a\u200bb\x07c", ["a", "##b", "##c"]),
        ("\ud800a\udc00", ["a"]),
        ("a\ufffeb\U0001ffffc", ["a", "##b", "##c"]),
        ("zebra a", ["[UNK]", "a"]),
        ("[MASK]", ["[UNK]", "[UNK]", "[UNK]"]),
        ("##a", ["#", "#", "a"]),
        ("x" * 200, ["x", *["##x"] * 199]),
        ("x" * 201 + " a", ["[UNK]", "a"]),
        ("x" * 200 + "." + "x" * 201, ["x", *["##x"] * 199, ".", "[UNK]"]),
        ("é" * 200, ["e", *["##e"] * 199]),
        ("e\u0301" * 201, ["[UNK]"]),
        ("日" * 300, ["日"] * 300),
    ],
)
def test_pieces_of_a_text(tokenizer, text, tokens):
    assert tokenizer.tokens(tokenizer.encode([text])[0]) == tokens


def test_accents_stay_where_they_are_not_stripped(vocabulary):
    tokenizer = WordPieceTokenizer(vocabulary, do_lower_case=True, strip_accents=False)
    assert tokenizer.decode(tokenizer.encode(["STRAÉ"])[0]) == "straé"


def test_text_that_is_not_lowered_keeps_its_accents_whatever_strip_accents_says(vocabulary):
    tokenizer = WordPieceTokenizer(vocabulary, do_lower_case=False, strip_accents=True)
    assert tokenizer.tokens(tokenizer.encode(["é The"])[0]) == ["é", "[UNK]"]
    assert tokenizer.settings == {"tokenizer_type": "wordpiece", "do_lower_case": False, "strip_accents": False}


def test_encoding_can_be_exported_and_reads_raw_strings(tokenizer, tmp_path):
    module = tf.Module()
    module.encode = tf.function(
        lambda texts: tokenizer.encode_ragged(texts).to_tensor(-1), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, tmp_path)
    restored = tf.saved_model.load(tmp_path).encode(tf.constant(TEXTS))
    assert restored.numpy().tolist() == tokenizer.encode_ragged(tf.constant(TEXTS)).to_tensor(-1).numpy().tolist()


def test_every_word_of_a_sentence_has_at_least_one_id(tokenizer):
    ids = tokenizer.encode_words(["café's", "\x00", "zebra"])
    assert [tokenizer.tokens(word) for word in ids] == [["cafe", "'", "[UNK]"], ["[UNK]"], ["[UNK]"]]


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("The unaffable", ["The", "un", "aff", "able"]),
        ("  Café's\t", ["Café", "'", "s"]),
        ("Cafe\u0301s.", ["Cafe", "s", "."]),
        ("日 本a", ["日", "本", "a"]),
        ("한.", ["한", "한", "한", "."]),
        ("a\u200bb\x07c", ["a", "b", "c"]),
        ("un\u200baff", ["un", "aff"]),
        ("x" * 201 + ".zebra a", ["x" * 201, ".", "zebra", "a"]),
        ("a " + "x" * 300 + " 日" + "y" * 201 + " b", ["a", "x" * 300, "日", "y" * 201, "b"]),
        ("𝒳\U0001f600 a", ["𝒳\U0001f600", "a"]),
    ],
)
def test_offsets_are_code_points_of_the_text_as_given(tokenizer, text, covered):
    assert [text[start:end] for start, end in tokenizer.encode_with_offsets([text]).offsets[0]] == covered


def _simplified(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(character for character in decomposed if unicodedata.category(character)[0] not in "MC")


@given(text=st.text(st.sampled_from("aBcé\u0301xÉ日本.,' \t\u200b\x00ßs한İ\ud800"), max_size=40))
@hypothesis_settings(deadline=None)
def test_the_text_a_piece_covers_normalises_to_the_piece(tokenizer, text):
    ids, offsets = tokenizer.encode_with_offsets([text])
    for token, (start, end) in zip(tokenizer.tokens(ids[0]), offsets[0], strict=True):
        if token != "[UNK]" and "한" not in text[start:end]:
            assert _simplified(text[start:end]) == token.removeprefix("##")


@given(texts=st.lists(st.text(), max_size=3))
@hypothesis_settings(deadline=None)
def test_any_text_gives_ids_of_the_vocabulary_at_places_of_the_text(tokenizer, texts):
    ids, offsets = tokenizer.encode_with_offsets(texts)
    assert ids == tokenizer.encode(texts)
    for text, row_ids, row_offsets in zip(texts, ids, offsets, strict=True):
        assert all(0 <= token_id < tokenizer.vocab_size for token_id in row_ids)
        assert all(0 <= start < end <= len(text) for start, end in row_offsets)
        assert row_offsets == sorted(row_offsets)


@given(text=st.text(st.sampled_from("abcABCéÉxsß日本.,'# \u0301"), max_size=60))
@hypothesis_settings(deadline=None)
def test_decoded_ids_are_encoded_to_themselves(tokenizer, text):
    ids = tokenizer.encode([text])[0]
    if tokenizer.unk_id not in ids:
        assert tokenizer.encode([tokenizer.decode(ids)]) == [ids]


def test_decoding_joins_pieces_and_names_special_tokens(tokenizer):
    ids = [tokenizer.cls_id, *tokenizer.encode(["Unaffable cafés"])[0], tokenizer.sep_id]
    assert tokenizer.decode(ids) == "[CLS] unaffable cafes [SEP]"


@pytest.mark.parametrize("token_id", [-1, 10_000])
def test_ids_outside_the_vocabulary_cannot_be_decoded(tokenizer, token_id):
    with pytest.raises(VocabularyError, match=str(token_id)):
        tokenizer.decode([5, token_id])


def test_special_ids_are_found_by_name():
    tokenizer = WordPieceTokenizer(("a", "[SEP]", "[MASK]", "b", "[PAD]", "[CLS]", "[UNK]"))
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id) == (4, 6, 5)
    assert (tokenizer.sep_id, tokenizer.mask_id) == (1, 2)
    assert sorted(tokenizer.special_ids) == [1, 2, 4, 5]
    assert tokenizer.encode(["a q"]) == [[0, 6]]


def test_fingerprint_tells_settings_and_vocabularies_apart(vocabulary):
    fingerprints = [
        WordPieceTokenizer(vocabulary).fingerprint,
        WordPieceTokenizer(vocabulary, do_lower_case=False).fingerprint,
        WordPieceTokenizer(vocabulary, strip_accents=False).fingerprint,
        WordPieceTokenizer((*vocabulary, "dog")).fingerprint,
        WordPieceTokenizer((*vocabulary[:-2], vocabulary[-1], vocabulary[-2])).fingerprint,
    ]
    assert len(set(fingerprints)) == len(fingerprints)
    assert WordPieceTokenizer(vocabulary, strip_accents=True).fingerprint == fingerprints[0]


def test_a_vocabulary_that_no_word_can_be_built_of_is_refused(vocabulary):
    with pytest.raises(VocabularyError, match="WordPiece"):
        WordPieceTokenizer(vocabulary[:5])


def test_continuations_are_the_tokens_that_begin_with_two_hashes():
    tokenizer = WordPieceTokenizer(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "#", "##", "a##"))
    assert tokenizer.is_continuation.dtype == bool
    assert np.flatnonzero(tokenizer.is_continuation).tolist() == [6, 8]

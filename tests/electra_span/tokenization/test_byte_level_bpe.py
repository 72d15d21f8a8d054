import json

import numpy as np
import pytest
import tensorflow as tf
import tokenizers
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from electra_span.objective.words import find_units
from electra_span.tokenization import VocabularyError, load_tokenizer, load_with_special_tokens
from electra_span.tokenization.byte_level_bpe import BpeDescription, ByteLevelBpeTokenizer
from tests.electra_span.tokenization.tiny_tokenizers import BPE_VOCABULARY, MERGES

TEXTS = ["the cat", " the\ncafé", "", "<mask> [MASK]</s>", "日本 \U0001f600\x00", "a\ud800 the\udfffcat"]


@pytest.fixture(scope="module")
def tokenizer():
    return ByteLevelBpeTokenizer(BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES))


@pytest.fixture(scope="module")
def gpt2(shared_data):
    return load_with_special_tokens(shared_data / "tokenizers" / "gpt2_bpe")


def _paragraphs(shared_data, *names):
    files = [
        next(path for path in sorted((shared_data / "corpus" / name).rglob("*")) if path.is_file()) for name in names
    ]
    return [line for file in files for line in file.read_bytes()[:60_000].decode("utf-8", "ignore").split("\n")]


def test_gpt2_s_ids_are_those_of_the_library_on_text_of_three_languages(gpt2, shared_data):
    folder = shared_data / "tokenizers" / "gpt2_bpe"
    library = tokenizers.ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    texts = _paragraphs(shared_data, "german", "zhwiki", "novels")
    assert gpt2.tokenizer.encode(texts) == [encoding.ids for encoding in library.encode_batch(texts)]
    assert gpt2.tokenizer.encode(["Hello world"]) == [[15496, 995]]


def test_gpt2_lacks_special_tokens_and_the_error_names_the_flag_that_adds_them(gpt2, shared_data):
    with pytest.raises(VocabularyError, match=r"\[PAD\] is missing.*--add-special-tokens"):
        load_tokenizer(shared_data / "tokenizers" / "gpt2_bpe")
    assert gpt2.added == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert (gpt2.tokenizer.pad_id, gpt2.tokenizer.mask_id, gpt2.tokenizer.vocab_size) == (50257, 50261, 50262)


@pytest.mark.parametrize("name", ["", "vocab.json", "merges.txt"])
def test_a_folder_or_any_of_its_files_names_the_tokenizer(tokenizer, tmp_path, name):
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    if name:
        (tmp_path / "tokenizer_config.json").unlink()
    loaded = load_tokenizer(tmp_path / name)
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.encode(TEXTS) == tokenizer.encode(TEXTS)


def test_special_tokens_have_the_roles_of_their_names(tokenizer):
    roles = ("pad", "unk", "cls", "sep", "mask")
    names = [tokenizer.vocabulary[getattr(tokenizer, f"{role}_id")] for role in roles]
    assert names == ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
    assert sorted(tokenizer.special_ids) == [0, 1, 2, 4]


def test_missing_special_tokens_are_spelled_as_those_that_are_there(tmp_path, tokenizer):
    tokenizer.save(tmp_path)
    content = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
    tokens = [token for token in content if token not in ("<pad>", "<mask>")]
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps({token: token_id for token_id, token in enumerate(tokens)}), encoding="utf-8")
    extended = load_with_special_tokens(path)
    assert extended.added == ["<pad>", "<mask>"]
    assert extended.tokenizer.vocabulary[-2:] == ("<pad>", "<mask>")


def test_pieces_of_a_text(tokenizer):
    ids = tokenizer.encode(["the cat thé"])[0]
    assert tokenizer.tokens(ids) == ["the", "Ġcat", "Ġth", "Ã©"]


@given(text=st.text() | st.text(st.sampled_from("the cat\né日\u3000<s>[MASK]\U0001f600\ud800")))
@hypothesis_settings(deadline=None)
def test_nothing_of_a_text_is_lost_and_none_has_a_special_id(tokenizer, text):
    (ids,), (offsets,) = tokenizer.encode_with_offsets([text])
    assert tokenizer.decode(ids) == text.encode("utf-8", "ignore").decode("utf-8")
    assert not set(ids) & {*tokenizer.special_ids, tokenizer.unk_id}
    covered = sorted({place for start, end in offsets for place in range(start, end)})
    surrogates = [place for place, character in enumerate(text) if "\ud800" <= character <= "\udfff"]
    assert sorted({*covered, *surrogates}) == list(range(len(text)))


@given(text=st.text(st.sampled_from("the catb\n<s>\ud800"), max_size=40))
@hypothesis_settings(deadline=None)
def test_the_text_that_a_token_covers_is_the_token_s(tokenizer, text):
    (ids,), (offsets,) = tokenizer.encode_with_offsets([text])
    for token_id, (start, end) in zip(ids, offsets, strict=True):
        assert text[start:end].encode("utf-8", "ignore").decode() == tokenizer.decode([token_id])


def test_words_of_a_text_are_found_as_units(tokenizer):
    (ids,) = tokenizer.encode([" the cats caté\nthe  cat"])
    row = np.array([[tokenizer.cls_id, *ids, tokenizer.sep_id]])
    candidates = ~np.isin(row, tokenizer.special_ids)
    units = find_units(tf.constant(candidates), tf.constant(tokenizer.is_continuation[row]))
    firsts = [place for place, is_candidate in zip(*map(np.ravel, units[1::-1]), strict=True) if is_candidate]
    words = [tokenizer.decode(row[0, a:b]) for a, b in zip(firsts, [*firsts[1:], row.shape[1] - 1], strict=True)]
    assert words == [" the", " cats", " caté", "\nthe", " ", " cat"]


def test_special_tokens_continue_no_word(tokenizer):
    assert not tokenizer.is_continuation[list(tokenizer.special_ids)].any()


def test_words_of_a_split_sentence_are_encoded_as_after_a_space(tokenizer):
    assert [tokenizer.tokens(ids) for ids in tokenizer.encode_words(["the", " cat", "é"])] == [
        ["Ġthe"],
        ["Ġcat"],
        ["Ġ", "Ã©"],
    ]


def test_a_saved_tokenizer_is_loaded_as_it_was(tmp_path):
    description = BpeDescription(
        vocabulary=[*BPE_VOCABULARY, "New York", "<eod>"],
        merges=MERGES,
        normalizer={"type": "Lowercase"},
        pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        added_tokens=[
            {"content": "New York", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        ],
        other_special_tokens=["<eod>"],
    )
    tokenizer = ByteLevelBpeTokenizer(description)
    tokenizer.save(tmp_path / "made" / "published", model_max_length=128)
    loaded = load_tokenizer(tmp_path / "made" / "published")
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.settings == tokenizer.settings
    assert loaded.special_ids == tokenizer.special_ids
    texts = [*TEXTS, "THE New York <eod>"]
    assert loaded.encode(texts) == tokenizer.encode(texts)
    assert "New York" in tokenizer.tokens(tokenizer.encode(texts)[-1])
    assert "<eod>" not in tokenizer.tokens(tokenizer.encode(texts)[-1])
    config = json.loads((tmp_path / "made" / "published" / "tokenizer_config.json").read_text())
    assert (config["mask_token"], config["model_max_length"]) == ("<mask>", 128)


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
NUMBERS = {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    "parts",
    [
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [NUMBERS, BYTE_LEVEL]}, "normalizer": {"type": "NFC"}},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Punctuation"}, BYTE_LEVEL]}},
        {"pre_tokenizer": {**BYTE_LEVEL, "use_regex": False}, "normalizer": {"type": "Prepend", "prepend": " "}},
    ],
    ids=["numbers", "punctuation", "whole"],
)
def test_what_comes_before_the_algorithm_may_be_of_many_kinds(parts):
    tokenizer = ByteLevelBpeTokenizer(BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES, **parts))
    (ids,) = tokenizer.encode(["the 1234 cat."])
    assert tokenizer.decode(ids).strip() == "the 1234 cat."


def test_fingerprints_tell_merges_and_normalisation_apart(tokenizer):
    others = (
        BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES[:-1]),
        BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES, normalizer={"type": "Lowercase"}),
        BpeDescription(vocabulary=[*BPE_VOCABULARY, "more"], merges=MERGES),
    )
    assert len({tokenizer.fingerprint, *(ByteLevelBpeTokenizer(other).fingerprint for other in others)}) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"merges": [*MERGES, ("x", "y")]}, "merges must be of tokens. Received: x y, where xy is none"),
        (
            {"merges": [("<", "s"), ("<s", ">")], "vocabulary": [*BPE_VOCABULARY, "<s"]},
            "no text may have a special token",
        ),
        ({"vocabulary": [*BPE_VOCABULARY, "the"]}, "tokens must be distinct"),
        ({"pre_tokenizer": {"type": "Unheard"}}, "pre_tokenizer must be of the type BertPre.*Received: 'Unheard'"),
        ({"pre_tokenizer": {"type": "ByteLevel"}}, "ByteLevel: add_prefix_space must be a bool. Received: None"),
        ({"normalizer": {"type": "NFX"}}, "normalizer must be of the type Lowercase, .*. Received: 'NFX'"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Strip", "strip_left": 1}]}},
            "Strip: strip_left must be a bool. Received: 1",
        ),
        (
            {"pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "isolated", "invert": False}},
            "Split: behavior must be one of Removed, Isolated, .*. Received: 'isolated'",
        ),
        ({"normalizer": {"type": "Replace", "pattern": {"R": "a"}, "content": ""}}, "must be a String or a Regex"),
        ({"added_tokens": [{"content": "b", "lstrip": False}]}, "added token 'b': single_word must be a bool"),
    ],
)
def test_a_description_that_cannot_be_is_refused(change, message):
    with pytest.raises(VocabularyError, match=message):
        ByteLevelBpeTokenizer(BpeDescription(**{"vocabulary": BPE_VOCABULARY, "merges": MERGES, **change}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pre_tokenizer": {"type": "Whitespace"}}, "byte-level"),
        ({"model": {"type": "Unigram"}}, "Received: Unigram"),
        ({"model": {"byte_fallback": True}}, "byte_fallback must be None. Received: True"),
        ({"model": {"vocab": {"a": 7}}}, "ids must be 0, 1, 2"),
        ({"model": {"merges": ["a b c"]}}, "a merge must be two tokens. Received: 'a b c'"),
    ],
)
def test_a_tokenizer_json_of_another_kind_is_refused_with_its_name(tokenizer, tmp_path, change, message):
    tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"] |= change.pop("model", {})
    path.write_text(json.dumps(content | change), encoding="utf-8")
    with pytest.raises(VocabularyError, match=message) as error:
        load_tokenizer(path)
    assert str(error.value).startswith(str(path))

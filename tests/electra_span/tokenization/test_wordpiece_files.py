"""WordPiece in folders that other tools wrote: all of it is taken over, or refused by name."""

import itertools
import json
import types

import pytest
import tensorflow as tf
import tokenizers
from tokenizers import normalizers, pre_tokenizers

from electra_span.convert.word_map import map_words
from electra_span.export.saved_model import SavedModelError, write_saved_model
from electra_span.tokenization import VocabularyError, WordPieceTokenizer, load_tokenizer, load_with_special_tokens
from electra_span.tokenization.library_tokenizer import LibraryWordPieceTokenizer
from tests.electra_span.tokenization.tiny_tokenizers import BPE_VOCABULARY, MERGES, train_model
from tests.electra_span.tokenization.wordpiece_folders import (
    NORMALIZERS,
    SPECIAL_TOKENS,
    TEXTS,
    WORDS,
    edit,
    ids_of,
    train,
    write,
)

GENERAL = {"tokenizer_class": "PreTrainedTokenizerFast"}
ELECTRA = {"tokenizer_class": "ElectraTokenizer"}
BERT_WORDS = pre_tokenizers.BertPreTokenizer()


@pytest.fixture(scope="module")
def lowered():
    """The library's tokenizer of BERT's usual kind."""
    return train(normalizers.BertNormalizer(), BERT_WORDS)


@pytest.fixture(scope="module")
def cased():
    """The library's tokenizer of the issue: NFC, cased."""
    return train(normalizers.NFC(), BERT_WORDS)


def _assert_kept(tokenizer, backend, folder):
    """Asserts that a tokenizer gives the library's ids and places, in a graph and after being saved, too."""
    assert tokenizer.encode(TEXTS) == ids_of(backend, TEXTS)
    assert tokenizer.encode_ragged(tf.constant(TEXTS)).to_list() == tokenizer.encode(TEXTS)
    tokenizer.save(folder)
    again = load_tokenizer(folder)
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode(TEXTS) == tokenizer.encode(TEXTS)
    assert ids_of(tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), TEXTS) == tokenizer.encode(TEXTS)


@pytest.mark.parametrize(("normalizer", "words"), list(itertools.product(NORMALIZERS, WORDS)))
def test_normalizer_and_pre_tokenizer_are_taken_over(tmp_path, normalizer, words):
    backend = train(NORMALIZERS[normalizer], WORDS[words])
    tokenizer = load_tokenizer(write(tmp_path / "theirs", backend, GENERAL))
    _assert_kept(tokenizer, backend, tmp_path / "ours")
    encodings = backend.encode_batch(TEXTS, add_special_tokens=False)
    assert tokenizer.encode_with_offsets(TEXTS).offsets == [encoding.offsets for encoding in encodings]


@pytest.mark.parametrize(("clean_text", "handle_chinese_chars"), list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize("strip_accents", [True, False, None])
@pytest.mark.parametrize("lowercase", [True, False])
def test_every_setting_of_berts_normalizer_is_taken_over(
    tmp_path, lowercase, strip_accents, clean_text, handle_chinese_chars
):
    flags = {"clean_text": clean_text, "handle_chinese_chars": handle_chinese_chars}
    normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents, **flags)
    backend = train(normalizer, BERT_WORDS)
    tokenizer = load_tokenizer(write(tmp_path / "theirs", backend, GENERAL))
    _assert_kept(tokenizer, backend, tmp_path / "ours")
    is_usual = all(flags.values()) and (lowercase or not strip_accents)
    assert type(tokenizer) is (WordPieceTokenizer if is_usual else LibraryWordPieceTokenizer)


@pytest.mark.parametrize(("prefix", "longest"), [("@@", 100), ("##", 10), ("##", 150), ("##", 2000)])
def test_prefix_and_longest_word_are_taken_over(tmp_path, prefix, longest):
    backend = train(normalizers.BertNormalizer(), BERT_WORDS, prefix=prefix, longest=longest)
    tokenizer = load_tokenizer(write(tmp_path / "theirs", backend, GENERAL))
    _assert_kept(tokenizer, backend, tmp_path / "ours")
    is_inner = [token.startswith(prefix) for token in tokenizer.vocabulary]
    assert tokenizer.is_continuation.tolist() == is_inner
    assert tokenizer.decode(tokenizer.encode(["übung köln"])[0]) == "ubung koln"


@pytest.mark.parametrize("arguments", [{}, {"do_lower_case": False}, {"strip_accents": False}])
@pytest.mark.parametrize("config", [GENERAL, {"tokenizer_class": "TokenizersBackend", "do_lower_case": True}, {}, None])
def test_of_a_general_class_tokenizer_json_decides_about_case(tmp_path, cased, config, arguments):
    tokenizer = load_tokenizer(write(tmp_path / "theirs", cased, config), **arguments)
    assert tokenizer.encode(TEXTS) == ids_of(cased, TEXTS)
    assert tokenizer.settings["normalizer"] == {"type": "NFC"}
    assert "do_lower_case" not in tokenizer.settings


@pytest.mark.parametrize("class_name", ["ElectraTokenizer", "ElectraTokenizerFast", "BertTokenizer", None])
@pytest.mark.parametrize(
    ("settings", "case"),
    [({}, (True, True)), ({"do_lower_case": False}, (False, False)), ({"strip_accents": False}, (True, False))],
)
def test_of_class_electra_or_bert_tokenizer_config_alone_decides(tmp_path, cased, caplog, class_name, settings, case):
    """A model of type electra without a class of tokenizers counts as one of these."""
    config = settings if class_name is None else {"tokenizer_class": class_name, **settings}
    tokenizer = load_tokenizer(write(tmp_path / "theirs", cased, config, config={"model_type": "electra"}))
    expected = {"tokenizer_type": "wordpiece", "do_lower_case": case[0], "strip_accents": case[1]}
    assert tokenizer.settings == {**expected, "max_word_length": 100}
    assert "not used are normalizer" in caplog.text


@pytest.mark.parametrize("config", [ELECTRA, {"model_max_length": 512}, {**ELECTRA, "cls_token": "[CLS]"}, None])
def test_a_folder_that_says_nothing_of_case_follows_the_user(tmp_path, vocab_file, config):
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    for arguments, case in (
        ({}, (True, True)),
        ({"do_lower_case": False}, (False, False)),
        ({"strip_accents": False}, (True, False)),
    ):
        settings = load_tokenizer(tmp_path, **arguments).settings
        assert (settings["do_lower_case"], settings["strip_accents"]) == case


def test_a_flag_against_what_a_folder_says_is_warned_of(tmp_path, lowered, caplog):
    folder = write(tmp_path / "theirs", lowered, GENERAL)
    load_tokenizer(folder)
    assert not caplog.text
    load_tokenizer(folder, do_lower_case=False, strip_accents=False)
    assert "do_lower_case is true by its files" in caplog.text
    assert "strip_accents is true by its files" in caplog.text


@pytest.mark.parametrize(
    ("files", "longest"),
    [
        ({}, 200),
        ({"tokenizer_config": ELECTRA}, 100),
        ({"config": {"model_type": "electra"}}, 100),
        ({"tokenizer_config": {**ELECTRA, "tokenizer_type": "wordpiece"}}, 200),  # as this project wrote it before
    ],
)
def test_the_longest_word_beside_a_vocab_txt_is_that_of_the_class(tmp_path, vocab_file, files, longest):
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.max_word_length == longest
    known, unknown = (tokenizer.encode(["x" * length])[0] for length in (longest, longest + 1))
    assert tokenizer.unk_id not in known
    assert unknown == [tokenizer.unk_id]


def test_class_electra_has_words_of_100_letters_whatever_tokenizer_json_says(tmp_path, caplog):
    backend = train(normalizers.BertNormalizer(), BERT_WORDS, longest=200)
    folder = write(tmp_path / "theirs", backend, ELECTRA)
    assert load_tokenizer(folder).max_word_length == 100
    assert "max_word_length" in caplog.text
    edit(folder, lambda config: config.update(tokenizer_type="wordpiece"), "tokenizer_config.json")
    assert load_tokenizer(folder).max_word_length == 200


def _added(content, token_id, *, special=False):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": not special}
    return {"id": token_id, "content": content, "special": special, **flags}


@pytest.mark.parametrize("place", ["added_tokens_decoder", "added_tokens.json", "tokenizer.json", "additional"])
@pytest.mark.parametrize("config", [GENERAL, ELECTRA])
def test_added_tokens_are_read_from_every_file_that_transformers_writes(tmp_path, lowered, caplog, place, config):
    size = lowered.get_vocab_size()
    word, entity = _added("köln-deutz", size), _added("[ENT]", size + 1, special=True)
    expected = tokenizers.Tokenizer.from_str(lowered.to_str())
    expected.add_tokens(["köln-deutz"])
    folder = write(tmp_path / "theirs", lowered, config)
    settings = folder / "tokenizer_config.json"
    if place == "added_tokens_decoder":
        special = [_added(token, number, special=True) for number, token in enumerate(SPECIAL_TOKENS)]
        tokens = {str(token.pop("id")): token for token in [*special, word, entity]}
        settings.write_text(json.dumps({**config, "added_tokens_decoder": tokens}))
    elif place == "added_tokens.json":
        (folder / place).write_text(json.dumps({"köln-deutz": size, "[ENT]": size + 1}))
        (folder / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["[ENT]"]}))
    elif place == "tokenizer.json":
        edit(folder, lambda content: content["added_tokens"].extend([word, entity]))
    else:
        edit(folder, lambda content: content["added_tokens"].append(word))
        settings.write_text(json.dumps({**config, "additional_special_tokens": ["[ENT]"]}))
    tokenizer = load_tokenizer(folder)
    assert tokenizer.vocabulary[size:] == ("köln-deutz", "[ENT]")
    assert tokenizer.encode(TEXTS) == ids_of(expected, TEXTS)
    assert size in tokenizer.encode(["KÖLN-DEUTZ"])[0]
    assert size + 1 not in tokenizer.encode(["[ENT]"])[0]
    assert size + 1 in tokenizer.special_ids
    assert "special tokens are found in no text, but by transformers: [ENT]" in caplog.text
    tokenizer.save(tmp_path / "ours")
    assert load_tokenizer(tmp_path / "ours").fingerprint == tokenizer.fingerprint


def test_names_of_special_tokens_are_read_from_special_tokens_map(tmp_path, lowered):
    folder = write(tmp_path / "theirs", lowered, GENERAL, special_tokens_map={"mask_token": {"content": "koln"}})
    assert load_tokenizer(folder).special_tokens.mask == "koln"


@pytest.mark.parametrize("words", ["split", "sequence"])
def test_no_text_has_a_special_token_where_words_keep_their_brackets(tmp_path, words):
    tokenizer = load_tokenizer(write(tmp_path / "theirs", train(None, WORDS[words]), GENERAL))
    ids = tokenizer.encode(["[MASK] [CLS] Übung [SEP] [PAD]"])[0]
    assert not set(ids) & set(tokenizer.special_ids)
    assert tokenizer.unk_id in ids


def test_a_model_without_its_type_is_known_by_its_fields(tmp_path, lowered):
    folder = write(tmp_path / "theirs", lowered)
    edit(folder, lambda content: content["model"].pop("type"))
    assert load_tokenizer(folder).encode(TEXTS) == ids_of(lowered, TEXTS)


def test_a_tokenizer_json_alone_is_read_as_its_folder_is(tmp_path, cased):
    folder = write(tmp_path / "theirs", cased)
    assert load_tokenizer(folder / "tokenizer.json").fingerprint == load_tokenizer(folder).fingerprint


def test_a_missing_special_token_is_appended_to_rules_of_any_kind(tmp_path, cased):
    folder = write(tmp_path / "theirs", cased)

    def drop(content):
        content["added_tokens"].pop()
        content["model"]["vocab"]["mask"] = content["model"]["vocab"].pop("[MASK]")

    edit(folder, drop)
    with pytest.raises(VocabularyError, match=r"tokenizer\.json: token \[MASK\] is missing"):
        load_tokenizer(folder)
    tokenizer, added = load_with_special_tokens(folder)
    assert added == ["[MASK]"]
    assert tokenizer.mask_id == cased.get_vocab_size()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.update(pre_tokenizer=None), "pre_tokenizer must be of the type .*Received: None"),
        (lambda file: file.update(pre_tokenizer={"type": "Metaspace"}), "pre_tokenizer .*Received: 'Metaspace'"),
        (lambda file: file.update(pre_tokenizer={"type": "ByteLevel"}), "pre_tokenizer .*Received: 'ByteLevel'"),
        (lambda file: file.update(normalizer={"type": "Precompiled"}), "normalizer .*Received: 'Precompiled'"),
        (lambda file: file.update(normalizer=["NFC"]), "normalizer must be of the type"),
        (
            lambda file: file.update(normalizer={"type": "Replace", "pattern": {"Regex": "("}, "content": ""}),
            "the tokenizers library refuses it",
        ),
        (lambda file: file["model"].update(continuing_subword_prefix=""), "continuing_subword_prefix .*Received: ''"),
        (lambda file: file["model"].update(max_input_chars_per_word=0), "max_input_chars_per_word .*Received: 0"),
        (lambda file: file["model"].update(max_input_chars_per_word=10**9), "from 1 to 100000"),
        (lambda file: file["model"].update(vocab=["a"]), "vocab must be an object"),
        (lambda file: file.update(model=[]), r"model must be an object. Received: \[\]"),
        (lambda file: file.update(added_tokens={"a": 1}), "added_tokens must be a list"),
        (lambda file: file.update(added_tokens=[{"id": "5", "content": "a"}]), "id of a token .*Received: '5'"),
        (lambda file: file.update(added_tokens=[7]), "a token must be a string, or an object"),
    ],
)
def test_what_cannot_be_taken_over_is_refused_by_name(tmp_path, cased, change, message):
    folder = write(tmp_path / "theirs", cased, GENERAL)
    edit(folder, change)
    with pytest.raises(VocabularyError, match=message) as error:
        load_tokenizer(folder)
    assert "tokenizer.json: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tokenizer_class": "DebertaTokenizer"}, "tokenizer_class must be one of .*PreTrainedTokenizerFast"),
        ({"tokenizer_class": ["a"]}, r"tokenizer_class must be a string or null. Received: \['a'\]"),
        ({"tokenizer_type": ["a"]}, r"tokenizer_type must be a string or null. Received: \['a'\]"),
        ({"tokenizer_type": {}}, "tokenizer_type must be a string or null. Received: {}"),
        (
            {"tokenizer_type": "wordpiece", "tokenizer_class": 7},
            "tokenizer_class must be a string or null. Received: 7",
        ),
        ({"cls_token": 7}, r"tokenizer_config.json: a token must be a string, or an object with its content"),
        ({"added_tokens_decoder": []}, "added_tokens_decoder must be an object"),
        ({"added_tokens_decoder": {"x": {"content": "a"}}}, "added_tokens_decoder must be an object"),
        ({"added_tokens_decoder": {"5": {"content": ""}}}, "a token must be a string, or an object"),
        ({"additional_special_tokens": "[ENT]"}, "additional_special_tokens must be a list"),
        ({**ELECTRA, "added_tokens_decoder": {}}, "its added tokens must be in added_tokens_decoder"),
    ],
)
def test_settings_of_wrong_types_are_refused_by_name(tmp_path, lowered, config, message):
    with pytest.raises(VocabularyError, match=message):
        load_tokenizer(write(tmp_path / "theirs", lowered, config))


def test_a_vocab_txt_with_other_tokens_than_tokenizer_json_is_refused(tmp_path, lowered):
    folder = write(tmp_path / "theirs", lowered)
    tokens = sorted(lowered.get_vocab(), key=lowered.get_vocab().get)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    assert load_tokenizer(folder).vocab_size == len(tokens)
    tokens[7] = "other"
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    with pytest.raises(
        VocabularyError, match=r"vocab\.txt: must have the tokens of tokenizer\.json.*'other' on line 8"
    ):
        load_tokenizer(folder)


def test_a_vocabulary_with_blanks_in_tokens_cuts_no_two_words_at_once(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, "a", "b", "##a", "a b", "##a b"]) + "\n")
    tokenizer = load_tokenizer(path)
    assert tokenizer.tokens(tokenizer.encode(["a b aa b"])[0]) == ["a", "b", "a", "##a", "b"]


def test_saving_removes_files_that_say_something_else(tmp_path, cased, vocab_file):
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"mask_token": "a"}))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"zz": 99}))
    tokenizer = load_tokenizer(write(tmp_path / "theirs", cased))
    tokenizer.save(tmp_path)
    names = {"tokenizer.json", "tokenizer_config.json", "theirs"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert load_tokenizer(tmp_path).fingerprint == tokenizer.fingerprint


def test_a_saved_model_with_rules_of_another_kind_is_refused(tmp_path, cased):
    tokenizer = load_tokenizer(write(tmp_path / "theirs", cased))
    with pytest.raises(SavedModelError, match="WordPiece with other rules than BERT's"):
        write_saved_model(types.SimpleNamespace(tokenizer=tokenizer), tmp_path / "saved")


def test_words_are_found_again_under_another_prefix(tmp_path, lowered):
    other = train(normalizers.BertNormalizer(), BERT_WORDS, prefix="@@")
    source = load_tokenizer(write(tmp_path / "a", lowered))
    target = load_tokenizer(write(tmp_path / "b", other))
    rows = map_words("remap", source, source.vocab_size, target, target.vocab_size).rows
    inner = target.vocabulary.index("@@e")
    assert source.vocabulary[rows[inner]] == "##e"
    assert source.vocabulary[rows[target.vocabulary.index("e")]] == "e"


def _write_bpe(folder, **files):
    folder.mkdir()
    vocabulary = {token: number for number, token in enumerate(BPE_VOCABULARY)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(" ".join(merge) for merge in MERGES), encoding="utf-8")
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_bpe_takes_the_prefix_space_and_added_tokens_beside_its_vocabulary(tmp_path):
    size = len(BPE_VOCABULARY)
    files = {"tokenizer_config": {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True}}
    tokenizer = load_tokenizer(_write_bpe(tmp_path / "a", **files, added_tokens={"xyz": size}))
    assert tokenizer.vocabulary[size] == "xyz"
    assert tokenizer.tokens(tokenizer.encode(["the xyz"])[0]) == ["Ġthe", "Ġ", "xyz"]
    with pytest.raises(VocabularyError, match=r"add_prefix_space must be true or false. Received: 'yes'"):
        load_tokenizer(_write_bpe(tmp_path / "b", tokenizer_config={"add_prefix_space": "yes"}))


def test_of_class_roberta_tokenizer_config_alone_decides_about_the_prefix_space(tmp_path, caplog):
    source = load_tokenizer(_write_bpe(tmp_path / "a"))
    source.save(tmp_path / "b")
    edit(tmp_path / "b", lambda content: content["pre_tokenizer"].update(add_prefix_space=True))
    assert load_tokenizer(tmp_path / "b").encode(["the"]) != source.encode(["the"])
    (tmp_path / "b" / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))
    assert load_tokenizer(tmp_path / "b").encode(["the"]) == source.encode(["the"])
    assert "not used are pre_tokenizer" in caplog.text


def test_sentencepiece_takes_special_tokens_that_stand_beside_its_model(tmp_path):
    (tmp_path / "spiece.model").write_bytes(train_model("unigram"))
    size = load_tokenizer(tmp_path / "spiece.model").vocab_size
    (tmp_path / "added_tokens.json").write_text(json.dumps({"[ENT]": size}))
    with pytest.raises(VocabularyError, match=r"added tokens must be special.*Received: '\[ENT\]'"):
        load_tokenizer(tmp_path)
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["[ENT]"]}))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.vocabulary[size:] == ("[ENT]",)
    assert size not in tokenizer.encode(["the cat [ENT]"])[0]

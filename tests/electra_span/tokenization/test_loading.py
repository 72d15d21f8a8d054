import json

import pytest
import tokenizers

from electra_span.config import UserError
from electra_span.tokenization import VocabularyError, load_tokenizer

TEXTS = ["The unaffable café's", "日本 straße, zebra", "a\u200bb\tc", "é" * 150, "x" * 201]


def _write_folder(folder, vocab_file, config):
    folder.mkdir()
    (folder / "vocab.txt").write_bytes(vocab_file.read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_a_vocabulary_file_is_read_in_the_order_of_its_lines(vocab_file, vocabulary):
    tokenizer = load_tokenizer(vocab_file)
    assert tokenizer.vocabulary == vocabulary
    assert tokenizer.vocab_size == len(vocabulary)
    assert tokenizer.settings == {"tokenizer_type": "wordpiece", "do_lower_case": True, "strip_accents": True}


def test_a_vocabulary_file_may_have_windows_line_ends_and_no_last_one(tmp_path, vocabulary):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\ufeff".encode() + "\r\n".join(vocabulary).encode())
    assert load_tokenizer(path).vocabulary == vocabulary


@pytest.mark.parametrize(
    ("arguments", "strip_accents"), [({}, True), ({"strip_accents": False}, False), ({"do_lower_case": False}, False)]
)
def test_accents_are_stripped_with_lowering_unless_told_otherwise(vocab_file, arguments, strip_accents):
    assert load_tokenizer(str(vocab_file), **arguments).settings["strip_accents"] is strip_accents


@pytest.mark.parametrize("token", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
def test_a_missing_special_token_is_named_with_its_file(vocab_file, vocabulary, token):
    vocab_file.write_text("\n".join(entry for entry in vocabulary if entry != token))
    with pytest.raises(VocabularyError, match=r"vocab\.txt: token \[\w+\] is missing") as error:
        load_tokenizer(vocab_file)
    assert token in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\na\n", "'a' stands on lines 6 and 8"),
        (b"[PAD]\n[UNK]\n\n[CLS]\n[SEP]\n[MASK]\na\n", "line 3 is empty"),
        (b"[PAD]\nna\xefve\n", "not UTF-8 at byte 8"),
    ],
)
def test_a_broken_vocabulary_is_refused_with_the_place(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(VocabularyError, match=message) as error:
        load_tokenizer(path)
    assert str(error.value).startswith(str(path))
    assert isinstance(error.value, UserError)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("spiece.vocab", b"<unk>\t0\n\xe2\x96\x81the\t-3.2\n,\t-1e-05\n", r"SentencePiece.*give.*spiece\.model"),
        ("vocabs.txt", b'{\n  "a": 0,\n  "b": 1\n}\n', r"Received: JSON; .*ends in \.json"),
        ("vocab.txt", b'["a", "b"]', r"Received: JSON"),
        ("v2.txt", b'{\n"a":\n{\n"b": 1\n}\n}\n{', r"Received: JSON"),
        ("vocab.txt", b"PK\x03\x04\x14\0", r"must be text\. Received: a zip archive"),
        (
            "vocab.txt",
            b"version https://git-lfs.github.com/spec/v1\n",
            r"must be text\. Received: a pointer of Git LFS",
        ),
    ],
)
def test_a_file_that_is_no_list_of_tokens_is_named_by_what_it_is(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VocabularyError, match=message):
        load_tokenizer(tmp_path / name)


def test_a_tokenizer_json_may_be_given_as_a_file(tmp_path, vocab_file):
    tokenizer = load_tokenizer(vocab_file, do_lower_case=False)
    tokenizer.save(tmp_path)
    assert load_tokenizer(tmp_path / "tokenizer.json").fingerprint == tokenizer.fingerprint


def test_a_missing_vocabulary_is_named(tmp_path):
    with pytest.raises(VocabularyError, match=r"nowhere\.txt"):
        load_tokenizer(tmp_path / "nowhere.txt")
    with pytest.raises(VocabularyError, match=r"vocab\.txt"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        ({"do_lower_case": False, "tokenizer_class": "ElectraTokenizer"}, (False, False)),
        ({"do_lower_case": True, "strip_accents": False, "tokenizer_class": "BertTokenizerFast"}, (True, False)),
        ({"do_lower_case": True, "strip_accents": None, "model_max_length": 512}, (True, True)),
    ],
)
def test_a_folder_s_own_settings_hold(tmp_path, vocab_file, config, settings):
    folder = _write_folder(tmp_path / "published", vocab_file, config)
    for arguments in ({}, {"do_lower_case": False}, {"strip_accents": False}):
        loaded = load_tokenizer(folder, **arguments).settings
        assert (loaded["do_lower_case"], loaded["strip_accents"]) == settings


def test_a_folder_without_settings_takes_the_arguments(vocab_file):
    assert load_tokenizer(vocab_file.parent, do_lower_case=False).settings["do_lower_case"] is False


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tokenizer_type": "morse"}, "wordpiece, bpe, sentencepiece.*Received: 'morse'"),
        ({"tokenizer_class": "XLMRobertaTokenizer"}, "XLMRobertaTokenizer"),
        ({"do_lower_case": "false"}, "do_lower_case must be true or false. Received: 'false'"),
        ({"tokenize_chinese_chars": 0}, "tokenize_chinese_chars must be true or false. Received: 0"),
        ({"strip_accents": "no"}, "strip_accents"),
        ([], "JSON object"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(tmp_path, vocab_file, config, message):
    folder = _write_folder(tmp_path / "published", vocab_file, config)
    with pytest.raises(VocabularyError, match=message) as error:
        load_tokenizer(folder)
    assert str(error.value).startswith(f"{folder / 'tokenizer_config.json'}: ")


def test_settings_that_are_not_json_are_refused(tmp_path, vocab_file):
    folder = _write_folder(tmp_path / "published", vocab_file, {})
    (folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(VocabularyError, match="malformed JSON"):
        load_tokenizer(folder)


@pytest.mark.parametrize("arguments", [{}, {"strip_accents": False}, {"do_lower_case": False}])
def test_a_saved_tokenizer_is_loaded_as_it_was(tmp_path, vocab_file, arguments):
    tokenizer = load_tokenizer(vocab_file, **arguments)
    tokenizer.save(tmp_path / "made" / "published", model_max_length=128)
    loaded = load_tokenizer(tmp_path / "made" / "published")
    assert loaded.fingerprint == tokenizer.fingerprint
    assert loaded.settings == tokenizer.settings
    assert loaded.encode(TEXTS) == tokenizer.encode(TEXTS)


def test_a_folder_as_transformers_5_writes_it_has_its_vocabulary_in_tokenizer_json(tmp_path, vocab_file):
    tokenizer = load_tokenizer(vocab_file, strip_accents=False)
    tokenizer.save(tmp_path / "published")
    (tmp_path / "published" / "vocab.txt").unlink()
    assert load_tokenizer(tmp_path / "published").fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {"type": "WordLevel", "vocab": {}}}, "must be BPE .*Received: WordLevel"),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0, "b": 2}}}, "ids must be 0, 1, 2"),
    ],
)
def test_a_tokenizer_json_that_holds_no_known_vocabulary_is_refused(tmp_path, content, message):
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(VocabularyError, match=message):
        load_tokenizer(tmp_path)


def test_saved_settings_name_the_class_that_takes_all_from_tokenizer_json(tmp_path, vocab_file):
    load_tokenizer(vocab_file, do_lower_case=False).save(tmp_path / "published", model_max_length=512)
    assert json.loads((tmp_path / "published" / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "tokenizer_type": "wordpiece",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "do_lower_case": False,
        "strip_accents": False,
        "tokenize_chinese_chars": True,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
        "model_max_length": 512,
    }


@pytest.mark.parametrize("arguments", [{}, {"strip_accents": False}, {"do_lower_case": False}])
def test_the_tokenizers_library_reads_the_same_ids_from_the_saved_file(tmp_path, vocab_file, arguments):
    tokenizer = load_tokenizer(vocab_file, **arguments)
    tokenizer.save(tmp_path / "published")
    peer = tokenizers.Tokenizer.from_file(str(tmp_path / "published" / "tokenizer.json"))
    assert [encoding.ids for encoding in peer.encode_batch(TEXTS, add_special_tokens=False)] == tokenizer.encode(TEXTS)


def test_the_saved_file_puts_special_tokens_around_a_pair(tmp_path, vocab_file):
    tokenizer = load_tokenizer(vocab_file)
    tokenizer.save(tmp_path / "published")
    peer = tokenizers.Tokenizer.from_file(str(tmp_path / "published" / "tokenizer.json"))
    encoding = peer.encode("the", "a b")
    assert encoding.tokens == ["[CLS]", "the", "[SEP]", "a", "b", "[SEP]"]
    assert encoding.type_ids == [0, 0, 0, 1, 1, 1]
    assert peer.encode("[CLS]the[MASK]", add_special_tokens=False).tokens == ["[CLS]", "the", "[MASK]"]

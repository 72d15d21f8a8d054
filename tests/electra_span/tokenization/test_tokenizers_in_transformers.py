"""Our published tokenizers in transformers, where it is installed."""

import io
import json

import pytest
import sentencepiece
import tokenizers

from electra_span.tokenization import WordPieceTokenizer, load_tokenizer, load_with_special_tokens
from electra_span.tokenization.byte_level_bpe import BpeDescription, ByteLevelBpeTokenizer
from electra_span.tokenization.sentencepiece_tokenizer import SentencePieceTokenizer
from electra_span.tokenization.subword_training import train_bpe, train_sentencepiece
from tests.electra_span.tokenization import wordpiece_folders

transformers = pytest.importorskip("transformers")

TEXTS = ["The cat's café\nis  open.", " Ärger über Straßen", "日本語 and \U0001f600", ""]
ROLES = ("pad", "unk", "cls", "sep", "mask")


def _check_in_transformers(tokenizer, texts, folder):
    """Asserts that transformers reads a published tokenizer, gives its ids, and writes what is read back."""
    tokenizer.save(folder / "ours", model_max_length=77)
    theirs = transformers.AutoTokenizer.from_pretrained(folder / "ours")
    ids = tokenizer.encode(texts)
    assert theirs(texts, add_special_tokens=False)["input_ids"] == ids
    pair = theirs(texts[0], texts[1])
    around = [tokenizer.cls_id, *ids[0], tokenizer.sep_id, *ids[1], tokenizer.sep_id]
    assert pair["input_ids"] == around
    assert pair["token_type_ids"] == [0] * (len(ids[0]) + 2) + [1] * (len(ids[1]) + 1)
    assert theirs.model_max_length == 77
    for role in ROLES:
        assert getattr(theirs, f"{role}_token_id") == getattr(tokenizer, f"{role}_id")
    theirs.save_pretrained(folder / "theirs")
    if tokenizer.tokenizer_type != "sentencepiece":  # transformers 5 writes no .model
        assert load_tokenizer(folder / "theirs").fingerprint == tokenizer.fingerprint


WORDPIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"tcosä日x'", "cat", "##e", "##x", "Ä", "and", "##r")


@pytest.mark.parametrize("case", [(True, None), (True, False), (False, None)])
@pytest.mark.parametrize("model_type", ["electra", None])
def test_a_wordpiece_tokenizer_has_the_same_ids(tmp_path, case, model_type):
    if model_type is not None:
        (tmp_path / "ours").mkdir()
        (tmp_path / "ours" / "config.json").write_text(json.dumps({"model_type": model_type}))
    words = ["x" * length for length in (100, 101, 200, 201)]
    _check_in_transformers(WordPieceTokenizer(WORDPIECES, *case), [*TEXTS, *words], tmp_path)


@pytest.mark.parametrize("add_prefix_space", [False, True])
def test_a_byte_level_tokenizer_has_the_same_ids(tmp_path, add_prefix_space):
    special_tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    merges = [("c", "a"), ("ca", "t"), ("Ġ", "cat"), ("Ã", "¼")]
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    description = BpeDescription(
        vocabulary=[*special_tokens, *alphabet, *("".join(merge) for merge in merges)],
        merges=merges,
        pre_tokenizer={"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True}
        | {"use_regex": True},
    )
    _check_in_transformers(ByteLevelBpeTokenizer(description), TEXTS, tmp_path)


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
@pytest.mark.parametrize("options", [{}, {"byte_fallback": True}, {"normalization_rule_name": "nmt_nfkc_cf"}])
def test_a_sentencepiece_tokenizer_has_the_same_ids(tmp_path, shared_data, model_type, options):
    corpus = shared_data / "corpus" / "german"
    text = min(path for path in corpus.rglob("*") if path.is_file()).read_bytes()[:150_000].decode("utf-8", "ignore")
    lines = text.split("\n")
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=writer,
        model_type=model_type,
        vocab_size=700,
        pad_id=3,
        control_symbols=["<mask>", "<eod>"],
        user_defined_symbols=["<br>"],
        max_sentence_length=100_000,
        minloglevel=2,
        **options,
    )
    tokenizer = SentencePieceTokenizer(writer.getvalue())
    symbols = [] if model_type == "bpe" else ["Das <br> Haus<br>da", "<br>"]
    _check_in_transformers(tokenizer, [*TEXTS, *symbols, *lines], tmp_path)


@pytest.mark.parametrize("language", ["german", "zhwiki"])
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_learned_tokenizer_has_the_same_ids(tmp_path, shared_data, language, kind):
    source = min(path for path in (shared_data / "corpus" / language).iterdir() if path.is_file())
    lines = source.read_bytes()[:150_000].decode("utf-8", "ignore").split("\n")
    if kind == "bpe":
        tokenizer = train_bpe(lines, vocab_size=600, lowercase=True, strip_accents=True)
    else:
        tokenizer = train_sentencepiece(lines, model_type=kind, vocab_size=3500, lowercase=True)
    _check_in_transformers(tokenizer, [*TEXTS, *lines], tmp_path)


def test_a_published_sentencepiece_model_has_the_same_ids(tmp_path, shared_data):
    folder = shared_data / "tokenizers" / "sentencepiece"
    tokenizer, _ = load_with_special_tokens(folder / "test_model.model")
    texts = (folder / "botchan.txt").read_text(encoding="utf-8").split("\n")[:1000]
    _check_in_transformers(tokenizer, [*TEXTS, *texts], tmp_path)


def test_gpt2_with_special_tokens_has_the_same_ids(tmp_path, shared_data):
    tokenizer, _ = load_with_special_tokens(shared_data / "tokenizers" / "gpt2_bpe")
    corpus = shared_data / "corpus" / "german"
    text = min(path for path in corpus.rglob("*") if path.is_file()).read_bytes()[:40_000].decode("utf-8", "ignore")
    _check_in_transformers(tokenizer, [*TEXTS, *text.split("\n")], tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    with_offsets = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
    assert with_offsets["offset_mapping"] == tokenizer.encode_with_offsets([text]).offsets[0]


BERT_WORDS = tokenizers.pre_tokenizers.BertPreTokenizer()
BACKENDS = {
    "nfc": (tokenizers.normalizers.NFC(), BERT_WORDS, {}),
    "nfkc": (tokenizers.normalizers.NFKC(), tokenizers.pre_tokenizers.WhitespaceSplit(), {}),
    "lowered": (tokenizers.normalizers.BertNormalizer(), BERT_WORDS, {}),
    "cased": (tokenizers.normalizers.BertNormalizer(lowercase=False), BERT_WORDS, {}),
    "stripped": (tokenizers.normalizers.BertNormalizer(lowercase=False, strip_accents=True), BERT_WORDS, {}),
    "not chinese": (tokenizers.normalizers.BertNormalizer(handle_chinese_chars=False), BERT_WORDS, {}),
    "prefix": (tokenizers.normalizers.NFC(), BERT_WORDS, {"prefix": "@@"}),
    "long": (tokenizers.normalizers.BertNormalizer(), BERT_WORDS, {"longest": 150}),
}
SETTINGS = {
    "general": {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True},
    "backend": {"tokenizer_class": "TokenizersBackend"},
    "electra": {"tokenizer_class": "ElectraTokenizer"},
    "cased electra": {"tokenizer_class": "ElectraTokenizerFast", "do_lower_case": False},
    "bert with accents": {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": False},
    "bert without accents": {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False, "strip_accents": True},
    "bert without chinese": {"tokenizer_class": "BertTokenizer", "tokenize_chinese_chars": False},
    "no class": {"do_lower_case": False},
    "nothing": None,
}


@pytest.fixture(scope="module")
def backends():
    trained = {name: wordpiece_folders.train(*parts, **options) for name, (*parts, options) in BACKENDS.items()}
    for name in ("nfc", "lowered"):
        trained[f"{name} and added"] = tokenizers.Tokenizer.from_str(trained[name].to_str())
        words = ["Köln-Deutz", tokenizers.AddedToken("mach", single_word=True)]
        trained[f"{name} and added"].add_tokens(words)
    return trained


@pytest.mark.parametrize("model", [None, {"model_type": "electra"}])
@pytest.mark.parametrize("name", SETTINGS)
def test_wordpiece_of_others_has_the_same_ids(tmp_path, backends, name, model):
    """Which file decides, by class: transformers rebuilds some, and then not all of tokenizer.json is used."""
    for kind, backend in backends.items():
        folder = wordpiece_folders.write(tmp_path / kind, backend, SETTINGS[name], config=model)
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        texts = [*wordpiece_folders.TEXTS, "mach macht Köln-Deutzer mach"]
        ids = theirs(texts, add_special_tokens=False)["input_ids"]
        ours = load_tokenizer(folder)
        assert ours.encode(texts) == ids
        assert ours.vocab_size == len(theirs)
        theirs.save_pretrained(tmp_path / f"{kind} again")
        assert load_tokenizer(tmp_path / f"{kind} again").encode(texts) == ids


@pytest.mark.parametrize("case", [(True, None), (True, False), (False, None)])
def test_golden_strings_have_the_same_ids_but_for_a_final_sigma(tmp_path, golden, shared_data, case):
    """The original lowers a word's last capital sigma to its final form, the tokenizers library never does."""
    tokenizer = load_tokenizer(shared_data / "vocab" / "vocab.txt", *case)
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    rows = golden("tokenization/strings.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(row)["text"].encode("utf-8", "ignore").decode() for row in rows]
    texts = [text for text in texts if not any(token in text for token in tokenizer.special_tokens)]
    pairs = zip(texts, tokenizer.encode(texts), theirs(texts, add_special_tokens=False)["input_ids"], strict=True)
    different = [text for text, ours, ids in pairs if ours != ids]
    assert len(different) == int(tokenizer.do_lower_case)
    assert all("ὈΔΥΣΣΕΎΣ" in text for text in different)


def test_golden_strings_have_the_same_ids_under_rules_of_another_kind(tmp_path, golden, shared_data):
    vocabulary = load_tokenizer(shared_data / "vocab" / "vocab.txt").vocabulary
    model = tokenizers.models.WordPiece(
        {token: number for number, token in enumerate(vocabulary)}, unk_token="[UNK]", max_input_chars_per_word=50
    )
    backend = tokenizers.Tokenizer(model)
    backend.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.NFKC(), tokenizers.normalizers.Lowercase()]
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder = wordpiece_folders.write(tmp_path / "theirs", backend, SETTINGS["general"])
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    rows = golden("tokenization/strings.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(row)["text"].encode("utf-8", "ignore").decode() for row in rows]
    assert load_tokenizer(folder).encode(texts) == theirs(texts, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("settings", [{"add_prefix_space": True}, {}])
@pytest.mark.parametrize("class_name", ["RobertaTokenizer", "RobertaTokenizerFast", "PreTrainedTokenizerFast", None])
def test_byte_level_bpe_of_others_has_the_same_ids(tmp_path, class_name, settings):
    merges = [("c", "a"), ("ca", "t"), ("Ġ", "cat")]
    special_tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    description = BpeDescription(
        vocabulary=[*special_tokens, *alphabet, *("".join(merge) for merge in merges)], merges=merges
    )
    ByteLevelBpeTokenizer(description).save(tmp_path)
    config = settings if class_name is None else {**settings, "tokenizer_class": class_name}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = ["cat", " cat cat", "the cat's"]
    assert load_tokenizer(tmp_path).encode(texts) == theirs(texts, add_special_tokens=False)["input_ids"]

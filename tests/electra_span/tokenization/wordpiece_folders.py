"""Folders of WordPiece tokenizers as other tools write them."""

import json

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LINES = [
    "Übung macht den Meister. E-Mail an Köln, 12.5 Euro!",
    "Die Straße führt über die Brücke.",
    "übung strasse ubung koln köln",
    "日本語 café naïve Ångström ﬁne x² don't",
]
TEXTS = [
    "Übung über E-Mail 12.5!",
    "U\u0308bung KÖLN Köln-Deutz naïve",
    "日本語日本 a\u200bb\tc\u00a0d",
    *("x" * length for length in (10, 11, 100, 101, 200, 201)),
    "ﬁne x² don't _a_b c$d",
    "",
    "  ",
]
NORMALIZERS = {
    "none": None,
    "nfc": normalizers.NFC(),
    "nfd": normalizers.NFD(),
    "nfkc": normalizers.NFKC(),
    "lower": normalizers.Lowercase(),
    "strip": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    "sequence": normalizers.Sequence([normalizers.NFKC(), normalizers.BertNormalizer(lowercase=True)]),
}
WORDS = {
    "bert": pre_tokenizers.BertPreTokenizer(),
    "whitespace": pre_tokenizers.Whitespace(),
    "split": pre_tokenizers.WhitespaceSplit(),
    "sequence": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(True)]),
}


def train(normalizer, words, *, prefix="##", longest=100):
    """Returns a tokenizer of the library, learned from LINES."""
    model = models.WordPiece(unk_token="[UNK]", continuing_subword_prefix=prefix)
    backend = tokenizers.Tokenizer(model)
    backend.normalizer, backend.pre_tokenizer = normalizer, words
    trainer = trainers.WordPieceTrainer(
        vocab_size=250, special_tokens=SPECIAL_TOKENS, continuing_subword_prefix=prefix, show_progress=False
    )
    backend.train_from_iterator(LINES * 3, trainer)
    content = json.loads(backend.to_str())
    content["model"]["max_input_chars_per_word"] = longest
    return tokenizers.Tokenizer.from_str(json.dumps(content))


def write(folder, backend, settings=None, **others):
    """Returns a folder after writing tokenizer.json, tokenizer_config.json and others, by names without .json."""
    folder.mkdir(parents=True)
    backend.save(str(folder / "tokenizer.json"))
    for name, content in {"tokenizer_config": settings, **others}.items():
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def edit(folder, change, name="tokenizer.json"):
    """Applies change to the content of a folder's JSON file."""
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    change(content)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def ids_of(backend, texts):
    """Returns the library's ids."""
    return [encoding.ids for encoding in backend.encode_batch(texts, add_special_tokens=False)]

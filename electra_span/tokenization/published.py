"""The files of a published tokenizer: vocab.txt, tokenizer_config.json and tokenizer.json, as Hugging Face's.

This module knows the files, not the tokenizers; `loading` puts the two together.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from electra_span.config import HparamError, from_hparams
from electra_span.tokenization import base

VOCABULARY_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"
TOKENIZER_FILE = "tokenizer.json"

_TYPE_OF_CLASS = {
    "ElectraTokenizer": "wordpiece",
    "ElectraTokenizerFast": "wordpiece",
    "BertTokenizer": "wordpiece",
    "BertTokenizerFast": "wordpiece",
}
_DEFAULT_CLASS = "ElectraTokenizer"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordPieceSettings:
    """What a tokenizer_config.json says about WordPiece, with Hugging Face's defaults."""

    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True

    def __post_init__(self) -> None:
        if not self.tokenize_chinese_chars:
            raise base.VocabularyError("tokenize_chinese_chars must be true. Received: false")
        if self.strip_accents and not self.do_lower_case:
            raise base.VocabularyError("strip_accents must not be true where do_lower_case is false. Received: true")


def read_vocabulary(path: pathlib.Path) -> tuple[pathlib.Path, list[str]]:
    """Returns the file that holds a vocabulary, and its tokens in the order of their ids.

    Args:
        path: a file with one token a line, or a published folder, where that file is vocab.txt or, if transformers 5
            wrote the folder, the vocabulary is in tokenizer.json.

    Raises:
        VocabularyError: where the file is missing or unreadable.
    """
    if path.is_dir():
        if not (path / VOCABULARY_FILE).exists() and (path / TOKENIZER_FILE).exists():
            return path / TOKENIZER_FILE, _read_tokenizer_file(path / TOKENIZER_FILE)
        path = path / VOCABULARY_FILE
    text = _read_text(path)
    return path, [line.strip(" \t\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _read_tokenizer_file(path: pathlib.Path) -> list[str]:
    """Returns the tokens of a tokenizer.json in the order of their ids."""
    content = _read_json(path)
    model = content.get("model", {})
    if model.get("type") != "WordPiece":
        raise base.VocabularyError(f"{path}: the model must be WordPiece. Received: {model.get('type')}")
    ids = model["vocab"] | {token["content"]: token["id"] for token in content.get("added_tokens", [])}
    if sorted(ids.values()) != list(range(len(ids))):
        raise base.VocabularyError(f"{path}: ids must be 0, 1, 2 and so on, each once")
    return sorted(ids, key=ids.__getitem__)


def read_config(folder: pathlib.Path) -> dict[str, Any] | None:
    """Returns tokenizer_config.json with "tokenizer_type" filled in, or None where the folder has none.

    Raises:
        VocabularyError: for a file that is not JSON, or a tokenizer class without a known type.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        return None
    config = _read_json(path)
    if "tokenizer_type" not in config:
        name = config.get("tokenizer_class") or _DEFAULT_CLASS
        if name not in _TYPE_OF_CLASS:
            raise base.VocabularyError(
                f"{path}: tokenizer_class must be one of {', '.join(_TYPE_OF_CLASS)}. Received: {name!r}"
            )
        config["tokenizer_type"] = _TYPE_OF_CLASS[name]
    return config


def wordpiece_settings(folder: pathlib.Path, config: Mapping[str, Any]) -> WordPieceSettings:
    """Returns the WordPiece settings among those of a tokenizer.

    Args:
        folder: where config comes from, for errors.
        config: the content of a tokenizer_config.json; what else is in it does not matter.

    Raises:
        VocabularyError: for a setting of a wrong type, or one that WordPieceTokenizer does not have.
    """
    names = {field.name for field in dataclasses.fields(WordPieceSettings)}
    try:
        return from_hparams(WordPieceSettings, {name: config[name] for name in names & config.keys()})
    except (HparamError, base.VocabularyError) as error:
        raise base.VocabularyError(f"{folder / CONFIG_FILE}: {error}") from error


def bert_normalizer(*, do_lower_case: bool, strip_accents: bool) -> normalizers.Normalizer:
    """Returns the tokenizers library's form of the normalisation in `normalization`."""
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=strip_accents, lowercase=do_lower_case
    )


def write_wordpiece(
    directory: pathlib.Path,
    vocabulary: Sequence[str],
    settings: dict[str, Any],
    *,
    max_word_length: int,
    model_max_length: int | None,
) -> None:
    """Writes the three files of a WordPiece tokenizer.

    Args:
        directory: made if it is not there.
        vocabulary: tokens in the order of their ids.
        settings: WordPieceTokenizer.settings.
        max_word_length: in code points; longer words are unknown.
        model_max_length: in tokens; None leaves it out.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "tokenizer_class": _DEFAULT_CLASS,
        **settings,
        "tokenize_chinese_chars": True,
        "pad_token": base.PAD_TOKEN,
        "unk_token": base.UNK_TOKEN,
        "cls_token": base.CLS_TOKEN,
        "sep_token": base.SEP_TOKEN,
        "mask_token": base.MASK_TOKEN,
    }
    if model_max_length is not None:
        config["model_max_length"] = model_max_length
    (directory / VOCABULARY_FILE).write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    (directory / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    backend = _wordpiece_backend(
        vocabulary,
        bert_normalizer(do_lower_case=settings["do_lower_case"], strip_accents=settings["strip_accents"]),
        max_word_length,
    )
    backend.save(str(directory / TOKENIZER_FILE))


def _wordpiece_backend(
    vocabulary: Sequence[str], normalizer: normalizers.Normalizer, max_word_length: int
) -> tokenizers.Tokenizer:
    """Returns the tokenizers library's WordPiece, which puts [CLS] and [SEP] around a text or a pair."""
    ids = {token: token_id for token_id, token in enumerate(vocabulary)}
    backend = tokenizers.Tokenizer(
        models.WordPiece(vocab=ids, unk_token=base.UNK_TOKEN, max_input_chars_per_word=max_word_length)
    )
    backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.BertProcessing(
        (base.SEP_TOKEN, ids[base.SEP_TOKEN]), (base.CLS_TOKEN, ids[base.CLS_TOKEN])
    )
    backend.add_special_tokens(list(base.SPECIAL_TOKENS))
    return backend


def _read_text(path: pathlib.Path) -> str:
    """Returns the text of a UTF-8 file, without a byte order mark."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise base.VocabularyError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise base.VocabularyError(f"{path}: not UTF-8 at byte {error.start} ({error.reason})") from error


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object in a JSON file."""
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise base.VocabularyError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise base.VocabularyError(f"{path}: must be a JSON object. Received: {type(content).__name__}")
    return content

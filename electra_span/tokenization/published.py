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
from electra_span.tokenization.vocabulary import SpecialTokens, VocabularyError

VOCABULARY_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"
TOKENIZER_FILE = "tokenizer.json"

_TYPE_OF_CLASS = {
    "ElectraTokenizer": "wordpiece",
    "ElectraTokenizerFast": "wordpiece",
    "BertTokenizer": "wordpiece",
    "BertTokenizerFast": "wordpiece",
    "GPT2Tokenizer": "bpe",
    "GPT2TokenizerFast": "bpe",
    "RobertaTokenizer": "bpe",
    "RobertaTokenizerFast": "bpe",
}
# Classes of transformers whose tokenizer is whatever tokenizer.json says.
_ANY_TYPE = ("PreTrainedTokenizerFast", "TokenizersBackend")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordPieceSettings:
    """What a tokenizer_config.json says about WordPiece, with Hugging Face's defaults."""

    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True

    def __post_init__(self) -> None:
        if not self.tokenize_chinese_chars:
            raise VocabularyError("tokenize_chinese_chars must be true. Received: false")
        if self.strip_accents and not self.do_lower_case:
            raise VocabularyError("strip_accents must not be true where do_lower_case is false. Received: true")


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
    text = read_text(path)
    return path, [line.strip(" \t\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _read_tokenizer_file(path: pathlib.Path) -> list[str]:
    """Returns the tokens of a tokenizer.json in the order of their ids."""
    content = read_json(path)
    model = content.get("model", {})
    if model.get("type") != "WordPiece":
        raise VocabularyError(f"{path}: the model must be WordPiece. Received: {model.get('type')}")
    return all_tokens(path, content)


def all_tokens(path: pathlib.Path, content: Mapping[str, Any]) -> list[str]:
    """Returns the tokens of a tokenizer.json, added ones included, in the order of their ids."""
    added = {token["content"]: token["id"] for token in content.get("added_tokens", [])}
    return tokens_in_order(path, content["model"].get("vocab", {}) | added)


def tokens_in_order(path: pathlib.Path, ids: Mapping[str, int]) -> list[str]:
    """Returns tokens in the order of their ids.

    Args:
        path: where they are from, for errors.
        ids: by token.
    """
    if not all(type(token_id) is int for token_id in ids.values()) or sorted(ids.values()) != list(range(len(ids))):
        raise VocabularyError(f"{path}: ids must be 0, 1, 2 and so on, each once")
    return sorted(ids, key=ids.__getitem__)


def read_config(folder: pathlib.Path) -> dict[str, Any] | None:
    """Returns tokenizer_config.json, with "tokenizer_type" where its class tells; None where the folder has none.

    Raises:
        VocabularyError: for a file that is not JSON, or a tokenizer class without a known type.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        return None
    config = read_json(path)
    if "tokenizer_type" not in config:
        name = config.get("tokenizer_class")
        if name is None or name in _ANY_TYPE:
            return config
        if name not in _TYPE_OF_CLASS:
            raise VocabularyError(
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
    except (HparamError, VocabularyError) as error:
        raise VocabularyError(f"{folder / CONFIG_FILE}: {error}") from error


def bert_normalizer(*, do_lower_case: bool, strip_accents: bool) -> normalizers.Normalizer:
    """Returns the tokenizers library's form of the normalisation in `normalization`."""
    return normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=strip_accents, lowercase=do_lower_case
    )


def write_wordpiece(
    directory: pathlib.Path,
    vocabulary: Sequence[str],
    special_tokens: SpecialTokens,
    settings: dict[str, Any],
    *,
    max_word_length: int,
    model_max_length: int | None,
) -> None:
    """Writes the three files of a WordPiece tokenizer.

    Args:
        directory: made if it is not there.
        vocabulary: tokens in the order of their ids.
        special_tokens: their names.
        settings: WordPieceTokenizer.settings.
        max_word_length: in code points; longer words are unknown.
        model_max_length: in tokens; None leaves it out.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = {**generic_config("wordpiece"), **settings, "tokenize_chinese_chars": True}
    write_config(directory, config, special_tokens, model_max_length)
    (directory / VOCABULARY_FILE).write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    backend = _wordpiece_backend(
        vocabulary,
        special_tokens,
        bert_normalizer(do_lower_case=settings["do_lower_case"], strip_accents=settings["strip_accents"]),
        max_word_length,
    )
    backend.save(str(directory / TOKENIZER_FILE))


def write_config(
    directory: pathlib.Path, config: Mapping[str, Any], special_tokens: SpecialTokens, model_max_length: int | None
) -> None:
    """Writes tokenizer_config.json: config, the special tokens by role, and the longest input in tokens, if any."""
    names = {f"{role}_token": token for role, token in special_tokens._asdict().items()}
    longest = {} if model_max_length is None else {"model_max_length": model_max_length}
    write_json(directory / CONFIG_FILE, {**config, **names, **longest}, indent=2)


def generic_config(tokenizer_type: str) -> dict[str, Any]:
    """Returns what tokenizer_config.json says of a tokenizer that transformers reads from tokenizer.json.

    The class is the general one for WordPiece too: of ElectraTokenizer transformers 5 takes the vocabulary alone, and
    splits no word of more than 100 letters. That class does not know that the model reads segments.
    """
    return {
        "tokenizer_class": _ANY_TYPE[0],
        "tokenizer_type": tokenizer_type,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }


def around_texts(vocabulary: Sequence[str], special_tokens: SpecialTokens) -> dict[str, Any]:
    """Returns tokenizer.json's post-processor that puts [CLS] and [SEP] around a text or a pair, as ELECTRA's."""
    cls, sep = special_tokens.cls, special_tokens.sep
    processor = processors.TemplateProcessing(
        single=[cls, "$A", sep],
        pair=[cls, "$A", sep, "$B:1", f"{sep}:1"],
        special_tokens=[(token, vocabulary.index(token)) for token in (cls, sep)],
    )
    return json.loads(processor.__getstate__())


def _wordpiece_backend(
    vocabulary: Sequence[str], special_tokens: SpecialTokens, normalizer: normalizers.Normalizer, max_word_length: int
) -> tokenizers.Tokenizer:
    """Returns the tokenizers library's WordPiece, which puts [CLS] and [SEP] around a text or a pair."""
    ids = {token: token_id for token_id, token in enumerate(vocabulary)}
    backend = tokenizers.Tokenizer(
        models.WordPiece(vocab=ids, unk_token=special_tokens.unk, max_input_chars_per_word=max_word_length)
    )
    backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.BertProcessing(
        (special_tokens.sep, ids[special_tokens.sep]), (special_tokens.cls, ids[special_tokens.cls])
    )
    backend.add_special_tokens(list(special_tokens))
    return backend


def read_text(path: pathlib.Path) -> str:
    """Returns the text of a UTF-8 file, without a byte order mark."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise VocabularyError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise VocabularyError(f"{path}: not UTF-8 at byte {error.start} ({error.reason})") from error


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object in a JSON file."""
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise VocabularyError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise VocabularyError(f"{path}: must be a JSON object. Received: {type(content).__name__}")
    return content


def write_json(path: pathlib.Path, content: Mapping[str, Any], indent: int | None = None) -> None:
    """Writes an object as JSON, not escaped."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")

"""The files of a published tokenizer that every kind has, as Hugging Face's: what stands beside a vocabulary.

This module knows the files, not the tokenizers; `loading` puts the two together.
"""

import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging
from tokenizers import processors

from electra_span import files
from electra_span.containers import HEAD_BYTES, container_of
from electra_span.files import shown
from electra_span.tokenization.vocabulary import SpecialTokens, VocabularyError

VOCABULARY_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"
TOKENIZER_FILE = "tokenizer.json"
_SPECIAL_TOKENS_FILE = "special_tokens_map.json"
_ADDED_TOKENS_FILE = "added_tokens.json"
_MODEL_CONFIG_FILE = "config.json"
STALE_FILES = (_SPECIAL_TOKENS_FILE, _ADDED_TOKENS_FILE)  # not written here, and wrong beside what is

_WORDPIECE_CLASSES = ("ElectraTokenizer", "ElectraTokenizerFast", "BertTokenizer", "BertTokenizerFast")
_BPE_CLASSES = ("GPT2Tokenizer", "GPT2TokenizerFast", "RobertaTokenizer", "RobertaTokenizerFast")
_TYPE_OF_CLASS = {**dict.fromkeys(_WORDPIECE_CLASSES, "wordpiece"), **dict.fromkeys(_BPE_CLASSES, "bpe")}
# Classes of transformers whose tokenizer is whatever tokenizer.json says.
_ANY_TYPE = ("PreTrainedTokenizerFast", "TokenizersBackend")
# Models for which transformers takes a class of the table where nothing names one.
_TYPE_OF_MODEL = {"bert": "wordpiece", "electra": "wordpiece", "gpt2": "bpe", "roberta": "bpe"}
_LISTS_OF_TOKENS = ("additional_special_tokens", "extra_special_tokens")
_PIECE_AND_SCORE = re.compile(r".+\t-?\d+(\.\d+)?(e-?\d+)?")  # a line of SentencePiece's .vocab


class Beside(NamedTuple):
    """What the other files of a folder say of a tokenizer; nothing, for a file alone.

    Attributes:
        config: tokenizer_config.json, and what special_tokens_map.json has; empty where there are no such files.
        tokenizer_class: the class of transformers, as the settings of the tokenizer or else of the model name it.
        model_type: of the model, where no class is named.
        added_tokens: by content, each as in tokenizer.json; one without "id" follows the vocabulary, if not in it.
        has_all_added: whether transformers takes no others from tokenizer.json for a class that it rebuilds.
    """

    config: Mapping[str, Any]
    tokenizer_class: str | None = None
    model_type: str | None = None
    added_tokens: Mapping[str, Mapping[str, Any]] = {}
    has_all_added: bool = False

    @property
    def tokenizer_type(self) -> Any:
        """The kind that the files name, None where none does."""
        return self.config.get("tokenizer_type") or _TYPE_OF_CLASS.get(self.tokenizer_class or "")

    def is_rebuilt(self, tokenizer_type: str) -> bool:
        """Whether transformers builds the tokenizer by its class, and takes only the vocabulary from tokenizer.json."""
        if self.tokenizer_class is None:
            return _TYPE_OF_MODEL.get(self.model_type or "") == tokenizer_type
        return _TYPE_OF_CLASS.get(self.tokenizer_class) == tokenizer_type


def read_beside(path: pathlib.Path) -> Beside:
    """Returns what stands beside the vocabulary of a folder, nothing for a file.

    As transformers 4 and 5 write and read it: tokenizer_config.json, with all added tokens in `added_tokens_decoder`;
    where it lacks that, special_tokens_map.json and added_tokens.json.

    Raises:
        VocabularyError: for a file that is not JSON, a value of a wrong type, or a class without a known type.
    """
    if not path.is_dir():
        return Beside({})
    config = _read_if_there(path / CONFIG_FILE)
    for name in ("tokenizer_class", "tokenizer_type"):
        if not isinstance(config.get(name), str | None):
            raise VocabularyError(
                f"{path / CONFIG_FILE}: {name} must be a string or null. Received: {shown(repr(config[name]))}"
            )
    tokenizer_class, model_type = _class_of(path, config)
    added = _decoder_tokens(path / CONFIG_FILE, config)
    has_all_added = added is not None
    if added is None:
        config = {**config, **_read_if_there(path / _SPECIAL_TOKENS_FILE)}
        added = _listed_tokens(path, config)
    for token in _more_special_tokens(path / CONFIG_FILE, config):
        added.setdefault(token["content"], token)
    return Beside(config, tokenizer_class, model_type, added, has_all_added)


def _read_if_there(path: pathlib.Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _class_of(folder: pathlib.Path, config: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Returns the class of transformers, or else the type of the model, as far as the files name them."""
    path, name, model = folder / CONFIG_FILE, config.get("tokenizer_class"), {}
    if name is None:
        path = folder / _MODEL_CONFIG_FILE
        model = _read_if_there(path)
        name = model.get("tokenizer_class")
    if name is None:
        return None, str(model.get("model_type"))
    known = (*_TYPE_OF_CLASS, *_ANY_TYPE)
    if "tokenizer_type" not in config and name not in known:
        raise VocabularyError(
            f"{path}: tokenizer_class must be one of {', '.join(known)}. Received: {shown(repr(name))}"
        )
    return str(name), None


def _decoder_tokens(path: pathlib.Path, config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | None:
    """Returns the tokens in added_tokens_decoder, None where it is not there."""
    decoder = config.get("added_tokens_decoder")
    if decoder is None:
        return None
    if not isinstance(decoder, Mapping) or not all(number.isdecimal() for number in decoder):
        raise VocabularyError(
            f"{path}: added_tokens_decoder must be an object with ids as names. Received: {shown(repr(decoder))}"
        )
    return _by_content(path, ({**_token(path, token), "id": int(number)} for number, token in decoder.items()))


def _listed_tokens(folder: pathlib.Path, config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Returns the tokens of added_tokens.json, whose ids it names; special are those that the settings name."""
    path, settings = folder / _ADDED_TOKENS_FILE, folder / CONFIG_FILE
    special = {
        token["content"]
        for name, value in config.items()
        if name.endswith("_token") and value is not None and (token := _token(settings, value))
    } | {token["content"] for token in _more_special_tokens(settings, config)}
    ids = _read_if_there(path)
    return _by_content(
        path, ({**_token(path, token, special=token in special), "id": token_id} for token, token_id in ids.items())
    )


def _more_special_tokens(path: pathlib.Path, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the special tokens beside those of the five roles that settings list."""
    found = []
    for name in _LISTS_OF_TOKENS:
        tokens = config.get(name) or []
        if not isinstance(tokens, Sequence | Mapping) or isinstance(tokens, str):
            raise VocabularyError(f"{path}: {name} must be a list of tokens. Received: {shown(repr(tokens))}")
        found += [_token(path, token) for token in (tokens.values() if isinstance(tokens, Mapping) else tokens)]
    return found


def _token(path: pathlib.Path, token: Any, *, special: bool = True) -> dict[str, Any]:
    """Returns an added token as in tokenizer.json: transformers writes them as strings, or as objects."""
    if isinstance(token, str):
        token = {"content": token, "special": special}
    if not isinstance(token, Mapping) or not isinstance(token.get("content"), str) or not token["content"]:
        raise VocabularyError(
            f"{path}: a token must be a string, or an object with its content. Received: {shown(repr(token))}"
        )
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": not token.get("special", special)}
    known = {name: value for name, value in token.items() if name != "__type"}
    return {**flags, "special": special, **known}


def _by_content(path: pathlib.Path, tokens: Any) -> dict[str, Mapping[str, Any]]:
    by_content = {}
    for token in tokens:
        if type(token["id"]) is not int:
            raise VocabularyError(f"{path}: the id of a token must be a number. Received: {shown(repr(token['id']))}")
        by_content[token["content"]] = token
    return by_content


def find_tokenizer_file(path: pathlib.Path) -> pathlib.Path | None:
    """Returns the tokenizer.json of a folder, or a file of that form itself; None where there is none."""
    if path.is_dir():
        return path / TOKENIZER_FILE if (path / TOKENIZER_FILE).exists() else None
    return path if path.suffix == ".json" and has_model(read_json(path)) else None


def has_model(content: Mapping[str, Any]) -> bool:
    """Returns whether content is a tokenizer.json, and not a vocab.json that has a token named "model"."""
    return type(content.get("model", 0)) is not int


def find_vocabulary_file(path: pathlib.Path) -> pathlib.Path:
    """Returns the file that a WordPiece vocabulary is read from: a folder's tokenizer.json or else its vocab.txt."""
    if not path.is_dir():
        return path
    return find_tokenizer_file(path) or path / VOCABULARY_FILE


def model_of(path: pathlib.Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the model of a tokenizer.json, its type added where an older version of the library left it out.

    Args:
        path: where the content is from, for errors.
        content: of the file.
    """
    model = content.get("model")
    if not isinstance(model, Mapping):
        raise VocabularyError(f"{path}: model must be an object. Received: {shown(repr(model))}")
    if "type" in model:
        return dict(model)
    by_field = {"merges": "BPE", "continuing_subword_prefix": "WordPiece", "unk_id": "Unigram"}
    return {"type": next((kind for field, kind in by_field.items() if field in model), None), **model}


def all_added(
    path: pathlib.Path, content: Mapping[str, Any], beside: Beside, *, is_rebuilt: bool
) -> dict[str, Mapping[str, Any]]:
    """Returns the added tokens of a tokenizer.json and of the files beside it, as in Beside.

    Args:
        path: of the file, for errors.
        content: of the file.
        beside: the other files; what they say of a token wins, as in transformers.
        is_rebuilt: whether transformers takes only the vocabulary from the file.

    Raises:
        VocabularyError: for a token of a wrong form, or one that transformers would leave out.
    """
    tokens = content.get("added_tokens") or []
    if not isinstance(tokens, list):
        raise VocabularyError(f"{path}: added_tokens must be a list. Received: {shown(repr(tokens))}")
    added = _by_content(path, ({"id": None, **_token(path, token, special=False)} for token in tokens))
    left_out = [token for token in added if token not in beside.added_tokens]
    if is_rebuilt and beside.has_all_added and left_out:
        raise VocabularyError(
            f"{path}: its added tokens must be in added_tokens_decoder of {CONFIG_FILE}, too, which transformers takes "
            f"them from. Received: {left_out[0]!r} in the first alone"
        )
    return {**added, **{name: {**added.get(name, {}), **token} for name, token in beside.added_tokens.items()}}


def warn_of_unused(file: pathlib.Path, unused: Sequence[str], beside: Beside) -> None:
    """Logs what a tokenizer.json says in vain, as of its class transformers takes only the vocabulary."""
    logging.warning(
        "%s: not used are %s: of the class %s transformers 5 takes the vocabulary alone, and so does this program. To "
        "use them, set tokenizer_class to %s in %s",
        file, ", ".join(unused), beside.tokenizer_class or f"for {beside.model_type}", _ANY_TYPE[0], CONFIG_FILE,
    )  # fmt: skip


def vocabulary_of(
    path: pathlib.Path, listed: Mapping[str, Any], added_tokens: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Returns all tokens in the order of their ids.

    Args:
        path: where they are from, for errors.
        listed: ids of the model's own.
        added_tokens: as in Beside.
    """
    if not isinstance(listed, Mapping):
        raise VocabularyError(f"{path}: vocab must be an object. Received: {type(listed).__name__}")
    ids = {**listed, **{name: token["id"] for name, token in added_tokens.items() if "id" in token}}
    return [*tokens_in_order(path, ids), *(token for token in added_tokens if token not in ids)]


def tokens_in_order(path: pathlib.Path, ids: Mapping[str, int]) -> list[str]:
    """Returns tokens in the order of their ids.

    Args:
        path: where they are from, for errors.
        ids: by token.
    """
    if not all(type(token_id) is int for token_id in ids.values()) or sorted(ids.values()) != list(range(len(ids))):
        raise VocabularyError(f"{path}: ids must be 0, 1, 2 and so on, each once")
    return sorted(ids, key=ids.__getitem__)


def lines_of(text: str) -> list[str]:
    """Returns the tokens of the text of a vocab.txt, in the order of their ids."""
    return [line.strip(" \t\r") for line in text.removesuffix("\n").split("\n")] if text else []


def check_is_list_of_tokens(path: pathlib.Path, text: str) -> None:
    """Checks that a text is no known file of another kind than one token a line.

    Args:
        path: of the file, for errors.
        text: of the file.

    Raises:
        VocabularyError: it is; the message says which file to give, or under which name.
    """
    if _is_json(text):
        raise VocabularyError(
            f"{path}: must have one token a line. Received: JSON; a vocab.json or tokenizer.json must have a name "
            "that ends in .json"
        )
    lines = text.splitlines()
    if lines and all(map(_PIECE_AND_SCORE.fullmatch, lines)):
        raise VocabularyError(
            f"{path}: must have one token a line. Received: pieces with scores, as SentencePiece lists them; give the "
            f"model they were listed from, {path.with_suffix('.model').name}"
        )


def _is_json(text: str) -> bool:
    """Returns whether a text is JSON, or begins as an object of JSON does."""
    if re.match(r'\s*\{\s*"', text):
        return True
    if not (text.lstrip().startswith(("{", "[")) and text.rstrip().endswith(("}", "]"))):
        return False
    try:
        files.parse_json(text, "text")
    except files.JsonError:
        return False
    return True


def write_config(
    directory: pathlib.Path, config: Mapping[str, Any], special_tokens: SpecialTokens, model_max_length: int | None
) -> None:
    """Writes tokenizer_config.json: config, the special tokens by role, and the longest input in tokens, if any.

    Files that would say something else are removed.
    """
    for name in STALE_FILES:
        (directory / name).unlink(missing_ok=True)
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


def added_with_special(
    vocabulary: Sequence[str], added_tokens: Sequence[Mapping[str, Any]], special_tokens: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns added_tokens of a tokenizer.json, in the order of their ids.

    Args:
        vocabulary: all tokens, in the order of their ids.
        added_tokens: found in texts as they are.
        special_tokens: those that transformers is to find in texts, too.
    """
    ids = {token: token_id for token_id, token in enumerate(vocabulary)}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    special = [{"content": token, **flags} for token in special_tokens]
    added = [{**token, "special": False} for token in added_tokens if token["content"] not in special_tokens]
    return sorted(({**token, "id": ids[token["content"]]} for token in [*added, *special]), key=lambda each: each["id"])


def read_text(path: pathlib.Path) -> str:
    """Returns the text of a UTF-8 file, without a byte order mark."""
    try:
        content = path.read_bytes()
        container = container_of(content[:HEAD_BYTES])
        if container is not None:
            raise VocabularyError(f"{path}: must be text. Received: {container}")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise VocabularyError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise VocabularyError(f"{path}: not UTF-8 at byte {error.start} ({error.reason})") from error


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object in a JSON file."""
    try:
        return files.read_json_object(path)
    except files.JsonError as error:
        raise VocabularyError(str(error)) from error


def write_json(path: pathlib.Path, content: Mapping[str, Any], indent: int | None = None) -> None:
    """Writes an object as JSON, not escaped."""
    files.write_text(path, json.dumps(content, ensure_ascii=False, indent=indent) + "\n")

"""Tokenizers from a vocabulary file or a published folder."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from electra_span.tokenization import bpe_files, published, sentencepiece_files
from electra_span.tokenization.base import Tokenizer
from electra_span.tokenization.byte_level_bpe import ByteLevelBpeTokenizer
from electra_span.tokenization.sentencepiece_tokenizer import SentencePieceTokenizer
from electra_span.tokenization.vocabulary import VocabularyError, missing_special_tokens
from electra_span.tokenization.wordpiece import WordPieceTokenizer


class ExtendedTokenizer(NamedTuple):
    """A tokenizer, and which special tokens were appended to its vocabulary."""

    tokenizer: Tokenizer
    added: list[str]


def load_tokenizer(
    path: str | pathlib.Path, do_lower_case: bool = True, strip_accents: bool | None = None
) -> Tokenizer:
    """Returns the tokenizer of a vocabulary file or a published folder, whose files tell its type.

    Args:
        path: a WordPiece vocabulary, one token a line; a vocab.json (with merges.txt beside it) or tokenizer.json of
            byte-level BPE; a .model of SentencePiece; or a folder. Where a folder has a tokenizer_config.json, its
            settings hold, and not the other arguments.
        do_lower_case: whether texts are lowered; for WordPiece only, the others have it in their files.
        strip_accents: whether accents are dropped from lowered texts, for WordPiece; None means as do_lower_case.

    Raises:
        VocabularyError: names the file and what is wrong with it: missing, empty, not UTF-8, a token twice, a special
            token missing, or settings of a tokenizer that is not known here.
    """
    return _load(pathlib.Path(path), do_lower_case, strip_accents, add=False).tokenizer


def load_with_special_tokens(
    path: str | pathlib.Path, do_lower_case: bool = True, strip_accents: bool | None = None
) -> ExtendedTokenizer:
    """Returns a tokenizer with the special tokens that its vocabulary lacks appended to it; see load_tokenizer."""
    return _load(pathlib.Path(path), do_lower_case, strip_accents, add=True)


def _load(path: pathlib.Path, do_lower_case: bool, strip_accents: bool | None, *, add: bool) -> ExtendedTokenizer:
    config: Mapping[str, Any] | None = published.read_config(path) if path.is_dir() else None
    if config is None:
        config = {"do_lower_case": do_lower_case, "strip_accents": do_lower_case and strip_accents}
    tokenizer_type = config.get("tokenizer_type") or _type_of_files(path)
    if tokenizer_type not in _LOADERS:
        raise VocabularyError(
            f"{path / published.CONFIG_FILE}: tokenizer_type must be one of {', '.join(_LOADERS)}. "
            f"Received: {tokenizer_type!r}"
        )
    return _LOADERS[tokenizer_type](path, config, add)


def _type_of_files(path: pathlib.Path) -> str:
    """Returns the type of a file, or of a folder without settings that tell it."""
    if sentencepiece_files.find_model(path) is not None:
        return "sentencepiece"
    if not path.is_dir():
        return "bpe" if path.suffix == ".json" or path.name == bpe_files.MERGES_FILE else "wordpiece"
    if (path / published.VOCABULARY_FILE).exists():
        return "wordpiece"
    if (path / published.TOKENIZER_FILE).exists():
        model = published.read_json(path / published.TOKENIZER_FILE).get("model", {})
        return "wordpiece" if model.get("type") == "WordPiece" else "bpe"
    return "bpe" if (path / bpe_files.VOCABULARY_FILE).exists() else "wordpiece"


def _load_wordpiece(path: pathlib.Path, config: Mapping[str, Any], add: bool) -> ExtendedTokenizer:
    settings = published.wordpiece_settings(path, config)
    file, vocabulary = published.read_vocabulary(path)
    added = missing_special_tokens(vocabulary, config) if add else []
    try:
        tokenizer = WordPieceTokenizer(
            [*vocabulary, *added], settings.do_lower_case, settings.strip_accents, config=config
        )
    except VocabularyError as error:
        raise VocabularyError(f"{file}: {error}") from error
    return ExtendedTokenizer(tokenizer, added)


def _load_bpe(path: pathlib.Path, config: Mapping[str, Any], add: bool) -> ExtendedTokenizer:
    description = bpe_files.read_bpe(path)
    added = missing_special_tokens(description.vocabulary, config) if add else []
    description = dataclasses.replace(description, vocabulary=[*description.vocabulary, *added])
    try:
        return ExtendedTokenizer(ByteLevelBpeTokenizer(description, config), added)
    except VocabularyError as error:
        raise VocabularyError(f"{path}: {error}") from error


def _load_sentencepiece(path: pathlib.Path, config: Mapping[str, Any], add: bool) -> ExtendedTokenizer:
    file = sentencepiece_files.find_model(path)
    if file is None:
        raise VocabularyError(f"{path}: must hold a .model file of SentencePiece; copy that of the tokenizer into it")
    model = sentencepiece_files.read_model(file)
    try:
        pieces = [piece.piece for piece in sentencepiece_files.parse_model(model).pieces]
        added = missing_special_tokens(pieces, config) if add else []
        if added:
            model = sentencepiece_files.with_control_symbols(model, added)
        return ExtendedTokenizer(SentencePieceTokenizer(model, config), added)
    except VocabularyError as error:
        raise VocabularyError(f"{file}: {error}") from error


_LOADERS: Mapping[str, Callable[[pathlib.Path, Mapping[str, Any], bool], ExtendedTokenizer]] = {
    WordPieceTokenizer.tokenizer_type: _load_wordpiece,
    ByteLevelBpeTokenizer.tokenizer_type: _load_bpe,
    SentencePieceTokenizer.tokenizer_type: _load_sentencepiece,
}

"""Tokenizers from a vocabulary file or a published folder."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from electra_span.containers import check_hub_snapshot
from electra_span.files import shown
from electra_span.folders import read_unchanged
from electra_span.tokenization import byte_level_bpe, published, sentencepiece_tokenizer, wordpiece_files
from electra_span.tokenization.base import Tokenizer
from electra_span.tokenization.byte_level_bpe import ByteLevelBpeTokenizer
from electra_span.tokenization.library_tokenizer import LibraryTokenizer, LibraryWordPieceTokenizer
from electra_span.tokenization.published import Beside
from electra_span.tokenization.sentencepiece_tokenizer import SentencePieceTokenizer
from electra_span.tokenization.vocabulary import VocabularyError, find_special_tokens, missing_special_tokens
from electra_span.tokenization.wordpiece import LARGEST_MAX_WORD_LENGTH, WordPieceTokenizer
from electra_span.tokenization.wordpiece_files import Case, WordPieceDescription


class ExtendedTokenizer(NamedTuple):
    """A tokenizer, and which special tokens were appended to its vocabulary."""

    tokenizer: Tokenizer
    added: list[str]


def load_tokenizer(
    path: str | pathlib.Path, do_lower_case: bool = True, strip_accents: bool | None = None
) -> Tokenizer:
    """Returns the tokenizer of a vocabulary file or a published folder, whose files tell its type.

    Args:
        path: a WordPiece vocabulary, one token a line; a vocab.json (with merges.txt beside it) of byte-level BPE; a
            tokenizer.json of either; a .model of SentencePiece; or a folder. What a folder's files say of letters
            holds, and not the other arguments; a warning tells where false is not followed.
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
    """Returns the tokenizer of one writing of a folder's files, which another process may be replacing."""
    return read_unchanged(path, lambda: _load_files(path, Case(do_lower_case, strip_accents), add))


def _load_files(path: pathlib.Path, case: Case, add: bool) -> ExtendedTokenizer:
    check_hub_snapshot(path)
    beside = published.read_beside(path)
    tokenizer_type = beside.tokenizer_type or _type_of_files(path)
    if not isinstance(tokenizer_type, str) or tokenizer_type not in _LOADERS:
        raise VocabularyError(
            f"{path / published.CONFIG_FILE}: tokenizer_type must be one of {', '.join(_LOADERS)}. "
            f"Received: {shown(repr(tokenizer_type))}"
        )
    loaded = _LOADERS[tokenizer_type](path, beside, case, add)
    others = loaded.tokenizer.other_special_tokens if isinstance(loaded.tokenizer, LibraryTokenizer) else []
    if others:
        names = shown(", ".join(others))
        logging.warning("%s: special tokens are found in no text, but by transformers: %s", path, names)
    return loaded


def _type_of_files(path: pathlib.Path) -> str:
    """Returns the type of a file, or of a folder without settings that tell it."""
    if sentencepiece_tokenizer.find_model(path) is not None:
        return "sentencepiece"
    if path.is_dir() and (path / published.VOCABULARY_FILE).exists():
        return "wordpiece"
    file = published.find_tokenizer_file(path)
    if file is not None:
        return "wordpiece" if published.model_of(file, published.read_json(file))["type"] == "WordPiece" else "bpe"
    if path.is_dir():
        return "bpe" if (path / byte_level_bpe.VOCABULARY_FILE).exists() else "wordpiece"
    return "bpe" if path.suffix == ".json" or path.name == byte_level_bpe.MERGES_FILE else "wordpiece"


def _load_wordpiece(path: pathlib.Path, beside: Beside, case: Case, add: bool) -> ExtendedTokenizer:
    description = wordpiece_files.read_wordpiece(path, beside, case)
    named = {} if description.unk_token is None else {"unk_token": description.unk_token}
    config = {**beside.config, **named}
    added = missing_special_tokens(description.vocabulary, config) if add else []
    description = dataclasses.replace(description, vocabulary=[*description.vocabulary, *added])
    try:
        tokenizer = _wordpiece_of(description, config)
    except VocabularyError as error:
        raise VocabularyError(f"{published.find_vocabulary_file(path)}: {error}") from error
    for name, is_wanted, is_done in (
        ("do_lower_case", case.do_lower_case, wordpiece_files.lowers(description.normalizer)),
        ("strip_accents", case.strip_accents, wordpiece_files.strips(description.normalizer)),
    ):
        if is_wanted is False and is_done:
            logging.warning("%s: %s is true by its files. Not followed: false", path, name)
    return ExtendedTokenizer(tokenizer, added)


def _wordpiece_of(description: WordPieceDescription, config: Mapping[str, Any]) -> Tokenizer:
    """Returns the tokenizer in graph operations where the rules are BERT's, else the library's.

    The graph operations take a token with a blank in it for what two words can be together.
    """
    normalizer = wordpiece_files.resolved(description.normalizer)
    do_lower_case, strip_accents = wordpiece_files.lowers(normalizer), wordpiece_files.strips(normalizer)
    added = [*description.other_special_tokens, *(token["content"] for token in description.added_tokens)]
    is_usual = (
        normalizer == wordpiece_files.bert_normalizer(do_lower_case, strip_accents)
        and (do_lower_case or not strip_accents)
        and description.pre_tokenizer == wordpiece_files.BERT_WORDS
        and description.prefix == wordpiece_files.PREFIX
        and description.max_word_length <= LARGEST_MAX_WORD_LENGTH
        and set(added) <= set(find_special_tokens(description.vocabulary, config))
        and not any(len(token.split()) > 1 or token != token.strip() for token in description.vocabulary)
    )
    if not is_usual:
        return LibraryWordPieceTokenizer(description, config)
    return WordPieceTokenizer(description.vocabulary, do_lower_case, strip_accents, config, description.max_word_length)


def _load_bpe(path: pathlib.Path, beside: Beside, case: Case, add: bool) -> ExtendedTokenizer:
    description = byte_level_bpe.read_bpe(path, beside)
    added = missing_special_tokens(description.vocabulary, beside.config) if add else []
    description = dataclasses.replace(description, vocabulary=[*description.vocabulary, *added])
    try:
        return ExtendedTokenizer(ByteLevelBpeTokenizer(description, beside.config), added)
    except VocabularyError as error:
        raise VocabularyError(f"{path}: {error}") from error


def _load_sentencepiece(path: pathlib.Path, beside: Beside, case: Case, add: bool) -> ExtendedTokenizer:
    file = sentencepiece_tokenizer.find_model(path)
    if file is None:
        raise VocabularyError(f"{path}: must hold a .model file of SentencePiece; copy that of the tokenizer into it")
    model = sentencepiece_tokenizer.read_model(file)
    try:
        pieces = [piece.piece for piece in sentencepiece_tokenizer.parse_model(model).pieces]
        beyond = _tokens_beyond(path, pieces, beside)
        added = missing_special_tokens([*pieces, *beyond], beside.config) if add else []
        if beyond or added:
            model = sentencepiece_tokenizer.with_control_symbols(model, [*beyond, *added])
        return ExtendedTokenizer(SentencePieceTokenizer(model, beside.config), added)
    except VocabularyError as error:
        raise VocabularyError(f"{file}: {error}") from error


def _tokens_beyond(path: pathlib.Path, pieces: Sequence[str], beside: Beside) -> list[str]:
    """Returns the special tokens that other files add to a model of SentencePiece, in the order of their ids."""
    ids = {piece: number for number, piece in enumerate(pieces)}
    beyond = published.vocabulary_of(path, ids, beside.added_tokens)[len(pieces) :]
    for token in beyond:
        if not beside.added_tokens[token]["special"]:
            raise VocabularyError(
                f"added tokens must be special, or pieces of the model. Received: {shown(repr(token))}"
            )
    return beyond


_LOADERS: Mapping[str, Callable[[pathlib.Path, Beside, Case, bool], ExtendedTokenizer]] = {
    WordPieceTokenizer.tokenizer_type: _load_wordpiece,
    ByteLevelBpeTokenizer.tokenizer_type: _load_bpe,
    SentencePieceTokenizer.tokenizer_type: _load_sentencepiece,
}

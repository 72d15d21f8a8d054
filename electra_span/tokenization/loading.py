"""Tokenizers from a vocabulary file or a published folder."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from electra_span.tokenization import published
from electra_span.tokenization.base import Tokenizer, VocabularyError
from electra_span.tokenization.wordpiece import WordPieceTokenizer


def load_tokenizer(
    path: str | pathlib.Path, do_lower_case: bool = True, strip_accents: bool | None = None
) -> Tokenizer:
    """Returns the tokenizer of a vocabulary file or a published folder.

    Args:
        path: a WordPiece vocabulary, one token a line, or a folder. Where the folder has a tokenizer_config.json, its
            settings hold, and not the other arguments.
        do_lower_case: whether texts are lowered.
        strip_accents: whether accents are dropped from lowered texts; None means as do_lower_case.

    Raises:
        VocabularyError: names the file and what is wrong with it: missing, empty, not UTF-8, a token twice, a special
            token missing, or settings of a tokenizer that is not known here.
    """
    path = pathlib.Path(path)
    config: Mapping[str, Any] = {
        "tokenizer_type": WordPieceTokenizer.tokenizer_type,
        "do_lower_case": do_lower_case,
        "strip_accents": do_lower_case and strip_accents,
    }
    if path.is_dir():
        config = published.read_config(path) or config
    tokenizer_type = config["tokenizer_type"]
    if tokenizer_type not in _LOADERS:
        raise VocabularyError(
            f"{path / published.CONFIG_FILE}: tokenizer_type must be one of {', '.join(_LOADERS)}. "
            f"Received: {tokenizer_type!r}"
        )
    return _LOADERS[tokenizer_type](path, config)


def _load_wordpiece(path: pathlib.Path, config: Mapping[str, Any]) -> WordPieceTokenizer:
    """Returns the WordPiece tokenizer of a vocabulary file or folder, with the settings in config."""
    settings = published.wordpiece_settings(path, config)
    file, vocabulary = published.read_vocabulary(path)
    try:
        return WordPieceTokenizer(vocabulary, settings.do_lower_case, settings.strip_accents)
    except VocabularyError as error:
        raise VocabularyError(f"{file}: {error}") from error


_LOADERS: Mapping[str, Callable[[pathlib.Path, Mapping[str, Any]], Tokenizer]] = {
    WordPieceTokenizer.tokenizer_type: _load_wordpiece,
}

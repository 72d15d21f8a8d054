"""Tokenizers: one interface, algorithms of well-kept libraries behind it."""

from electra_span.tokenization.base import FlatIds, IdsWithOffsets, Tokenizer, VocabularyError
from electra_span.tokenization.loading import load_tokenizer
from electra_span.tokenization.wordpiece import WordPieceTokenizer

__all__ = ["FlatIds", "IdsWithOffsets", "Tokenizer", "VocabularyError", "WordPieceTokenizer", "load_tokenizer"]

"""Tokenizers: one interface, algorithms of well-kept libraries behind it."""

from electra_span.tokenization.base import FlatIds, IdsWithOffsets, RaggedTokens, Tokenizer
from electra_span.tokenization.byte_level_bpe import ByteLevelBpeTokenizer
from electra_span.tokenization.loading import load_tokenizer, load_with_special_tokens
from electra_span.tokenization.sentencepiece_tokenizer import SentencePieceTokenizer
from electra_span.tokenization.vocabulary import VocabularyError
from electra_span.tokenization.wordpiece import WordPieceTokenizer

__all__ = [
    "ByteLevelBpeTokenizer",
    "FlatIds",
    "IdsWithOffsets",
    "RaggedTokens",
    "SentencePieceTokenizer",
    "Tokenizer",
    "VocabularyError",
    "WordPieceTokenizer",
    "load_tokenizer",
    "load_with_special_tokens",
]

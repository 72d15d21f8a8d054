"""Vocabularies learned from text, with the tokenizers library.

Left alone, that library gives another vocabulary on every run, because the order of its pieces of one character, which
decides between equally frequent pairs, is that of a hash table. Here the characters are chosen and ordered before.
"""

import collections
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from electra_span.tokenization.vocabulary import SPECIAL_TOKENS, VocabularyError, check_special_tokens

CHARACTER_COVERAGE = 0.99999
# Characters make up at most this share of the vocabulary: the rest is for longer pieces.
_MAX_CHARACTERS_SHARE = 0.5
# Longer tokens, in UTF-8, are more than tensorflow_text takes.
_MAX_TOKEN_BYTES = 256


class LearnedVocabulary(NamedTuple):
    """A vocabulary, and how much text it is of."""

    tokens: list[str]
    num_lines: int


def train_wordpiece(
    read_lines: Callable[[], Iterable[str]],
    *,
    vocab_size: int,
    do_lower_case: bool = True,
    strip_accents: bool | None = None,
    min_frequency: int = 2,
    character_coverage: float = CHARACTER_COVERAGE,
    special_tokens: Sequence[str] = SPECIAL_TOKENS,
) -> LearnedVocabulary:
    """Returns a WordPiece vocabulary learned from text: special tokens, characters, then longer pieces.

    The same lines, in any order, give the same vocabulary.

    Args:
        read_lines: returns the lines, from the first one at each of its two calls.
        vocab_size: the number of tokens; fewer come out where the text has not so many pieces.
        do_lower_case: whether texts are lowered.
        strip_accents: whether accents are dropped from lowered texts; None means as do_lower_case.
        min_frequency: how often a piece must be in the text.
        character_coverage: the share of the text that the vocabulary's characters make up; rarer ones are unknown.
        special_tokens: in the order of their ids, those of the five roles among them.

    Raises:
        VocabularyError: for a number out of range, special tokens that do not have all roles, or too little text.
    """
    names = check_special_tokens(special_tokens)
    min_vocab_size = 2 * len(special_tokens)
    if vocab_size < min_vocab_size:
        raise VocabularyError(f"vocab_size must be at least {min_vocab_size}. Received: {vocab_size}")
    if not 0 < character_coverage <= 1:
        raise VocabularyError(f"character_coverage must be above 0 and at most 1. Received: {character_coverage}")
    if min_frequency < 1:
        raise VocabularyError(f"min_frequency must be at least 1. Received: {min_frequency}")
    backend = tokenizers.Tokenizer(models.WordPiece(unk_token=names.unk))
    backend.normalizer = normalizers.BertNormalizer(
        lowercase=do_lower_case, strip_accents=do_lower_case and strip_accents is not False
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    counts, num_lines = _count_characters(read_lines(), backend.normalizer)
    max_pieces = int(vocab_size * _MAX_CHARACTERS_SHARE)
    characters = _frequent_characters(counts, backend, min_frequency, max_pieces, character_coverage)
    if not characters:
        raise VocabularyError(f"no character is in the text {min_frequency} times or more; it needs more text")
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        show_progress=sys.stderr.isatty(),
        # The trainer numbers these first and in this order.
        special_tokens=[*special_tokens, *characters, *_inner_forms(characters, backend)],
        initial_alphabet=characters,
        limit_alphabet=len(characters),
    )
    backend.train_from_iterator(read_lines(), trainer)
    ids = backend.get_vocab()
    tokens = [token for token in sorted(ids, key=ids.__getitem__) if len(token.encode()) <= _MAX_TOKEN_BYTES]
    return LearnedVocabulary(tokens, num_lines)


def _count_characters(lines: Iterable[str], normalizer: normalizers.Normalizer) -> tuple[collections.Counter[str], int]:
    """Returns how often each character is in the normalised lines, and the number of lines."""
    num_lines = 0
    raw_counts: collections.Counter[str] = collections.Counter()
    for line in lines:
        raw_counts.update(line)
        num_lines += 1
    counts: collections.Counter[str] = collections.Counter()
    for raw_character, count in raw_counts.items():
        for character in normalizer.normalize_str(raw_character).replace(" ", ""):
            counts[character] += count
    return counts, num_lines


def _frequent_characters(
    counts: collections.Counter[str],
    backend: tokenizers.Tokenizer,
    min_frequency: int,
    max_pieces: int,
    coverage: float,
) -> list[str]:
    """Returns the most frequent characters, as many as it takes to cover the text, sorted by code point.

    Args:
        counts: how often each is in the text.
        backend: see _inner_forms.
        min_frequency: how often a character must be in the text.
        max_pieces: the most pieces that the characters and their inner forms may make together.
        coverage: the share of the text that they shall make up.
    """
    uncovered = counts.total()
    max_uncovered = uncovered * (1 - coverage)
    chosen: list[str] = []
    for character in sorted(counts, key=lambda character: (-counts[character], character)):
        max_pieces -= 1 + len(_inner_forms([character], backend))
        if uncovered <= max_uncovered or counts[character] < min_frequency or max_pieces < 0:
            break
        chosen.append(character)
        uncovered -= counts[character]
    return sorted(chosen)


def _inner_forms(characters: Iterable[str], backend: tokenizers.Tokenizer) -> list[str]:
    """Returns the pieces that stand for characters inside words, where punctuation and CJK ideographs never are."""
    return [
        f"##{character}"
        for character in characters
        if len(backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(f"a{character}a"))) == 1
    ]

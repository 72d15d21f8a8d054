"""What a tokenizer loses of text: letters by their marks, letters of words that are too long, and tokens never used.

Importing this brings no TensorFlow.
"""

import functools
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import numpy as np

if TYPE_CHECKING:
    from electra_span.tokenization import Tokenizer, WordPieceTokenizer


_LEAST_SHARE = 0.01  # of characters or tokens; less needs no warning
_MANY_UNKNOWN = 0.05  # of tokens
_LONGEST_EXPANSION = 4  # of a character in NFD
# Marks of these are accents, which text is read without; so are the optional vowels of Hebrew and Arabic.
_ACCENTED = ("LATIN ", "GREEK ", "COMBINING ", "VARIATION ", "HEBREW ")
_OPTIONAL_ARABIC_MARKS = range(0x064B, 0x0671)
# Marks of letters in Latin alphabets: horn, hook above and dot below (Vietnamese, Yoruba, Igbo); diaeresis, ring,
# caron, tilde, ogonek, cedilla, breve, dot above, double acute (German, Swedish, Czech, Polish, Turkish, Hungarian).
_LETTERS_OF_LATIN = set("\u031b\u0309\u0323\u0308\u030a\u030c\u0303\u0328\u0327\u0306\u0307\u030b")
_VOICED_SOUND_MARKS = {"\u3099", "\u309a"}  # of kana, named as combining
_SPECIAL = re.compile(r"[\[<].+[\]>]")


class TextLosses(NamedTuple):
    """Counts of some text.

    Attributes:
        characters: in all.
        stripped_letters: characters that become other letters, or vanish, as their marks are stripped.
        long_words: words of more letters than the tokenizer cuts into tokens; each becomes one unknown token.
        letters_in_long_words: their letters.
    """

    characters: int = 0
    stripped_letters: int = 0
    long_words: int = 0
    letters_in_long_words: int = 0


def losses_of(tokenizer: "Tokenizer", lines: Sequence[str], ids: np.ndarray, row_splits: np.ndarray) -> TextLosses:
    """Returns what a tokenizer loses of lines.

    Args:
        tokenizer: of any kind.
        lines: the text.
        ids: those of the lines, end to end, int [T].
        row_splits: where each line's ids start, and the end, int [len(lines) + 1].
    """
    stripped = _stripped_letters(lines) if strips_accents(tokenizer) else 0
    lengths: list[int] = []
    if _is_wordpiece(tokenizer):
        longest = tokenizer.max_word_length
        places = np.flatnonzero(ids == tokenizer.unk_id)
        rows = np.unique(np.searchsorted(row_splits, places, side="right") - 1)  # a word too long is unknown
        is_candidate = re.compile(rf"\S{{{longest // _LONGEST_EXPANSION + 1}}}").search
        words = tokenizer.words([lines[row] for row in rows if is_candidate(lines[row])])
        lengths = [len(word) for line in words for word in line if len(word) > longest]
    return TextLosses(sum(map(len, lines)), stripped, len(lengths), sum(lengths))


def strips_accents(tokenizer: "Tokenizer") -> bool:
    """Returns whether a tokenizer drops nonspacing marks."""
    from electra_span.tokenization import wordpiece_files

    settings = tokenizer.settings
    return bool(settings.get("strip_accents") or wordpiece_files.strips(settings.get("normalizer")))


def _is_wordpiece(tokenizer: "Tokenizer") -> "TypeGuard[WordPieceTokenizer]":
    return tokenizer.tokenizer_type == "wordpiece"


def _stripped_letters(lines: Sequence[str]) -> int:
    """Returns how many characters of lines are other letters, or none, without their marks."""
    text = "".join(line for line in lines if not line.isascii())
    counts = np.bincount(np.frombuffer(text.encode("utf-32-le", "ignore"), np.uint32))
    return sum(int(counts[code]) for code in np.flatnonzero(counts) if _is_letter_with_mark(int(code)))


@functools.cache
def _is_letter_with_mark(code: int) -> bool:
    """Returns whether stripping the marks of a character takes a letter away, and not just an accent."""
    parts = unicodedata.normalize("NFD", chr(code))
    marks = {part for part in parts if unicodedata.category(part) == "Mn"}
    if not marks or code in _OPTIONAL_ARABIC_MARKS:
        return False
    is_accented = unicodedata.name(parts[0], "").startswith(_ACCENTED)
    return not is_accented or bool(marks & (_LETTERS_OF_LATIN | _VOICED_SOUND_MARKS))


def loss_warnings(losses: TextLosses) -> list[str]:
    """Returns what to say of text of which a tokenizer loses a share that matters."""
    characters = max(1, losses.characters)
    warnings = []
    if losses.stripped_letters > _LEAST_SHARE * characters:
        warnings.append(
            f"{losses.stripped_letters:,} of {characters:,} characters ({losses.stripped_letters / characters:.1%}) "
            "are letters that stripping accents changes or drops, such as vowel signs, tones, \u0439 or \u304c; learn "
            "the vocabulary and build with --no-strip-accents"
        )
    if losses.letters_in_long_words > _LEAST_SHARE * characters:
        share = losses.letters_in_long_words / characters
        warnings.append(
            f"{losses.letters_in_long_words:,} of {characters:,} characters ({share:.1%}) are lost in "
            f"{losses.long_words:,} words that are too long, each one unknown token; for text without blanks between "
            "words learn a vocabulary with --tokenizer-type sentencepiece-unigram or bpe"
        )
    return warnings


def unknown_warning(num_unknown: int, num_tokens: int) -> list[str]:
    """Returns what to say of text with many unknown tokens."""
    if num_unknown <= _MANY_UNKNOWN * num_tokens:
        return []
    return [
        f"{num_unknown:,} of {num_tokens:,} tokens ({num_unknown / num_tokens:.1%}) are unknown; check that the "
        "vocabulary is of the text's language, and the flags --do-lower-case and --do-strip-accents those it was "
        "learned with"
    ]


def unreachable_tokens(tokenizer: "Tokenizer") -> list[str]:
    """Returns the tokens of a WordPiece vocabulary that no text has, as normalisation changes them; else none."""
    if not _is_wordpiece(tokenizer):
        return []
    added: Any = getattr(tokenizer, "description", None)
    left_out = {*tokenizer.special_tokens, *(token["content"] for token in (added.added_tokens if added else ()))}
    tokens = [token for token in tokenizer.vocabulary if token not in left_out and not _SPECIAL.fullmatch(token)]
    prefix = tokenizer.continuation_prefix
    texts = [token.removeprefix(prefix) if token != prefix else token for token in tokens]
    words = tokenizer.words(texts)
    return [token for token, text, found in zip(tokens, texts, words, strict=True) if found != [text]]


def vocabulary_warnings(tokenizer: "Tokenizer") -> list[str]:
    """Returns what to say of a vocabulary many of whose tokens no text has."""
    unreachable = unreachable_tokens(tokenizer)
    if len(unreachable) <= _LEAST_SHARE * tokenizer.vocab_size:
        return []
    return [
        f"{len(unreachable):,} of {tokenizer.vocab_size:,} tokens of the vocabulary are in no text that is lowered, "
        f"stripped or split as the tokenizer does, such as {unreachable[len(unreachable) // 2]!r}; for a vocabulary "
        "with capitals say --no-lower-case, for one with accents --no-strip-accents"
    ]

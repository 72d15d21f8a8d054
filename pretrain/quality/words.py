"""The words of text as numbers that mean the same in every process: what duplicates and overlaps are found by.

A word is a run of letters, digits and marks, with the full stops and apostrophes between them (S.H.I.E.L.D, don't), in
lower case, of compatible characters (NFKC) the usual one; in scripts without blanks between words (Chinese, Japanese,
Thai, Lao, Burmese, Khmer) each character is a word.
"""

import functools
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pretrain.quality.settings import require

_NUM_CODE_POINTS = 0x110000
_CHUNK_CHARACTERS = 1 << 20

# First and last code points of scripts without blanks between words.
_SCRIPTS_WITHOUT_BLANKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Chinese iteration mark, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_IN_WORD, _WORD_BY_ITSELF = 1, 2

# Odd numbers of 64 random bits.
_MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))  # of MurmurHash3's last step
_CHARACTER_BASE = np.uint64(0x9E3779B97F4A7C15)
_WORD_BASE = np.uint64(0xD1342543DE82EF95)
_SHIFT = np.uint64(33)


class Words(NamedTuple):
    """The words of some lines."""

    hashes: np.ndarray  # uint64 [num_words]
    line_ends: np.ndarray  # int64 [num_lines], of each line the number of the word after its last one


def words_of(lines: Sequence[str]) -> Words:
    """Returns the words of lines as numbers; equal words have equal ones."""
    hashes, line_ends = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    num_words = 0
    for chunk in chunks(lines):
        codes = code_points(_normalised(chunk))
        starts, ends = _spans(codes)
        hashes.append(_hashes(codes, starts, ends))
        line_ends.append(num_words + np.searchsorted(starts, np.flatnonzero(codes == ord("\n"))))
        num_words += len(starts)
    return Words(np.concatenate(hashes), np.concatenate(line_ends))


def word_texts(lines: Sequence[str]) -> list[str]:
    """Returns the words of lines as text, as many as words_of has numbers."""
    text = _normalised(lines)
    starts, ends = _spans(code_points(text))
    return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def chunks(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yields the lines, so many at a time that their arrays are small."""
    start = num_characters = 0
    for number, line in enumerate(lines):
        num_characters += len(line)
        if num_characters >= _CHUNK_CHARACTERS:
            yield lines[start : number + 1]
            start, num_characters = number + 1, 0
    if start < len(lines):
        yield lines[start:]


def code_points(text: str) -> np.ndarray:
    """Returns the characters of a text as uint32 [num_characters]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _normalised(lines: Sequence[str]) -> str:
    """Returns lines in the form that is compared, each with a line end."""
    usual = (line if line.isascii() else unicodedata.normalize("NFKC", line) for line in lines)
    return "\n".join((*usual, "")).lower().replace("’", "'")


@functools.cache
def _kinds() -> np.ndarray:
    """Returns of each code point whether it is in a word, or one by itself, uint8 [0x110000]."""
    category = unicodedata.category
    kinds = np.fromiter((category(chr(code))[0] in "LNM" for code in range(_NUM_CODE_POINTS)), np.uint8)
    for first, last in _SCRIPTS_WITHOUT_BLANKS:
        kinds[first : last + 1] *= _WORD_BY_ITSELF
    return kinds


def _spans(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each word starts and ends, int64 [num_words] each."""
    kinds = _kinds()[codes]
    is_inside = np.pad(kinds == _IN_WORD, 1)  # [num_characters + 2]
    is_joint = (codes == ord(".")) | (codes == ord("'"))
    is_inside[1:-1] |= is_joint & is_inside[:-2] & is_inside[2:]
    is_alone = kinds == _WORD_BY_ITSELF
    starts = np.flatnonzero(is_alone | (is_inside[1:-1] & ~is_inside[:-2]))
    ends = np.flatnonzero(is_alone | (is_inside[1:-1] & ~is_inside[2:])) + 1
    return starts, ends


def _hashes(codes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Returns a number for each word: a polynomial of its characters, mixed, uint64 [num_words]."""
    if not len(starts):
        return np.zeros(0, np.uint64)
    lengths = ends - starts
    firsts = np.cumsum(lengths) - lengths  # of each word, in the characters of all words
    offsets = np.arange(lengths.sum()) - np.repeat(firsts, lengths)  # in the word
    powers = np.cumprod(np.full(lengths.max(), _CHARACTER_BASE))
    places = offsets + np.repeat(starts, lengths)
    return mixed(np.add.reduceat(mixed(codes[places]) * powers[offsets], firsts))


def mixed(numbers: np.ndarray) -> np.ndarray:
    """Returns other numbers, uint64 of the same shape, in which every bit depends on all bits of the given ones."""
    numbers = numbers.astype(np.uint64)
    for factor in _MIX:
        numbers = (numbers ^ (numbers >> _SHIFT)) * factor
    return numbers ^ (numbers >> _SHIFT)


def ngram_hashes(hashes: np.ndarray, lengths: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each length n with a number for every n words in a row, uint64 [max(0, num_words - n + 1)].

    Args:
        hashes: uint64 [num_words], of single words.
        lengths: the numbers of words, in any order.
    """
    windows = hashes
    for length in range(1, max(lengths, default=0) + 1):
        if length > 1:
            windows = windows[:-1] * _WORD_BASE + hashes[length - 1 :]
        if length in lengths:
            yield length, mixed(windows)


# What characters are that many scripts share, by the first letter of their general category.
_COMMON = {
    "L": "letters of many scripts",
    "M": "marks of many scripts",
    "N": "digits and numbers",
    "P": "punctuation",
    "S": "symbols",
    "Z": "blanks",
    "C": "control characters and unassigned ones",
}
_SHARED_SCRIPTS = ("Zyyy", "Zinh", "Zzzz")  # common, inherited, unknown


def script_counts(characters: Mapping[int, int]) -> dict[str, int]:
    """Returns how many characters are of each script, the most frequent first.

    Those of many scripts are divided by what they are.

    Args:
        characters: how often each occurs, by code point.

    Raises:
        UserError: where the package that knows the scripts is missing.
    """
    tables = require("fontTools.unicodedata")
    counts: Counter[str] = Counter()
    for code, count in characters.items():
        script = tables.script(chr(code))
        name = tables.script_name(script) if script not in _SHARED_SCRIPTS else _COMMON[_category(code)]
        counts[name] += count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _category(code: int) -> str:
    return unicodedata.category(chr(code))[0]


# Characters are told apart in ASCII; others by their number modulo 384, which tells those of one script apart.
NUM_CLASSES = 512
_NUM_ASCII = 128

# Of shorter lines the mean says little.
MIN_CHARACTERS = 20

_SMOOTHING = 0.5  # added to each count


def bigrams_of(codes: np.ndarray) -> np.ndarray:
    """Returns the pair of classes of each character and the one after it, int32 [num_characters - 1].

    Args:
        codes: uint32 [num_characters].
    """
    classes = np.where(codes < _NUM_ASCII, codes, _NUM_ASCII + codes % (NUM_CLASSES - _NUM_ASCII)).astype(np.int32)
    return classes[:-1] * NUM_CLASSES + classes[1:]


def log_probabilities(counts: np.ndarray) -> np.ndarray:
    """Returns the logarithm (base 2) of each class's probability after each, float32 [C C].

    Args:
        counts: int64 [C C], how often it follows there.
    """
    smoothed = counts.reshape(NUM_CLASSES, NUM_CLASSES) + _SMOOTHING
    return np.log2(smoothed / smoothed.sum(axis=1, keepdims=True)).astype(np.float32).ravel()


def strangeness(lines: Sequence[str], log_probs: np.ndarray) -> np.ndarray:
    """Returns how strange each line is: mean bits a character, its end included, float64 [num_lines].

    Lines of fewer than 20 characters are 0.

    Args:
        lines: the text.
        log_probs: float32 [C C], as from log_probabilities of the corpus.
    """
    means = [np.zeros(0)]
    for chunk in chunks(lines):
        codes = code_points("\n".join(("", *chunk, "")))
        sums = np.concatenate([[0.0], np.cumsum(-log_probs[bigrams_of(codes)], dtype=np.float64)])
        ends = np.flatnonzero(codes == ord("\n"))
        sizes = np.diff(ends)
        means.append(np.where(sizes > MIN_CHARACTERS, np.diff(sums[ends]) / sizes, 0.0))
    return np.concatenate(means)

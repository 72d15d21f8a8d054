"""Tags of words, the schemes that they are written in, and the spans that they stand for. Imports no TensorFlow.

Here a tag is O, or one of B, I, E, S (begin, inside, end, single), a hyphen and a kind. BIO uses B and I alone.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

READINGS = ("conlleval", "original")
_OUTSIDE = "O"
_POSITIONS = "BIES"
# Other letters for the same positions: M (middle) of BMES, L (last) and U (unit) of BILOU, W (whole) of BMEWO.
_POSITION_OF = {**{letter: letter for letter in _POSITIONS}, "M": "I", "L": "E", "U": "S", "W": "S"}
_LETTERS_OF = {"B": "B", "I": "IM", "E": "EL", "S": "SUW"}
_NO_TAG = re.compile(r"\[.*\]|<.*>|X|PAD", re.IGNORECASE)  # labels of models for padding and parts of words
# What a position becomes in a scheme that lacks it.
_SUBSTITUTES = {"B": "BI", "I": "I", "E": "EI", "S": "SBI"}


class Span(NamedTuple):
    """Words first to last of one kind, counted from 0."""

    first: int
    last: int
    kind: str


class Scheme(NamedTuple):
    """How the tags of a file or a model are written.

    Attributes:
        separator: between position and kind; "" for positions alone; None for plain tags, such as parts of speech.
        is_suffix: whether the position comes last, as in PER-B.
    """

    separator: str | None
    is_suffix: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether tags stand for words alone, and not for spans."""
        return self.separator is None

    def parsed(self, tag: str) -> tuple[str, str] | None:
        """Returns the position (B, I, E, S or O) and the kind of a tag; None if it is not of this scheme."""
        if tag == _OUTSIDE:
            return _OUTSIDE, ""
        if self.separator is None:
            return None
        if not self.separator:
            return (_POSITION_OF[tag], "") if tag in _POSITION_OF else None
        split = tag.rpartition if self.is_suffix else tag.partition
        letter, separator, kind = split(self.separator)
        if self.is_suffix:
            letter, kind = kind, letter
        return (_POSITION_OF[letter], kind) if separator and kind and letter in _POSITION_OF else None

    def canonical(self, tags: Iterable[str]) -> list[str]:
        """Returns tags with B, I, E and S before a hyphen and the kind; O for a tag that is not of this scheme."""
        if self.is_plain:
            return list(tags)
        return [_joined(*(self.parsed(tag) or (_OUTSIDE, ""))) for tag in tags]


PLAIN = Scheme(None)
BIOES = Scheme("-")
_SCHEMES = (BIOES, Scheme("_"), Scheme("-", is_suffix=True), Scheme("_", is_suffix=True), Scheme(""))


def scheme_of_file(counts: Mapping[str, int]) -> Scheme:
    """Returns the scheme that most words of a file have their tags in, O left out.

    Args:
        counts: of words, by tag.
    """
    others = {tag: count for tag, count in counts.items() if tag != _OUTSIDE}
    if not others:
        return BIOES
    covered = {scheme: sum(count for tag, count in others.items() if scheme.parsed(tag)) for scheme in _SCHEMES}
    scheme = max(_SCHEMES, key=lambda each: covered[each])
    if 2 * covered[scheme] < sum(others.values()) or (scheme.separator == "" and not _are_positions(others)):
        return PLAIN
    return scheme


def scheme_of_labels(labels: Sequence[str]) -> Scheme:
    """Returns the scheme of a model's labels, of which those for padding and the like ([PAD], X) do not count.

    Others without a position (NOUN and B-NOUN, where a word has several tokens) make all of them plain.
    """
    tags = [label for label in labels if not _NO_TAG.fullmatch(label)]
    scheme = scheme_of_file(dict.fromkeys(tags, 1))
    return scheme if all(map(scheme.parsed, tags)) else PLAIN


def _are_positions(tags: Iterable[str]) -> bool:
    """Returns whether tags of one letter are positions (B, and what may follow it), and not some tag set's own."""
    return set(tags) <= set(_POSITION_OF) and "B" in tags and bool(set(tags) & set("IMEL"))


class LabelWriter:
    """Writes spans in a model's labels.

    Args:
        labels: of the model.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.scheme = scheme_of_labels(labels)
        self._labels = set(labels)
        self._cache: dict[str, str] = {}

    def written(self, tags: Iterable[str]) -> list[str]:
        """Returns tags of BIOES, or plain ones, as the model has them; as they are if it has no such kind."""
        if self.scheme.is_plain:
            return list(tags)
        return [self._cache.get(tag) or self._cache.setdefault(tag, self._written(tag)) for tag in tags]

    def _written(self, tag: str) -> str:
        position, _, kind = tag.partition("-")
        if position == _OUTSIDE:
            return tag
        candidates = (self._form(letter, kind) for each in _SUBSTITUTES[position] for letter in _LETTERS_OF[each])
        return next((label for label in candidates if label in self._labels), tag)

    def _form(self, letter: str, kind: str) -> str:
        parts = (kind, letter) if self.scheme.is_suffix else (letter, kind)
        return (self.scheme.separator or "").join(part for part in parts if part)


def spans_of(tags: Sequence[str], reading: str = "conlleval") -> list[Span]:
    """Returns the spans of a sentence, in order, also where its tags do not follow BIO or BIOES.

    Args:
        tags: of its words, canonical; see `Scheme.canonical`.
        reading: of I and E. By "conlleval" (Tjong Kim Sang and Buchholz 2000) they go on with a span of their kind
            that E or S has not ended, and start one else; by "original" they go on with any span there is, which then
            has the kind of its last tag.
    """
    spans: list[Span] = []
    before_position, before_kind = _OUTSIDE, ""
    for place, tag in enumerate(tags):
        position, _, kind = tag.partition("-")
        goes_on = position in ("I", "E") and before_position != _OUTSIDE
        if reading == "conlleval":
            goes_on = goes_on and before_position in ("B", "I") and kind == before_kind
        if goes_on:
            spans[-1] = Span(spans[-1].first, place, kind)
        elif position != _OUTSIDE:
            spans.append(Span(place, place, kind))
        before_position, before_kind = position, kind
    return spans


def bioes_tags(spans: Iterable[Span], num_words: int) -> list[str]:
    """Returns the tags of a sentence with B, I, E and S."""
    tags = [_OUTSIDE] * num_words
    for first, last, kind in spans:
        tags[first : last + 1] = [_joined("I", kind)] * (last + 1 - first)
        tags[first] = _joined("B", kind)
        tags[last] = _joined("E" if last > first else "S", kind)
    return tags


def bio_tags(spans: Iterable[Span], num_words: int) -> list[str]:
    """Returns the tags of a sentence with B and I alone."""
    tags = [_OUTSIDE] * num_words
    for first, last, kind in spans:
        tags[first : last + 1] = [_joined("B", kind)] + [_joined("I", kind)] * (last - first)
    return tags


def iob1_tags(spans: Iterable[Span], num_words: int) -> list[str]:
    """Returns the tags of a sentence with I alone, and B where a span touches one of its kind before it."""
    tags = [_OUTSIDE] * num_words
    end, kind_before = 0, ""
    for first, last, kind in spans:
        tags[first : last + 1] = [_joined("I", kind)] * (last + 1 - first)
        if first == end > 0 and kind == kind_before:
            tags[first] = _joined("B", kind)
        end, kind_before = last + 1, kind
    return tags


def _joined(position: str, kind: str) -> str:
    return f"{position}-{kind}" if kind else position

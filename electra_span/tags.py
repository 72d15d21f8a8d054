"""Tags of words, and the spans that they stand for. Imports no TensorFlow.

A tag is O, or one of B, I, E, S (begin, inside, end, single), a hyphen and a kind. BIO uses B and I alone.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

READINGS = ("conlleval", "original")
_OUTSIDE = "O"


class Span(NamedTuple):
    """Words first to last of one kind, counted from 0."""

    first: int
    last: int
    kind: str


def is_tag(text: str) -> bool:
    """Returns whether a text is a tag."""
    return text == _OUTSIDE or (text[:2] in ("B-", "I-", "E-", "S-") and len(text) > 2)


def spans_of(tags: Sequence[str], reading: str = "conlleval") -> list[Span]:
    """Returns the spans of a sentence, in order, also where its tags do not follow BIO or BIOES.

    Args:
        tags: of its words.
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
        tags[first : last + 1] = [f"I-{kind}"] * (last + 1 - first)
        tags[first] = f"B-{kind}"
        tags[last] = f"E-{kind}" if last > first else f"S-{kind}"
    return tags


def bio_tags(spans: Iterable[Span], num_words: int) -> list[str]:
    """Returns the tags of a sentence with B and I alone."""
    tags = [_OUTSIDE] * num_words
    for first, last, kind in spans:
        tags[first : last + 1] = [f"B-{kind}"] + [f"I-{kind}"] * (last - first)
    return tags

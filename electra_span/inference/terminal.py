"""Texts with suspicious tokens in colours, for a terminal. Imports no TensorFlow."""

from collections.abc import Sequence

from electra_span.files import without_controls
from electra_span.inference.results import ReplacedToken

# From which probability on, and the colour: SGR sequences of ECMA-48.
_COLOURS = ((0.9, "\x1b[1;31m"), (0.5, "\x1b[33m"))
_PLAIN = "\x1b[0m"


def coloured(text: str, tokens: Sequence[ReplacedToken]) -> str:
    """Returns a text whose tokens are red where they seem replaced, and yellow where that is likelier than not.

    Characters that a terminal obeys are shown as U+FFFD.

    Args:
        text: as it was given.
        tokens: its tokens, in order.
    """
    parts, end = [], 0
    for _, start, token_end, probability in tokens:
        colour = next((colour for lowest, colour in _COLOURS if probability >= lowest), "")
        start = max(start, end)  # of a character that several tokens share, the first has it
        if colour and start < token_end:
            parts += [without_controls(text[end:start]), colour, without_controls(text[start:token_end]), _PLAIN]
            end = token_end
    return "".join([*parts, without_controls(text[end:])])

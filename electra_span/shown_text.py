"""Text of unknown origin, made fit to be shown."""

import re

# Control characters, those that turn the direction of text around, and halves of characters.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def without_controls(text: str) -> str:
    """Returns a text with U+FFFD for the characters that a terminal or a browser obeys or refuses."""
    return _UNSHOWN.sub("\ufffd", text)

"""Text of unknown origin in a page. Imports no TensorFlow."""

import html

from electra_span.files import without_controls

_AS_SPACES = str.maketrans("\t\n\r\v\f", "     ")


def shown(text: str) -> str:
    """Returns text for a page, in one line, which shows nothing but its characters."""
    return html.escape(without_controls(text.translate(_AS_SPACES)))

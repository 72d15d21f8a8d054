"""What an error of a library says, in words for one line."""

import re

# TensorFlow's names of functions, nodes and operations, in which its messages are wrapped.
_INTERNALS = re.compile(r"\{\{.*?\}\}\s*|\s*\[\[.*|\s*\[Op:.*")


def reason_of(error: Exception) -> str:
    """Returns the first line of an error's message, without the library's internals.

    Args:
        error: of TensorFlow, or an OSError, whose file is left out.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _INTERNALS.sub("", str(error).partition("\n")[0]).strip()

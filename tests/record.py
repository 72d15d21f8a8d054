"""Replaces what tests compare with, after a change that is meant: `python -m tests.record [surface] [runs]`.

Read the difference in git before you keep it.
"""

import json
import sys
from typing import Any

from tests import public_surface


def to_text(value: Any, depth: int = 3, indent: str = "") -> str:
    """Returns JSON text that has a line for each value down to a depth, so that differences are easy to read."""
    if not isinstance(value, dict) or not value or depth == 0:
        return json.dumps(value, ensure_ascii=False)
    inner = f"{indent}  "
    lines = [f"{inner}{json.dumps(name)}: {to_text(each, depth - 1, inner)}" for name, each in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def main() -> None:
    """Writes what the words of the command line name, by default all."""
    names = sys.argv[1:] or ["surface"]
    if "surface" in names:
        for name, content in public_surface.surface().items():
            (public_surface.FOLDER / name).write_text(to_text(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

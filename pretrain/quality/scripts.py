"""Which writing systems the characters of a corpus are of."""

import unicodedata
from collections import Counter
from collections.abc import Mapping

from pretrain.quality.settings import require

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

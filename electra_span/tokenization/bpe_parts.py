"""What may stand in a tokenizer.json before byte-level BPE, checked here: the library that reads it names no errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from electra_span.tokenization.vocabulary import VocabularyError

# A field's rule: the type of its value, or all strings it may be.
_Rule = type | tuple[str, ...]
_Fields = Mapping[str, _Rule]

_BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_TOKEN: _Fields = {"content": str, "single_word": bool, "lstrip": bool, "rstrip": bool, "normalized": bool}
_NORMALIZERS: Mapping[str, _Fields] = {
    **{name: {} for name in ("Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents")},
    "Prepend": {"prepend": str},
    "Replace": {"pattern": dict, "content": str},
    "Sequence": {"normalizers": list},
    "Strip": {"strip_left": bool, "strip_right": bool},
}
_PRE_TOKENIZERS: Mapping[str, _Fields] = {
    **{name: {} for name in ("BertPreTokenizer", "UnicodeScripts", "Whitespace", "WhitespaceSplit")},
    "ByteLevel": {"add_prefix_space": bool, "trim_offsets": bool, "use_regex": bool},
    "Digits": {"individual_digits": bool},
    "Punctuation": {"behavior": _BEHAVIORS},
    "Sequence": {"pretokenizers": list},
    "Split": {"pattern": dict, "behavior": _BEHAVIORS, "invert": bool},
}
_OPTIONAL = {("ByteLevel", "use_regex"), ("Punctuation", "behavior")}
_LISTS = ("normalizers", "pretokenizers")  # of parts
_PATTERNS = ("String", "Regex")


def check_parts(
    normalizer: Mapping[str, Any] | None,
    pre_tokenizer: Mapping[str, Any],
    added_tokens: Sequence[Mapping[str, Any]],
) -> None:
    """Checks all that is left to the library but the syntax of regular expressions, which only it knows.

    Args:
        normalizer, pre_tokenizer, added_tokens: as in tokenizer.json.

    Raises:
        VocabularyError: names what is of no known type, or has a field that is missing or cannot be so.
    """
    if normalizer is not None:
        _check_part("normalizer", normalizer, _NORMALIZERS)
    _check_part("pre_tokenizer", pre_tokenizer, _PRE_TOKENIZERS)
    for token in added_tokens:
        for field, rule in _TOKEN.items():
            _check_field(f"added token {token.get('content')!r}", token, field, rule)


def _check_part(place: str, part: Mapping[str, Any], known: Mapping[str, _Fields]) -> None:
    name = part.get("type") if isinstance(part, Mapping) else part
    if not isinstance(name, str) or name not in known:
        raise VocabularyError(f"{place} must be of the type {', '.join(known)}. Received: {name!r}")
    for field, rule in known[name].items():
        if field in part or (name, field) not in _OPTIONAL:
            _check_field(f"{place} {name}", part, field, rule)
    for field in _LISTS:
        for inner in part.get(field, []):
            _check_part(place, inner, known)


def _check_field(place: str, part: Mapping[str, Any], field: str, rule: _Rule) -> None:
    value: Any = part.get(field)
    allowed = value in rule if isinstance(rule, tuple) else isinstance(value, rule)
    wanted = f"one of {', '.join(rule)}" if isinstance(rule, tuple) else f"a {rule.__name__}"
    if field == "pattern" and allowed:
        allowed = len(value) == 1 and all(name in _PATTERNS and isinstance(value[name], str) for name in value)
        wanted = "a String or a Regex"
    if not allowed:
        raise VocabularyError(f"{place}: {field} must be {wanted}. Received: {value!r}")

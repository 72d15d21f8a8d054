"""What may stand in a tokenizer.json before its model, checked here: the library that reads it names no errors."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from electra_span.files import shown
from electra_span.tokenization.vocabulary import VocabularyError

# A field's rule: the type of its value, or all values it may be.
_Rule = type | tuple[str, ...] | tuple[bool | None, ...]
_Fields = Mapping[str, _Rule]

_BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_TOKEN: _Fields = {"content": str, "single_word": bool, "lstrip": bool, "rstrip": bool, "normalized": bool}
_NORMALIZERS: Mapping[str, _Fields] = {
    **{name: {} for name in ("Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents")},
    "BertNormalizer": {
        **dict.fromkeys(("clean_text", "handle_chinese_chars", "lowercase"), bool),
        "strip_accents": (True, False, None),
    },
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
    pre_tokenizer: Mapping[str, Any] | None,
    added_tokens: Sequence[Mapping[str, Any]],
    without: Collection[str] = (),
) -> None:
    """Checks all that is left to the library but the syntax of regular expressions, which only it knows.

    Args:
        normalizer, pre_tokenizer, added_tokens: as in tokenizer.json.
        without: kinds of pre-tokenizers that the model does not go with.

    Raises:
        VocabularyError: names what is of no known type, or has a field that is missing or cannot be so.
    """
    if normalizer is not None:
        _check_part("normalizer", normalizer, _NORMALIZERS)
    known = {name: fields for name, fields in _PRE_TOKENIZERS.items() if name not in without}
    _check_part("pre_tokenizer", pre_tokenizer, known)
    for token in added_tokens:
        for field, rule in _TOKEN.items():
            _check_field(f"added token {shown(repr(token.get('content')))}", token, field, rule)


def _check_part(place: str, part: Any, known: Mapping[str, _Fields]) -> None:
    name = part.get("type") if isinstance(part, Mapping) else part
    if not isinstance(name, str) or name not in known:
        raise VocabularyError(f"{place} must be of the type {', '.join(known)}. Received: {shown(repr(name))}")
    for field, rule in known[name].items():
        if field in part or (name, field) not in _OPTIONAL:
            _check_field(f"{place} {name}", part, field, rule)
    for field in _LISTS:
        for inner in part.get(field, []):
            _check_part(place, inner, known)


def _check_field(place: str, part: Mapping[str, Any], field: str, rule: _Rule) -> None:
    value: Any = part.get(field)
    if isinstance(rule, tuple):
        allowed = type(value) in map(type, rule) and value in rule
        wanted = f"one of {', '.join(map(str, rule))}"
    else:
        allowed, wanted = isinstance(value, rule), f"a {rule.__name__}"
    if field == "pattern" and allowed:
        allowed = len(value) == 1 and all(name in _PATTERNS and isinstance(value[name], str) for name in value)
        wanted = "a String or a Regex"
    if not allowed:
        raise VocabularyError(f"{place}: {field} must be {wanted}. Received: {shown(repr(value))}")

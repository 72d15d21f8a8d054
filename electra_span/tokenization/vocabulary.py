"""Vocabularies: what makes one usable, and where its special tokens are, by their names."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from electra_span.config import UserError


class VocabularyError(UserError, ValueError):
    """A vocabulary, or a published tokenizer, that cannot be used."""


class SpecialTokens(NamedTuple):
    """The names of the five special tokens, by their roles."""

    pad: str
    unk: str
    cls: str
    sep: str
    mask: str


SPECIAL_TOKENS = SpecialTokens("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# As the published families spell them: BERT and ELECTRA; XLNet; RoBERTa and SentencePiece itself. First found, taken:
# where a vocabulary has both <cls> and <s>, as XLNet's, the latter has another use.
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<cls>", "<s>"),
    "sep": ("[SEP]", "<sep>", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}


def find_special_tokens(vocabulary: Iterable[str], config: Mapping[str, Any] | None = None) -> SpecialTokens:
    """Returns the special tokens of a vocabulary.

    Args:
        vocabulary: the tokens.
        config: a tokenizer_config.json, whose pad_token, unk_token and so on win over the usual names.

    Raises:
        VocabularyError: where one is missing, or has two roles.
    """
    tokens = set(vocabulary)
    found = {role: _find(role, tokens, config or {}) for role in _SPELLINGS}
    for role, token in found.items():
        named = _named(role, config or {})
        if named is not None and named not in tokens:
            raise VocabularyError(f"{role}_token must be a token of the vocabulary. Received: {named!r}")
        if token is None:
            raise VocabularyError(
                f"token {_SPELLINGS[role][0]} is missing; a vocabulary must have {' '.join(SPECIAL_TOKENS)}, or as "
                f"{' '.join(names[-1] for names in _SPELLINGS.values())}. "
                "scripts/create_vocab.py --add-special-tokens writes a new one with them"
            )
    special_tokens = SpecialTokens(**{role: str(token) for role, token in found.items()})
    if len(set(special_tokens)) < len(special_tokens):
        raise VocabularyError(f"special tokens must be distinct. Received: {' '.join(special_tokens)}")
    return special_tokens


def missing_special_tokens(vocabulary: Iterable[str], config: Mapping[str, Any] | None = None) -> list[str]:
    """Returns names for the special tokens that a vocabulary lacks, in the spelling of those that it has."""
    tokens = set(vocabulary)
    found = {role: _find(role, tokens, config or {}) for role in _SPELLINGS}
    in_angles = any(token in _SPELLINGS[role][1:] for role, token in found.items())
    return [_SPELLINGS[role][-1 if in_angles else 0] for role, token in found.items() if token is None]


def check_special_tokens(special_tokens: Sequence[str]) -> SpecialTokens:
    """Returns the roles of special tokens that a vocabulary is to have.

    Raises:
        VocabularyError: where a role has none, or one is empty or named twice.
    """
    check_vocabulary(special_tokens)
    missing = missing_special_tokens(special_tokens)
    if missing:
        raise VocabularyError(f"special tokens must include {' '.join(missing)}. Received: {' '.join(special_tokens)}")
    return find_special_tokens(special_tokens)


def check_vocabulary(vocabulary: Sequence[str]) -> None:
    """Raises VocabularyError unless tokens are there, named and distinct."""
    if not vocabulary:
        raise VocabularyError("the vocabulary is empty; it must have one token a line")
    lines: dict[str, int] = {}
    for line, token in enumerate(vocabulary, start=1):
        if not token:
            raise VocabularyError(f"line {line} is empty; a vocabulary must have one token a line")
        if token in lines:
            raise VocabularyError(f"token {token!r} stands on lines {lines[token]} and {line}; tokens must be distinct")
        lines[token] = line


def _find(role: str, tokens: Collection[str], config: Mapping[str, Any]) -> str | None:
    """Returns the token of a role, None if the vocabulary has none."""
    candidates = (_named(role, config), *_SPELLINGS[role])
    return next((token for token in candidates if token in tokens), None)


def _named(role: str, config: Mapping[str, Any]) -> str | None:
    """Returns the name that a configuration gives to the token of a role, None if it gives none."""
    named = config.get(f"{role}_token")
    if isinstance(named, Mapping):  # transformers writes tokens with their flags, too
        named = named.get("content")
    return named if isinstance(named, str) else None

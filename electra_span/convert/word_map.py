"""Which words of one vocabulary another one has, so that their vectors can be taken over."""

import collections
from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from electra_span.config import UserError, check_choice
from electra_span.tokenization import Tokenizer

MODES = ("remap", "same", "new")

_NO_TEXT = "\ufffd"  # of bytes that are a part of a character


class InitialWeightsError(UserError):
    """Weights that a network cannot start from."""


class WordMap(NamedTuple):
    """Where the vectors of words come from.

    Attributes:
        rows: int64 [V], the source's row of each word, -1 where the word is new to it.
        num_source_rows: of its table.
    """

    rows: np.ndarray
    num_source_rows: int

    @property
    def num_known(self) -> int:
        """Words that have a row in the source."""
        return int(np.sum(self.rows >= 0))

    @property
    def is_identity(self) -> bool:
        """Whether each row is the source's of the same number, and none is left."""
        return len(self.rows) == self.num_source_rows and np.array_equal(self.rows, np.arange(self.num_source_rows))


def same_words(num_rows: int) -> WordMap:
    """Returns the map of a vocabulary to itself."""
    return WordMap(np.arange(num_rows), num_rows)


def map_words(
    mode: str, source: Tokenizer | None, num_source_rows: int, target: Tokenizer, num_target_rows: int
) -> WordMap:
    """Returns where the vectors of a vocabulary's words come from.

    Tokens are the same by their strings, special ones by their roles. Where the tokenizers are of different types, they
    are the same where they stand for the same text at the same place, the head of a word or its rest.

    Args:
        mode: "remap" (by token), "same" (by id), "new" (from nowhere).
        source: the tokenizer of the source, None where it has none.
        num_source_rows: of the source's table, its tokens and more.
        target: the other tokenizer.
        num_target_rows: of the table that is to be filled.

    Raises:
        InitialWeightsError: what the mode needs is not there.
    """
    check_choice("init_vocabulary", mode, MODES)
    if mode == "new":
        return WordMap(np.full(num_target_rows, -1), num_source_rows)
    if mode == "same":
        if num_source_rows != num_target_rows:
            raise InitialWeightsError(
                f"init_vocabulary: for the same ids, vocab_size must be the source's, {num_source_rows}. "
                f"Received: {num_target_rows}"
            )
        return same_words(num_source_rows)
    if source is None:
        raise InitialWeightsError(
            "init_vocabulary: nothing tells the tokens of the source. Put its vocabulary beside its weights, or set "
            'init_vocabulary to "same", if its ids are those of your vocabulary, or to "new"'
        )
    is_own = source.tokenizer_type == target.tokenizer_type and source.vocabulary == target.vocabulary
    if is_own and num_source_rows == num_target_rows:
        return same_words(num_source_rows)
    by_text = any(getattr(source, name) != getattr(target, name) for name in ("tokenizer_type", "continuation_prefix"))
    row_of = {key: row for row, key in reversed(list(enumerate(_keys(source, by_text))))}
    rows = np.full(num_target_rows, -1)
    rows[: target.vocab_size] = [row_of.get(key, -1) for key in _keys(target, by_text)]
    return WordMap(rows, num_source_rows)


def _keys(tokenizer: Tokenizer, by_text: bool) -> list[Hashable]:
    """Returns what tells whether tokens are the same; an object of its own for one that is like no other."""
    roles = {token: role for role, token in tokenizer.special_tokens._asdict().items()}
    keys: list[Hashable] = list(tokenizer.vocabulary)
    if by_text:
        keys = [_place_and_text(*each, tokenizer) for each in enumerate(tokenizer.is_continuation.tolist())]
        counts = collections.Counter(keys)
        keys = [key if counts[key] == 1 else object() for key in keys]
    return [
        ("role", roles[token]) if token in roles else key for token, key in zip(tokenizer.vocabulary, keys, strict=True)
    ]


def _place_and_text(token_id: int, is_continuation: bool, tokenizer: Tokenizer) -> Hashable:
    """Returns whether a token goes on with a word, and its text without marks of that."""
    text = tokenizer.decode([token_id]).strip().removeprefix(tokenizer.continuation_prefix)
    return (is_continuation, text) if text and _NO_TEXT not in text else object()

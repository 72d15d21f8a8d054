"""Byte-level BPE, GPT-2's and RoBERTa's, over the tokenizers library."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tokenizers
from tokenizers import decoders

from electra_span.tokenization import bpe_files, library_parts
from electra_span.tokenization.library_tokenizer import LibraryTokenizer, build
from electra_span.tokenization.vocabulary import VocabularyError

_STARTS_WITH_BLANK = r"(?s)[\t-\r\x1c-\x1f\x{85}\p{Z}].*"  # as str.isspace


class ByteLevelBpeTokenizer(LibraryTokenizer):
    """BPE over bytes: every text has ids, and they have all of it, the spaces before words included.

    Attributes:
        description: what the tokenizer is made of.
    """

    tokenizer_type = "bpe"

    def __init__(self, description: bpe_files.BpeDescription, config: Mapping[str, Any] | None = None) -> None:
        """Builds the tokenizer.

        Args:
            description: vocabulary, merges and the rest.
            config: a tokenizer_config.json that may name the special tokens.

        Raises:
            VocabularyError: for an empty or repeated token, a missing special token, a merge of what are no tokens, a
                special token that a text can have, or a part before the algorithm that cannot be.
        """
        super().__init__(description.vocabulary, config)
        others = [token for token in description.other_special_tokens if token not in self.special_tokens]
        self.description = dataclasses.replace(
            description,
            added_tokens=[token for token in description.added_tokens if token["content"] not in self.special_tokens],
            other_special_tokens=others,
        )
        _check_merges(self.description)
        library_parts.check_parts(
            self.description.normalizer, self.description.pre_tokenizer, self.description.added_tokens
        )
        self._backend = self._build()
        self._decoder = decoders.ByteLevel()
        self._check_special_tokens()

    @property
    def other_special_tokens(self) -> Sequence[str]:
        """Those that the vocabulary's files name beside the five."""
        return self.description.other_special_tokens

    @property
    def settings(self) -> dict[str, Any]:
        """tokenizer_type, the names of the special tokens, and what comes before the algorithm."""
        description = self.description
        merges = "\n".join(" ".join(merge) for merge in description.merges)
        return {
            "tokenizer_type": self.tokenizer_type,
            "special_tokens": list(self.special_tokens),
            "normalizer": description.normalizer,
            "pre_tokenizer": description.pre_tokenizer,
            "ignore_merges": description.ignore_merges,
            "added_tokens": sorted(token["content"] for token in description.added_tokens),
            "merges_sha256": hashlib.sha256(merges.encode()).hexdigest(),
        }

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Which ids are of text that begins with no blank, bool [vocab_size]."""
        return np.array(
            [
                token_id not in self.special_ids and not self._decoder.decode([token])[:1].isspace()
                for token_id, token in enumerate(self.vocabulary)
            ]
        )

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each word of a sentence that is already split, as after a space; see Tokenizer."""
        return super().encode_words([word if word[:1].isspace() else f" {word}" for word in words])

    def encode_words_ragged(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids (int32 [n, None]) of words (string [n]), as after a space; see Tokenizer."""
        has_blank = tf.strings.regex_full_match(words, _STARTS_WITH_BLANK)
        return super().encode_words_ragged(tf.where(has_blank, words, " " + words))

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids, special tokens by their names."""
        return self._decoder.decode(self.tokens(ids))

    def save(self, directory: str | pathlib.Path, model_max_length: int | None = None) -> None:
        """Writes vocab.json, merges.txt, tokenizer.json and tokenizer_config.json; see Tokenizer.save."""
        bpe_files.write_bpe(
            pathlib.Path(directory),
            self.description,
            special_tokens=self.special_tokens,
            other_special_tokens=self.description.other_special_tokens,
            model_max_length=model_max_length,
        )

    def _check_special_tokens(self) -> None:
        """Raises VocabularyError for a special token that a text can have."""
        special_tokens = [*self.special_tokens, *self.description.other_special_tokens]
        merged = {left + right for left, right in self.description.merges}
        for token in special_tokens:
            if token in merged or self._ids[token] in self._backend.encode(token, add_special_tokens=False).ids:
                raise VocabularyError(f"no text may have a special token. Received: {token}, which merges make")

    def _build(self) -> tokenizers.Tokenizer:
        """Returns the library's tokenizer, which finds no special token in a text."""
        content = bpe_files.tokenizer_json(self.description, unk_token=self.special_tokens.unk, special_tokens=())
        return build(content)


def _check_merges(description: bpe_files.BpeDescription) -> None:
    """Raises VocabularyError for a merge of what are no tokens, or to what is none."""
    tokens = set(description.vocabulary)
    for left, right in description.merges:
        for token in (left, right, left + right):
            if token not in tokens:
                raise VocabularyError(f"merges must be of tokens. Received: {left} {right}, where {token} is none")

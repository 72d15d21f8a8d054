"""WordPiece with any rules that a tokenizer.json can state, over the tokenizers library."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from electra_span.files import shown
from electra_span.tokenization import library_parts, wordpiece_files
from electra_span.tokenization.library_tokenizer import LibraryTokenizer, build
from electra_span.tokenization.vocabulary import VocabularyError

_NO_WORDS = ("ByteLevel",)  # pre-tokenizers whose words are bytes


class LibraryWordPieceTokenizer(LibraryTokenizer):
    """WordPiece whose normalisation, words, prefix or added tokens are not BERT's.

    Attributes:
        description: what the tokenizer is made of.
        continuation_prefix: of tokens inside words.
    """

    tokenizer_type = "wordpiece"

    def __init__(
        self, description: wordpiece_files.WordPieceDescription, config: Mapping[str, Any] | None = None
    ) -> None:
        """Builds the tokenizer.

        Args:
            description: vocabulary and rules.
            config: a tokenizer_config.json that may name the special tokens.

        Raises:
            VocabularyError: for an empty or repeated token, a missing special token, or rules that cannot be.
        """
        super().__init__(description.vocabulary, config)
        self.description = dataclasses.replace(
            description,
            added_tokens=[token for token in description.added_tokens if token["content"] not in self.special_tokens],
            other_special_tokens=[
                token for token in description.other_special_tokens if token not in self.special_tokens
            ],
        )
        self.continuation_prefix = description.prefix
        if self.special_tokens.unk in description.unlisted:
            raise VocabularyError(
                f"the model must have the token of unknown words. Received: {self.special_tokens.unk}"
            )
        library_parts.check_parts(
            description.normalizer, description.pre_tokenizer, self.description.added_tokens, without=_NO_WORDS
        )
        self._backend = self._build()
        self._ids_of_backend = self._ids_behind()

    @property
    def other_special_tokens(self) -> Sequence[str]:
        """Those that the vocabulary's files name beside the five."""
        return self.description.other_special_tokens

    @property
    def settings(self) -> dict[str, Any]:
        """tokenizer_type, the names of the special tokens, and all rules."""
        description = self.description
        return {
            "tokenizer_type": self.tokenizer_type,
            "special_tokens": list(self.special_tokens),
            "normalizer": wordpiece_files.resolved(description.normalizer),
            "pre_tokenizer": description.pre_tokenizer,
            "prefix": description.prefix,
            "max_word_length": description.max_word_length,
            "added_tokens": sorted(
                ({name: value for name, value in token.items() if name != "id"} for token in description.added_tokens),
                key=lambda token: token["content"],
            ),
            "other_special_tokens": sorted(description.other_special_tokens),
        }

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Which ids begin with the prefix, bool [vocab_size]."""
        return np.array([token.startswith(self.continuation_prefix) for token in self.vocabulary])

    @property
    def max_word_length(self) -> int:
        """The letters of the longest word that is cut into tokens."""
        return self.description.max_word_length

    def words(self, texts: Sequence[str]) -> list[list[str]]:
        """Returns the normalised words of each text, before they are cut into tokens."""
        normalizer, pre_tokenizer = self._backend.normalizer, self._backend.pre_tokenizer
        if normalizer is not None:
            texts = [normalizer.normalize_str(text) for text in texts]
        if pre_tokenizer is None:
            return [[text] for text in texts]
        return [[word for word, _ in pre_tokenizer.pre_tokenize_str(text)] for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the words of ids, with a space between them."""
        return " ".join(self.tokens(ids)).replace(" " + self.continuation_prefix, "")

    def save(self, directory: str | pathlib.Path, model_max_length: int | None = None) -> None:
        """Writes tokenizer.json and tokenizer_config.json; see Tokenizer.save."""
        wordpiece_files.write_wordpiece(
            pathlib.Path(directory), self.description, self.special_tokens, model_max_length=model_max_length
        )

    def _build(self) -> Any:
        """Returns the library's tokenizer, which finds no special token in a text.

        A word can be equal to a special token where words are not parted at punctuation. So these stand in the model
        under names that are longer than any word that is looked up.
        """
        description, names = self.description, {*self.special_tokens, *self.other_special_tokens}
        never_in_text = names - {self.special_tokens.unk} - set(description.unlisted)
        filling = "\0" * (description.max_word_length + 1)
        vocabulary = [token + filling if token in never_in_text else token for token in self.vocabulary]
        description = dataclasses.replace(description, vocabulary=vocabulary)
        return build(wordpiece_files.tokenizer_json(description, unk_token=self.special_tokens.unk))

    def _ids_behind(self) -> np.ndarray | None:
        """Returns this vocabulary's ids for the library's, int32 [n]; None where they are the same.

        The library numbers added tokens from the end of the model on, without the special ones that are left out here.

        Raises:
            VocabularyError: it gives two tokens one id.
        """
        added = {token["content"] for token in self.description.added_tokens}
        tokens = [token for token in self.vocabulary if token in added or token not in self.description.unlisted]
        known = {self._backend.token_to_id(token) if token in added else self._ids[token]: token for token in tokens}
        if set(known) != set(range(len(tokens))):
            names = shown(", ".join(sorted(added)))
            raise VocabularyError(f"ids of added tokens must follow those of the model. Received: {names}")
        ids = np.array([self._ids[known[number]] for number in range(len(tokens))], np.int32)
        return None if np.array_equal(ids, np.arange(len(ids))) else ids

"""Features of sentences with a tag a word."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from electra_span.tokenization.base import FlatIds, Tokenizer
from finetune.features import TextFeatures, ranges
from finetune.reading import DataError
from finetune.tagged_files import TaggedSentence


class TaggingFeatures(NamedTuple):
    """Features of n windows: a sentence is one, or, where it is too long, several, each of whole words.

    Window i has the words word_splits[i] to word_splits[i + 1].
    """

    text: TextFeatures
    example_ids: np.ndarray  # int64 [n], of the sentences
    first_words: np.ndarray  # int64 [n], the number of the window's first word in its sentence
    word_splits: np.ndarray  # int64 [n + 1]
    positions: np.ndarray  # int32 [W], of each word's first token in its window
    labels: np.ndarray  # int32 [W], 0 where the tag is unknown
    is_known: np.ndarray  # bool [W], whether it is not


def tagging_features(
    sentences: Sequence[TaggedSentence],
    tokenizer: Tokenizer,
    max_seq_length: int,
    *,
    labels: Sequence[str],
    segment_id: int = 0,
) -> TaggingFeatures:
    """Returns the features of sentences.

    Deviation: the original cuts long sentences too early and does not score the words it lost; here they go on in
    another window. It moves tags by a word after a word that leaves no token, which is [UNK] here, and takes the words
    [CLS] and [SEP] for special tokens.

    Args:
        sentences: of one word or more.
        tokenizer: of the model.
        max_seq_length: the most tokens of a window, special ones counted. Of a longer word the start is kept.
        labels: the known tags, in the order of their ids.
        segment_id: of all tokens; the original has 1.

    Raises:
        DataError: where there is no room for a token.
    """
    room = max_seq_length - 2
    if room < 1:
        raise DataError(f"max_seq_length must be at least 3 for sentences. Received: {max_seq_length}")
    words = [word for sentence in sentences for word in sentence.words]
    tokens = _tokens_of(words, tokenizer, room)
    token_splits = tokens.row_splits
    sentence_splits = np.cumsum([0] + [len(sentence.words) for sentence in sentences])
    starts = _window_starts(sentence_splits, token_splits, room)
    owners = np.searchsorted(sentence_splits, starts, side="right") - 1
    word_splits = np.append(starts, len(words))
    num_tokens = np.diff(token_splits[word_splits])
    row_splits = np.concatenate([[0], np.cumsum(num_tokens + 2)])
    input_ids = np.full(row_splits[-1], tokenizer.sep_id, np.int32)
    input_ids[row_splits[:-1]] = tokenizer.cls_id
    input_ids[ranges(row_splits[:-1] + 1, num_tokens)] = tokens.ids
    ids = {label: number for number, label in enumerate(labels)}
    label_ids = np.array([ids.get(tag, -1) for sentence in sentences for tag in sentence.tags], np.int32)
    return TaggingFeatures(
        TextFeatures(input_ids, np.full_like(input_ids, segment_id), row_splits),
        np.array([sentences[owner].example_id for owner in owners], np.int64),
        starts - sentence_splits[owners],
        word_splits,
        (1 + token_splits[:-1] - np.repeat(token_splits[starts], np.diff(word_splits))).astype(np.int32),
        np.maximum(label_ids, 0),
        label_ids >= 0,
    )


def _tokens_of(words: Sequence[str], tokenizer: Tokenizer, most: int) -> FlatIds:
    """Returns the ids of words, one or more each and at most `most`."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    rows = [row[:most] for row in tokenizer.encode_words(list(numbers))] if numbers else []
    places = np.array([numbers[word] for word in words], np.int64)
    lengths = np.array([len(row) for row in rows], np.int64)
    flat_ids = np.array([token for row in rows for token in row], np.int32)
    starts = np.cumsum(lengths) - lengths
    row_splits = np.concatenate([[0], np.cumsum(lengths[places])])
    return FlatIds(flat_ids[ranges(starts[places], lengths[places])], row_splits)


def _window_starts(sentence_splits: np.ndarray, token_splits: np.ndarray, room: int) -> np.ndarray:
    """Returns the words that windows start with, each window as full of words as it can be, int64 [n].

    Args:
        sentence_splits: int64 [sentences + 1], in words.
        token_splits: int64 [W + 1], where each word starts, in tokens.
        room: for tokens in a window.
    """
    starts = list(sentence_splits[:-1])
    for sentence in np.flatnonzero(np.diff(token_splits[sentence_splits]) > room):
        word, last = sentence_splits[sentence], sentence_splits[sentence + 1]
        while token_splits[last] - token_splits[word] > room:
            word = np.searchsorted(token_splits, token_splits[word] + room, side="right") - 1
            starts.append(word)
    return np.sort(np.array(starts, np.int64))


def joined_windows(example_ids: Sequence[int], windows: Iterable[Sequence[str]]) -> dict[int, list[str]]:
    """Returns the tags of each sentence, by its id, from those of its windows.

    Args:
        example_ids: of the sentence of each window, in order.
        windows: the tags of each window's words.
    """
    joined: dict[int, list[str]] = {}
    for example_id, tags in zip(example_ids, windows, strict=True):
        joined.setdefault(example_id, []).extend(tags)
    return joined

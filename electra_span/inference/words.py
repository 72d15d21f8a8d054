"""Words of raw strings, and the windows that long sentences of them are read in, as graph operations."""

from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from electra_span.inference.reading import TextBatch, kept_of, read_tokens
from electra_span.tokenization import Tokenizer, places
from electra_span.tokenization.normalization import IDEOGRAPH, valid_utf8

# A word is of letters, marks and digits, with single signs between them (don't, well-known, 1,000, U.S); an ideograph;
# or any other character that can be seen.
_WORD_CHARACTERS = rf"(?:[^\P{{L}}{IDEOGRAPH}]|[\p{{M}}\p{{N}}])+"
_BLANKS = r"[\p{Z}\p{Cc}\p{Cf}]+"
_NULL, _OTHER_BLANK = r"\x{00}", "\x01"  # at the first, tensorflow_text ends a text
_WORD = rf"{_WORD_CHARACTERS}(?:(?:[-.,:'’&@/_]|\p{{Cf}}+){_WORD_CHARACTERS})*|[^\p{{Z}}\p{{Cc}}\p{{Cf}}]"


class Words(NamedTuple):
    """The words of n texts, and where they are.

    Attributes:
        words: string [n, None].
        starts, ends: int32 [n, None], code points [start, end) of the text.
    """

    words: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


class WordWindows(NamedTuple):
    """What a model reads of n sentences: W windows, each as full of whole words as it can be.

    Attributes:
        batch: the W windows.
        word_windows: int64 [words], the window that each word is in.
        word_positions: int64 [words], where its first token is.
        is_cut: bool [n], whether a sentence has a word longer than a window, of which the start is read.
    """

    batch: TextBatch
    word_windows: tf.Tensor
    word_positions: tf.Tensor
    is_cut: tf.Tensor


def split_words(texts: tf.Tensor) -> Words:
    """Returns the words of texts (string [n], UTF-8), punctuation apart."""
    texts = tf.strings.regex_replace(valid_utf8(texts), _NULL, _OTHER_BLANK)
    words, first_bytes, last_bytes = tf_text.regex_split_with_offsets(texts, f"{_WORD}|{_BLANKS}", _WORD)
    sizes = tf.strings.length(tf.strings.unicode_split(texts, "UTF-8"))
    byte_places = tf.stack([first_bytes.flat_values, last_bytes.flat_values - 1])  # [2, words]
    starts, lasts = tf.unstack(places.characters_at(byte_places, words.value_rowids(), sizes))
    return Words(words, words.with_flat_values(starts), words.with_flat_values(lasts + 1))


def given_words(words: tf.Tensor) -> Words:
    """Returns words that are given (string [n, W], "" behind the last), with their places were a blank between them."""
    sizes = tf.strings.length(words, unit="UTF8_CHAR") + 1
    starts = tf.cumsum(sizes, axis=1, exclusive=True)
    ragged = tf.RaggedTensor.from_tensor(words, padding="")
    lengths = ragged.row_lengths()
    columns = (tf.RaggedTensor.from_tensor(column, lengths) for column in (starts, starts + sizes - 1))
    return Words(ragged.with_flat_values(valid_utf8(ragged.flat_values)), *columns)


def read_words(words: tf.RaggedTensor, *, tokenizer: Tokenizer, max_seq_length: int) -> WordWindows:
    """Returns what a model reads of sentences, as `finetune` reads them.

    Args:
        words: string [n, None].
        tokenizer: of the model.
        max_seq_length: the most tokens of a window.
    """
    room = max_seq_length - 2
    ids = tokenizer.encode_words_ragged(words.flat_values)  # [words, None]
    lengths = ids.row_lengths()
    ids = kept_of(ids, tf.minimum(lengths, room))
    starts = _window_starts(words.row_splits, ids.row_splits, room)  # [W]
    num_words = tf.size(lengths, out_type=tf.int64)
    word_windows = tf.searchsorted(starts, tf.range(num_words), side="right", out_type=tf.int64) - 1
    token_splits = tf.gather(ids.row_splits, tf.concat([starts, [num_words]], axis=0))  # [W + 1]
    rows = tf.RaggedTensor.from_row_splits(ids.flat_values, token_splits, validate=False)
    is_long = tf.RaggedTensor.from_row_splits(lengths > room, words.row_splits, validate=False)
    return WordWindows(
        read_tokens(rows, tokenizer=tokenizer, max_seq_length=max_seq_length),
        word_windows,
        1 + ids.row_splits[:-1] - tf.gather(token_splits, word_windows),
        tf.reduce_any(is_long, axis=1),
    )


def _window_starts(word_splits: tf.Tensor, token_splits: tf.Tensor, room: int) -> tf.Tensor:
    """Returns the words that windows start with, int64 [W].

    Args:
        word_splits: int64 [n + 1], where each sentence starts, in words.
        token_splits: int64 [words + 1], where each word starts, in tokens, of which it has at most `room`.
        room: for tokens in a window.
    """
    ends = word_splits[1:]

    def more(starts: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(starts < ends)

    def next_windows(starts: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns where the sentences' next windows start, and all starts until now."""
        found = tf.concat([found, tf.boolean_mask(starts, starts < ends)], axis=0)
        limits = tf.gather(token_splits, starts) + room
        behind = tf.searchsorted(token_splits, limits, side="right", out_type=tf.int64) - 1
        return tf.minimum(behind, ends), found

    shapes = (tf.TensorShape([None]), tf.TensorShape([None]))
    _, found = tf.while_loop(more, next_windows, (word_splits[:-1], tf.zeros([0], tf.int64)), shapes)
    return tf.sort(found)

"""The tags of the words of raw strings, as functions of string tensors that a graph can hold."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from electra_span.head_config import HeadConfig
from electra_span.inference.parts import in_parts
from electra_span.inference.reading import NO_PLACE
from electra_span.inference.text_functions import TextFunction
from electra_span.inference.words import Words, given_words, read_words, split_words
from electra_span.tokenization import Tokenizer

_WINDOW_BATCH_SIZE = 32


def tag_function(model: Any, head: HeadConfig, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts (string [n]) that finds their words and tags them.

    Its outputs are words, tags (string [n, W] for W words of the text that has most; "" where there are fewer),
    probabilities (float32 [n, W], 0 there), starts and ends (int32 [n, W], code points, -1 there), and labels (string
    [n, C], all that the head has). Texts of more tokens than the model reads are read in windows of whole words, some
    at a time.

    Args:
        model: an ElectraTaskModel.
        head: of its, for tagging.
        tokenizer: of the model.
        max_seq_length: the most tokens of a window.
    """
    tag_words = _tagger(model, head, tokenizer, max_seq_length)
    return lambda texts: tag_words(split_words(texts))


def tag_words_function(model: Any, head: HeadConfig, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of sentences of words (string [n, W], "" behind the last) that tags them.

    Its outputs are those of `tag_function`; places are those in the words with a blank between any two.
    """
    tag_words = _tagger(model, head, tokenizer, max_seq_length)
    return lambda words: tag_words(given_words(words))


def _tagger(
    model: Any, head: HeadConfig, tokenizer: Tokenizer, max_seq_length: int
) -> Callable[[Words], dict[str, tf.Tensor]]:
    """Returns a function that tags words; see `tag_function`."""
    labels = tf.constant(head.labels)

    def tag(words: Words) -> dict[str, tf.Tensor]:
        windows = read_words(words.words, tokenizer=tokenizer, max_seq_length=max_seq_length)
        (logits,) = in_parts(
            lambda *inputs: [model.heads[head.task](model.encoder(*inputs))],
            list(windows.batch.inputs.values()),
            part_size=_WINDOW_BATCH_SIZE,
            outputs=[tf.TensorSpec([None, None, len(head.labels)], tf.float32)],
        )  # [W, L, C]
        places = tf.stack([windows.word_windows, windows.word_positions], axis=1)  # [words, 2]
        probabilities = tf.nn.softmax(tf.gather_nd(logits, places))  # [words, C]

        def padded(values: tf.Tensor, default: Any) -> tf.Tensor:
            return words.words.with_flat_values(values).to_tensor(default)  # [n, W]

        return {
            "words": words.words.to_tensor(""),
            "tags": padded(tf.gather(labels, tf.argmax(probabilities, axis=-1)), ""),
            "probabilities": padded(tf.reduce_max(probabilities, axis=-1), 0.0),
            "starts": words.starts.to_tensor(NO_PLACE),
            "ends": words.ends.to_tensor(NO_PLACE),
            "labels": tf.repeat(labels[tf.newaxis], words.words.nrows(), axis=0),  # [n, C]
            "is_cut": windows.is_cut,
        }

    return tag

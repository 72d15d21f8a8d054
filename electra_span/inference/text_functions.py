"""Many rows through a function, a few at a time, in a graph."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from electra_span.head_config import HeadConfig
from electra_span.inference.text_batch import (
    BLANKS_AT_END,
    NO_PLACE,
    TextBatch,
    Words,
    given_words,
    inner_tokens,
    read_parts,
    read_texts,
    read_words,
    split_words,
)
from electra_span.tokenization import Tokenizer
from electra_span.tokenization.normalization import valid_utf8


def in_parts(
    function: Callable[..., Sequence[tf.Tensor]],
    columns: Sequence[tf.Tensor],
    *,
    part_size: int,
    outputs: Sequence[tf.TensorSpec],
) -> list[tf.Tensor]:
    """Returns what a function makes of rows, in order; its memory is that of a part.

    Args:
        function: takes the columns of a part and returns tensors with a row for each of its rows; of no row too, where
            some output has other axes of unknown size, which its results then tell.
        columns: [R, ...] each, the arguments of all R rows.
        part_size: the most rows at a time.
        outputs: what the function returns, the first axis of unknown size.
    """
    num_parts = (tf.shape(columns[0])[0] + part_size - 1) // part_size
    if not all(spec.shape[1:].is_fully_defined() for spec in outputs):
        num_parts = tf.maximum(1, num_parts)
    arrays = [tf.TensorArray(spec.dtype, num_parts, infer_shape=False, element_shape=spec.shape) for spec in outputs]

    def add_part(part: tf.Tensor, arrays: list[tf.TensorArray]) -> tuple[tf.Tensor, list[tf.TensorArray]]:
        found = function(*(column[part * part_size : (part + 1) * part_size] for column in columns))
        return part + 1, [array.write(part, value) for array, value in zip(arrays, found, strict=True)]

    start = (tf.constant(0), arrays)
    _, arrays = tf.while_loop(lambda part, _: part < num_parts, add_part, start, parallel_iterations=1)
    return [array.concat() for array in arrays]


TextFunction = Callable[..., dict[str, tf.Tensor]]


def classify_function(model: Any, head: HeadConfig, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts, or texts and their pairs (string [n]), that gives their labels or scores.

    Its outputs are label (string [n]) and probability (float32 [n]) of the best one, and all labels and probabilities
    ([n, C]); of a head for regression score (float32 [n]).

    Args:
        model: an ElectraTaskModel.
        head: of its, for classification or regression.
        tokenizer: of the model.
        max_seq_length: the most tokens of a text or pair.
    """
    describe = _score if head.kind == "regression" else _labels

    def classify(texts: tf.Tensor, pairs: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        batch = read_texts(texts, pairs, tokenizer=tokenizer, max_seq_length=max_seq_length)
        logits = model.heads[head.task](model.encoder(**batch.inputs))
        return {**describe(logits, head), "is_cut": batch.is_cut}

    return classify


def embed_function(model: Any, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts (string [n]) that gives a vector for each.

    Its outputs are first, the state of [CLS], and mean, that of all tokens' states, [CLS] and [SEP] among them: both
    float32 [n, H].
    """

    def embed(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = read_texts(texts, tokenizer=tokenizer, max_seq_length=max_seq_length)
        states = _states(model, batch)
        weights = tf.cast(batch.input_mask, tf.float32)[:, :, tf.newaxis]  # [n, L, 1]
        mean = tf.reduce_sum(weights * states, axis=1) / tf.reduce_sum(weights, axis=1)  # [n, H]
        return {"first": states[:, 0], "mean": mean, "is_cut": batch.is_cut}

    return embed


def embed_tokens_function(model: Any, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts (string [n]) that gives a vector for each token of theirs.

    Its outputs are vectors (float32 [n, T, H], 0 at padding) and tokens, starts and ends as in `InnerTokens`.
    """
    vocabulary = tf.constant(tokenizer.vocabulary)

    def embed_tokens(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = read_texts(texts, tokenizer=tokenizer, max_seq_length=max_seq_length, places=True)
        is_token, *columns = inner_tokens(batch, vocabulary)
        vectors = tf.where(is_token[:, :, tf.newaxis], _states(model, batch)[:, 1:-1], 0.0)
        return {"vectors": vectors, **_named(columns), "is_cut": batch.is_cut}

    return embed_tokens


def replaced_function(model: Any, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts (string [n]) that gives the probability of each token to have been replaced.

    Its outputs are probabilities (float32 [n, T], 0 at padding) and tokens, starts and ends as in `InnerTokens`.

    Args:
        model: an ElectraDiscriminator.
        tokenizer: of the model.
        max_seq_length: the most tokens of a text.
    """
    vocabulary = tf.constant(tokenizer.vocabulary)

    def replaced(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = read_texts(texts, tokenizer=tokenizer, max_seq_length=max_seq_length, places=True)
        is_token, *columns = inner_tokens(batch, vocabulary)
        probabilities = tf.where(is_token, tf.sigmoid(model(**batch.inputs))[:, 1:-1], 0.0)
        return {"probabilities": probabilities, **_named(columns), "is_cut": batch.is_cut}

    return replaced


def _labels(logits: tf.Tensor, head: HeadConfig) -> dict[str, tf.Tensor]:
    """Returns the labels of logits [n, C], with their probabilities."""
    probabilities = tf.nn.softmax(logits)
    labels = tf.constant(head.labels)
    return {
        "label": tf.gather(labels, tf.argmax(logits, axis=-1)),
        "probability": tf.reduce_max(probabilities, axis=-1),
        "labels": tf.broadcast_to(labels, tf.shape(logits)),
        "probabilities": probabilities,
    }


def _score(logits: tf.Tensor, head: HeadConfig) -> dict[str, tf.Tensor]:
    """Returns the scores that predictions [n] of a head for regression stand for."""
    lowest, highest = head.score_range or (0.0, 1.0)
    return {"score": lowest + logits * (highest - lowest)}


def _states(model: Any, batch: TextBatch) -> tf.Tensor:
    """Returns a model's hidden states of a batch: float32 [n, L, H]."""
    return tf.cast(model.encoder(**batch.inputs), tf.float32)


def _named(columns: list[tf.Tensor]) -> Mapping[str, tf.Tensor]:
    """Returns the columns of inner tokens by their names."""
    return dict(zip(("tokens", "starts", "ends"), columns, strict=True))


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


_MASK_BATCH_SIZE = 128  # masks whose logits of all words are there at a time


def fill_mask_function(model: Any, tokenizer: Tokenizer, *, max_seq_length: int) -> TextFunction:
    """Returns a function of texts (string [n]) and num_candidates (int32 [], K) that fills their masks in.

    The mask token's name in a text is a mask. Of its outputs, tokens, texts (with that mask filled in, the others as
    they were) and probabilities are [n, M, K], best first; starts and ends of the masks are int32 [n, M], in code
    points. Where a text has fewer masks, or no room for the tokens up to one, they are "", 0 and -1.

    Args:
        model: an ElectraGenerator or a TwoTowerGenerator.
        tokenizer: of the model.
        max_seq_length: the most tokens of a text.
    """
    mask = tokenizer.special_tokens.mask
    vocabulary, shown = tf.constant(tokenizer.vocabulary), tf.constant(_shown_tokens(tokenizer))
    is_continuation = tf.constant(tokenizer.is_continuation)

    def fill_mask(texts: tf.Tensor, num_candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        texts = valid_utf8(texts)
        parts = tf.strings.split(texts, sep=mask)  # [n, None]
        batch = read_parts(parts, tokenizer=tokenizer, max_seq_length=max_seq_length)
        found = tf.where(tf.equal(batch.input_ids, tokenizer.mask_id))  # [masks, 2]
        states = tf.gather_nd(model.head_states(**batch.inputs), found)  # [masks, H]
        best = _best_tokens(model, states, tf.minimum(num_candidates, tokenizer.vocab_size), tokenizer.vocab_size)
        num_texts = tf.shape(texts, out_type=tf.int64)[0]
        rows = tf.RaggedTensor.from_value_rowids(best.probabilities, found[:, 0], nrows=num_texts, validate=False)
        probabilities, ids = rows.to_tensor(), rows.with_values(best.ids).to_tensor()  # [n, M, K]
        is_there = tf.sequence_mask(rows.row_lengths())  # [n, M]
        before, behind = _around_masks(texts, parts, tf.shape(is_there)[1], mask)
        starts = tf.strings.length(before, unit="UTF8_CHAR")
        filled = _filled(before, behind, tf.gather(shown, ids), tf.gather(is_continuation, ids))
        is_filled = is_there[:, :, tf.newaxis]
        return {
            "tokens": tf.where(is_filled, tf.gather(vocabulary, ids), ""),
            "texts": tf.where(is_filled, filled, ""),
            "probabilities": probabilities,
            "starts": tf.where(is_there, starts, NO_PLACE),
            "ends": tf.where(is_there, starts + len(mask), NO_PLACE),
            "is_cut": batch.is_cut,
        }

    return fill_mask


class _BestTokens(NamedTuple):
    """The most probable tokens at masks, best first: float32 and int32 [masks, K]."""

    probabilities: tf.Tensor
    ids: tf.Tensor


def _best_tokens(model: Any, states: tf.Tensor, num_candidates: tf.Tensor, vocab_size: int) -> _BestTokens:
    """Returns the best tokens for states [masks, H], among vocab_size of them, for some masks at a time."""

    def best(part: tf.Tensor) -> list[tf.Tensor]:
        logits = model.head(part[tf.newaxis])[0, :, :vocab_size]  # [R, V]
        return list(tf.math.top_k(tf.nn.softmax(logits), num_candidates))

    specs = [tf.TensorSpec([None, None], dtype) for dtype in (tf.float32, tf.int32)]
    return _BestTokens(*in_parts(best, [states], part_size=_MASK_BATCH_SIZE, outputs=specs))


def _shown_tokens(tokenizer: Tokenizer) -> list[str]:
    """Returns what each token is in a text, without blanks around it."""
    before = tokenizer.special_tokens.pad  # that it is not the first token, whose marks decoding may keep
    decoded = (tokenizer.decode([tokenizer.pad_id, token_id]) for token_id in range(tokenizer.vocab_size))
    return [text.removeprefix(before).strip() for text in decoded]


def _around_masks(
    texts: tf.Tensor, parts: tf.RaggedTensor, num_masks: tf.Tensor, mask: str
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what of each text is before each of its first masks, and what is behind; string [n, num_masks].

    Args:
        texts: string [n].
        parts: string [n, None], the texts split at masks.
        num_masks: int32 [], how many masks are looked at; what is returned of one that a text has not, is some text.
        mask: the mask token's name.
    """
    sizes = parts.with_flat_values(tf.strings.length(parts.flat_values)).to_tensor()[:, :num_masks]  # [n, M], in bytes
    mask_size = len(mask.encode())
    starts = tf.cumsum(sizes, axis=1) + mask_size * tf.range(num_masks)
    texts = tf.broadcast_to(texts[:, tf.newaxis], tf.shape(starts))
    total = tf.strings.length(texts)
    starts, ends = tf.minimum(starts, total), tf.minimum(starts + mask_size, total)
    return tf.strings.substr(texts, tf.zeros_like(starts), starts), tf.strings.substr(texts, ends, total - ends)


def _filled(before: tf.Tensor, behind: tf.Tensor, tokens: tf.Tensor, is_continuation: tf.Tensor) -> tf.Tensor:
    """Returns texts with tokens in the place of masks: string [n, M, K].

    Args:
        before, behind: string [n, M], what is around each mask.
        tokens: string [n, M, K], as they are in a text.
        is_continuation: bool [n, M, K], whether they go on with the word before them.
    """
    joined = tf.strings.regex_replace(before, BLANKS_AT_END, "")[:, :, tf.newaxis]
    start = tf.where(is_continuation, joined, before[:, :, tf.newaxis])  # [n, M, K]
    return start + tokens + behind[:, :, tf.newaxis]

"""What a generator puts in the place of masks, as a function of string tensors that a graph can hold.

Axis letters: n texts, M the masks of the text that has most, K candidates.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from electra_span.inference.parts import in_parts
from electra_span.inference.reading import BLANKS_AT_END, NO_PLACE, read_parts
from electra_span.inference.text_functions import TextFunction
from electra_span.tokenization import Tokenizer
from electra_span.tokenization.normalization import valid_utf8

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

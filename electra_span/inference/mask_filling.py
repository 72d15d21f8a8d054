"""What a generator puts in the place of masks, as a function of string tensors that a graph can hold.

Axis letters: n texts, M the masks of the text that has most, K candidates.
"""

from typing import Any

import tensorflow as tf

from electra_span.inference.reading import BLANKS_AT_END, NO_PLACE, TextBatch, read_parts
from electra_span.inference.text_functions import TextFunction
from electra_span.tokenization import Tokenizer
from electra_span.tokenization.normalization import valid_utf8


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
        positions = _mask_positions(batch, tokenizer.mask_id)
        is_there = tf.sequence_mask(positions.row_lengths())  # [n, M]
        logits = model(**batch.inputs, positions=positions.to_tensor(0))[:, :, : tokenizer.vocab_size]
        probabilities, ids = tf.math.top_k(tf.nn.softmax(logits), tf.minimum(num_candidates, tokenizer.vocab_size))
        before, behind = _around_masks(texts, parts, tf.shape(is_there)[1], mask)
        starts = tf.strings.length(before, unit="UTF8_CHAR")
        filled = _filled(before, behind, tf.gather(shown, ids), tf.gather(is_continuation, ids))
        is_filled = is_there[:, :, tf.newaxis]
        return {
            "tokens": tf.where(is_filled, tf.gather(vocabulary, ids), ""),
            "texts": tf.where(is_filled, filled, ""),
            "probabilities": tf.where(is_filled, probabilities, 0.0),
            "starts": tf.where(is_there, starts, NO_PLACE),
            "ends": tf.where(is_there, starts + len(mask), NO_PLACE),
            "is_cut": batch.is_cut,
        }

    return fill_mask


def _shown_tokens(tokenizer: Tokenizer) -> list[str]:
    """Returns what each token is in a text, without blanks around it."""
    before = tokenizer.special_tokens.pad  # that it is not the first token, whose marks decoding may keep
    decoded = (tokenizer.decode([tokenizer.pad_id, token_id]) for token_id in range(tokenizer.vocab_size))
    return [text.removeprefix(before).strip() for text in decoded]


def _mask_positions(batch: TextBatch, mask_id: int) -> tf.RaggedTensor:
    """Returns where the masks of each row are: int64 [n, None]."""
    found = tf.where(tf.equal(batch.input_ids, mask_id))  # [masks, 2]
    num_rows = tf.shape(batch.input_ids, out_type=tf.int64)[0]
    return tf.RaggedTensor.from_value_rowids(found[:, 1], found[:, 0], nrows=num_rows, validate=False)


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

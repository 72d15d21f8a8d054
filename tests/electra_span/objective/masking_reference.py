"""Small rows to mask, and the rules of masking as slow plain Python."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from electra_span.objective.batches import MaskedBatch, PretrainingExamples
from electra_span.objective.masking import MaskingConfig, mask_tokens

PAD, UNK, CLS, SEP, MASK = 0, 1, 2, 3, 4
SPECIAL_IDS = (PAD, CLS, SEP, MASK)
FIRST_WORD, VOCAB_SIZE = 5, 37
IS_CONTINUATION = np.arange(VOCAB_SIZE) % 3 == 0  # ids 6, 9, 12 ... go on with a word, and, in vain, [PAD] and [SEP]


def config_of(mask_prob: float, num_slots: int, **changes: Any) -> MaskingConfig:
    return MaskingConfig(
        mask_prob=mask_prob, max_predictions_per_seq=num_slots, mask_id=MASK, special_ids=SPECIAL_IDS, **changes
    )


def examples_of(rows: list[list[int]], length: int) -> PretrainingExamples:
    """Returns rows of ids, without their padding, as a batch of examples."""
    input_ids = np.zeros((len(rows), length), np.int32)
    input_mask = np.zeros_like(input_ids)
    for index, row in enumerate(rows):
        input_ids[index, : len(row)] = row
        input_mask[index, : len(row)] = 1
    segment_ids = input_mask * (np.arange(length) > length // 2)
    return PretrainingExamples(*(tf.constant(field, tf.int32) for field in (input_ids, segment_ids, input_mask)))


def sentences(num_rows: int, length: int) -> PretrainingExamples:
    """Returns full rows of [CLS], words, [SEP]."""
    words = np.random.default_rng(0).integers(FIRST_WORD, VOCAB_SIZE, (num_rows, length - 2))
    return examples_of([[CLS, *row, SEP] for row in words.tolist()], length)


def mask(examples: PretrainingExamples, config: MaskingConfig, seed: tuple[int, int] = (7, 0)) -> MaskedBatch:
    """Returns the masked batch as numpy arrays."""
    batch = mask_tokens(examples, seed=tf.constant(seed, tf.int64), config=config)
    return MaskedBatch(*(field.numpy() for field in batch))


def chosen(batch: MaskedBatch) -> np.ndarray:
    """Returns how often each position was chosen, int [B, L]."""
    times = np.zeros_like(batch.input_ids)
    rows, slots = np.nonzero(batch.masked_lm_weights)
    np.add.at(times, (rows, batch.masked_lm_positions[rows, slots]), 1)
    return times


def candidates_of(ids: list[int]) -> list[bool]:
    """Returns which tokens of a row may be chosen."""
    return [token not in SPECIAL_IDS for token in ids]


def wanted_of(ids: list[int], config: MaskingConfig) -> int:
    """Returns how many tokens of a row are to be chosen."""
    share = round(float(np.float32(config.mask_prob) * np.float32(len(ids))))
    return min(max(1, share), config.max_predictions_per_seq, sum(candidates_of(ids)))


def words_of(ids: list[int]) -> list[range]:
    """Returns the positions of each word of a row."""
    words: list[range] = []
    for position, token in enumerate(ids):
        if token in SPECIAL_IDS:
            continue
        if IS_CONTINUATION[token] and words and words[-1].stop == position:
            words[-1] = range(words[-1].start, position + 1)
        else:
            words.append(range(position, position + 1))
    return words


def runs_of(flags: list[bool]) -> list[range]:
    """Returns the positions of each unbroken series of true flags."""
    runs: list[range] = []
    for position, flag in enumerate(flags):
        if flag and runs and runs[-1].stop == position:
            runs[-1] = range(runs[-1].start, position + 1)
        elif flag:
            runs.append(range(position, position + 1))
    return runs


@functools.cache
def most_in_spans(size: int, longest: int) -> int:
    """Returns the most of some places in a line that spans of a longest length cover which do not touch."""
    lengths = range(1, min(size, longest) + 1)
    return max((length + most_in_spans(size - length - 1, longest) for length in lengths), default=0)


def check_boundaries(batch: MaskedBatch, row: int, ids: list[int], spans: list[range], longest: int) -> None:
    """Asserts that a row's span fields tell of these spans, which hold the chosen positions in order."""
    length = batch.input_ids.shape[1]
    members = {position for span in spans for position in span}
    readable = {position for position, free in enumerate(candidates_of(ids)) if free} - members
    expected = []
    for span in spans:
        left, right = span.start - 1, span.stop
        weight = float(left in readable and right in readable)
        sides = (max(left, 0), right if right < length else 0)
        expected += [(*sides, offset, weight * (offset < longest)) for offset in range(len(span))]
    fields = (batch.span_left[row], batch.span_right[row], batch.span_offset[row], batch.span_weights[row])
    num_slots = len(fields[0])
    assert list(zip(*fields, strict=True)) == expected + [(0, 0, 0, 0)] * (num_slots - len(expected))

"""Features of texts and pairs of texts that have a class or a score."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from electra_span.tokenization.base import Tokenizer
from finetune.features import TextFeatures, concatenated, pair_features
from finetune.reading import DataError, Example

_BATCH_SIZE = 1 << 13  # texts that are tokenized at a time


class LabelledFeatures(NamedTuple):
    """Features of n examples with their ids and what is to be told."""

    text: TextFeatures
    example_ids: np.ndarray  # int64 [n]
    labels: np.ndarray  # [n], int32 ids of classes or float32 targets; 0 where they are not known


def text_features(examples: Sequence[Example], tokenizer: Tokenizer, max_seq_length: int) -> TextFeatures:
    """Returns what the encoder reads of each example.

    Args:
        examples: n of them.
        tokenizer: of the model.
        max_seq_length: the most tokens of an example, special ones counted; longer texts are cut at the end, and of a
            pair the longer one first.

    Raises:
        DataError: where there is no room for a token of each text.
    """
    if max_seq_length < 5:
        raise DataError(f"max_seq_length must be at least 5 for pairs of texts. Received: {max_seq_length}")
    batches = (examples[start : start + _BATCH_SIZE] for start in range(0, len(examples), _BATCH_SIZE))
    return concatenated(
        [
            pair_features(
                tokenizer.encode_flat([example.text_a for example in batch]),
                tokenizer.encode_flat([example.text_b or "" for example in batch]),
                max_seq_length=max_seq_length,
                cls_id=tokenizer.cls_id,
                sep_id=tokenizer.sep_id,
            )
            for batch in batches
        ]
    )


def classification_features(
    examples: Sequence[Example], tokenizer: Tokenizer, max_seq_length: int, *, labels: Sequence[str]
) -> LabelledFeatures:
    """Returns features with the ids of classes, which are places in `labels`; 0 where an example has none.

    Raises:
        DataError: for a label that is not among them, or a max_seq_length without room.
    """
    ids = {label: number for number, label in enumerate(labels)}
    unknown = next((example for example in examples if example.label is not None and example.label not in ids), None)
    if unknown is not None:
        raise DataError(
            f"example {unknown.example_id}: the label must be one of {', '.join(labels)}. Received: {unknown.label!r}"
        )
    classes = [0 if example.label is None else ids[str(example.label)] for example in examples]
    return _labelled(examples, tokenizer, max_seq_length, np.array(classes, np.int32))


def regression_features(
    examples: Sequence[Example], tokenizer: Tokenizer, max_seq_length: int, *, lowest: float, highest: float
) -> LabelledFeatures:
    """Returns features with the scores moved to 0 for the lowest and 1 for the highest; 0 where there is none.

    Raises:
        DataError: where highest is not above lowest, or max_seq_length leaves no room.
    """
    if not highest > lowest:
        raise DataError(f"the highest score must be above the lowest. Received: {lowest} to {highest}")
    scores = np.array([lowest if example.label is None else float(example.label) for example in examples])
    return _labelled(examples, tokenizer, max_seq_length, ((scores - lowest) / (highest - lowest)).astype(np.float32))


def restored_scores(predictions: np.ndarray, *, lowest: float, highest: float) -> np.ndarray:
    """Returns predictions of a regression in the unit of the file; the inverse of `regression_features`."""
    return lowest + np.asarray(predictions, np.float64) * (highest - lowest)


def _labelled(
    examples: Sequence[Example], tokenizer: Tokenizer, max_seq_length: int, labels: np.ndarray
) -> LabelledFeatures:
    example_ids = np.array([example.example_id for example in examples], np.int64)
    return LabelledFeatures(text_features(examples, tokenizer, max_seq_length), example_ids, labels)

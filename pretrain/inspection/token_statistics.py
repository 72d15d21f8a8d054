"""What a tokenizer makes of text, and how full the examples of it are. Brings TensorFlow."""

import dataclasses
from typing import Self

import numpy as np

from electra_span.tokenization import Tokenizer
from pretrain.builder.shards import pack_batch, stream_of
from pretrain.dataset.manifest import Counts, sum_of
from pretrain.dataset.packing import Packing
from pretrain.sources.corpus import Documents

NUM_FILL_BINS = 20


@dataclasses.dataclass
class TokenStatistics:
    """Sums over tokens and examples of some text."""

    counts: Counts
    example_fill: np.ndarray  # int64 [20], examples by the share of their positions that are not padding

    def __add__(self, other: Self) -> Self:
        return type(self)(sum_of([self.counts, other.counts]), self.example_fill + other.example_fill)


def token_statistics(
    documents: Documents, tokenizer: Tokenizer, *, task: int, batch: int, seed: int, packing: Packing
) -> TokenStatistics:
    """Returns the statistics of a batch of text: the examples are those that a build makes.

    Args:
        documents: the text.
        tokenizer: cuts lines into ids.
        task: the number of the task that it is of.
        batch: its number in the task.
        seed: of the whole build.
        packing: the format of the examples.
    """
    stream = stream_of(task, batch)
    packed = pack_batch(documents, tokenizer=tokenizer, stream=stream, seed=seed, packing=packing)
    bins = np.minimum(packed.examples.lengths * NUM_FILL_BINS // packing.max_seq_length, NUM_FILL_BINS - 1)
    return TokenStatistics(packed.counts, np.bincount(bins, minlength=NUM_FILL_BINS))

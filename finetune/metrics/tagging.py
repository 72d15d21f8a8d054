"""Precision, recall and F1 of spans as conlleval counts them. Imports no TensorFlow.

Tjong Kim Sang and Buchholz 2000, "Introduction to the CoNLL-2000 shared task: chunking".
"""

import collections
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from electra_span.tags import spans_of


class SpanCounts(NamedTuple):
    """Numbers of spans."""

    gold: int
    predicted: int
    correct: int

    def scores(self) -> dict[str, float]:
        """Returns precision, recall and f1 in percent; 0 where there is nothing to divide by."""
        precision = 100 * self.correct / self.predicted if self.predicted else 0.0
        recall = 100 * self.correct / self.gold if self.gold else 0.0
        f1 = 2 * precision * recall / (precision + recall) if self.correct else 0.0
        return {"precision": precision, "recall": recall, "f1": f1}


def tagging_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], reading: str = "conlleval"
) -> dict[str, float]:
    """Returns precision, recall and f1 of spans, and accuracy of tags, all in percent.

    Args:
        gold: the tags of each sentence, canonical; see `electra_span.tags`.
        predicted: the same of what is scored.
        reading: of tags that follow no scheme; see `spans_of`.

    Raises:
        ValueError: where a sentence has not as many predicted tags as gold ones.
    """
    return {**span_scores(gold, predicted, reading), **accuracy_score(gold, predicted)}


def span_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], reading: str = "conlleval"
) -> dict[str, float]:
    """Returns precision, recall and f1 of spans in percent, whatever schemes each has; see `tagging_scores`."""
    counts = span_counts(gold, predicted, reading)
    return SpanCounts(*map(sum, zip(SpanCounts(0, 0, 0), *counts.values(), strict=True))).scores()


def accuracy_score(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Returns the accuracy of tags in percent, as they are; see `tagging_scores`."""
    pairs = itertools.chain.from_iterable(zip(*rows, strict=True) for rows in zip(gold, predicted, strict=True))
    is_right = [tag == other for tag, other in pairs]
    return {"accuracy": 100 * sum(is_right) / len(is_right) if is_right else 0.0}


def span_counts(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], reading: str = "conlleval"
) -> dict[str, SpanCounts]:
    """Returns the numbers of spans by kind, kinds in alphabetical order; see `tagging_scores`.

    Raises:
        ValueError: where a sentence has not as many predicted tags as gold ones.
    """
    numbers: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0])
    for number, (tags, others) in enumerate(zip(gold, predicted, strict=True)):
        if len(tags) != len(others):
            raise ValueError(
                f"sentence {number}: every word must have a predicted tag. Received: {len(others)} tags for "
                f"{len(tags)} words"
            )
        spans, found = set(spans_of(tags, reading)), set(spans_of(others, reading))
        for place, some in enumerate((spans, found, spans & found)):
            for span in some:
                numbers[span.kind][place] += 1
    return {kind: SpanCounts(*numbers[kind]) for kind in sorted(numbers)}

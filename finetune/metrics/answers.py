"""How an answer's text is compared with gold answers: normalised, exactly, and by the words in common.

Source: the official evaluators of SQuAD 1.1 and 2.0 and of MRQA, which agree on this.
"""

import collections
import re
import string
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Returns text lowered, without ASCII punctuation and English articles, its words between single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def word_f1(prediction: Sequence[str], gold: Sequence[str]) -> float:
    """Returns the harmonic mean of the shares of words in common; 0 where there are none.

    Args:
        prediction: the words of a normalised prediction.
        gold: those of a normalised gold answer.
    """
    num_common = sum((collections.Counter(prediction) & collections.Counter(gold)).values())
    if num_common == 0:
        return 0.0
    precision = num_common / len(prediction)
    recall = num_common / len(gold)
    return 2 * precision * recall / (precision + recall)

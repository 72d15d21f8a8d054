"""Functions of a model, run on many texts: those of similar lengths together."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from electra_span.inference.requests import TextCutWarning
from electra_span.inference.signatures import Signature, make_signature
from electra_span.tokenization.base import without_surrogates

Outputs = dict[str, np.ndarray]
Text = str | Sequence[str]  # a text, or its words

_UNREAD = "\ufffd".encode()  # for a word of which nothing is text
_MOST_TEXTS = 64  # of a batch
_MOST_CHARACTERS = 1 << 16  # of a batch, were all its texts as long as the longest


class ModelFunctions:
    """The functions of a model, each built when it is first asked for.

    Args:
        model: any of the package's, with its tokenizer.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._built: dict[tuple[Any, ...], Any] = {}

    def run(
        self, name: str, columns: Sequence[Sequence[Text]], *, task: str | None = None, **options: int | float
    ) -> Any:
        """Returns the outputs for each row of texts, in order.

        Args:
            name: of the function, as in `signatures`.
            columns: its inputs, with a text for each of n rows.
            task: of the head, where there are several.
            options: inputs that are numbers, in the function's order.

        Raises:
            InferenceError: the model cannot do it.
        """
        function, signature = self._function(name, task)
        numbers = [tf.constant(value) for value in options.values()]
        rows: list[Outputs] = [{}] * len(columns[0])
        for indices in _batches([sum(map(_size, row)) for row in zip(*columns, strict=True)]):
            texts = [_tensor([column[index] for index in indices]) for column in columns]
            outputs = {key: value.numpy() for key, value in function(*texts, *numbers).items()}
            for place, index in enumerate(indices):
                rows[index] = {key: value[place] for key, value in outputs.items()}
        _warn_of_cuts(rows, signature)
        return rows

    def _function(self, name: str, task: str | None) -> tuple[Any, Signature]:
        """Returns a compiled function of the model, and what it takes."""
        if (name, task) not in self._built:
            signature = make_signature(self._model, name, task)
            inputs = list(signature.inputs.values())
            compiled = tf.function(signature.function, input_signature=inputs, autograph=False)
            self._built[name, task] = compiled, signature
        return self._built[name, task]


def _warn_of_cuts(rows: Sequence[Outputs], signature: Signature) -> None:
    """Warns of texts that had too many tokens."""
    num_cut = sum(bool(row["is_cut"]) for row in rows)
    if num_cut:
        what = "questions" if "questions" in signature.inputs else "texts"
        warnings.warn(
            f"{num_cut} of {len(rows)} {what} have more than the {signature.max_tokens} tokens that the model reads; "
            "what is behind them was left out",
            TextCutWarning,
            stacklevel=4,
        )


def _batches(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Yields the numbers of rows that are run together, the longest rows first.

    Args:
        sizes: of the rows, in characters.
    """
    batch: list[int] = []
    for row in np.argsort([-size for size in sizes], kind="stable").tolist():
        longest = sizes[batch[0]] if batch else 0
        if len(batch) == _MOST_TEXTS or (len(batch) + 1) * longest > _MOST_CHARACTERS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _size(text: Text) -> int:
    return len(text) if isinstance(text, str) else sum(map(len, text))


def _tensor(texts: Sequence[Text]) -> tf.Tensor:
    """Returns texts as string [n], sentences of words as string [n, W] with "" behind their words."""
    if isinstance(texts[0], str):
        return tf.constant([_encoded(str(text)) for text in texts])
    most_words = max(map(len, texts))
    rows = [[*(_encoded(word) or _UNREAD for word in words), *[b""] * (most_words - len(words))] for words in texts]
    return tf.constant(rows, tf.string, shape=[len(rows), most_words])


def _encoded(text: str) -> bytes:
    return without_surrogates(text).encode()

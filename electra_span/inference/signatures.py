"""What can be asked of each model: by which name, of which texts, and by which function."""

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from electra_span.head_config import HeadConfig
from electra_span.inference.question_answering import best_answers_function, question_limit
from electra_span.inference.requests import OWN_THRESHOLD, InferenceError, TextCutWarning, find_head
from electra_span.inference.text_functions import (
    TextFunction,
    classify_function,
    embed_function,
    embed_tokens_function,
    fill_mask_function,
    replaced_function,
    tag_function,
    tag_words_function,
)
from electra_span.tokenization.base import without_surrogates

# By commands, what to load where a model cannot do it.
_FINE_TUNED = "a model that was fine-tuned on such a task; run_finetuning.py makes one of a discriminator"
_INSTEAD: Mapping[str, str] = {
    "classify": _FINE_TUNED,
    "answer": _FINE_TUNED,
    "tag": _FINE_TUNED,
    "embed": "the discriminator that was trained with it, in the folder discriminator/ beside its own",
    "replaced": "a discriminator, as pretraining writes it to discriminator/",
    "fill_mask": "a generator, as pretraining writes it to generator/",
}


class Signature(NamedTuple):
    """A function of a model.

    Attributes:
        inputs: the tensors that it takes, by their names.
        function: takes them by their names, or in order.
        max_tokens: how many of a text are read.
    """

    inputs: dict[str, tf.TensorSpec]
    function: TextFunction
    max_tokens: int


class _Row(NamedTuple):
    """Which models can do something, and how.

    Attributes:
        command: which it is a way to do, one of a model's `capabilities`.
        kinds: of the heads, where it takes one.
        inputs: of its function.
        make: returns the function of model and tokenizer, and of a head where it takes one.
        options: further inputs, with their values in a SavedModel, which does not take them.
        limit: how many tokens of a text are read where the model reads so many.
    """

    command: str
    kinds: tuple[str, ...]
    inputs: dict[str, tf.TensorSpec]
    make: Callable[..., TextFunction]
    options: Mapping[str, int | float] = {}
    limit: Callable[[int], int] = int


_TEXT = {"texts": tf.TensorSpec([None], tf.string)}
_PAIRS = {**_TEXT, "pairs": tf.TensorSpec([None], tf.string)}
_QUESTIONS = {name: tf.TensorSpec([None], tf.string) for name in ("questions", "contexts")}
_WORDS = {"words": tf.TensorSpec([None, None], tf.string)}
_CLASSES = ("classification", "regression")
_ANSWER_OPTIONS = {"num_answers": 5, "no_answer_threshold": OWN_THRESHOLD}
_ROWS: Mapping[str, _Row] = {
    "classify": _Row("classify", _CLASSES, _TEXT, classify_function),
    "classify_pairs": _Row("classify", _CLASSES, _PAIRS, classify_function),
    "answer": _Row("answer", ("questions",), _QUESTIONS, best_answers_function, _ANSWER_OPTIONS, question_limit),
    "tag": _Row("tag", ("tagging",), _TEXT, tag_function),
    "tag_words": _Row("tag", ("tagging",), _WORDS, tag_words_function),
    "replaced": _Row("replaced", (), _TEXT, replaced_function),
    "fill_mask": _Row("fill_mask", (), _TEXT, fill_mask_function, {"num_candidates": 5}),
    "embed": _Row("embed", (), _TEXT, embed_function),
    "embed_tokens": _Row("embed", (), _TEXT, embed_tokens_function),
}


def models_needed() -> Mapping[str, str]:
    """Returns for each command what model it needs, in words, where another was asked."""
    return _INSTEAD


def tasks_by_command(model: Any) -> dict[str, list[HeadConfig]]:
    """Returns for each command that a model can do its heads for it; none where it needs no head.

    Args:
        model: any of the package's.
    """
    return {row.command: _heads_for(model, row) for row in _ROWS.values() if _can(model, row)}


def make_signature(model: Any, name: str, task: str | None = None) -> Signature:
    """Returns what a model says of texts under a name of the table.

    Args:
        model: any of the package's, with its tokenizer.
        name: such as "classify".
        task: of the head, where the model has several that can do it.

    Raises:
        InferenceError: the model cannot do it; says what to load instead.
    """
    row = _ROWS[name]
    if row.command not in _capabilities(model):
        raise InferenceError(
            f"{row.command} is not for a model of type {type(model).__name__}. Load {_INSTEAD[row.command]}"
        )
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        raise InferenceError(
            f"{row.command} needs model.tokenizer, and this model has none. Load a folder with its vocabulary"
        )
    heads = [find_head(model.head_configs, row.command, row.kinds, task)] if row.kinds else []
    max_seq_length = model.config.max_position_embeddings
    function = row.make(model, *heads, tokenizer, max_seq_length=max_seq_length)
    options = {name: tf.TensorSpec.from_tensor(tf.constant(value)) for name, value in row.options.items()}
    return Signature({**row.inputs, **options}, function, row.limit(max_seq_length))


def all_signatures(model: Any, **options: int | float) -> dict[str, Signature]:
    """Returns all that a model can do, by names for a SavedModel: where it has several tasks, with these behind.

    Args:
        model: any of the package's, with its tokenizer.
        options: values of inputs that are no texts, instead of the defaults: num_answers, no_answer_threshold,
            num_candidates.
    """
    found = {}
    for name, row in _ROWS.items():
        fixed = {option: tf.constant(options.get(option, value)) for option, value in row.options.items()}
        tasks: list[str | None] = [head.task for head in _heads_for(model, row)]
        for task in tasks or [None] * _can(model, row):
            signature = make_signature(model, name, task)
            own_name = f"{name}_{task}" if len(tasks) > 1 else name
            function = functools.partial(signature.function, **fixed)
            found[own_name] = Signature(row.inputs, function, signature.max_tokens)
    return found


def _heads_for(model: Any, row: _Row) -> list[HeadConfig]:
    """Returns the heads of a model that can do something."""
    return [head for head in getattr(model, "head_configs", ()) if head.kind in row.kinds]


def _can(model: Any, row: _Row) -> bool:
    """Returns whether a model can do something."""
    return row.command in _capabilities(model) and (not row.kinds or bool(_heads_for(model, row)))


def _capabilities(model: Any) -> Sequence[str]:
    """Returns the commands that the class of a model declares."""
    return getattr(model, "capabilities", ())


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

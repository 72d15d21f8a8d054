"""What can be asked of each model: by which name, of which texts, and by which function."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from electra_span.head_config import HeadConfig
from electra_span.inference.mask_filling import fill_mask_function
from electra_span.inference.requests import InferenceError, find_head
from electra_span.inference.tagging import tag_function, tag_words_function
from electra_span.inference.text_functions import (
    TextFunction,
    classify_function,
    embed_function,
    embed_tokens_function,
    replaced_function,
)
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator
from electra_span.task_model import ElectraTaskModel

_TEXTS = tf.TensorSpec([None], tf.string)
_WORDS = tf.TensorSpec([None, None], tf.string)
_COUNT = tf.TensorSpec([], tf.int32)
_ENCODERS = (ElectraDiscriminator, ElectraGenerator, ElectraTaskModel)  # models with one, which reads all of a text

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
    """A function of a model, and the tensors that it takes, by their names."""

    inputs: dict[str, tf.TensorSpec]
    function: TextFunction


class _Row(NamedTuple):
    """Which models can do something, and how.

    Attributes:
        command: which it is a way to do.
        classes: of the models.
        kinds: of the heads, where it takes one.
        inputs: of its function.
        make: returns the function of model and tokenizer, and of a head where it takes one.
        options: inputs that a SavedModel has not, and their values there.
    """

    command: str
    classes: tuple[type, ...]
    kinds: tuple[str, ...]
    inputs: dict[str, tf.TensorSpec]
    make: Callable[..., TextFunction]
    options: Mapping[str, int] = {}


_CLASSES = ("classification", "regression")
_ROWS: Mapping[str, _Row] = {
    "classify": _Row("classify", (ElectraTaskModel,), _CLASSES, {"texts": _TEXTS}, classify_function),
    "classify_pairs": _Row(
        "classify", (ElectraTaskModel,), _CLASSES, {"texts": _TEXTS, "pairs": _TEXTS}, classify_function
    ),
    "tag": _Row("tag", (ElectraTaskModel,), ("tagging",), {"texts": _TEXTS}, tag_function),
    "tag_words": _Row("tag", (ElectraTaskModel,), ("tagging",), {"words": _WORDS}, tag_words_function),
    "embed": _Row("embed", _ENCODERS, (), {"texts": _TEXTS}, embed_function),
    "embed_tokens": _Row("embed", _ENCODERS, (), {"texts": _TEXTS}, embed_tokens_function),
    "replaced": _Row("replaced", (ElectraDiscriminator,), (), {"texts": _TEXTS}, replaced_function),
    "fill_mask": _Row(
        "fill_mask",
        (ElectraGenerator, TwoTowerGenerator),
        (),
        {"texts": _TEXTS, "num_candidates": _COUNT},
        fill_mask_function,
        {"num_candidates": 5},
    ),
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
    if type(model) not in row.classes:
        raise InferenceError(
            f"{row.command} is not for a model of type {type(model).__name__}. Load {_INSTEAD[row.command]}"
        )
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        raise InferenceError(f"{row.command} needs a tokenizer, and this model's folder has none. Add its vocabulary")
    heads = [find_head(model.head_configs, row.command, row.kinds, task)] if row.kinds else []
    function = row.make(model, *heads, tokenizer, max_seq_length=model.config.max_position_embeddings)
    return Signature(row.inputs, function)


def all_signatures(model: Any) -> dict[str, Signature]:
    """Returns all that a model can do, by names for a SavedModel: where it has several tasks, with these behind.

    Args:
        model: any of the package's, with its tokenizer.
    """
    found = {}
    for name, row in _ROWS.items():
        tasks: list[str | None] = [head.task for head in _heads_for(model, row)]
        for task in tasks or [None] * _can(model, row):
            inputs, function = make_signature(model, name, task)
            fixed = {option: tf.constant(value) for option, value in row.options.items()}
            specs = {key: spec for key, spec in inputs.items() if key not in fixed}
            own_name = f"{name}_{task}" if len(tasks) > 1 else name
            found[own_name] = Signature(specs, functools.partial(function, **fixed))
    return found


def _heads_for(model: Any, row: _Row) -> list[HeadConfig]:
    """Returns the heads of a model that can do something."""
    return [head for head in getattr(model, "head_configs", ()) if head.kind in row.kinds]


def _can(model: Any, row: _Row) -> bool:
    """Returns whether a model can do something."""
    return type(model) in row.classes and (not row.kinds or bool(_heads_for(model, row)))

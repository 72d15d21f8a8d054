"""A model as a TensorFlow SavedModel that takes raw strings, for wherever TensorFlow runs without this package."""

import json
import pathlib
from typing import Any

import tensorflow as tf

from electra_span.config import UserError
from electra_span.inference.signatures import Signature, all_signatures
from electra_span.published.config import CONFIG_FILE, published_config

ConcreteFunction = Any  # TensorFlow's

_EXTRA = "assets.extra"  # what TensorFlow leaves alone
_DEFAULT = "serving_default"  # TensorFlow Serving's name for the signature that it takes where none is named


class SavedModelError(UserError):
    """A model that cannot be written as a SavedModel, or a folder that cannot take it."""


def write_saved_model(model: Any, directory: str | pathlib.Path, **options: int | float) -> dict[str, ConcreteFunction]:
    """Writes all that a model can do, its tokenizer included, and returns the signatures by their names.

    The first of them is `serving_default` too. `assets.extra` gets config.json and the tokenizer's files, for people.

    Args:
        model: any of the package's, with its tokenizer.
        directory: a new or an empty folder.
        options: as in `all_signatures`.

    Raises:
        SavedModelError: the model has no tokenizer, or one that cannot be in a graph.
    """
    _check_tokenizer(model.tokenizer)
    functions = {name: _concrete(signature) for name, signature in all_signatures(model, **options).items()}
    module = tf.Module()
    module.variables_of_model = [variable.value for variable in model.variables]
    module.tokenizer = model.tokenizer.resources
    signatures = {_DEFAULT: next(iter(functions.values())), **functions}
    tf.saved_model.save(module, str(directory), signatures=signatures)
    extra = pathlib.Path(directory, _EXTRA)
    model.tokenizer.save(extra, model_max_length=model.config.max_position_embeddings)
    text = json.dumps(published_config(model, model.tokenizer), indent=2, sort_keys=True)
    (extra / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    return functions


def _check_tokenizer(tokenizer: Any) -> None:
    """Raises SavedModelError for a tokenizer that cannot be in a graph."""
    if tokenizer is None:
        raise SavedModelError("a SavedModel has the tokenizer in it, and this model's folder has none. Add its files")
    if not tokenizer.is_in_graph:
        raise SavedModelError(
            "a SavedModel has the tokenizer in it, and TensorFlow has no operations for byte-level BPE, nor for "
            "WordPiece with other rules than BERT's. Load the model in Python, or serve it by `python -m electra_span "
            f"serve`. Received: {type(tokenizer).__name__}"
        )


def _concrete(signature: Signature) -> ConcreteFunction:
    """Returns a function of named tensors."""
    specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in signature.inputs.items()}
    return tf.function(lambda **texts: signature.function(**texts), autograph=False).get_concrete_function(**specs)

"""Networks, tokenizers, training and the published form of ELECTRA-family encoders.

What is offered here is imported at its first use: importing the package does not import TensorFlow.
"""

import importlib
from typing import Any

import wrapt

__all__ = [
    "Electra",
    "ElectraEncoder",
    "EncoderConfig",
    "HeadConfig",
    "load_pretrained",
    "load_task_model",
    "load_tokenizer",
    "save_pretrained",
]

_MODULE_OF = {
    "Electra": "electra_span.objective.electra",
    "ElectraEncoder": "electra_span.encoder",
    "EncoderConfig": "electra_span.config",
    "HeadConfig": "electra_span.head_config",
    "load_pretrained": "electra_span.published.save_load",
    "load_task_model": "electra_span.published.save_load",
    "load_tokenizer": "electra_span.tokenization",
    "save_pretrained": "electra_span.published.save_load",
}


# Keras loads .keras files with classes of this package by their names, once both are imported.
wrapt.register_post_import_hook("electra_span.keras_registration:register_names", "keras")


def __getattr__(name: str) -> Any:
    """Returns what is offered under that name."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    """Returns the names of the package, those not imported yet among them."""
    return sorted({*globals(), *__all__})

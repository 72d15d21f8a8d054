"""What Keras finds this package's classes by when it loads a .keras file. Imports no TensorFlow.

Keras looks names up among what was registered and imports no module by itself. A class is registered where it is
defined; until then, what is registered under its name imports it.
"""

import importlib
from typing import Any

PACKAGE = "electra_span"

MODULE_OF = {
    "ClassificationHead": "electra_span.layers.heads",
    "Electra": "electra_span.objective.electra",
    "ElectraDiscriminator": "electra_span.models",
    "ElectraEncoder": "electra_span.encoder",
    "ElectraGenerator": "electra_span.models",
    "ElectraTaskModel": "electra_span.models",
    "Embeddings": "electra_span.layers.embeddings",
    "MaskedLMHead": "electra_span.layers.heads",
    "QuestionHead": "electra_span.layers.question_head",
    "ReplacedTokenHead": "electra_span.layers.heads",
    "SpanBoundaryStates": "electra_span.layers.heads",
    "SpanMaskedLMHead": "electra_span.layers.heads",
    "SpanReplacedTokenHead": "electra_span.layers.heads",
    "TaggingHead": "electra_span.layers.heads",
    "TwoTowerGenerator": "electra_span.models",
}


class _Unimported:
    """Stands for a class whose module may not have been imported yet."""

    def __init__(self, name: str) -> None:
        self._name = name

    def from_config(self, config: dict[str, Any]) -> Any:
        """Returns what the class makes of a config."""
        return getattr(importlib.import_module(MODULE_OF[self._name]), self._name).from_config(config)


def register_names(keras: Any) -> None:
    """Registers all names with Keras, classes that are registered already aside.

    Args:
        keras: the module.
    """
    registered = keras.saving.get_custom_objects()
    for name in MODULE_OF:
        registered.setdefault(f"{PACKAGE}>{name}", _Unimported(name))

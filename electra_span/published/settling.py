"""What a config.json says of a model, compared with the tensors that are there.

transformers keeps all keys of a config.json that it reads, but only the tensors that it knows: a model of ours that it
wrote again has no span head and no tables of compositional words, and its config.json still describes them.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from electra_span.config import COMPOSITIONAL_FIELDS
from electra_span.layers.embeddings import Table, make_words
from electra_span.models import ElectraGenerator
from electra_span.published.config import MAX_SPAN_LENGTH, Architecture, has_pretraining_head
from electra_span.published.names import (
    COMPOSITIONAL_TENSORS,
    OUTPUT_TABLE,
    SPAN_HEADS,
    WORD_EMBEDDINGS,
    ConversionError,
)
from electra_span.published.tensor_files import Weights

_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # of older transformers: 0, 1, 2 ...
_ROUNDING = 0.02  # of the largest value: of tables that were rounded to bfloat16 one by one


def settled(settings: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    """Returns the contents of a config.json without what it says of parts that have no tensor at all, and reports that.

    Args:
        settings: the contents.
        weights: the tensors beside it. Parts that have some of their tensors stay, and are found incomplete later.

    Raises:
        ConversionError: there is a span head that the config.json does not describe.
    """
    found = dict(settings)
    has_span_head = any(name.split(".")[0] in SPAN_HEADS for name in weights.shapes)
    if has_span_head and not found.get(MAX_SPAN_LENGTH):
        raise ConversionError(
            f"{weights.path}: has a span head, but {MAX_SPAN_LENGTH} in its config.json is "
            f"{found.get(MAX_SPAN_LENGTH)!r}. Set it to the rows of its boundary.position_embeddings"
        )
    if not has_span_head and found.pop(MAX_SPAN_LENGTH, 0) and has_pretraining_head(found):
        _report(weights, f"has no span head, of which {MAX_SPAN_LENGTH} in its config.json tells; read without one")
    tables = weights.shapes.keys() & set(COMPOSITIONAL_TENSORS)
    if found.get("embedding_type") == "compositional" and not tables and WORD_EMBEDDINGS in weights.shapes:
        found = {name: value for name, value in found.items() if name not in COMPOSITIONAL_FIELDS}
        _report(weights, "has the full table of words in place of the compositional ones that its config.json tells of")
    return found


def check_copies(architecture: Architecture, settings: Mapping[str, Any], weights: Weights) -> None:
    """Raises ConversionError where values that a model holds twice differ, or one that it should hold twice is missing.

    Args:
        architecture: of the model, whose tensors are all there.
        settings: of its config.json.
        weights: its tensors.
    """
    _, config, *_ = architecture
    if issubclass(architecture.model_class, ElectraGenerator):
        _check_output_table(settings, weights)
    if config.embedding_type == "full" or WORD_EMBEDDINGS not in weights.shapes:
        return
    names = zip(("word_quotients", "word_remainders"), COMPOSITIONAL_TENSORS, strict=True)
    tables: dict[str, Any] = {ours: Table(weights.read(name)) for ours, name in names}
    ours, theirs = make_words(tables, config).full_table().numpy(), weights.read(WORD_EMBEDDINGS)
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, rtol=0, atol=_ROUNDING * np.abs(ours).max()):
        raise ConversionError(
            f"{weights.path}: {WORD_EMBEDDINGS}, which transformers reads, must follow from the compositional tables, "
            "which are read here. Remove the two tables, or the full one"
        )


def is_copy(name: str) -> bool:
    """Returns whether a tensor that a model does not take says nothing more about it."""
    return name in (OUTPUT_TABLE, WORD_EMBEDDINGS) or name.endswith(_BUFFERS)


def report_unused(weights: Weights, used: set[str]) -> None:
    """Warns of tensors of a file that no model here takes."""
    unused = sorted(name for name in weights.shapes.keys() - used if not is_copy(name))
    if unused:
        _report(weights, f"has {len(unused)} tensors that are not known here and not read, such as {unused[0]}")


def _check_output_table(settings: Mapping[str, Any], weights: Weights) -> None:
    """Raises ConversionError unless a generator's logits are products with its words' vectors."""
    has_table = OUTPUT_TABLE in weights.shapes
    if not has_table and settings.get("tie_word_embeddings") is False:
        raise ConversionError(
            f"{weights.path}: lacks {OUTPUT_TABLE}, which tie_word_embeddings=false in its config.json asks for, and "
            "transformers would draw at random. If the words' vectors are meant, set it to true"
        )
    is_tied = WORD_EMBEDDINGS in weights.shapes and has_table
    if has_table and not (is_tied and np.array_equal(weights.read(OUTPUT_TABLE), weights.read(WORD_EMBEDDINGS))):
        raise ConversionError(
            f"{weights.path}: {OUTPUT_TABLE} must equal {WORD_EMBEDDINGS}, which ELECTRA ties it to; another one, "
            "which transformers reads, cannot be read here"
        )


def _report(weights: Weights, message: str) -> None:
    logging.getLogger("absl").warning("%s: %s", weights.path, message)

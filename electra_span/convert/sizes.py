"""The sizes of an encoder, read from the shapes of its weights and held against its config.json."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from electra_span.config import EncoderConfig, widths_by_rule
from electra_span.models import TwoTowerGenerator
from electra_span.published.names import ConversionError, ModelClass, Name, expected_names
from electra_span.published.tensor_files import Weights

Locate = Callable[[Name], tuple[str, ...]]  # a variable's names in a source, one or several side by side

_LAYER = re.compile(r"layer[_.]([0-9]+)[/.]")
_WORDS = "embeddings/word_embeddings"
_MOST_LISTED = 20


class Located(NamedTuple):
    """Where the variables of a model are to be found in a source."""

    weights: Weights
    model_class: ModelClass
    locate: Locate


def read_sizes(located: Located, published: Mapping[str, Any], num_attention_heads: int | None) -> EncoderConfig:
    """Returns the config of an encoder whose sizes its weights have.

    Args:
        located: the model in its source.
        published: its config.json; empty where there is none.
        num_attention_heads: which no shape tells; None for the config.json's, or else heads of 64.

    Raises:
        ConversionError: a weight is missing that sizes are read from, or config.json says otherwise.
        HparamError: config.json holds what cannot be, or heads do not divide the hidden size.
    """
    sizes = _sizes(located, published)
    for field, value in sizes.items():
        if field in published and (published[field] != value or type(published[field]) is not int):
            raise ConversionError(
                f"{located.weights.path}: has the {field} {value} by the shapes of its weights, but its config.json "
                f"says {published[field]!r}"
            )
    by_rule = widths_by_rule(sizes["hidden_size"])["num_attention_heads"]
    heads = published.get("num_attention_heads", by_rule) if num_attention_heads is None else num_attention_heads
    return EncoderConfig.from_published({**published, **sizes, "num_attention_heads": heads})


def check_variables(located: Located, names: list[Name]) -> None:
    """Raises ConversionError where variables of a model are missing in its source, or of other shapes: all of them.

    Args:
        located: the model in its source.
        names: of its variables.
    """
    problems = []
    shapes = located.weights.shapes
    for name in names:
        parts = located.locate(name)
        if located.weights.is_tf1:
            shape: tuple[int, ...] = (*name.shape[:-1], name.shape[-1] // len(parts))
        else:
            shape = name.hugging_face_shape
        for part in parts:
            if part not in shapes:
                problems.append(f"lacks {part}")
            elif shapes[part] != shape:
                problems.append(f"{part} has the shape {list(shapes[part])}, not {list(shape)} as other sizes ask")
    if problems:
        rest = f"; and {len(problems) - _MOST_LISTED} more" if len(problems) > _MOST_LISTED else ""
        raise ConversionError(f"{located.weights.path}: {'; '.join(problems[:_MOST_LISTED])}{rest}")


def _sizes(located: Located, published: Mapping[str, Any]) -> dict[str, int]:
    """Returns the sizes that the shapes of weights tell, by their fields of EncoderConfig."""
    names = {name.ours: name for name in expected_names(located.model_class, EncoderConfig(num_hidden_layers=1))}
    tower = "generator_ltr/" if issubclass(located.model_class, TwoTowerGenerator) else ""
    query = f"{tower}layer_0/query/kernel"
    is_compositional = published.get("embedding_type", "full") != "full"
    sizes: dict[str, int] = {}
    for path, fields in (
        (_WORDS, ("vocab_size", "embedding_size")),
        ("embeddings/position_embeddings", ("max_position_embeddings", "embedding_size")),
        ("embeddings/segment_embeddings", ("type_vocab_size", "embedding_size")),
        (query, ("hidden_size", "hidden_size")),
        (f"{tower}layer_0/intermediate/kernel", ("hidden_size", "intermediate_size")),
    ):
        if path == _WORDS and is_compositional:
            continue  # whose tables do not tell the number of words, and which only config.json describes
        for field, size in zip(fields, _shape(located, names[path]), strict=True):
            if sizes.setdefault(field, size) != size:
                raise ConversionError(
                    f"{located.weights.path}: {located.locate(names[path])[0]} says {field} {size}, others "
                    f"{sizes[field]}"
                )
    return {**sizes, "num_hidden_layers": _num_layers(located, names[query])}


def _shape(located: Located, name: Name) -> tuple[int, ...]:
    """Returns the shape of a matrix in our layout."""
    (found,) = located.locate(name)
    shape = located.weights.shapes.get(found)
    if shape is None:
        raise ConversionError(f"{located.weights.path}: lacks {found}, which tells a size")
    if len(shape) != 2 or not math.prod(shape):
        raise ConversionError(f"{located.weights.path}: {found} must be a matrix. Received: the shape {list(shape)}")
    return shape[::-1] if name.is_transposed and not located.weights.is_tf1 else shape


def _num_layers(located: Located, query: Name) -> int:
    """Returns how many layers have any variable, so that one which lacks some is not taken for the end."""
    (found,) = located.locate(query)
    scope = _LAYER.split(found)[0]
    rests = (name.removeprefix(scope) for name in located.weights.shapes if name.startswith(scope))
    return len({int(match[1]) for match in map(_LAYER.match, rests) if match})

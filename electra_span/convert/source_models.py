"""The models in a source: its halves, discriminator and generator, or the one model that it is."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from electra_span.config import EncoderConfig
from electra_span.convert.sizes import Located, check_variables, read_sizes
from electra_span.encoder import ElectraEncoder
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator
from electra_span.published.config import CONFIG_FILE, Architecture, architecture_in, read_settings
from electra_span.published.names import ConversionError, Model, ModelClass, Name, expected_names, relative_path
from electra_span.published.save_load import make_model, read_tokenizer
from electra_span.published.settling import check_copies, is_copy, settled
from electra_span.published.tensor_files import Weights
from electra_span.tokenization import Tokenizer, load_tokenizer, published

PARTS = ("discriminator", "generator")
CONFIG_OF_PART = {"discriminator": CONFIG_FILE, "generator": "generator_config.json"}  # beside a TF1 checkpoint

_HEADS: Mapping[str, tuple[str, ModelClass]] = {
    "discriminator_predictions": ("discriminator", ElectraDiscriminator),
    "generator_predictions": ("generator", ElectraGenerator),
    "cloze_predictions": ("generator", TwoTowerGenerator),
}
_OPTIMIZER = ("/adam_m", "/adam_v")
_FEW = 5
_GLOBAL_STEP = "global_step"


class Half(NamedTuple):
    """A model in its source.

    Attributes:
        part: "discriminator" or "generator"; "model" for one with heads for tasks; "encoder" for one without a head.
        architecture: what it is.
        located: where its variables are.
        folder: where its tokenizer's files are, if anywhere.
        published: its config.json; empty where there is none.
    """

    part: str
    architecture: Architecture
    located: Located
    folder: pathlib.Path
    published: Mapping[str, Any]


class Unused(NamedTuple):
    """The tensors of a source that no model takes: known ones that say nothing about it, and unknown ones."""

    known: list[str]
    unknown: list[str]


def tf1_halves(weights: Weights, num_attention_heads: Mapping[str, int | None]) -> list[Half]:
    """Returns the halves that a TF1 checkpoint of pretraining holds.

    Args:
        weights: its variables.
        num_attention_heads: by part; None for those of the config.json beside the checkpoint, or heads of 64.

    Raises:
        ConversionError: it holds neither, or variables are missing or do not fit together.
    """
    tops = {name.split("/")[0] for name in weights.shapes}
    found = [kind for head, kind in _HEADS.items() if head in tops]
    if not found:
        other = "heads for tasks" if "task_specific" in tops else f"{sorted(tops)[:_FEW]}"
        raise ConversionError(
            f"{weights.path}: holds no discriminator and no generator of ELECTRA, but {other}. "
            "Take the checkpoint of pretraining"
        )
    halves = []
    for part, model_class in found:
        names = _Tf1Names(weights, part)
        located = Located(weights, model_class, names)
        is_shared = names.is_of_discriminator and model_class is not TwoTowerGenerator
        source = "discriminator" if len(found) == 1 or is_shared else part
        file = weights.path.parent / CONFIG_OF_PART[source]
        published = read_settings(file) if file.exists() else {}
        heads = num_attention_heads[part] or num_attention_heads[source]
        halves.append(_checked(part, located, read_sizes(located, published, heads), weights.path.parent, published))
    return halves


def hugging_face_half(weights: Weights, folder: pathlib.Path, num_attention_heads: Mapping[str, int | None]) -> Half:
    """Returns the model of a Hugging Face folder; see `tf1_halves`.

    Raises:
        ConversionError, PublishedModelError: it is none that is known, or weights are missing or do not fit together.
    """
    described = None
    published: Mapping[str, Any] = {}
    if (folder / CONFIG_FILE).exists():
        published = read_settings(folder / CONFIG_FILE)
        architecture_in(published, folder / CONFIG_FILE)  # wrong settings are wrong whatever the tensors are
        published = settled(published, weights)
        described = architecture_in(published, folder / CONFIG_FILE)
    model_class = described.model_class if described else _class_of(weights)
    part = "encoder" if issubclass(model_class, ElectraEncoder) else "model"
    part = next((part for part, kind in _HEADS.values() if issubclass(model_class, kind)), part)
    located = Located(weights, model_class, lambda name: (name.hugging_face,))
    heads = num_attention_heads[part if part in PARTS else "discriminator"]
    half = _checked(part, located, read_sizes(located, published, heads), folder, published, described)
    check_copies(half.architecture, published, weights)
    return half


def build(half: Half) -> Model:
    """Returns the model of a half, which is not an encoder alone, with its weights."""
    model = make_model(half.architecture, "float32")
    variables = {relative_path(variable): variable for variable in model.variables}
    for path, value in read_values(half):
        variables[path].assign(value)
    return model


def read_values(half: Half) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the path of each variable of a half, below its model, and its value: float32."""
    weights, _, locate = half.located
    for name in expected_names(*half.architecture):
        value = np.concatenate([weights.read(part) for part in locate(name)], axis=-1)
        yield name.ours, value.T if name.is_transposed and not weights.is_tf1 else value


def unused_tensors(weights: Weights, halves: Sequence[Half]) -> Unused:
    """Returns which tensors of a source none of its halves takes."""
    used = {
        part for half in halves for name in expected_names(*half.architecture) for part in half.located.locate(name)
    }
    unused = sorted(set(weights.shapes) - used)
    known = [name for name in unused if _is_known(name, weights)]
    return Unused(known, [name for name in unused if name not in known])


class _Tf1Names:
    """Finds the variables of a half in a TF1 checkpoint, where the generator shares what it has not of its own."""

    def __init__(self, weights: Weights, part: str) -> None:
        def scope(kind: str) -> str:
            has_own = any(name.startswith(f"generator/{kind}/") for name in weights.shapes)
            return "generator" if part == "generator" and has_own else "electra"

        self._scopes = {"embeddings": scope("embeddings"), "encoder": scope("encoder")}
        self._scopes["embeddings_project"] = self._scopes["encoder"]
        self.is_of_discriminator = self._scopes["encoder"] == "electra"

    def __call__(self, name: Name) -> tuple[str, ...]:
        scope = self._scopes.get(name.tf1.split("/")[0])
        return tuple(part if scope is None else f"{scope}/{part}" for part in name.tf1.split())


def _checked(
    part: str,
    located: Located,
    config: EncoderConfig,
    folder: pathlib.Path,
    published: Mapping[str, Any],
    described: Architecture | None = None,
) -> Half:
    """Returns a half whose variables are all there, of the shapes that its sizes ask for."""
    heads = described.heads if described else ()
    max_span_length = _max_span_length(located, config)
    if described and described.max_span_length != max_span_length:
        raise ConversionError(
            f"{located.weights.path}: has a max_span_length of {max_span_length} by the shapes of its weights, but its "
            f"config.json says {described.max_span_length}"
        )
    architecture = Architecture(located.model_class, config, max_span_length, heads)
    check_variables(located, list(expected_names(*architecture)))
    return Half(part, architecture, located, folder, published)


def _max_span_length(located: Located, config: EncoderConfig) -> int:
    """Returns the rows of the table of positions that a span head has; 0 where there is none."""
    for name in expected_names(located.model_class, config, 1):
        if name.ours.endswith("span_predictions/boundary/position_embeddings"):
            (found,) = located.locate(name)
            return next(iter(located.weights.shapes.get(found, ())), 0)
    return 0


def _class_of(weights: Weights) -> ModelClass:
    """Returns what a Hugging Face model without a config.json is, by the name of its head."""
    tops = {name.split(".")[0] for name in weights.shapes}
    found = [model_class for head, (_, model_class) in _HEADS.items() if head in tops]
    if len(found) != 1:
        raise ConversionError(f"{weights.path}: no head tells what model it is; put its {CONFIG_FILE} beside it")
    return found[0]


def _is_known(name: str, weights: Weights) -> bool:
    """Whether a tensor that no model takes is one that says nothing more about it."""
    if weights.is_tf1:
        return name == _GLOBAL_STEP or name.endswith(_OPTIMIZER)
    return is_copy(name)


def source_tokenizer(half: Half, *, do_lower_case: bool = True) -> Tokenizer | None:
    """Returns the tokenizer beside a half's weights, None where there is none.

    Args:
        half: of a source.
        do_lower_case: whether a vocabulary without settings is of lowered texts.

    Raises:
        UserError: it cannot be used, or has more tokens than the half has vectors.
    """
    if not half.located.weights.is_tf1 or (half.folder / published.CONFIG_FILE).exists():
        return read_tokenizer(half.folder, half.architecture.config, do_lower_case=do_lower_case)
    file = half.folder / published.VOCABULARY_FILE
    if not file.exists():
        return None
    return checked_against(half.architecture.config, load_tokenizer(file, do_lower_case=do_lower_case), file)


def checked_against(config: EncoderConfig, tokenizer: Tokenizer, file: str | os.PathLike[str]) -> Tokenizer:
    """Returns a tokenizer that a model has a vector of each token for; raises ConversionError for another one.

    Args:
        config: of the model's encoder.
        tokenizer: to be checked.
        file: it is from.
    """
    if tokenizer.vocab_size > config.vocab_size:
        raise ConversionError(
            f"{file}: must have at most the model's {config.vocab_size} tokens. Received: {tokenizer.vocab_size}"
        )
    return tokenizer

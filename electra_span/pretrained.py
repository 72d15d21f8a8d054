"""The published form of a model: Hugging Face's layout, so that transformers reads ours and we read theirs.

A folder holds config.json, model.safetensors and the tokenizer's files. A two-tower generator, which transformers does
not know, has a model type of its own there.
"""

import functools
import json
import os
import pathlib
import shutil
from collections.abc import Mapping

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from electra_span.config import EncoderConfig
from electra_span.convert.names import (
    COMPOSITIONAL_TENSORS,
    WORD_EMBEDDINGS,
    Model,
    expected_names,
    names_of,
    relative_path,
)
from electra_span.encoder import ElectraEncoder
from electra_span.layers.embeddings import Embeddings
from electra_span.models import TwoTowerGenerator, make_two_towers
from electra_span.published_config import (
    CONFIG_FILE,
    Architecture,
    PublishedModelError,
    published_config,
    read_config,
)
from electra_span.task_model import ElectraTaskModel
from electra_span.tokenization import Tokenizer, load_tokenizer

_WEIGHTS = "model.safetensors"
_VOCABULARIES = ("vocab.txt", "tokenizer.json", "vocab.json", "spiece.model")  # transformers writes the second alone
_TOKENIZER_FILES = (*_VOCABULARIES, "merges.txt", "tokenizer_config.json")


def save_pretrained(model: Model, tokenizer: Tokenizer | None, directory: str | pathlib.Path) -> None:
    """Writes a model in its published form.

    A model that the folder holds is replaced once the new one is whole; files of other names stay. Tables of embeddings
    that are trained as differences from others are written whole. Compositional embeddings of words are written as
    their two tables, which `load_pretrained` reads, and as the full one, which transformers reads.

    Args:
        model: an ElectraDiscriminator, ElectraGenerator or TwoTowerGenerator.
        tokenizer: its tokenizer, or None to leave that out.
        directory: the folder to write.

    Raises:
        PublishedModelError: the folder cannot be written, for example because the disk is full.
    """
    directory = pathlib.Path(directory)
    partial = directory / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(model, tokenizer, partial)
        _replace(directory, partial)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise PublishedModelError(f"cannot write a model to {directory}: {error}") from error


def load_pretrained(directory: str | pathlib.Path, *, dtype: str = "float32") -> Model:
    """Returns the model of a published folder, with its tokenizer (None where there is none) as `.tokenizer`.

    Called as model(input_ids=..., input_mask=..., segment_ids=...), of which the last two may be left out, a
    discriminator returns float32 logits [B, L] and a generator [B, L, V]; `.encoder(...)`, which a two-tower generator
    has not, returns [B, L, H].

    Args:
        directory: as `save_pretrained` or transformers wrote it.
        dtype: a Keras dtype policy, such as "mixed_bfloat16".

    Raises:
        PublishedModelError: names the file and what is missing in it or wrong.
    """
    directory = pathlib.Path(directory)
    architecture = read_config(directory / CONFIG_FILE)
    tensors = _read_tensors(directory / _WEIGHTS, architecture)
    model = _make(architecture, dtype)
    for variable in model.variables:
        variable.assign(tensors[relative_path(variable)])
    model.tokenizer = _read_tokenizer(directory, architecture.config)
    return model


def _make(architecture: Architecture, dtype: str) -> Model:
    """Returns an untrained model."""
    model_class, config, max_span_length, heads = architecture
    build_encoder = functools.partial(ElectraEncoder, dtype=dtype)
    if issubclass(model_class, TwoTowerGenerator):
        return make_two_towers(build_encoder, config)
    if issubclass(model_class, ElectraTaskModel):
        return model_class(build_encoder(config, name="electra"), heads, dtype=dtype)
    model: Model = model_class(build_encoder(config, name="electra"), max_span_length=max_span_length, dtype=dtype)
    return model


def _write(model: Model, tokenizer: Tokenizer | None, directory: pathlib.Path) -> None:
    """Writes all files of a published model."""
    names = {name.ours: name for name in names_of(model)}
    tensors = {}
    for path, tensor in _published_tensors(model).items():
        value = np.asarray(tensor, dtype=np.float32)
        tensors[names[path].hugging_face] = np.ascontiguousarray(value.T if names[path].is_transposed else value)
    tensors[WORD_EMBEDDINGS] = _embeddings_of(model).words.full_table().numpy()
    save_file(tensors, directory / _WEIGHTS, metadata={"format": "pt"})
    text = json.dumps(published_config(model, tokenizer), indent=2, sort_keys=True)
    (directory / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(directory, model_max_length=model.config.max_position_embeddings)


def _published_tensors(model: Model) -> dict[str, np.ndarray]:
    """Returns the values of a model's variables by their path below it, of embeddings their whole tables."""
    tables = _embeddings_of(model).tables
    of_tables = {table.variable.path for table in tables.values()}
    values = {relative_path(each): each.numpy() for each in model.variables if each.path not in of_tables}
    return {**values, **{f"embeddings/{name}": table.whole().numpy() for name, table in tables.items()}}


def _embeddings_of(model: Model) -> Embeddings:
    return (model if isinstance(model, TwoTowerGenerator) else model.encoder).embeddings


def _replace(directory: pathlib.Path, partial: pathlib.Path) -> None:
    """Moves a published model's files from partial to directory, in place of those of the model that was there.

    config.json goes first and comes last: at no moment does the folder hold a mixture that can be loaded.
    """
    for name in (CONFIG_FILE, _WEIGHTS, *_TOKENIZER_FILES):
        (directory / name).unlink(missing_ok=True)
    for file in sorted(partial.iterdir(), key=lambda file: file.name == CONFIG_FILE):
        os.replace(file, directory / file.name)
    partial.rmdir()


def _read_tokenizer(directory: pathlib.Path, config: EncoderConfig) -> Tokenizer | None:
    """Returns the tokenizer of a published folder, None where it has none."""
    if not any((directory / name).exists() for name in _VOCABULARIES):
        return None
    tokenizer = load_tokenizer(directory)
    if tokenizer.vocab_size > config.vocab_size:
        raise PublishedModelError(
            f"{directory}: vocab_size in {CONFIG_FILE} must be at least the tokenizer's {tokenizer.vocab_size} tokens. "
            f"Received: {config.vocab_size}"
        )
    return tokenizer


def _read_tensors(path: pathlib.Path, architecture: Architecture) -> dict[str, np.ndarray]:
    """Returns the value of each variable of a model by its path, from a safetensors file that must hold all of them.

    Nothing is made before the file is known to hold it, whatever sizes the config asks for.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            stored = file.keys()
            _check_tensors({name: tuple(file.get_slice(name).get_shape()) for name in stored}, path, architecture)
            tensors = {}
            for name in expected_names(*architecture):
                value = file.get_tensor(name.hugging_face).astype(np.float32)
                tensors[name.ours] = value.T if name.is_transposed else value
            return tensors
    except FileNotFoundError as error:
        raise PublishedModelError(f"{path}: no such file; a published model has one") from error
    except (OSError, SafetensorError) as error:
        raise PublishedModelError(f"{path}: is not a safetensors file: {error}") from error


def _check_tensors(shapes: Mapping[str, tuple[int, ...]], path: pathlib.Path, architecture: Architecture) -> None:
    """Raises PublishedModelError where a tensor that the model needs is missing, or of another shape."""
    for name in expected_names(*architecture):
        shape = shapes.get(name.hugging_face)
        if shape is None:
            remedy = _remedy(name.hugging_face, shapes)
            raise PublishedModelError(f"{path}: lacks the tensor {name.hugging_face}{remedy}")
        if shape != name.hugging_face_shape:
            raise PublishedModelError(
                f"{path}: {name.hugging_face} must have the shape {name.hugging_face_shape}, by the config.json "
                f"beside it. Received: {shape}"
            )


def _remedy(missing: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Returns what to do about a missing tensor, where the full table of words that transformers wrote can stand in."""
    if missing in COMPOSITIONAL_TENSORS and WORD_EMBEDDINGS in shapes:
        return '; to read the full table of words instead, set embedding_type to "full" in the config.json beside it'
    return ""

"""The published form of a model: Hugging Face's layout, so that transformers reads ours and we read theirs.

A folder holds config.json, model.safetensors and the tokenizer's files. A two-tower generator, which transformers does
not know, has a model type of its own there.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from safetensors import SafetensorError

from electra_span.config import EncoderConfig, checked_hparams
from electra_span.encoder import ElectraEncoder
from electra_span.files import FileError
from electra_span.folders import read_unchanged, replaced_files
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraTaskModel, TwoTowerGenerator, make_two_towers
from electra_span.published.config import CONFIG_FILE, Architecture, PublishedModelError, published_config, read_config
from electra_span.published.names import Model, relative_path
from electra_span.published.tensor_files import WEIGHTS_FILE
from electra_span.published.weights import open_published, read_tensors, write_tensors
from electra_span.tokenization import Tokenizer, load_tokenizer
from electra_span.tokenization.published import STALE_FILES

_VOCABULARIES = ("vocab.txt", "tokenizer.json", "vocab.json", "spiece.model")  # transformers writes the second alone
_TOKENIZER_FILES = (*_VOCABULARIES, "merges.txt", "tokenizer_config.json", *STALE_FILES)


def save_pretrained(model: Model, tokenizer: Tokenizer | None, directory: str | pathlib.Path) -> None:
    """Writes a model in its published form.

    A model that the folder holds is replaced once the new one is whole, at no moment with a mixture in the folder that
    can be loaded; files of other names stay. Processes that write the same folder wait for each other. Tables of
    embeddings that are trained as differences from others are written whole. Compositional embeddings of words are
    written as their two tables, which `load_pretrained` reads, and as the full one, which transformers reads.

    Args:
        model: an ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator or ElectraTaskModel.
        tokenizer: its tokenizer, or None to leave that out.
        directory: the folder to write.

    Raises:
        PublishedModelError: the folder cannot be written, for example because the disk is full.
    """
    directory = pathlib.Path(directory)
    old_names = (WEIGHTS_FILE, *_TOKENIZER_FILES)
    try:
        with replaced_files(directory, old_names, last=CONFIG_FILE) as partial:
            _write(model, tokenizer, partial)
    except (OSError, FileError, SafetensorError) as error:
        raise PublishedModelError(f"cannot write a model to {directory}: {error}") from error


def load_pretrained(directory: str | pathlib.Path, *, dtype: str = "float32") -> Model:
    """Returns the model of a published folder, with its tokenizer (None where there is none) as `.tokenizer`.

    Called as model(input_ids=..., input_mask=..., segment_ids=...), of which the last two may be left out, a
    discriminator returns float32 logits [B, L], a generator [B, L, V], and a model for tasks what each of its heads
    says, by task; `.encoder(...)`, which a two-tower generator has not, returns [B, L, H].

    Args:
        directory: as `save_pretrained` or transformers wrote it.
        dtype: a Keras dtype policy, such as "mixed_bfloat16".

    Raises:
        PublishedModelError: names the file and what is missing in it or wrong.
        FileError: other processes replace the folder's files again and again.
    """
    return read_unchanged(directory, lambda: _load_pretrained(pathlib.Path(directory), dtype))


def _load_pretrained(directory: pathlib.Path, dtype: str) -> Model:
    published = open_published(directory)
    architecture = published.architecture
    if issubclass(architecture.model_class, ElectraEncoder):
        raise PublishedModelError(f"{directory}: is an encoder without a head. Make it one with load_task_model")
    tensors = read_tensors(published, architecture)
    model = make_model(architecture, dtype)
    for variable in model.variables:
        variable.assign(tensors[relative_path(variable)])
    model.tokenizer = read_tokenizer(directory, architecture.config)
    return model


def load_task_model(
    directory: str | pathlib.Path,
    heads: Sequence[HeadConfig] | None,
    *,
    build_encoder: Callable[..., ElectraEncoder] = ElectraEncoder,
    dropouts: Mapping[str, Any] | None = None,
    random_weights: bool = False,
) -> ElectraTaskModel:
    """Returns a model for tasks on the encoder of a published folder, with its tokenizer (or None) as `.tokenizer`.

    Args:
        directory: of any model that `save_pretrained` or transformers wrote, but a two-tower generator.
        heads: new ones, untrained; None for those that the folder's model has, as they are.
        build_encoder: takes config and name; `ElectraEncoder` with its options bound, such as a dtype policy.
        dropouts: rates by their fields of `EncoderConfig`, instead of the folder's.
        random_weights: take nothing but the sizes, the heads and the tokenizer from the folder.

    Raises:
        PublishedModelError: names the file and what is missing in it or wrong.
        HparamError: for heads or dropout rates that cannot be.
        FileError: other processes replace the folder's files again and again.
    """
    directory, dropouts = pathlib.Path(directory), dropouts or {}
    load = functools.partial(_load_task_model, directory, heads, build_encoder, dropouts, random_weights)
    return read_unchanged(directory, load)


def _load_task_model(
    directory: pathlib.Path,
    heads: Sequence[HeadConfig] | None,
    build_encoder: Callable[..., ElectraEncoder],
    dropouts: Mapping[str, Any],
    random_weights: bool,
) -> ElectraTaskModel:
    published = None if random_weights else open_published(directory)
    architecture = published.architecture if published else read_config(directory / CONFIG_FILE)
    _check_source(directory, architecture, heads)
    config = dataclasses.replace(architecture.config, **checked_hparams(EncoderConfig, dropouts))
    wanted = architecture if heads is None else Architecture(ElectraEncoder, config)
    tensors = read_tensors(published, wanted) if published else {}
    encoder = build_encoder(config, name="electra")
    model = ElectraTaskModel(encoder, architecture.heads if heads is None else heads)
    for variable in model.variables:
        if relative_path(variable) in tensors:
            variable.assign(tensors[relative_path(variable)])
    model.tokenizer = read_tokenizer(directory, config)
    return model


def _check_source(directory: pathlib.Path, architecture: Architecture, heads: Sequence[HeadConfig] | None) -> None:
    """Raises PublishedModelError where a folder's model has no encoder for tasks, or no heads where its own are due."""
    if issubclass(architecture.model_class, TwoTowerGenerator):
        raise PublishedModelError(
            f"{directory}: is a two-tower generator, each of whose encoders reads a text from one side. "
            "Take the discriminator that was trained with it"
        )
    if heads is None and not architecture.heads:
        raise PublishedModelError(
            f"{directory}: has no heads for tasks, being an {architecture.model_class.__name__}. Train some on it "
            "first, or say which to make"
        )


def make_model(architecture: Architecture, dtype: str) -> Model:
    """Returns an untrained model.

    Args:
        architecture: of the model; not of an encoder alone.
        dtype: a Keras dtype policy.
    """
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
    write_tensors(model, directory / WEIGHTS_FILE)
    text = json.dumps(published_config(model, tokenizer), indent=2, sort_keys=True)
    (directory / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(directory, model_max_length=model.config.max_position_embeddings)


def read_tokenizer(directory: pathlib.Path, config: EncoderConfig, *, do_lower_case: bool = True) -> Tokenizer | None:
    """Returns the tokenizer of a published folder, None where it has none.

    Args:
        directory: the folder.
        config: of the model's encoder.
        do_lower_case: whether texts are lowered, where the folder does not say.
    """
    if not any((directory / name).exists() for name in _VOCABULARIES):
        return None
    tokenizer = load_tokenizer(directory, do_lower_case=do_lower_case)
    if tokenizer.vocab_size > config.vocab_size:
        raise PublishedModelError(
            f"{directory}: vocab_size in {CONFIG_FILE} must be at least the tokenizer's {tokenizer.vocab_size} tokens. "
            f"Received: {config.vocab_size}"
        )
    return tokenizer

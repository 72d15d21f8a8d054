"""The encoder that trials start from: of what was pretrained, its words and positions fitted to those of the tasks."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from absl import logging

from electra_span.config import COMPOSITIONAL_FIELDS, EncoderConfig, HparamError, checked_hparams
from electra_span.convert.source_models import Half, checked_against, source_tokenizer
from electra_span.convert.warm_start import Start, describe, opened_source, read_start
from electra_span.convert.word_map import InitialWeightsError, WordMap, map_words, same_words
from electra_span.encoder import ElectraEncoder
from electra_span.models import TwoTowerGenerator
from electra_span.published.config import CONFIG_FILE
from electra_span.published.names import expected_names
from electra_span.tokenization import Tokenizer, load_tokenizer
from finetune.config import FinetuningConfig

DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")
_HEADS = "num_attention_heads"
_PARTS = ("model", "encoder", "discriminator", "generator")  # the first one that there is
_FULL: Mapping[str, Any] = {
    field.name: field.default for field in dataclasses.fields(EncoderConfig) if field.name in COMPOSITIONAL_FIELDS
}


class EncoderStart(NamedTuple):
    """What all trials of a run start from.

    Attributes:
        config: of the encoder.
        tokenizer: of the tasks.
        start: the encoder's values.
        files: that all of it is from.
    """

    config: EncoderConfig
    tokenizer: Tokenizer
    start: Start
    files: list[pathlib.Path]


class _Words(NamedTuple):
    """The words of the tasks, and where their vectors are in the source."""

    tokenizer: Tokenizer
    map: WordMap


def is_there(path: pathlib.Path) -> bool:
    """Returns whether a path is of a file, a folder, or a TF1 checkpoint."""
    return path.exists() or path.with_name(path.name + ".index").exists()


def read_encoder_start(config: FinetuningConfig, fallback: Tokenizer | None) -> EncoderStart:
    """Returns what is in init_checkpoint, fitted to a configuration; logs what it is.

    Of a pair of models it is the discriminator; of a source with a generator alone, that one. A vocabulary of the
    tasks' own takes the vectors of the tokens that the source has. Sequences longer than its positions get more of
    them, see `take_over`.

    Args:
        config: the effective configuration.
        fallback: the tokenizer where neither the source nor the configuration has one.

    Raises:
        InitialWeightsError: it cannot be read, or has no encoder for tasks.
    """
    path, heads = pathlib.Path(config.init_checkpoint), config.model_hparam_overrides.get(_HEADS)
    beside = pathlib.Path(config.model_dir, "init_checkpoint")
    given = {"discriminator": heads, "generator": None}  # where that one is alone, the first is its
    with opened_source("init_checkpoint", path, beside=beside, num_attention_heads=given) as source:
        half = _half_of(source.halves)
        if heads is not None and half.published.get(_HEADS, heads) != heads:
            raise HparamError(f"{_HEADS} of its config.json is {half.published[_HEADS]}. Received: {heads}")
        words = _words_of(half, config, fallback)
        encoder = _encoder_config(half.architecture.config, config, words.map)
        start = read_start(half, encoder, words.map)
        own = {name.ours for name in expected_names(ElectraEncoder, encoder)}
        start = start._replace(values={path: value for path, value in start.values.items() if path in own})
        logging.info(
            "init_checkpoint: %s is %s; the encoder takes %d of its %d variables from its %s; %s",
            path, source.kind, len(start.values), len(own), half.part, "; ".join(describe(start, encoder)),
        )  # fmt: skip
        return EncoderStart(encoder, words.tokenizer, start, [path] if path.is_file() else _files_of(half))


def _half_of(halves: list[Half]) -> Half:
    """Returns the half of a source whose encoder is taken."""
    by_part = {half.part: half for half in halves}
    half = next(by_part[part] for part in _PARTS if part in by_part)
    if issubclass(half.architecture.model_class, TwoTowerGenerator):
        raise InitialWeightsError(
            "is a two-tower generator, each of whose encoders reads a text from one side. Take the discriminator that "
            "was trained with it"
        )
    return half


def _words_of(half: Half, config: FinetuningConfig, fallback: Tokenizer | None) -> _Words:
    """Returns the tokenizer of the tasks: the one that is named, the source's or the fallback; and its words."""
    known, num_rows = source_tokenizer(half, do_lower_case=config.do_lower_case), half.architecture.config.vocab_size
    if config.vocab_file is None:
        tokenizer = known or fallback
        if tokenizer is None:
            raise InitialWeightsError("has no vocabulary; name one by vocab_file")
        return _Words(checked_against(half.architecture.config, tokenizer, "vocabulary"), same_words(num_rows))
    tokenizer = load_tokenizer(config.vocab_file, config.do_lower_case)
    is_own = known is not None and known.vocabulary == tokenizer.vocabulary
    if is_own or config.init_vocabulary == "same":
        checked_against(half.architecture.config, tokenizer, config.vocab_file)
        num_target_rows = num_rows
    else:
        num_target_rows = tokenizer.vocab_size
    return _Words(tokenizer, map_words(config.init_vocabulary, known, num_rows, tokenizer, num_target_rows))


def _encoder_config(source: EncoderConfig, config: FinetuningConfig, words: WordMap) -> EncoderConfig:
    """Returns the encoder's config: the source's, but for words, positions and dropout."""
    overrides = checked_hparams(EncoderConfig, config.model_hparam_overrides)
    longest = max(source.max_position_embeddings, config.max_seq_length)
    return dataclasses.replace(
        source,
        vocab_size=len(words.rows),
        max_position_embeddings=overrides.get("max_position_embeddings", longest),
        **({} if words.is_identity or not words.num_known else _FULL),
        **{name: overrides[name] for name in DROPOUTS if name in overrides},
    )


def _files_of(half: Half) -> list[pathlib.Path]:
    """Returns the files that a half's weights and sizes are from."""
    weights = half.located.weights
    if weights.is_tf1:
        return sorted(weights.path.parent.glob(f"{weights.path.name}.*"))
    return sorted({half.folder / CONFIG_FILE, weights.path, *half.folder.glob("*.safetensors")})

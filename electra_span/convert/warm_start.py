"""Opening what someone has as weights to start from, whatever its form."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np

from electra_span.config import COMPOSITIONAL_FIELDS, EncoderConfig, UserError
from electra_span.convert.source_models import Half, read_values
from electra_span.convert.sources import Source, opened, read_source
from electra_span.convert.word_map import InitialWeightsError, WordMap
from electra_span.files import without_controls
from electra_span.layers.embeddings import Table, make_words
from electra_span.published.names import Model, relative_path
from electra_span.published.weights import embeddings_of

_UNKNOWN_HEADS = {"discriminator": None, "generator": None}


@contextlib.contextmanager
def opened_source(
    hparam: str,
    path: str | pathlib.Path,
    *,
    beside: pathlib.Path,
    num_attention_heads: Mapping[str, int | None] | None = None,
) -> Iterator[Source]:
    """Yields the models at a path, of which nothing is to be read afterwards.

    Args:
        hparam: names the path, for errors.
        path: of a TF1 checkpoint, its folder, a published folder, one with discriminator and generator, or a zip.
        beside: a zip is unpacked in this one's folder, which is made.
        num_attention_heads: see `read_source`; by default nothing.

    Raises:
        InitialWeightsError: for any `UserError` that reading it, or what is done with it, raises.
    """
    try:
        with opened(pathlib.Path(path), beside) as files:
            yield read_source(files, num_attention_heads or _UNKNOWN_HEADS)
    except UserError as error:  # which may quote names from files of others
        raise InitialWeightsError(without_controls(f"{hparam}: {error}".replace("\n", " "))) from error


Target: TypeAlias = keras.Variable | Table

_WORDS = "embeddings/word_embeddings"
_WORD_TABLES = (_WORDS, "embeddings/word_quotients", "embeddings/word_remainders")
_OUTPUT_BIAS = "/output_bias"  # a number for each word, of any head
_POSITIONS = "embeddings/position_embeddings"
_SPAN_POSITIONS = "/boundary/position_embeddings"
_SIZES = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "embedding_size",
    "type_vocab_size", "layer_norm_eps",
)  # fmt: skip


class Start(NamedTuple):
    """What a network starts from.

    Attributes:
        values: of variables, by their paths below their model, as the source has them.
        words: where the rows of words are in them.
    """

    values: Mapping[str, np.ndarray]
    words: WordMap


class Difference(NamedTuple):
    """A size that a source has otherwise than a network."""

    field: str
    source: Any
    network: Any


def different_sizes(half: Half, config: EncoderConfig) -> list[Difference]:
    """Returns the sizes, but for those of words and positions, that a half of a source has not as a config says.

    Args:
        half: of the source. No weight tells how many attention heads there are; its config.json may.
        config: of the encoder that is to start from it.
    """
    source = half.architecture.config
    told = [field for field in _SIZES if field != "num_attention_heads" or field in half.published]
    pairs = (Difference(field, getattr(source, field), getattr(config, field)) for field in told)
    return [each for each in pairs if each.source != each.network]


def read_start(half: Half, config: EncoderConfig, words: WordMap) -> Start:
    """Returns what a network starts from.

    Args:
        half: of a source.
        config: of the network's encoder, of the source's sizes.
        words: where its words are in the source.

    Raises:
        ConversionError: a tensor cannot be read.
        InitialWeightsError: the network's embeddings are compositional, and others than the source's.
    """
    source, values = half.architecture.config, dict(read_values(half))
    if not words.num_known:
        values = {path: value for path, value in values.items() if not _is_of_words(path)}
    elif not (_has_the_same_tables(source, config) and (words.is_identity or config.embedding_type == "full")):
        if config.embedding_type != "full":
            raise InitialWeightsError(
                "init_vocabulary: compositional embeddings can be taken over only from a source with the same ones "
                'and the same vocabulary, for their rows are shared by many words. Set it to "new", or embedding_type '
                'to "full"'
            )
        tables: dict[str, Any] = {name: Table(values.pop(f"embeddings/{name}")) for name in _tables_of_words(source)}
        values[_WORDS] = make_words(tables, source).full_table().numpy()
    return Start(values, words)


def targets_of(model: Model) -> dict[str, Target]:
    """Returns a model's variables by their paths below it; tables of embeddings, where they are differences, whole."""
    targets: dict[str, Target] = {relative_path(variable): variable for variable in model.variables}
    for name, table in embeddings_of(model).tables.items():
        if table.base is not None:
            del targets[relative_path(table.variable)]
            targets[f"embeddings/{name}"] = table
    return targets


def take_over(targets: Mapping[str, Target], start: Start) -> list[str]:
    """Gives variables what a source has for them; returns the paths of those that it has nothing for.

    Words that are new to the source keep what they have, and positions behind its last one repeat its positions from
    the first on: what lies near each other stays so, but at the seams. Offsets in spans behind the last one take that
    one's, as the heads have it.

    Args:
        targets: by their paths.
        start: what the source has.

    Raises:
        InitialWeightsError: a value has another shape than the variable.

    Source: Beltagy et al. 2020, "Longformer", section 5 (positions).
    """
    for path, target in targets.items():
        if path in start.values:
            current = np.asarray(target.whole() if isinstance(target, Table) else target)
            value = _fitted(path, start, current)
            if value.shape != current.shape:
                raise InitialWeightsError(f"{path} must have the shape {current.shape}. Received: {value.shape}")
            target.assign(value)
    return [path for path in targets if path not in start.values]


def describe(start: Start, config: EncoderConfig) -> Sequence[str]:
    """Returns what becomes of the words and positions of a source, in words.

    Args:
        start: what the source has.
        config: of the encoder that starts from it.
    """
    num_words, num_known = len(start.words.rows), start.words.num_known
    words = f"{num_known} of {num_words} words as in the source, {num_words - num_known} drawn anew"
    before, now = len(start.values[_POSITIONS]), config.max_position_embeddings
    if now > before:
        return words, f"{now} positions, those from {before} on repeat the source's {before}"
    return words, f"{now} positions" + (f", the first of the source's {before}" if now < before else "")


def _fitted(path: str, start: Start, current: np.ndarray) -> np.ndarray:
    """Returns the source's value of a variable, its rows fitted to those of its current value."""
    value = start.values[path]
    if path == _WORDS or path.endswith(_OUTPUT_BIAS):
        is_known, fitted = start.words.rows >= 0, current.copy()
        fitted[is_known] = value[start.words.rows[is_known]]
        return fitted
    if path == _POSITIONS:
        return value[np.arange(len(current)) % len(value)]
    if path.endswith(_SPAN_POSITIONS):
        return value[np.minimum(np.arange(len(current)), len(value) - 1)]
    return value


def _is_of_words(path: str) -> bool:
    return path in _WORD_TABLES or path.endswith(_OUTPUT_BIAS)


def _has_the_same_tables(source: EncoderConfig, config: EncoderConfig) -> bool:
    """Returns whether words of equal ids have their vectors of equal rows of the same tables."""
    if source.embedding_type == config.embedding_type == "full":
        return True
    return _scheme(source) == _scheme(config)


def _scheme(config: EncoderConfig) -> tuple[Any, ...]:
    """Returns how an encoder's words get their vectors."""
    return (*(getattr(config, field) for field in COMPOSITIONAL_FIELDS[:2]), config.num_buckets, config.vocab_size)


def _tables_of_words(config: EncoderConfig) -> list[str]:
    return [name for name in config.embedding_tables if f"embeddings/{name}" in _WORD_TABLES]

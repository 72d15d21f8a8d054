"""Configuration of encoders, and how any configuration is read from hparams.

Standard library only: command lines and configuration errors never wait for TensorFlow.
"""

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

# The published sizes (Clark et al. 2020, table 6). Where nothing else is said, embeddings are as wide as the hidden
# states, heads are 64 wide, and the feed-forward layer is 4 times as wide as the hidden states.
MODEL_SIZES: dict[str, dict[str, int]] = {
    "small": {"embedding_size": 128, "hidden_size": 256, "num_hidden_layers": 12},
    "base": {"hidden_size": 768, "num_hidden_layers": 12},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24},
}

# Fields of EncoderConfig that say how words get their vectors; Hugging Face's config.json has none of them.
COMPOSITIONAL_FIELDS = ("embedding_type", "compositional_operation", "compositional_num_buckets")

# Words from which on nothing of the logits' size is held beside them: they outweigh all else in memory then.
LARGE_VOCABULARY = 2**17

SPAN_OFFSET_SIZE = 200  # width of the embedding of a position in its span (Joshi et al. 2020, section 3.2)

_LARGEST_FLOAT = 3.4028234663852886e38  # of float32, in which all numbers are used
_SMALLEST_FLOAT = 1.1754943508222875e-38  # of float32 above 0: devices take smaller ones for 0
LARGEST_FACTOR = 1e6  # of weights and rates: far above all that train, and far below where products overflow
LARGEST_BATCH = 2**20  # rows, which are all there even if the files have fewer
LARGEST_COUNT = 2**31 - 1  # of int32, in which TensorFlow and file formats count

_NOT_TEXT = re.compile("[\0\ud800-\udfff]")

_TYPE_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a finite number",
    str: "a string",
    types.NoneType: "null",
    Mapping[str, Any]: "an object",
    Sequence[str]: "a list of strings",
    Sequence[int]: "a list of integers",
    Sequence[float]: "a list of numbers",
    Sequence[Sequence[float]]: "a list of [step, value]",
    Sequence[Mapping[str, Any]]: "a list of objects",
}


class UserError(Exception):
    """A mistake of the user's: command lines print its one line and exit with status 2."""


class HparamError(UserError, ValueError):
    """An unknown, mistyped or impossible hparam."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Shape and regularisation of one ELECTRA encoder, in the names of BERT's and Hugging Face's config.json.

    Compositional embeddings, which those do not know, make word i's vector of row i // m of one table and row i % m of
    another, for m buckets; where no number of buckets is given, m is the square root of vocab_size, rounded up.
    """

    vocab_size: int = 30522
    embedding_size: int = 128
    hidden_size: int = 256
    num_hidden_layers: int = 12
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    embedding_type: str = "full"
    compositional_operation: str = "multiply"
    compositional_num_buckets: int | None = None

    def __post_init__(self) -> None:
        if self.hidden_act != "gelu":
            raise HparamError(
                f"hidden_act: the one activation is 'gelu', in its erf form. Received: {self.hidden_act!r}"
            )
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "embedding_size",
                     "vocab_size", "max_position_embeddings", "type_vocab_size"):  # fmt: skip
            if getattr(self, name) < 1:
                raise HparamError(f"{name} must be at least 1. Received: {getattr(self, name)}")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if not 0 <= getattr(self, name) < 1:
                raise HparamError(f"{name} must be at least 0 and below 1. Received: {getattr(self, name)}")
        for name in ("initializer_range", "layer_norm_eps"):
            if not getattr(self, name) > 0:
                raise HparamError(f"{name} must be above 0. Received: {getattr(self, name)}")
        if self.hidden_size % self.num_attention_heads:
            raise HparamError(
                f"hidden_size must be a multiple of num_attention_heads. Received: hidden_size={self.hidden_size}, "
                f"num_attention_heads={self.num_attention_heads}"
            )
        self._check_embeddings()

    def _check_embeddings(self) -> None:
        """Raises HparamError where the tables of words cannot be of the type they should be."""
        check_choice("embedding_type", self.embedding_type, ("full", "compositional"))
        check_choice("compositional_operation", self.compositional_operation, ("multiply", "add", "concat"))
        if not 1 <= self.num_buckets <= self.vocab_size:
            raise HparamError(
                f"compositional_num_buckets must be from 1 to vocab_size, {self.vocab_size}. "
                f"Received: {self.compositional_num_buckets}"
            )
        is_concatenated = self.embedding_type == "compositional" and self.compositional_operation == "concat"
        if is_concatenated and self.embedding_size % 2:
            raise HparamError(
                "embedding_size must be even where compositional_operation is 'concat', which joins two halves. "
                f"Received: {self.embedding_size}"
            )

    @property
    def num_buckets(self) -> int:
        """Buckets that compositional embeddings divide the words into."""
        if self.compositional_num_buckets is None:
            return math.isqrt(self.vocab_size - 1) + 1
        return self.compositional_num_buckets

    @property
    def embedding_tables(self) -> dict[str, tuple[int, int]]:
        """Rows and width of each table of the embeddings, by the name of its variable, those of words first."""
        size, buckets = self.embedding_size, self.num_buckets
        words = {"word_embeddings": (self.vocab_size, size)}
        if self.embedding_type == "compositional":
            width = size // 2 if self.compositional_operation == "concat" else size
            words = {"word_quotients": (-(-self.vocab_size // buckets), width), "word_remainders": (buckets, width)}
        positions, segments = (self.max_position_embeddings, size), (self.type_vocab_size, size)
        return {**words, "position_embeddings": positions, "segment_embeddings": segments}

    @classmethod
    def of_size(cls, model_size: str, /, **overrides: Any) -> "EncoderConfig":
        """Returns the config of a published size ("small", "base", "large") with fields overridden.

        Heads, feed-forward width and (but for "small") embeddings follow hidden_size unless they are overridden.

        Raises:
            HparamError: for an unknown size or field, a wrong type, or fields that do not fit together.
        """
        check_choice("model_size", model_size, MODEL_SIZES)
        sizes: dict[str, Any] = {**MODEL_SIZES[model_size], **checked_hparams(cls, overrides)}
        return cls(**{**widths_by_rule(sizes["hidden_size"]), **sizes})

    @classmethod
    def from_published(cls, published: Mapping[str, Any]) -> "EncoderConfig":
        """Returns the config in a published model's config.json, whose other keys are passed over.

        Raises:
            HparamError: for a value of a wrong type, or fields that do not fit together.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        return from_hparams(cls, {name: value for name, value in published.items() if name in names})


def widths_by_rule(hidden_size: int) -> dict[str, int]:
    """Returns the EncoderConfig fields that follow hidden_size where nothing else is said."""
    return {
        "embedding_size": hidden_size,
        "num_attention_heads": max(1, hidden_size // 64),
        "intermediate_size": 4 * hidden_size,
    }


Config = TypeVar("Config")


def from_hparams(config_class: type[Config], hparams: Mapping[str, Any]) -> Config:
    """Returns config_class(**hparams) after checking every name and type.

    Args:
        config_class: a dataclass.
        hparams: values by field name. An int is taken for a float field; anything else must be of the declared type.

    Raises:
        HparamError: names the key, the value received, and the nearest valid name or the type expected.
    """
    return config_class(**checked_hparams(config_class, hparams))


def hparam(default: Any, meaning: str) -> Any:
    """Returns a field of a configuration with a default, and a meaning for its documentation."""
    return dataclasses.field(default=default, metadata={"meaning": meaning})


def derived(rule: str, meaning: str) -> Any:
    """Returns a field without default: its configuration works the value out by the rule where it is not given."""
    return dataclasses.field(metadata={"meaning": meaning, "rule": rule})


def checked_hparams(config_class: type, hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Returns hparams with every value of its field's declared type; see `from_hparams`."""
    declared = typing.get_type_hints(config_class)
    unknown = [name for name in hparams if name not in declared]
    if unknown:
        raise HparamError(f"unknown hparam {unknown[0]!r}: {_nearest(unknown[0], declared)}")
    return {name: _typed(name, value, declared[name]) for name, value in hparams.items()}


def check_paths(config: Any, names: Sequence[str]) -> None:
    """Raises HparamError for a path that is given and empty, which would mean the current folder, or nothing."""
    for name in names:
        if getattr(config, name) == "":
            raise HparamError(f"{name} must be a path. Received: ''")


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raises HparamError, naming the nearest choice, where value is not one of the choices."""
    if value not in choices:
        raise HparamError(f"unknown {name} {value!r}: {_nearest(str(value), choices)}")


def _typed(name: str, value: Any, declared: Any) -> Any:
    """Returns value as the declared type, ints widened to float; raises HparamError where it is of another type."""
    choices = typing.get_args(declared) if isinstance(declared, types.UnionType) else (declared,)
    for choice in choices:
        origin = typing.get_origin(choice) or choice
        if origin is float:
            if type(value) in (int, float) and abs(value) <= _LARGEST_FLOAT:
                if 0 < abs(value) < _SMALLEST_FLOAT:
                    raise HparamError(f"{name} must be 0, or {_SMALLEST_FLOAT:.3g} or more. Received: {value}")
                return float(value)
        elif origin is Sequence:
            if isinstance(value, (list, tuple)):
                return [_typed(name, item, *typing.get_args(choice)) for item in value]
        elif isinstance(value, origin) and (origin is bool or not isinstance(value, bool)):
            if isinstance(value, str):
                check_text(name, value)
            if origin is int and abs(value) > LARGEST_COUNT:
                raise HparamError(f"{name} must be at most {LARGEST_COUNT}. Received: {value}")
            return value
    expected = " or ".join(_TYPE_NAMES.get(choice, str(choice)) for choice in choices)
    raise HparamError(f"{name} must be {expected}. Received: {value!r}")


def check_at_most(values: Mapping[str, Any], most: Mapping[str, float]) -> None:
    """Raises HparamError, with the largest that is possible, for a number that is too large.

    Args:
        values: by hparam, of any type: what is no number is passed over.
        most: the largest by hparam; others have none.
    """
    for name, value in values.items():
        if name in most and type(value) in (int, float) and value > most[name]:
            raise HparamError(f"{name} must be at most {most[name]:.10g}. Received: {value}")


def check_text(name: str, value: str) -> None:
    """Raises HparamError for a text that no file name can hold: with a null character or a lone surrogate."""
    if _NOT_TEXT.search(value):
        raise HparamError(f"{name} must be text without null characters and lone surrogates. Received: {value!a}")


def _nearest(name: str, valid: Collection[str]) -> str:
    """Returns the hint for an unknown name: the nearest valid one, or all where none is near."""
    near = difflib.get_close_matches(name, valid, n=1)
    return f"did you mean {near[0]!r}?" if near else f"valid are {', '.join(sorted(valid))}"

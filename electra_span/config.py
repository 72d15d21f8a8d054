"""Configuration of encoders, and how any configuration is read from hparams.

Standard library only: command lines and configuration errors never wait for TensorFlow.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

# The published sizes (Clark et al. 2020, table 6). Heads are 64 wide, the feed-forward layer 4 times the hidden size.
MODEL_SIZES: dict[str, dict[str, int]] = {
    "small": {"embedding_size": 128, "hidden_size": 256, "num_hidden_layers": 12},
    "base": {"embedding_size": 768, "hidden_size": 768, "num_hidden_layers": 12},
    "large": {"embedding_size": 1024, "hidden_size": 1024, "num_hidden_layers": 24},
}


class UserError(Exception):
    """A mistake of the user's: command lines print its one line and exit with status 2."""


class HparamError(UserError, ValueError):
    """An unknown, mistyped or impossible hparam."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Shape and regularisation of one ELECTRA encoder, in the names of BERT's and Hugging Face's config.json."""

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

    def __post_init__(self) -> None:
        if self.hidden_act != "gelu":
            raise HparamError(
                f"hidden_act: the one activation is 'gelu', in its erf form. Received: {self.hidden_act!r}"
            )
        for name in ("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                     "intermediate_size", "max_position_embeddings", "type_vocab_size"):  # fmt: skip
            if getattr(self, name) < 1:
                raise HparamError(f"{name} must be at least 1. Received: {getattr(self, name)}")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if not 0 <= getattr(self, name) < 1:
                raise HparamError(f"{name} must be at least 0 and below 1. Received: {getattr(self, name)}")
        if self.hidden_size % self.num_attention_heads:
            raise HparamError(
                f"hidden_size must be a multiple of num_attention_heads. Received: hidden_size={self.hidden_size}, "
                f"num_attention_heads={self.num_attention_heads}"
            )

    @classmethod
    def of_size(cls, model_size: str, **overrides: Any) -> "EncoderConfig":
        """Returns the config of a published size ("small", "base", "large") with fields overridden.

        Heads and feed-forward width follow hidden_size (heads of 64, 4 times as wide) unless they are overridden.

        Raises:
            HparamError: for an unknown size or field, a wrong type, or fields that do not fit together.
        """
        if model_size not in MODEL_SIZES:
            raise HparamError(_unknown("model_size", model_size, MODEL_SIZES))
        sizes: dict[str, Any] = {**MODEL_SIZES[model_size], **overrides}
        hidden_size = sizes["hidden_size"]
        if isinstance(hidden_size, int):
            sizes.setdefault("num_attention_heads", max(1, hidden_size // 64))
            sizes.setdefault("intermediate_size", 4 * hidden_size)
        return from_hparams(cls, sizes)


Config = TypeVar("Config")


def from_hparams(config_class: type[Config], hparams: Mapping[str, Any]) -> Config:
    """Returns config_class(**hparams) after checking every name and type.

    Args:
        config_class: a dataclass.
        hparams: values by field name. An int is taken for a float field; anything else must be of the declared type.

    Raises:
        HparamError: names the key, the value received, and the nearest valid name or the type expected.
    """
    declared = typing.get_type_hints(config_class)
    checked = {}
    for name, value in hparams.items():
        if name not in declared:
            raise HparamError(_unknown("hparam", name, declared))
        checked[name] = _typed(name, value, declared[name])
    return config_class(**checked)


def _typed(name: str, value: Any, declared: Any) -> Any:
    """Returns value as the declared type, ints widened to float; raises HparamError where it is of another type."""
    choices = typing.get_args(declared) if isinstance(declared, types.UnionType) else (declared,)
    for choice in choices:
        origin = typing.get_origin(choice) or choice
        if origin is float and type(value) is int:
            return float(value)
        if type(value) is origin or (origin is Mapping and isinstance(value, dict)):
            return value
        if origin is tuple and isinstance(value, list):
            return tuple(value)
    expected = " or ".join("null" if c is type(None) else getattr(c, "__name__", str(c)) for c in choices)
    raise HparamError(f"{name} must be of type {expected}. Received: {value!r}")


def _unknown(kind: str, name: str, valid: Mapping[str, Any]) -> str:
    """Returns the message for an unknown name, with the nearest valid one where there is one."""
    near = difflib.get_close_matches(name, valid, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"valid are: {', '.join(sorted(valid))}."
    return f"unknown {kind} {name!r}: {hint}"

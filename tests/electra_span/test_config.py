import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_span.config import (
    COMPOSITIONAL_FIELDS,
    MODEL_SIZES,
    EncoderConfig,
    HparamError,
    UserError,
    check_choice,
    from_hparams,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hparams:
    count: int = 3
    rate: float = 0.5
    is_on: bool = False
    name: str | None = None
    mode: bool | str = "auto"
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    ("size", "shape"),
    [("small", (128, 256, 12, 4, 1024)), ("base", (768, 768, 12, 12, 3072)), ("large", (1024, 1024, 24, 16, 4096))],
)
def test_published_sizes_are_those_of_the_paper(size, shape):
    config = EncoderConfig.of_size(size)
    assert shape == (
        config.embedding_size,
        config.hidden_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.intermediate_size,
    )


def test_default_encoder_is_the_small_one():
    assert EncoderConfig() == EncoderConfig.of_size("small")


@pytest.mark.parametrize(("hidden_size", "num_attention_heads"), [(50, 1), (144, 2), (256, 4)])
def test_widths_follow_an_overridden_hidden_size(hidden_size, num_attention_heads):
    config = EncoderConfig.of_size("base", hidden_size=hidden_size)
    assert config.num_attention_heads == num_attention_heads
    assert config.intermediate_size == 4 * hidden_size
    assert config.embedding_size == hidden_size


def test_small_embeddings_do_not_follow_the_hidden_size():
    assert EncoderConfig.of_size("small", hidden_size=64).embedding_size == 128


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"hiden_size": 3}, "unknown hparam 'hiden_size': did you mean 'hidden_size'?"),
        ({"model_size": "base"}, "unknown hparam 'model_size'"),
        ({"hidden_size": 0}, "hidden_size must be at least 1. Received: 0"),
        ({"hidden_size": 12, "num_attention_heads": 5}, "hidden_size=12, num_attention_heads=5"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob must be at least 0 and below 1. Received: 1.0"),
        ({"initializer_range": 0}, "initializer_range must be above 0"),
        ({"hidden_act": "relu"}, "hidden_act.*Received: 'relu'"),
    ],
)
def test_impossible_encoder_is_refused_by_name(overrides, message):
    with pytest.raises(HparamError, match=message):
        EncoderConfig.of_size("small", **overrides)


def test_unknown_size_is_refused_with_the_nearest():
    with pytest.raises(HparamError, match="unknown model_size 'smal': did you mean 'small'"):
        EncoderConfig.of_size("smal")


def test_published_config_is_read_and_its_other_keys_passed_over(golden):
    published = json.loads(golden("hf/tiny/discriminator/config.json").read_text())
    config = EncoderConfig.from_published(published)
    fields = {name: value for name, value in dataclasses.asdict(config).items() if name not in COMPOSITIONAL_FIELDS}
    assert fields.items() <= published.items()
    assert config.embedding_type == "full"
    assert (config.vocab_size, config.embedding_size, config.hidden_size) == (61, 10, 12)


def test_hparams_keep_values_of_the_declared_types():
    hparams = {"count": 4, "rate": 2, "is_on": True, "name": "a", "mode": False, "extra": {"key": 1}}
    config = from_hparams(Hparams, hparams)
    assert dataclasses.asdict(config) == {**hparams, "rate": 2.0}
    assert type(config.rate) is float
    assert from_hparams(Hparams, {"name": None}).name is None


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"count": True}, "count must be an integer. Received: True"),
        ({"count": 1.0}, "count must be an integer. Received: 1.0"),
        ({"rate": "1e-3"}, "rate must be a finite number. Received: '1e-3'"),
        ({"rate": float("nan")}, "rate must be a finite number. Received: nan"),
        ({"rate": 10**400}, "rate must be a finite number"),
        ({"rate": True}, "rate must be a finite number. Received: True"),
        ({"is_on": 1}, "is_on must be true or false. Received: 1"),
        ({"name": 3}, "name must be a string or null. Received: 3"),
        ({"mode": 3}, "mode must be true or false or a string. Received: 3"),
        ({"extra": [1]}, r"extra must be an object. Received: \[1\]"),
        ({"count": 10**30}, "count must be at most 2147483647. Received: 1000000000000000000000000000000"),
        ({"rate": 1e39}, "rate must be a finite number. Received: 1e.39"),
        ({"name": "a\0b"}, "name must be text without null characters and lone surrogates. Received: 'a.x00b'"),
        ({"mode": "\ud800"}, "mode must be text without null characters and lone surrogates. Received: '.ud800'"),
        ({"coutn": 3}, "unknown hparam 'coutn': did you mean 'count'?"),
        ({"zzzzzz": 3}, "unknown hparam 'zzzzzz': valid are count, extra, is_on, mode, name, rate"),
    ],
)
def test_wrong_hparam_is_refused_with_key_value_and_remedy(hparams, message):
    with pytest.raises(HparamError, match=message):
        from_hparams(Hparams, hparams)


ascii_texts = st.text("ab1.", max_size=3)
json_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ascii_texts
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(ascii_texts, st.integers(), max_size=2)
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["count", "rate", "is_on", "name", "mode", "extra", "other"]), json_values))
def test_any_json_is_either_taken_with_the_declared_types_or_refused(hparams):
    try:
        config = from_hparams(Hparams, hparams)
    except HparamError:
        return
    assert type(config.count) is int
    assert type(config.rate) is float
    assert type(config.is_on) is bool
    assert config.name is None or type(config.name) is str
    assert type(config.mode) in (bool, str)
    assert isinstance(config.extra, dict)


def test_check_choice_takes_a_choice_and_refuses_others():
    check_choice("model_size", "small", MODEL_SIZES)
    with pytest.raises(UserError, match="unknown model_size 'huge': valid are base, large, small"):
        check_choice("model_size", "huge", MODEL_SIZES)


@pytest.mark.parametrize("module", ["electra_span.config", "electra_span.command_line", "configure_pretraining"])
def test_module_imports_without_tensorflow(module):
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The optimizer and its schedule against the original's recorded runs."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from electra_span.training.optimizer import AdamW, is_decayed, layerwise_rate, learning_rate_at

SCENARIOS = ("pretrain", "finetune", "past_end", "power2_nodecay", "official_pretrain_scale", "official_finetune_scale")
NUM_LAYERS = 3


def _our_path(tf1_name):
    """The original's name, in our spelling."""
    return (
        tf1_name.replace("token_type_embeddings", "segment_embeddings")
        .replace("encoder/layer_", "layer_")
        .replace("attention/self/query", "query")
        .replace("attention/output/LayerNorm", "attention_norm")
        .replace("output/dense/", "output/")
        .replace("LayerNorm/", "norm/")
    )


class _Named:
    """Stands in for a Keras variable of a given path."""

    def __init__(self, path, value):
        self.path, self.value = path, tf.Variable(value)


def _schedule(args, step):
    num_warmup_steps = args.get("warmup_steps", args["num_train_steps"] * args.get("warmup_proportion", 0))
    return learning_rate_at(
        tf.constant(step, tf.int64),
        peak=args["learning_rate"],
        num_train_steps=args["num_train_steps"],
        num_warmup_steps=num_warmup_steps,
        decay_power=args.get("lr_decay_power", 1.0),
    )


@pytest.mark.parametrize("compile_from", [math.inf, 50, 0])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_updates_equal_the_originals(golden, scenario, compile_from):
    recorded = np.load(golden("tf1/optimizer.npz"))
    scenarios = json.loads(golden("tf1/optimizer.json").read_text())
    if scenario not in scenarios:
        pytest.skip(f"needs ../shared/golden: tests/golden has no scenario {scenario!r}")
    settings = scenarios[scenario]
    args, names = settings["args"], settings["variables"]
    decay = args.get("layerwise_lr_decay_power", 1.0)
    variables = [_Named(_our_path(name), recorded[f"{scenario}|param|{name}"][0]) for name in names]
    optimizer = AdamW(
        variables,
        weight_decay_rate=args["weight_decay_rate"],
        rate_of=lambda path: layerwise_rate(path, num_layers=NUM_LAYERS, decay=decay, compat=True),
        compile_from=compile_from,
    )
    for step in range(settings["steps"]):
        gradients = [tf.constant(recorded[f"{scenario}|grad|{name}"][step]) for name in names]
        clipped, norm = tf.clip_by_global_norm(gradients, 1.0)
        np.testing.assert_allclose(norm, recorded[f"{scenario}|grad_global_norm"][step], rtol=1e-5)
        optimizer.apply(clipped, _schedule(args, step))
        for name, variable in zip(names, variables, strict=True):
            key = f"{scenario}|%s|{name}"
            np.testing.assert_allclose(variable.value, recorded[key % "param"][step + 1], atol=5e-7, err_msg=name)
            np.testing.assert_allclose(optimizer.first_moments[variable.path], recorded[key % "m"][step], atol=5e-7)
            np.testing.assert_allclose(optimizer.second_moments[variable.path], recorded[key % "v"][step], atol=5e-7)


def test_decayed_variables_are_the_originals(golden):
    for settings in json.loads(golden("tf1/optimizer.json").read_text()).values():
        decayed = {name for name in settings["variables"] if is_decayed(_our_path(name))}
        if settings["args"]["weight_decay_rate"]:
            assert decayed == set(settings["weight_decayed"])


def test_a_variable_outside_the_decay_table_is_an_error():
    with pytest.raises(KeyError, match="rotation"):
        is_decayed("electra/layer_0/rotation")


def test_first_update_is_uncorrected_adam_plus_decay():
    kernel, gamma = _Named("a/kernel", [2.0, -3.0]), _Named("a/gamma", [1.0])
    optimizer = AdamW([kernel, gamma], weight_decay_rate=0.01)
    optimizer.apply([tf.constant([0.5, -4.0]), tf.constant([0.0])], tf.constant(0.1))
    gradient = np.array([0.5, -4.0])
    step = 0.1 * gradient / (np.sqrt(0.001 * gradient**2) + 1e-6) + 0.01 * np.array([2.0, -3.0])
    np.testing.assert_allclose(kernel.value, np.array([2.0, -3.0]) - 0.1 * step, rtol=1e-6)
    np.testing.assert_allclose(gamma.value, [1.0])


def test_learning_rate_has_the_papers_values():
    small = {"peak": 5e-4, "num_train_steps": 1_000_000, "num_warmup_steps": 10_000}
    values = [float(learning_rate_at(tf.constant(s, tf.int64), **small)) for s in (0, 10_000, 100_000, 1_000_000)]
    np.testing.assert_allclose(values, [0.0, 4.95e-4, 4.5e-4, 0.0], rtol=1e-6, atol=1e-12)
    base = {"peak": 2e-4, "num_train_steps": 766_000, "num_warmup_steps": 10_000}
    np.testing.assert_allclose(learning_rate_at(tf.constant(10_000, tf.int64), **base), 1.974e-4, rtol=1e-3)


def test_learning_rate_without_warmup_starts_at_the_peak():
    rate = learning_rate_at(tf.constant(0, tf.int64), peak=0.1, num_train_steps=10, num_warmup_steps=0)
    np.testing.assert_allclose(rate, 0.1)


@pytest.mark.parametrize(
    ("num_layers", "decay", "compat", "expected"),
    [
        (12, 0.8, False, (0.8, 0.0687, 0.05498)),
        (12, 0.8, True, (0.64, 0.05498, 0.04398)),
        (24, 0.9, False, (0.9, 0.07977, 0.07179)),
        (24, 0.9, True, (0.81, 0.07179, 0.06461)),
    ],
)
def test_layerwise_rates_have_the_published_values(num_layers, decay, compat, expected):
    paths = (
        f"electra/layer_{num_layers - 1}/query/kernel",
        "electra/layer_0/output/bias",
        "electra/embeddings/norm/beta",
    )
    rates = [layerwise_rate(path, num_layers=num_layers, decay=decay, compat=compat) for path in paths]
    np.testing.assert_allclose(rates, expected, rtol=5e-4)
    project = layerwise_rate("electra/embeddings_project/kernel", num_layers=num_layers, decay=decay, compat=compat)
    assert project == rates[2]
    assert layerwise_rate("classifier/kernel", num_layers=num_layers, decay=decay, compat=compat) == 1.0


def test_every_variable_of_a_model_is_in_the_decay_table():
    from electra_span.config import EncoderConfig
    from electra_span.encoder import ElectraEncoder
    from electra_span.models import ElectraDiscriminator, ElectraGenerator

    encoder = ElectraEncoder(EncoderConfig(hidden_size=12, num_attention_heads=3, num_hidden_layers=2, vocab_size=37))
    variables = ElectraDiscriminator(encoder).variables + ElectraGenerator(encoder).variables
    undecayed = {variable.path.rpartition("/")[2] for variable in variables if not is_decayed(variable.path)}
    assert undecayed == {"bias", "gamma", "beta", "output_bias"}
    assert isinstance(variables[0], keras.Variable)


def test_two_variables_of_one_path_are_an_error():
    with pytest.raises(ValueError, match="different paths"):
        AdamW([_Named("a/kernel", [1.0]), _Named("a/kernel", [2.0])], weight_decay_rate=0.01)

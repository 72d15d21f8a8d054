"""Tiny networks that were trained before, and runs that start from them."""

import dataclasses

import numpy as np

from configure_pretraining import PretrainingConfig
from electra_span.encoder import ElectraEncoder
from electra_span.models import ElectraDiscriminator, ElectraGenerator
from electra_span.published.names import relative_path
from electra_span.published.save_load import save_pretrained
from electra_span.tokenization import WordPieceTokenizer
from electra_span.training.devices import resolve_execution
from pretrain.run import build_configured_model
from pretrain.warm_start import start_from_checkpoint
from tests.tiny_models import TINY, VOCABULARY, randomize

TOKENIZER = WordPieceTokenizer(VOCABULARY)
GENERATOR = dataclasses.replace(TINY, hidden_size=6, num_attention_heads=1, intermediate_size=24)
SIZES = {
    "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
    "max_position_embeddings": 16,
}  # fmt: skip
HPARAMS = {
    "vocab_size": len(VOCABULARY), "embedding_size": 8, "generator_hidden_size": 0.5, "max_seq_length": 11,
    "masking": "token", "model_hparam_overrides": SIZES,
}  # fmt: skip
WORDS = "embeddings/word_embeddings"
POSITIONS = "embeddings/position_embeddings"


def configure(folder, **hparams) -> PretrainingConfig:
    merged = {**HPARAMS, "init_checkpoint": str(folder), **hparams}
    return PretrainingConfig.from_hparams(model_name="m", data_dir=str(folder / "run"), hparams=merged)


def started(folder, tokenizer=TOKENIZER, **hparams):
    """Returns a model that has started from what lies in a folder."""
    config = configure(folder, **hparams)
    model = build_configured_model(config, resolve_execution("float32", False), np.ones(config.vocab_size))
    start_from_checkpoint(model, config, tokenizer)
    return model


def values(network):
    return {relative_path(variable): variable.numpy() for variable in network.variables}


def publish(folder, *networks, tokenizer=TOKENIZER):
    """Writes networks with values of their own; returns them."""
    for seed, network in enumerate(networks):
        randomize(network, seed=seed)
        save_pretrained(
            network, tokenizer, folder if len(networks) == 1 else folder / ("discriminator", "generator")[seed]
        )
    return networks if len(networks) > 1 else networks[0]


def discriminator(config=TINY, **options):
    return ElectraDiscriminator(ElectraEncoder(config, name="electra"), **options)


def generator(config=GENERATOR, **options):
    return ElectraGenerator(ElectraEncoder(config, name="electra"), **options)


def assert_taken(ours, theirs, *, but=()):
    """Asserts that variables have the values of others of their paths, all but those whose paths begin so."""
    ours, theirs = values(ours), values(theirs)
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        assert np.array_equal(value, theirs[path]) != path.startswith(tuple(but)), path

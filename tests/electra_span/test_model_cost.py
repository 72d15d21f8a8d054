import re

import pytest

from configure_pretraining import PretrainingConfig
from electra_span.config import EncoderConfig, HparamError
from electra_span.model_cost import (
    Network,
    check_memory,
    count_parameters,
    matmul_flops_per_step,
    training_bytes,
    training_flops,
)

GENERATORS = {"small": {"hidden_size": 64}, "base": {"hidden_size": 256}, "large": {"hidden_size": 256}}


def configure(**hparams) -> PretrainingConfig:
    return PretrainingConfig.from_hparams(model_name="m", data_dir="d", hparams=hparams)


@pytest.mark.parametrize(
    ("size", "encoder", "head", "generator", "masked_lm_head"),
    [
        ("small", 13_483_008, 66_049, 4_580_928, 39_098),
        ("base", 108_891_648, 591_361, 33_511_168, 229_434),
        ("large", 334_092_288, 1_050_625, 50_999_552, 295_738),
    ],
)
def test_parameter_counts_of_the_published_sizes(size, encoder, head, generator, masked_lm_head):
    config = EncoderConfig.of_size(size)
    assert sum(count_parameters(config).values()) == encoder
    assert count_parameters(config, "discriminator")["discriminator_head"] == head
    small = EncoderConfig.of_size(size, embedding_size=config.embedding_size, **GENERATORS[size])
    assert sum(count_parameters(small).values()) == generator
    assert count_parameters(small, "masked_lm")["masked_lm_head"] == masked_lm_head


@pytest.mark.parametrize("name", ["small_owt", "base", "large"])
def test_parameter_counts_are_those_of_the_originals_variables(golden, name):
    text = golden(f"tf1/variables_electra_{name}.txt").read_text()
    recorded = {}
    for variable, shape in re.findall(r"^([a-z]\S+) float32 \[([\d, ]*)\]$", text, flags=re.MULTILINE):
        count = 1
        for size in shape.split(", "):
            count *= int(size)
        part = "layers" if "/encoder/" in variable else variable.split("/")[1]
        key = (variable.split("/")[0], part) if "predictions" not in variable else variable.split("/")[0]
        recorded[key] = recorded.get(key, 0) + count
    config = configure(preset=f"electra-{name.removesuffix('_owt')}")
    encoder = count_parameters(config.discriminator_encoder(), "discriminator")
    generator = count_parameters(config.generator_encoder(), "masked_lm")
    assert recorded == {
        key: count
        for key, count in {
            ("electra", "embeddings"): encoder["embeddings"],
            ("electra", "embeddings_project"): encoder["embeddings_project"],
            ("electra", "layers"): encoder["encoder_layers"],
            ("generator", "embeddings_project"): generator["embeddings_project"],
            ("generator", "layers"): generator["encoder_layers"],
            "discriminator_predictions": encoder["discriminator_head"],
            "generator_predictions": generator["masked_lm_head"],
        }.items()
        if count
    }


@pytest.mark.parametrize(
    ("hparams", "published"),
    [
        ({"preset": "electra-small"}, "1.294e+18"),
        ({"preset": "electra-base"}, "6.425e+19"),
        ({"preset": "electra-large"}, "7.118e+20"),
        ({"preset": "electra-large", "num_train_steps": 1_750_000}, "3.114e+21"),
        ({"preset": "electra-small", "electra_objective": False, "num_train_steps": 1_450_000}, "1.419e+18"),
        ({"preset": "electra-base", "electra_objective": False, "num_train_steps": 1_000_000}, "6.428e+19"),
    ],
)
def test_training_flops_are_the_published_ones(hparams, published):
    config = configure(**hparams)
    num_sequences = config.train_batch_size * config.num_train_steps
    flops = training_flops(config.networks(), seq_length=config.max_seq_length, num_sequences=num_sequences)
    assert f"{flops:.3e}" == published


@pytest.mark.parametrize(
    ("operation", "products"), [("multiply", 37 * 6), ("add", (8 + 5) * 6), ("concat", (8 + 5) * 3)]
)
def test_products_with_compositional_words_are_one_a_word_or_one_a_row(operation, products):
    sizes = {"vocab_size": 37, "embedding_size": 6, "hidden_size": 12, "num_attention_heads": 4}
    compositional = {"embedding_type": "compositional", "compositional_num_buckets": 5}
    configs = [EncoderConfig(**sizes), EncoderConfig(**sizes, **compositional, compositional_operation=operation)]
    full, ours = (
        matmul_flops_per_step([Network(config, "masked_lm")], batch_size=2, seq_length=11, num_predictions=3)
        for config in configs
    )
    assert full - ours == 3 * 2 * 3 * 2 * (37 * 6 - products)


def test_matmul_flops_are_those_of_each_product():
    batch, length, predictions, heads, vocab = 2, 11, 3, 4, 37
    embedding, hidden, intermediate = 6, 12, 20
    config = EncoderConfig(
        vocab_size=vocab,
        embedding_size=embedding,
        hidden_size=hidden,
        num_hidden_layers=5,
        num_attention_heads=heads,
        intermediate_size=intermediate,
    )

    def product(rows: int, inner: int, columns: int) -> int:
        return 2 * rows * inner * columns

    head_size = hidden // heads
    layer = (
        4 * product(length, hidden, hidden)
        + heads * (product(length, head_size, length) + product(length, length, head_size))
        + product(length, hidden, intermediate)
        + product(length, intermediate, hidden)
    )
    encoder = product(length, embedding, hidden) + 5 * layer
    masked_lm = product(predictions, hidden, embedding) + product(predictions, embedding, vocab)
    discriminator = product(length, hidden, hidden) + product(length, hidden, 1)
    flops = matmul_flops_per_step(
        [Network(config, "masked_lm"), Network(config, "discriminator")],
        batch_size=batch,
        seq_length=length,
        num_predictions=predictions,
    )
    assert flops == 3 * batch * (2 * encoder + masked_lm + discriminator)


def test_span_heads_cost_their_products_and_a_frozen_network_its_forward_pass_alone():
    batch, predictions, hidden, embedding, vocab = 2, 3, 12, 6, 37
    config = EncoderConfig(vocab_size=vocab, embedding_size=embedding, hidden_size=hidden, num_attention_heads=4)

    def flops(*network):
        return matmul_flops_per_step([Network(config, *network)], batch_size=batch, seq_length=11, num_predictions=3)

    boundary = 2 * predictions * ((2 * hidden + 200) * hidden + hidden * hidden)
    sbgo = boundary + 2 * predictions * (hidden * embedding + embedding * vocab)
    assert flops("masked_lm", True) - flops("masked_lm") == 3 * batch * sbgo
    assert flops("discriminator", True) - flops("discriminator") == 3 * batch * (boundary + 2 * predictions * hidden)
    assert 3 * flops("masked_lm", True, False) == flops("masked_lm", True)
    published = [
        training_flops([Network(config, "masked_lm", *rest)], seq_length=11, num_sequences=1)
        for rest in ((), (True,), (True, False))
    ]
    assert published[0] < published[1] == 2 * published[2]


def test_a_cloze_model_costs_two_encoders_and_predicts_every_token():
    batch, length, vocab, embedding, hidden = 2, 11, 37, 6, 12
    config = EncoderConfig(vocab_size=vocab, embedding_size=embedding, hidden_size=hidden, num_attention_heads=4)

    def flops(head, num_predictions=3):
        settings = {"batch_size": batch, "seq_length": length, "num_predictions": num_predictions}
        return matmul_flops_per_step([Network(config, head)], **settings)

    head = 2 * length * (2 * hidden * embedding + embedding * vocab)
    assert flops("cloze") == 2 * flops("masked_lm", 0) + 3 * batch * head
    one, two = (count_parameters(config, name) for name in ("masked_lm", "cloze"))
    assert two["embeddings"] == one["embeddings"]
    assert two["encoder_layers"] == 2 * one["encoder_layers"]
    assert two["cloze_head"] - one["masked_lm_head"] == hidden * embedding
    published = {
        name: training_flops([Network(config, name)], seq_length=11, num_sequences=1) for name in ("masked_lm", "cloze")
    }
    assert published["cloze"] > 2 * published["masked_lm"]


def test_memory_for_training_is_at_least_that_of_the_largest_trained_network():
    networks = configure(preset="electra-small").networks()
    parameters = sum(count_parameters(EncoderConfig.of_size("small"), "discriminator").values())
    assert training_bytes(networks, num_tokens=0) == 16 * parameters
    assert training_bytes(networks, num_tokens=1000) == 16 * parameters + 2 * 1000 * 12 * 256
    check_memory(networks, num_tokens=1000)


@pytest.mark.parametrize(
    ("hparams", "num_tokens"),
    [({"vocab_size": 2 * 10**9}, 0), ({"generator_hidden_size": 1000.0}, 0), ({}, 10**12)],
)
def test_a_run_that_this_machine_cannot_hold_is_refused_with_the_memory_it_needs(hparams, num_tokens):
    with pytest.raises(HparamError, match=r"at least [\d,]+ GB of memory .* this machine has \d+ GB"):
        check_memory(configure(**hparams).networks(), num_tokens=num_tokens)

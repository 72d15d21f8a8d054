"""Reading the recorded runs of the original's pretraining graph."""

import json
import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from electra_span.config import EncoderConfig, from_hparams
from electra_span.convert.tf1 import load_tf1_weights
from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import Corrupt, Corruption
from electra_span.published.names import names_of, relative_path
from pretrain.model import PretrainingModel, build_model


class Recorded(NamedTuple):
    """One recorded variant: its settings, tensors by name, and a batch of its inputs."""

    meta: dict
    tensors: dict[str, np.ndarray]
    batch: MaskedBatch


def recorded_batch(tensors: dict[str, np.ndarray], step: int | None = None) -> MaskedBatch:
    """Returns a recorded batch; with a step, that step's."""

    def pick(name: str) -> tf.Tensor:
        value = tensors[name]
        return tf.constant(value if step is None or name.startswith("in/") else value[step])

    positions = pick("masked/masked_lm_positions")
    return MaskedBatch(
        input_ids=pick("in/input_ids"),
        masked_input_ids=pick("masked/input_ids"),
        input_mask=pick("in/input_mask"),
        segment_ids=pick("in/segment_ids"),
        masked_lm_positions=positions,
        masked_lm_ids=pick("masked/masked_lm_ids"),
        masked_lm_weights=pick("masked/masked_lm_weights"),
        **no_spans(positions),
        sampling_uniforms=tf.zeros(tf.shape(positions)),
    )


def no_spans(positions: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the span fields of a batch without boundaries to read, for positions [B, N]: the original had none."""
    nothing = tf.zeros(tf.shape(positions), tf.int32)
    return {
        "span_left": nothing,
        "span_right": nothing,
        "span_offset": nothing,
        "span_weights": tf.cast(nothing, tf.float32),
    }


def read_variant(folder: pathlib.Path) -> Recorded:
    """Returns one variant of golden/tf1."""
    meta = json.loads((folder / "meta.json").read_text())
    tensors = dict(np.load(folder / "io.npz"))
    return Recorded(meta, tensors, recorded_batch(tensors))


def recorded_corruption(tensors: dict[str, np.ndarray], step: int | None = None) -> Corrupt:
    """Returns a stand-in for the sampling that gives the recorded draws."""

    def pick(name: str) -> tf.Tensor:
        return tf.constant(tensors[name] if step is None else tensors[name][step])

    def corrupt(batch: MaskedBatch, mlm_logits: tf.Tensor) -> Corruption:
        is_replaced = tf.cast(pick("fake/is_fake_tokens"), tf.bool)
        return Corruption(pick("fake/sampled_ids"), pick("fake/updated_input_ids"), is_replaced)

    return corrupt


def recorded_model(
    recorded: Recorded, checkpoint: pathlib.Path, *, corrupt: Corrupt | None = None, **options: object
) -> PretrainingModel:
    """Returns our model of a variant with the checkpoint's weights; options are `build_model`'s."""
    config = recorded.meta["config"]
    discriminator = _encoder_config(recorded.meta["bert_config"], config["embedding_size"])
    generator = discriminator
    has_discriminator = config["electra_objective"] or config["electric_objective"]
    if has_discriminator:
        generator = _encoder_config(recorded.meta["generator_config"], config["embedding_size"])
    if config["untied_generator_embeddings"]:
        generator = _encoder_config(recorded.meta["generator_config"], recorded.meta["generator_config"]["hidden_size"])
    model = build_model(
        discriminator,
        generator,
        corrupt=corrupt or recorded_corruption(recorded.tensors),
        has_generator=not (config["electra_objective"] and config["uniform_generator"]),
        has_discriminator=has_discriminator,
        has_two_towers=config["two_tower_generator"],
        noise_prob=config["mask_prob"] if config["electric_objective"] else None,
        embedding_sharing=_sharing(config),
        **options,
    )
    for part in (model.generator, model.discriminator):
        if part is not None:
            load_tf1_weights(part, checkpoint)
    return model


def _sharing(config: dict) -> str:
    """Returns what two flags of the original's come to."""
    if not config["untied_generator"]:
        return "encoder"
    return "generator_untied" if config["untied_generator_embeddings"] else "shared"


def tf1_names(model: PretrainingModel) -> dict[str, str]:
    """Returns the original's name of each variable by its path; for models with a generator of their own."""
    names = {}
    for part, scope in ((model.generator, "generator"), (model.discriminator, "electra")):
        tf1 = {name.ours: name.tf1 for name in names_of(part)}
        for variable in part.trainable_variables:
            name = tf1[relative_path(variable)]
            names[variable.path] = name if "_predictions/" in name else f"{scope}/{name}"
    return names


def _encoder_config(recorded: dict, embedding_size: int) -> EncoderConfig:
    return from_hparams(EncoderConfig, {**recorded, "embedding_size": embedding_size})

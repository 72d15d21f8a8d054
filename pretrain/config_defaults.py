"""What the hparams of pretraining are where the user leaves them out. Imports no TensorFlow."""

import os
from collections.abc import Mapping
from typing import Any

from electra_span.config import (
    COMPOSITIONAL_FIELDS,
    LARGE_VOCABULARY,
    EncoderConfig,
    HparamError,
    check_choice,
    checked_hparams,
)
from electra_span.schedules import Schedule, values_of
from pretrain.phases import check_phases, whole_run
from pretrain.recipes import DEBUG, PRESETS, SPAN_OBJECTIVES

# Fields of EncoderConfig that are hparams themselves, equal for both encoders but for a generator's own embedding_size.
TABLE_FIELDS = ("vocab_size", "embedding_size", *COMPOSITIONAL_FIELDS)
_MOST_LOGIT_BYTES = 320 * 2**20  # of a part of a batch

# What the original calls each kind of embedding_sharing: untied_generator, untied_generator_embeddings.
SHARING = {
    "shared": (True, False),
    "generator_untied": (True, True),
    "gdes": (True, False),
    "encoder": (False, False),
}


def merged_hparams(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what preset, debug and the user set, the later winning; overrides of the model key by key."""
    preset = given.get("preset")
    if preset is not None:
        check_choice("preset", preset, PRESETS)
    layers = (PRESETS[preset] if preset else {}, DEBUG if given.get("debug") else {}, given)
    merged = {key: value for layer in layers for key, value in layer.items()}
    overrides = {key: value for layer in layers for key, value in layer.get("model_hparam_overrides", {}).items()}
    try:
        overrides = checked_hparams(EncoderConfig, overrides)
    except HparamError as error:
        raise HparamError(f"model_hparam_overrides: {error}") from None
    lifted: dict[str, Any] = {key: overrides.pop(key) for key in TABLE_FIELDS if key in overrides}
    return {**merged, **lifted, "model_hparam_overrides": overrides}


def settings_by_phases(config_class: type, settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a run's phases, where it has any, make of its other settings; raises HparamError for another value.

    Args:
        config_class: declares the types.
        settings: the run's.
        given: those among them that the user sets.
    """
    phases = settings["phases"]
    if phases is None:
        return {}
    check_phases(phases)
    typed = [checked_hparams(config_class, phase) for phase in phases]
    by_phases = whole_run(typed)
    for name, value in by_phases.items():
        if given.get(name, value) != value:
            raise HparamError(f"{name}: phases make it {value}; leave it out. Received: {given[name]}")
    return {"phases": typed, **by_phases}


def most_masked(mask_prob: Schedule, max_seq_length: int) -> int:
    """Returns max_predictions_per_seq where it is not given: enough for the largest mask_prob of sequences full."""
    return max(1, int((max(values_of(mask_prob)) + 0.005) * max_seq_length))


def values_by_rule(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a value for every field that has a rule, from the settings that have none."""
    data_dir = settings["data_dir"]
    model_dir = settings.get("model_dir", os.path.join(data_dir, "models", settings["model_name"]))
    encoder = EncoderConfig.of_size(settings["model_size"], **settings["model_hparam_overrides"])
    num_predictions = most_masked(settings["mask_prob"], settings["max_seq_length"])
    objectives = _objectives(settings)
    return {
        **objectives,
        **_sharing(settings),
        **_replacement(settings.get("masking", objectives["masking"])),
        "embedding_size": encoder.embedding_size,
        "max_predictions_per_seq": num_predictions,
        "gradient_accumulation_steps": _num_parts(settings, settings.get("max_predictions_per_seq", num_predictions)),
        "pretrain_tfrecords": os.path.join(data_dir, "pretrain_tfrecords", "pretrain_data.tfrecord*"),
        "vocab_file": os.path.join(data_dir, "vocab.txt"),
        "model_dir": model_dir,
        "results_txt": os.path.join(model_dir, "results", "unsup_results.txt"),
        "results_pkl": os.path.join(model_dir, "results", "unsup_results.pkl"),
    }


def _sharing(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns embedding_sharing and the original's two booleans for it, as far as not all of them are given."""
    names = ("untied_generator", "untied_generator_embeddings")
    given = tuple(settings.get(name, default) for name, default in zip(names, SHARING["shared"], strict=True))
    by_booleans = next((kind for kind, booleans in SHARING.items() if booleans == given), "encoder")
    kind = settings.get("embedding_sharing", by_booleans)
    return {"embedding_sharing": kind, **dict(zip(names, SHARING.get(kind, given), strict=True))}


def _objectives(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the objectives where nothing is said: SpanElectra's, and, for the original's other models, theirs."""
    is_electric, mode = settings["electric_objective"], settings["training_mode"]
    is_electra = settings.get("electra_objective", not is_electric)
    has_two_towers = settings.get("two_tower_generator", is_electric)
    generates = mode != "discriminator" and not settings["uniform_generator"] and not has_two_towers
    detects = is_electra and mode != "generator"
    is_original = not is_electra or has_two_towers or settings["uniform_generator"]
    masking = settings.get("masking", "token" if is_original else "span")
    return {
        "electra_objective": not is_electric,
        "two_tower_generator": is_electric,
        "masking": masking,
        "sbgo_weight": SPAN_OBJECTIVES["sbgo_weight"] if masking == "span" and generates else 0.0,
        "sbpo_weight": SPAN_OBJECTIVES["sbpo_weight"] if masking == "span" and detects else 0.0,
    }


def _replacement(masking: str) -> dict[str, Any]:
    """Returns how chosen tokens are replaced, as the kind of masking has it where nothing is said."""
    return {
        "replace_probs": [0.85, 0.0, 0.15] if masking == "token" else [0.8, 0.1, 0.1],
        "replace_unit": "span" if masking == "span" else "position",
    }


def _num_parts(settings: Mapping[str, Any], num_predictions: int) -> int:
    """Returns in how many equal parts a batch is worked through where nothing is said.

    With a large vocabulary the logits outweigh all else in memory.

    Args:
        settings: of the run.
        num_predictions: N, masked positions of a row.
    """
    batch_size, vocab_size = settings["train_batch_size"], settings["vocab_size"]
    num_bytes = 4 * batch_size * num_predictions * vocab_size
    if vocab_size < LARGE_VOCABULARY or num_bytes <= _MOST_LOGIT_BYTES:
        return 1
    fitting = (parts for parts in range(2, batch_size) if num_bytes <= parts * _MOST_LOGIT_BYTES)
    return next((parts for parts in fitting if batch_size % parts == 0), batch_size)

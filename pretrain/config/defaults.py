"""Phases of one run: the same models and schedules on sequences of one length, then of another. Imports no TensorFlow.

Source: Devlin et al. 2019, "BERT", appendix A.2: 90 % of the steps with sequences of 128, the rest with 512.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
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

# What a phase says, and what it may say.
_NEEDED = ("max_seq_length", "num_train_steps")
_OPTIONAL = ("train_batch_size", "max_predictions_per_seq", "pretrain_tfrecords", "eval_tfrecords")


def check_phases(phases: Sequence[Mapping[str, Any]]) -> None:
    """Raises HparamError unless there are phases that say what they need and nothing they may not."""
    if not phases:
        raise HparamError("phases must be a list of at least one phase, or null. Received: []")
    for phase in phases:
        missing = [name for name in _NEEDED if name not in phase]
        unknown = [name for name in phase if name not in _NEEDED + _OPTIONAL]
        if missing or unknown:
            raise HparamError(
                f"each of phases must have {' and '.join(_NEEDED)}, and may have {', '.join(_OPTIONAL)}. "
                f"Received: {dict(phase)}"
            )


def whole_run(phases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what phases come to together: all their steps, and the longest of their sequences."""
    return {
        "num_train_steps": ends_of(phases)[-1],
        "max_seq_length": max(phase["max_seq_length"] for phase in phases),
    }


def ends_of(phases: Sequence[Mapping[str, Any]]) -> list[int]:
    """Returns the number of updates made at the end of each phase."""
    return list(itertools.accumulate(phase["num_train_steps"] for phase in phases))


def settings_of(phase: Mapping[str, Any], *, data_dir: str, most_masked: Any) -> dict[str, Any]:
    """Returns the settings of a run in one of its phases, but for its steps: those of the schedules are the run's.

    Args:
        phase: what the phase says.
        data_dir: folder of the run's data, where each length has a folder of records of its own.
        most_masked: function of a length that gives max_predictions_per_seq.
    """
    length = phase["max_seq_length"]
    by_rule = {
        "max_predictions_per_seq": most_masked(length),
        "pretrain_tfrecords": os.path.join(data_dir, f"pretrain_tfrecords_{length}", "pretrain_data.tfrecord*"),
    }
    return {**by_rule, **{name: value for name, value in phase.items() if name != "num_train_steps"}}


# What SpanElectra adds to ELECTRA, and runs where nothing is said: spans, and an objective of their boundaries on both
# sides. The weights: docs/experiments.md.
SPAN_OBJECTIVES: dict[str, Any] = {"masking": "span", "sbgo_weight": 1.0, "sbpo_weight": 50.0}

# The recipes of Clark et al. 2020, table 6 (electra-*, bert-small) and Joshi et al. 2020, section 4 (spanbert-base).
# What a recipe leaves out is the class default.
PRESETS: dict[str, dict[str, Any]] = {
    "electra-small": {
        "model_size": "small", "generator_hidden_size": 1 / 4, "mask_prob": 0.15, "max_seq_length": 128,
        "learning_rate": 5e-4, "num_warmup_steps": 10_000, "num_train_steps": 1_000_000, "train_batch_size": 128,
        "masking": "token",
    },
    "electra-base": {
        "model_size": "base", "generator_hidden_size": 1 / 3, "mask_prob": 0.15, "max_seq_length": 512,
        "learning_rate": 2e-4, "num_warmup_steps": 10_000, "num_train_steps": 766_000, "train_batch_size": 256,
        "masking": "token",
    },
    "electra-large": {
        "model_size": "large", "generator_hidden_size": 1 / 4, "mask_prob": 0.25, "max_seq_length": 512,
        "learning_rate": 2e-4, "num_warmup_steps": 10_000, "num_train_steps": 400_000, "train_batch_size": 2048,
        "masking": "token",
    },
    "bert-small": {
        "electra_objective": False, "model_size": "small", "masking": "token", "mask_prob": 0.15, "max_seq_length": 128,
        "learning_rate": 5e-4, "num_warmup_steps": 10_000, "num_train_steps": 1_450_000, "train_batch_size": 128,
    },
    "spanbert-base": {
        "electra_objective": False, "model_size": "base", "mask_prob": 0.15, "max_seq_length": 512,
        "masking": "span", "span_whole_words": True, "random_tokens": "frequency", "sbgo_weight": 1.0,
        "learning_rate": 1e-4, "num_warmup_steps": 10_000, "num_train_steps": 2_400_000, "train_batch_size": 256,
    },
}  # fmt: skip
PRESETS |= {f"span{name}": {**PRESETS[name], **SPAN_OBJECTIVES} for name in ("electra-small", "electra-base")}

# What `debug` sets: a model and a run small enough to try anything in seconds, as in the original.
DEBUG: dict[str, Any] = {
    "model_hparam_overrides": {"num_hidden_layers": 3, "hidden_size": 144, "num_attention_heads": 4},
    "train_batch_size": 8, "eval_batch_size": 4, "num_train_steps": 20, "num_eval_steps": 2, "iterations_per_loop": 1,
}  # fmt: skip


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

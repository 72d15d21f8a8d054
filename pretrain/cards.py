"""The cards of the models that a pretraining run publishes."""

import datetime
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from configure_pretraining import PretrainingConfig
from electra_span.published.card import ModelCard, describe_origin, json_block, make_header, rounded, table, usage
from electra_span.published.card_metadata import Origin
from electra_span.published.config import Architecture
from electra_span.published.names import expected_names
from pretrain.manifest import read_manifest
from pretrain.run_facts import RunFacts

# Hparams that say where files are, or what the card says elsewhere.
_NOT_SHOWN = (
    "model_name", "data_dir", "model_dir", "pretrain_tfrecords", "eval_tfrecords", "vocab_file", "results_txt",
    "results_pkl", "init_checkpoint", "generator_checkpoint", "do_train", "do_eval", *Origin._fields,
)  # fmt: skip
_PATHS_OF_PHASES = ("pretrain_tfrecords", "eval_tfrecords")
_DISCRIMINATOR = (
    "The discriminator of an ELECTRA: for every token of a text it tells whether it was replaced. Its encoder is what "
    "one fine-tunes on tasks."
)
_ENERGIES = (
    "The discriminator of an Electric: each of its logits is the energy of a token, an estimate of -log p given the "
    "others. Its encoder is what one fine-tunes on tasks."
)
_GENERATOR = "The generator of an ELECTRA, a masked language model: it fills masked tokens in."
_MASKED_LM = "A masked language model, as BERT: it fills masked tokens in. Its encoder is what one fine-tunes on tasks."
_TWO_TOWERS = "A cloze model of two encoders, left to right and right to left: it predicts every token from the others."


def make_card(
    config: PretrainingConfig,
    part: str,
    architecture: Architecture,
    *,
    facts: RunFacts,
    results: Mapping[str, float],
    hardware: str,
    mask: str,
) -> ModelCard:
    """Returns the card of a run's discriminator or generator.

    Args:
        config: of the run.
        part: "discriminator" or "generator".
        architecture: of the published model.
        facts: what the run has done.
        results: of its last evaluation, on text held out of training; empty where there was none.
        hardware: it ran on, in words.
        mask: the name of the mask token.
    """
    started_from = config.init_checkpoint or None
    header = make_header(architecture, config.origin, started_from=started_from, tags=_tags(config))
    return ModelCard(
        header,
        f"{config.model_name}: {part}",
        [
            ("Model", f"{_about(config, part)}\n\n{_model_table(architecture)}"),
            ("Use", usage(architecture, mask=mask)),
            ("Data", _data(config, facts)),
            ("Training", _training(config, facts, hardware)),
            ("Results", _results(results)),
            ("Hparams", f"Those that differ from their defaults:\n\n{json_block(_changed(config))}"),
        ],
    )


def _about(config: PretrainingConfig, part: str) -> str:
    """Returns what a model is."""
    if part == "discriminator":
        return _ENERGIES if config.electric_objective else _DISCRIMINATOR
    if config.two_tower_generator:
        return _TWO_TOWERS
    return _GENERATOR if config.has_detection_objective else _MASKED_LM


def _tags(config: PretrainingConfig) -> list[str]:
    """Returns what kind of pretraining it was, in words of the hub's tags."""
    named = {
        "span-masking": config.masking == "span",
        "spanelectra": bool(config.sbgo_weight or config.sbpo_weight),
        "electric": config.electric_objective,
        "masked-lm": not config.has_discriminator,
    }
    return [name for name, is_so in named.items() if is_so]


def _model_table(architecture: Architecture) -> str:
    config = architecture.config
    num_parameters = sum(math.prod(name.shape) for name in expected_names(*architecture))
    rows = [
        ("parameters", f"{num_parameters:,}"),
        ("layers", config.num_hidden_layers),
        ("hidden size", config.hidden_size),
        ("attention heads", config.num_attention_heads),
        ("embedding size", config.embedding_size),
        ("vocabulary", f"{config.vocab_size:,}"),
        ("longest input", f"{config.max_position_embeddings} tokens"),
    ]
    return table(("", ""), rows)


def _data(config: PretrainingConfig, facts: RunFacts) -> str:
    """Returns what the records were made of, of each phase, as far as their manifests tell."""
    rows = describe_origin(config.origin._replace(model_license=None, base_model=None), None)
    for phase in facts.phases:
        folder = pathlib.Path(phase.config.pretrain_tfrecords.split(",")[0]).parent
        manifest = read_manifest(folder) or {}
        length = f", length {phase.config.max_seq_length}" if len(facts.phases) > 1 else ""
        for key, name in (
            ("num_documents", "documents"), ("tokens_in", "tokens"), ("num_examples", "examples"),
            ("tokens_out", "tokens in examples"),
        ):  # fmt: skip
            if key in manifest:
                rows.append((f"{name}{length}", f"{manifest[key]:,}"))
        for kind, source in manifest.get("sources", {}).items():
            rows.append((f"source{length}: {kind}", ", ".join(_counts(source))))
    return table(("", ""), rows) if rows else ""


def _counts(source: Mapping[str, Any]) -> list[str]:
    """Returns what a manifest counts of a kind of source."""
    return [f"{name.removeprefix('num_')} {value:,}" for name, value in source.items() if isinstance(value, int)]


def _training(config: PretrainingConfig, facts: RunFacts, hardware: str) -> str:
    """Returns the table of what was done, and on what."""
    rows = describe_origin(config.origin._replace(language=None, data_license=None), config.init_checkpoint)
    if config.init_step:
        rows.append(("first step", f"{config.init_step:,}"))
    rows += [
        ("steps", f"{facts.num_steps:,}"),
        *(
            (f"sequences a step, of {phase.config.max_seq_length} tokens", f"{phase.config.train_batch_size:,}")
            for phase in facts.phases
        ),
        ("tokens, padding counted", f"{facts.num_tokens:,}"),
        ("FLOPs, counted as in the ELECTRA paper", f"{facts.flops:.3g}"),
        ("hardware", hardware),
    ]
    if facts.seconds:
        rows.append(("time of training steps", str(datetime.timedelta(seconds=round(facts.seconds)))))
    return table(("", ""), rows)


def _results(results: Mapping[str, float]) -> str:
    """Returns the table of the last evaluation."""
    numbers = {name: rounded(value) for name, value in results.items()}
    if not numbers:
        return ""
    rows = [(name, value) for name, value in numbers.items() if value is not None]
    return f"On text held out of training:\n\n{table(('', ''), rows)}"


def _changed(config: PretrainingConfig) -> dict[str, Any]:
    """Returns the hparams that are not what they are where nothing is said, but for paths."""
    defaults = PretrainingConfig.from_hparams(model_name=config.model_name, data_dir=config.data_dir, hparams={})
    before = defaults.to_dict()
    changed = {
        name: value for name, value in config.to_dict().items() if name not in _NOT_SHOWN and value != before[name]
    }
    if config.phases is not None:
        changed["phases"] = [
            {name: value for name, value in phase.items() if name not in _PATHS_OF_PHASES} for phase in config.phases
        ]
    return changed

"""The hparams by which a run's networks have the sizes of weights that it is to start from."""

from collections.abc import Mapping
from typing import Any

from configure_pretraining import PretrainingConfig
from electra_span.config import EncoderConfig, HparamError
from electra_span.convert.source_models import Half
from electra_span.convert.warm_start import different_sizes

_OVERRIDES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
_RARE = ("type_vocab_size", "layer_norm_eps")
_OF_GENERATOR = {
    "hidden_size": "generator_hidden_size",
    "num_attention_heads": "generator_hidden_size",
    "intermediate_size": "generator_hidden_size",
    "num_hidden_layers": "generator_layers",
}
_SHARING = ("untied_generator", "untied_generator_embeddings")  # which embedding_sharing says as well


def hparam_of(field: str, part: str, config: PretrainingConfig) -> str:
    """Returns the name of the hparam that a size of one of a run's networks comes from."""
    if field == "embedding_size":
        return field if part == "discriminator" or not config.untied_generator_embeddings else "generator_hidden_size"
    has_own_sizes = part == "generator" and config.has_detection_objective and config.untied_generator
    return _OF_GENERATOR.get(field, "model_hparam_overrides") if has_own_sizes else "model_hparam_overrides"


def fitting_hparams(config: PretrainingConfig, halves: Mapping[str, Half]) -> dict[str, Any] | None:
    """Returns hparams that, beside a run's others, make its networks fit the halves of a source; None if none do.

    Args:
        config: of the run.
        halves: by the network that starts from them.
    """
    sizes = {part: half.architecture.config for part, half in halves.items()}
    hparams: dict[str, Any] = {}
    if "discriminator" in sizes or not config.has_discriminator:
        hparams = _of_encoder(config, sizes.get("discriminator") or sizes["generator"])
    lead = sizes.get("discriminator") or (
        config.discriminator_encoder() if config.has_discriminator else sizes["generator"]
    )
    if "generator" in sizes and config.has_detection_objective and config.untied_generator:
        generator = sizes["generator"]
        hparams["generator_hidden_size"] = generator.hidden_size / lead.hidden_size
        hparams["generator_layers"] = generator.num_hidden_layers / lead.num_hidden_layers
        if generator.embedding_size != lead.embedding_size:
            hparams["embedding_sharing"] = "generator_untied"
    return hparams if _fits(config, hparams, halves) else None


def _of_encoder(config: PretrainingConfig, encoder: EncoderConfig) -> dict[str, Any]:
    """Returns the hparams of an encoder's sizes."""
    now = config.discriminator_encoder()
    fields = [*_OVERRIDES, *(field for field in _RARE if getattr(encoder, field) != getattr(now, field))]
    overrides = {**config.model_hparam_overrides, **{field: getattr(encoder, field) for field in fields}}
    return {"embedding_size": encoder.embedding_size, "model_hparam_overrides": overrides}


def _fits(config: PretrainingConfig, hparams: Mapping[str, Any], halves: Mapping[str, Half]) -> bool:
    """Returns whether a run with these hparams has networks of a source's sizes."""
    settings = {**config.to_dict(), **hparams}
    if "embedding_sharing" in hparams:
        settings = {name: value for name, value in settings.items() if name not in _SHARING}
    try:
        fitted = PretrainingConfig.from_saved(settings)
    except HparamError:
        return False
    encoders = {"discriminator": fitted.discriminator_encoder(), "generator": fitted.generator_encoder()}
    return not any(different_sizes(half, encoders[part]) for part, half in halves.items())

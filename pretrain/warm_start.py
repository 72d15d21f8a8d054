"""The hparams by which a run's networks have the sizes of weights that it is to start from."""

import collections
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from configure_pretraining import PretrainingConfig
from electra_span.config import EncoderConfig, HparamError
from electra_span.convert.source_models import Half, source_tokenizer
from electra_span.convert.sources import Source
from electra_span.convert.warm_start import (
    Start,
    Target,
    describe,
    different_sizes,
    opened_source,
    read_start,
    take_over,
    targets_of,
)
from electra_span.convert.word_map import InitialWeightsError, map_words, same_words
from electra_span.layers.embeddings import Table
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator
from electra_span.published.names import Model, relative_path
from electra_span.tokenization import Tokenizer
from pretrain.model import PretrainingModel

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


def start_from_generator(
    generator: ElectraGenerator, discriminator: ElectraDiscriminator, path: str, *, beside: pathlib.Path
) -> None:
    """Gives the generator its weights, and the discriminator's encoder those of them that fit it.

    A variable fits where the other encoder has one of the same name and shape: all of them where both encoders have
    one size; otherwise embeddings at most, and what else does not depend on the size.

    Args:
        generator: gets all of its weights.
        discriminator: shares nothing with it.
        path: of a generator, or a pair of models with one, in any form that is known.
        beside: a zip is unpacked in this one's folder.

    Raises:
        InitialWeightsError: it is no generator, or of another size or vocabulary than the model's.
    """
    with opened_source("generator_checkpoint", path, beside=beside) as source:
        half = _generator_of(source.halves)
        _check_two_stage(half, generator)
        start = read_start(half, generator.config, same_words(generator.config.vocab_size))
    anew = take_over(targets_of(generator), start)
    if anew:
        raise InitialWeightsError(f"generator_checkpoint: {path} lacks {', '.join(anew)}")
    encoder = {relative_path(variable): variable for variable in discriminator.encoder.variables}
    fitting = {
        path: value
        for path, value in start.values.items()
        if path in encoder and value.shape == tuple(encoder[path].shape)
    }
    take_over({path: encoder[path] for path in fitting}, Start(fitting, start.words))
    logging.info("the discriminator takes %d of %d variables over", len(fitting), len(encoder))


def _generator_of(halves: list[Half]) -> Half:
    """Returns the generator among the halves of a source; raises InitialWeightsError where there is none."""
    half = next((half for half in halves if half.part == "generator"), halves[0])
    if half.part != "generator" or issubclass(half.architecture.model_class, TwoTowerGenerator):
        kind = {"generator": "two-tower one", "model": "model for tasks"}.get(half.part, half.part)
        raise InitialWeightsError(f"must hold a generator, not a {kind}")
    return half


def _check_two_stage(half: Half, generator: ElectraGenerator) -> None:
    """Raises InitialWeightsError where a generator has not the sizes, the vocabulary and the length of another."""
    differences = [(each.field, each.source, each.network) for each in different_sizes(half, generator.config)]
    for field in ("vocab_size", "max_position_embeddings"):
        differences.append((field, getattr(half.architecture.config, field), getattr(generator.config, field)))
    for field, received, expected in differences:
        if received != expected:
            raise InitialWeightsError(
                f"{field} must be {expected}, by the sizes of the generator. Received: {received}"
            )


class _Beginning(NamedTuple):
    """What one of a run's networks starts from."""

    half: Half
    start: Start


def start_from_checkpoint(model: PretrainingModel, config: PretrainingConfig, tokenizer: Tokenizer) -> None:
    """Gives a run's networks the weights of init_checkpoint, and says what came from where.

    Each network starts from the half of its kind. What a source has not stays as it was drawn: a network without a
    half, heads of span objectives, and words that are new to it. Embeddings that both networks share are the
    discriminator's, where the source has one. A network that is alone takes the encoder of any half.

    Args:
        model: freshly drawn.
        config: the effective configuration.
        tokenizer: of the run.

    Raises:
        InitialWeightsError: nothing can be read there, or it does not fit the configuration.
    """
    path, beside = str(config.init_checkpoint), pathlib.Path(config.model_dir, "init_checkpoint")
    networks = _networks(model)
    with opened_source("init_checkpoint", path, beside=beside) as source:
        halves = _halves_for(networks, source.halves)
        _check(config, networks, halves)
        beginnings = {}
        for part, half in halves.items():
            known = None
            if config.init_vocabulary == "remap":
                known = source_tokenizer(half, do_lower_case=config.do_lower_case)
            num_rows, encoder = half.architecture.config.vocab_size, networks[part].config
            words = map_words(config.init_vocabulary, known, num_rows, tokenizer, encoder.vocab_size)
            beginnings[part] = _Beginning(half, read_start(half, encoder, words))
        logging.info("init_checkpoint: %s is %s", path, source.kind)
        _log_rest(source, halves)
    _apply(model, networks, beginnings)
    logging.info("training begins at step %d, with a fresh optimizer", config.init_step)


def _networks(model: PretrainingModel) -> dict[str, Model]:
    """Returns a run's networks, in the order in which they are given weights: differences come after their bases."""
    pairs = {"generator": model.generator, "discriminator": model.discriminator}
    return {part: network for part, network in pairs.items() if network is not None}


def _halves_for(networks: Mapping[str, Model], halves: Sequence[Half]) -> dict[str, Half]:
    """Returns the half of a source that each network starts from, where it has one."""
    found = {half.part if half.part == "generator" else "discriminator": half for half in halves}
    if len(networks) == 1:
        (part,) = networks
        return {part: found.get(part, next(iter(found.values())))}
    return {part: found[part] for part in networks if part in found}


def _check(config: PretrainingConfig, networks: Mapping[str, Model], halves: Mapping[str, Half]) -> None:
    """Raises InitialWeightsError where a half is of another kind or size than the network that starts from it."""
    for part, half in halves.items():
        has_towers = issubclass(half.architecture.model_class, TwoTowerGenerator)
        if has_towers != isinstance(networks[part], TwoTowerGenerator):
            raise InitialWeightsError(
                f"its generator has {'two towers' if has_towers else 'one encoder'}, and this run's {part} has not. "
                f"Set two_tower_generator to {json.dumps(has_towers)}, or name the folder of its discriminator alone"
            )
    for part, half in sorted(halves.items()):
        for field, theirs, ours in different_sizes(half, networks[part].config):
            fitting = fitting_hparams(config, halves)
            remedy = "no hparams give such a network; name the folder of the other one alone"
            if fitting is not None:
                guess = "" if "num_attention_heads" in half.published else ", where num_attention_heads is a guess"
                remedy = f"these hparams fit it{guess}: {json.dumps(fitting)}"
            raise InitialWeightsError(
                f"{field} of its {half.part} is {theirs}, and of this run's {part} {ours}, by "
                f"{hparam_of(field, part, config)}; {remedy}"
            )


def _apply(model: PretrainingModel, networks: Mapping[str, Model], beginnings: Mapping[str, _Beginning]) -> None:
    """Gives the networks what they start from; logs how many variables came from where."""
    targets = {part: targets_of(network) for part, network in networks.items()}
    taken: set[int] = set()
    for part, (half, start) in beginnings.items():
        wanted = targets[part]
        if part == "generator" and "discriminator" in beginnings:
            shared = _identities(targets["discriminator"])
            wanted = {path: target for path, target in wanted.items() if _identity(target) not in shared}
            _warn_of_lost(targets[part].keys() - wanted.keys(), beginnings)
        elif part == "discriminator" and "generator" not in beginnings:
            wanted = {path: _base_of(target) for path, target in wanted.items()}
        anew = take_over(wanted, start)
        came = {path: target for path, target in wanted.items() if path not in anew}
        taken |= _identities(came)
        logging.info(
            "the %s: %d of its %d variables from the source's %s%s; %s",
            part, len(came), len(targets[part]), half.part,
            f", {len(targets[part]) - len(wanted)} shared with the discriminator" if len(wanted) < len(targets[part])
            else "",
            "; ".join(describe(start, networks[part].config)),
        )  # fmt: skip
    fresh = collections.Counter(each.path.partition("/")[0] for each in model.variables if id(each) not in taken)
    names = ", ".join(f"{name} ({count})" for name, count in fresh.items())
    logging.info("drawn anew: %d of %d variables%s", fresh.total(), len(model.variables), f": {names}" if names else "")


def _warn_of_lost(paths: set[str], beginnings: Mapping[str, _Beginning]) -> None:
    """Warns where the source's generator has other values of what this run's networks share."""
    ours, theirs = (beginnings[part].start.values for part in ("generator", "discriminator"))
    differing = [path for path in paths & ours.keys() & theirs.keys() if not np.array_equal(ours[path], theirs[path])]
    if differing:
        logging.warning(
            "%d variables that the source's generator has of its own are left out, for this run's networks share "
            'them; embedding_sharing "generator_untied" keeps them',
            len(differing),
        )


def _log_rest(source: Source, halves: Mapping[str, Half]) -> None:
    """Logs what of a source is not taken over."""
    idle = [half.part for half in source.halves if half not in halves.values()]
    if idle:
        logging.info("not used: its %s", ", ".join(idle))
    if source.unused.unknown:
        logging.warning("not used, unknown: %d tensors", len(source.unused.unknown))


def _base_of(target: Target) -> Target:
    """Returns what holds a table where both networks start from the same: its base, that the other one has."""
    return target.base if isinstance(target, Table) and target.base is not None else target


def _identities(targets: Mapping[str, Target]) -> set[int]:
    return {_identity(target) for target in targets.values()}


def _identity(target: Target) -> int:
    return id(target.variable if isinstance(target, Table) else target)

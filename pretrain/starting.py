"""The weights that a run starts from: those of models that were trained before, as far as they have any."""

import collections
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from absl import logging

from configure_pretraining import PretrainingConfig
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
from electra_span.convert.word_map import InitialWeightsError, map_words
from electra_span.layers.embeddings import Table
from electra_span.models import TwoTowerGenerator
from electra_span.published.names import Model
from electra_span.tokenization import Tokenizer
from pretrain.fitting_hparams import fitting_hparams, hparam_of
from pretrain.model import PretrainingModel


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

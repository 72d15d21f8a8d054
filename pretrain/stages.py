"""The second stage of training: a discriminator that starts from a trained generator, which then stands still."""

import pathlib

from absl import logging

from electra_span.convert.source_models import Half
from electra_span.convert.warm_start import Start, different_sizes, opened_source, read_start, take_over, targets_of
from electra_span.convert.word_map import InitialWeightsError, same_words
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator
from electra_span.published.names import relative_path


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
        _check(half, generator)
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


def _check(half: Half, generator: ElectraGenerator) -> None:
    """Raises InitialWeightsError where a generator has not the sizes, the vocabulary and the length of another."""
    differences = [(each.field, each.source, each.network) for each in different_sizes(half, generator.config)]
    for field in ("vocab_size", "max_position_embeddings"):
        differences.append((field, getattr(half.architecture.config, field), getattr(generator.config, field)))
    for field, received, expected in differences:
        if received != expected:
            raise InitialWeightsError(
                f"{field} must be {expected}, by the sizes of the generator. Received: {received}"
            )

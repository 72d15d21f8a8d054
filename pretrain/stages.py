"""The second stage of training: a discriminator that starts from a trained generator, which then stands still."""

from absl import logging

from electra_span.config import UserError
from electra_span.convert.names import relative_path
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator
from electra_span.pretrained import load_pretrained


class GeneratorCheckpointError(UserError):
    """A folder that does not hold the generator that a run is configured for."""


def start_from_generator(generator: ElectraGenerator, discriminator: ElectraDiscriminator, directory: str) -> None:
    """Gives the generator its weights, and the discriminator's encoder those of them that fit it.

    A variable fits where the other encoder has one of the same name and shape: all of them where both encoders have
    one size; otherwise embeddings at most, and what else does not depend on the size.

    Args:
        generator: gets all of its weights.
        discriminator: shares nothing with it.
        directory: of a published generator.

    Raises:
        GeneratorCheckpointError: it is no generator, or of another shape or vocabulary than the model's.
        PublishedModelError: there is no published model.
    """
    published = load_pretrained(directory)
    if not isinstance(published, ElectraGenerator):
        kinds = {ElectraDiscriminator: "discriminator", TwoTowerGenerator: "two-tower one"}
        kind = kinds.get(type(published), "model for tasks")
        raise GeneratorCheckpointError(f"{directory}: generator_checkpoint must hold a generator, not a {kind}")
    trained = {relative_path(variable): variable for variable in published.variables}
    for variable in generator.variables:
        found = trained.get(relative_path(variable))
        if found is None or found.shape != variable.shape:
            received = "nothing" if found is None else tuple(found.shape)
            raise GeneratorCheckpointError(
                f"{directory}: {relative_path(variable)} must have the shape {tuple(variable.shape)}, by the sizes of "
                f"the generator. Received: {received}"
            )
        variable.assign(found)
    taken = 0
    for variable in discriminator.encoder.variables:
        found = trained.get(relative_path(variable))
        if found is not None and found.shape == variable.shape:
            variable.assign(found)
            taken += 1
    logging.info("the discriminator takes %d of %d variables over", taken, len(discriminator.encoder.variables))

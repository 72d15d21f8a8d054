"""Opening what someone has as weights to start from, whatever its form."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping

from electra_span.config import UserError
from electra_span.convert.sources import Source, opened, read_source
from electra_span.files import without_controls
from electra_span.initial_weights.words import InitialWeightsError

_UNKNOWN_HEADS = {"discriminator": None, "generator": None}


@contextlib.contextmanager
def opened_source(
    hparam: str,
    path: str | pathlib.Path,
    *,
    beside: pathlib.Path,
    num_attention_heads: Mapping[str, int | None] | None = None,
) -> Iterator[Source]:
    """Yields the models at a path, of which nothing is to be read afterwards.

    Args:
        hparam: names the path, for errors.
        path: of a TF1 checkpoint, its folder, a published folder, one with discriminator and generator, or a zip.
        beside: a zip is unpacked in this one's folder, which is made.
        num_attention_heads: see `read_source`; by default nothing.

    Raises:
        InitialWeightsError: for any `UserError` that reading it, or what is done with it, raises.
    """
    try:
        with opened(pathlib.Path(path), beside) as files:
            yield read_source(files, num_attention_heads or _UNKNOWN_HEADS)
    except UserError as error:  # which may quote names from files of others
        raise InitialWeightsError(without_controls(f"{hparam}: {error}".replace("\n", " "))) from error

"""Does the steps of a build on Apache Beam: on this machine, on Dataflow, Flink or Spark.

Steps, pieces and files are those of a build in processes of this machine. Every worker of Beam must see the corpus, the
vocabulary and the output folder under the same paths.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from electra_span.config import UserError
from pretrain.builder.settings import BuildError
from pretrain.dataset.workspace import read_json_if_whole, write_json

_ERROR_NAME = "error.json"


class BeamRun:
    """Does a step for all of its pieces in a pipeline of Beam."""

    def __init__(self, options: Sequence[str], folder: Path) -> None:
        """Checks that Beam is there and understands its options.

        Args:
            options: Beam's own, as ["--runner=FlinkRunner"].
            folder: the workspace.

        Raises:
            BuildError: where Beam is not installed.
        """
        try:
            import apache_beam
            from apache_beam.options.pipeline_options import PipelineOptions
        except ImportError:
            raise BuildError("To build with Beam install it: pip install 'electra-span[beam]'") from None
        self._beam = apache_beam
        self._options = PipelineOptions(list(options))
        self._error_file = folder / _ERROR_NAME

    def __call__(self, step: Callable[[Any], None], pieces: Sequence[Any], *, label: str, **_amounts: object) -> None:
        """Calls the step with each piece, at least once, and returns when all are done.

        Raises:
            BuildError: with what a worker has to say of the corpus or the output.
        """
        beam = self._beam
        self._error_file.unlink(missing_ok=True)
        pipeline = beam.Pipeline(options=self._options)
        call = functools.partial(_call, step, self._error_file)
        _ = pipeline | beam.Create(list(pieces)) | beam.Reshuffle() | label >> beam.Map(call)
        try:
            pipeline.run().wait_until_finish()
        except Exception as error:  # of any type, by runner
            message = read_json_if_whole(self._error_file)
            if message is None:
                raise
            raise BuildError(message) from error


def _call(step: Callable[[Any], None], error_file: Path, piece: Any) -> None:
    """Does a piece. What is the user's to know is kept in a file: runners pass on no more than text, if that."""
    try:
        step(piece)
    except UserError as error:
        write_json(error_file, str(error))
        raise
    except OSError as error:
        write_json(error_file, f"{error.strerror}: {error.filename}")
        raise

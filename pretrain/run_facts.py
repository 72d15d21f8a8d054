"""What a pretraining run has done so far, from its configuration and its log. Imports no TensorFlow."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from configure_pretraining import PretrainingConfig
from electra_span.model_cost import training_flops


class PhaseFacts(NamedTuple):
    """What was done in a phase of a run.

    Attributes:
        config: in force in it.
        num_steps: updates made.
    """

    config: PretrainingConfig
    num_steps: int

    @property
    def num_sequences(self) -> int:
        """Sequences trained on."""
        return self.num_steps * self.config.train_batch_size

    @property
    def num_tokens(self) -> int:
        """Tokens trained on, padding counted."""
        return self.num_sequences * self.config.max_seq_length


class RunFacts(NamedTuple):
    """What a run has done.

    Attributes:
        phases: those that it has come to.
        seconds: of training steps, as far as the log tells; neither compiling nor evaluating is in them.
    """

    phases: list[PhaseFacts]
    seconds: float

    @property
    def num_steps(self) -> int:
        """Updates made."""
        return sum(phase.num_steps for phase in self.phases)

    @property
    def num_tokens(self) -> int:
        """Tokens trained on, padding counted."""
        return sum(phase.num_tokens for phase in self.phases)

    @property
    def flops(self) -> float:
        """Operations of all updates, counted as in the original's paper."""
        return sum(
            training_flops(
                phase.config.networks(), seq_length=phase.config.max_seq_length, num_sequences=phase.num_sequences
            )
            for phase in self.phases
        )


def facts_of(config: PretrainingConfig, step: int, windows: Sequence[dict[str, Any]]) -> RunFacts:
    """Returns what a run has done.

    Args:
        config: of the run.
        step: it has come to; those that init_step stands for are no updates of its own.
        windows: the lines of its training log, each with the speed since the one before.
    """
    windows = [window for window in windows if window.get("tokens_per_second", 0) > 0]
    steps = [config.init_step, *(window["step"] for window in windows)]
    seconds = sum(
        sum(phase.num_tokens for phase in _phases_between(config, before, after)) / window["tokens_per_second"]
        for (before, after), window in zip(itertools.pairwise(steps), windows, strict=True)
    )
    return RunFacts(_phases_between(config, config.init_step, step), seconds)


def _phases_between(config: PretrainingConfig, first_step: int, last_step: int) -> list[PhaseFacts]:
    """Returns what was done in each phase from a number of updates to another."""
    bounds = itertools.pairwise([0, *config.phase_ends])
    spans = [max(0, min(end, last_step) - max(start, first_step)) for start, end in bounds]
    return [
        PhaseFacts(phase, num_steps) for phase, num_steps in zip(config.in_phases(), spans, strict=True) if num_steps
    ]

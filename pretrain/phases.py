"""Phases of one run: the same models and schedules on sequences of one length, then of another. Imports no TensorFlow.

Source: Devlin et al. 2019, "BERT", appendix A.2: 90 % of the steps with sequences of 128, the rest with 512.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from electra_span.config import HparamError

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

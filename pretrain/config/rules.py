"""What each hparam of pretraining may be, and which may change when a run goes on. Imports no TensorFlow."""

import itertools
from collections.abc import Mapping
from typing import Any

from electra_span.config import (
    LARGEST_BATCH,
    LARGEST_COUNT,
    LARGEST_FACTOR,
    HparamError,
    check_at_most,
    check_choice,
    check_paths,
)
from electra_span.published.card_metadata import Origin, check_origin
from electra_span.schedules import values_of
from pretrain.config.defaults import SHARING

_AT_LEAST: dict[str, float] = {
    "gen_weight": 0, "disc_weight": 0, "sbgo_weight": 0, "sbpo_weight": 0, "lr_decay_power": 0, "weight_decay_rate": 0,
    "num_warmup_steps": 0, "seed": 0, "init_step": 0,
    "num_eval_examples": 0, "eval_every_steps": 0, "num_train_steps": 1, "num_eval_steps": 1, "log_steps": 1,
    "save_checkpoints_steps": 1, "keep_checkpoint_max": 1, "iterations_per_loop": 1, "shuffle_buffer_size": 1,
    "train_batch_size": 1, "eval_batch_size": 1, "gradient_accumulation_steps": 1, "num_tpu_cores": 1,
    "max_predictions_per_seq": 1, "max_seq_length": 3, "max_span_length": 1,
}  # fmt: skip
_ABOVE_ZERO = ("learning_rate", "temperature", "generator_layers", "generator_hidden_size", "span_geometric_p")
AT_MOST: dict[str, float] = {
    "generator_layers": 1000, "generator_hidden_size": 1000, "span_geometric_p": 1, "max_span_length": 2**16,
    "seed": LARGEST_COUNT,
    "train_batch_size": LARGEST_BATCH, "eval_batch_size": LARGEST_BATCH,
    "shuffle_buffer_size": 2**20,  # a checkpoint has a place for each, filled or not
    # Products with these must stay within float32.
    "gen_weight": LARGEST_FACTOR, "disc_weight": LARGEST_FACTOR, "sbgo_weight": LARGEST_FACTOR,
    "sbpo_weight": LARGEST_FACTOR, "temperature": LARGEST_FACTOR, "learning_rate": LARGEST_FACTOR,
    "lr_decay_power": LARGEST_FACTOR, "weight_decay_rate": LARGEST_FACTOR,
}  # fmt: skip
_PATHS = ("model_dir", "pretrain_tfrecords", "vocab_file", "results_txt", "results_pkl")
_SCHEDULES = ("mask_prob", "disc_weight", "temperature")

# What may change when a run continues in its folder: how long it runs, what it reports and where its files are.
# `precision` and `xla` change rounding only. All else shapes the model, its input or its optimization; of the two
# that hold examples out of training, what they come to (`num_held_out`) is compared.
MAY_CHANGE = frozenset({
    "model_name", "data_dir", "model_dir", "pretrain_tfrecords", "eval_tfrecords", "vocab_file", "results_txt",
    "results_pkl", "generator_checkpoint", "do_train", "do_eval", "debug", "preset", "num_train_steps",
    "num_eval_steps", "num_eval_examples",
    "eval_batch_size", "eval_every_steps", "log_steps", "save_checkpoints_steps", "keep_checkpoint_max", "precision",
    "xla", "iterations_per_loop", "use_tpu", "num_tpu_cores", "tpu_job_name", "tpu_name", "tpu_zone", "gcp_project",
    *Origin._fields,
})  # fmt: skip


def check_values(config: Any) -> None:
    """Raises HparamError for a value of a PretrainingConfig that is never possible, whatever the others are."""
    check_choice("precision", config.precision, ("auto", "float32", "mixed_bfloat16", "mixed_float16"))
    check_choice("embedding_sharing", config.embedding_sharing, SHARING)
    check_choice("training_mode", config.training_mode, ("joint", "generator", "two_stage", "discriminator"))
    check_choice("init_vocabulary", config.init_vocabulary, ("remap", "same", "new"))
    check_choice("generator_prediction", config.generator_prediction, ("mlm", "sbgo", "mean"))
    check_choice("masking", config.masking, ("token", "whole_word", "span"))
    check_choice("replace_unit", config.replace_unit, ("position", "span"))
    check_choice("random_tokens", config.random_tokens, ("uniform", "frequency"))
    if len(config.replace_probs) != 3 or min(config.replace_probs) < 0 or abs(sum(config.replace_probs) - 1) > 1e-6:
        raise HparamError(
            "replace_probs must be three shares, of [MASK], random and unchanged tokens, that add up to 1. "
            f"Received: {list(config.replace_probs)}"
        )
    if config.xla not in (True, False, "auto"):
        raise HparamError(f"xla must be true, false or 'auto'. Received: {config.xla!r}")
    for name, least in _AT_LEAST.items():
        if min(values_of(getattr(config, name))) < least:
            raise HparamError(f"{name} must be at least {least}. Received: {getattr(config, name)}")
    check_at_most({name: max(values_of(getattr(config, name))) for name in AT_MOST}, AT_MOST)
    for name in _ABOVE_ZERO:
        if min(values_of(getattr(config, name))) <= 0:
            raise HparamError(f"{name} must be above 0. Received: {getattr(config, name)}")
    if not all(0 < value < 1 for value in values_of(config.mask_prob)):
        raise HparamError(f"mask_prob must be above 0 and below 1. Received: {config.mask_prob}")
    check_paths(config, _PATHS)
    check_origin(config.origin)
    if config.use_tpu:
        raise HparamError("use_tpu: TPUs are not supported; set it to false to train on GPUs or CPUs. Received: true")


def check_schedules(settings: Mapping[str, Any]) -> None:
    """Raises HparamError unless each scheduled hparam is a number, or points of rising steps; values have their types.

    Args:
        settings: values by hparam, before those that follow from others are worked out.
    """
    for name in _SCHEDULES:
        _check_schedule(name, settings[name])


def _check_schedule(name: str, schedule: Any) -> None:
    """Raises HparamError unless a schedule is a number, or points of rising steps."""
    if isinstance(schedule, float):
        return
    is_pairs = len(schedule) > 0 and all(len(point) == 2 for point in schedule)
    steps = [point[0] for point in schedule] if is_pairs else []
    is_rising = all(before < after for before, after in itertools.pairwise(steps))
    if not (is_pairs and is_rising and steps[0] >= 0 and steps[-1] <= LARGEST_COUNT):
        raise HparamError(
            f"{name} must be a number or a list of [step, value] with rising steps up to {LARGEST_COUNT}. "
            f"Received: {schedule}"
        )

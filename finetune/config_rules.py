"""What each hparam of fine-tuning may be. Imports no TensorFlow."""

from typing import Any

from electra_span.config import (
    LARGEST_BATCH,
    LARGEST_COUNT,
    LARGEST_FACTOR,
    EncoderConfig,
    HparamError,
    check_at_most,
    check_choice,
    check_paths,
    checked_hparams,
)
from electra_span.files import check_delimiter, check_encoding
from electra_span.published.card_metadata import check_origin

RETRY_SEED_STEP = 1_000_000  # from a trial's seed to that of its next run: no other trial has it

_AT_LEAST: dict[str, float] = {
    "seed": 0, "num_trials": 1, "weight_decay_rate": 0, "train_batch_size": 1,
    "eval_batch_size": 1, "predict_batch_size": 1, "save_checkpoints_steps": 1, "iterations_per_loop": 1,
    "n_writes_test": 0,
    "max_seq_length": 5, "max_query_length": 1, "doc_stride": 1, "n_best_size": 1, "max_answer_length": 1,
    "answerable_weight": 0, "beam_size": 1, "max_bad_rows": 0, "vocab_size": 1, "num_tpu_cores": 1,
    "retry_failed_trials": 0, "frozen_encoder_epochs": 0, "gradient_accumulation_steps": 1, "log_steps": 1,
    "eval_every_steps": 0, "history_turns": 0,
}  # fmt: skip
_ABOVE_ZERO = ("learning_rate", "frozen_encoder_learning_rate", "num_train_epochs", "layerwise_lr_decay", "dev_rate")
_CHOICES: dict[str, tuple[str, ...]] = {
    "model_size": ("small", "base", "large"),
    "classifier_head": ("linear", "dense"),
    "task_mixing": ("proportional", "uniform"),
    "tag_scheme": ("bioes", "bio"),
    "init_vocabulary": ("remap", "same", "new"),
    "precision": ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
}
_LARGEST_LENGTH = 2**16  # tokens of an example, and answers that are compared
_LARGEST_BEAM = 1024  # starts, and ends of each: all pairs have a score for each of predict_batch_size windows
AT_MOST: dict[str, float] = {
    "train_batch_size": LARGEST_BATCH, "eval_batch_size": LARGEST_BATCH, "predict_batch_size": LARGEST_BATCH,
    "beam_size": _LARGEST_BEAM, "n_best_size": _LARGEST_BEAM, "max_answer_length": _LARGEST_LENGTH,
    "doc_stride": _LARGEST_LENGTH, "max_query_length": _LARGEST_LENGTH, "max_seq_length": _LARGEST_LENGTH,
    "learning_rate": LARGEST_FACTOR, "frozen_encoder_learning_rate": LARGEST_FACTOR,
    "weight_decay_rate": LARGEST_FACTOR, "answerable_weight": LARGEST_FACTOR,
}  # fmt: skip
_AT_MOST_ONE = ("layerwise_lr_decay", "warmup_proportion", "dev_rate", "max_bad_rate")


def check_values(config: Any) -> None:
    """Raises HparamError for a value of a FinetuningConfig that is not possible."""
    for name, least in _AT_LEAST.items():
        if getattr(config, name) is not None and getattr(config, name) < least:
            raise HparamError(f"{name} must be at least {least}. Received: {getattr(config, name)}")
    for name in _ABOVE_ZERO:
        if getattr(config, name) <= 0:
            raise HparamError(f"{name} must be above 0. Received: {getattr(config, name)}")
    check_at_most({name: getattr(config, name) for name in AT_MOST}, AT_MOST)
    for name in _AT_MOST_ONE:
        if not 0 <= getattr(config, name) <= 1:
            raise HparamError(f"{name} must be from 0 to 1. Received: {getattr(config, name)}")
    if config.seed + config.num_trials - 1 + config.retry_failed_trials * RETRY_SEED_STEP > LARGEST_COUNT:
        raise HparamError(
            f"seed, num_trials: the seed of the last trial must be at most {LARGEST_COUNT}, {RETRY_SEED_STEP} less "
            f"for each of retry_failed_trials. Received: seed={config.seed}, num_trials={config.num_trials}"
        )
    if config.embedding_size is not None and config.embedding_size < 1:
        raise HparamError(f"embedding_size must be at least 1, or null. Received: {config.embedding_size}")
    if config.tagging_segment_id not in (0, 1):
        raise HparamError(f"tagging_segment_id must be 0 or 1. Received: {config.tagging_segment_id}")
    if config.dev_rate == 1:
        raise HparamError("dev_rate must be below 1: nothing would be left to train on. Received: 1")
    if config.use_tpu:
        raise HparamError("use_tpu: TPUs are not supported; set it to false to train on GPUs or CPUs. Received: true")
    if not (config.do_train or config.do_eval or config.write_test_outputs):
        raise HparamError("do_train, do_eval, write_test_outputs: one must be true. Received: all false")
    for name, choices in _CHOICES.items():
        check_choice(name, getattr(config, name), choices)
    if config.xla not in (True, False, "auto"):
        raise HparamError(f"xla must be true, false or 'auto'. Received: {config.xla!r}")
    check_paths(config, ("model_dir", "init_checkpoint", "vocab_file"))
    check_delimiter("csv_delimiter", config.csv_delimiter)
    check_encoding("encoding", config.encoding)
    _check_training(config)
    check_origin(config.origin)
    try:
        checked_hparams(EncoderConfig, config.model_hparam_overrides)
    except HparamError as error:
        raise HparamError(f"model_hparam_overrides: {error}") from None


def _check_training(config: Any) -> None:
    """Raises HparamError for hparams of training that do not go together."""
    if config.train_batch_size % config.gradient_accumulation_steps:
        raise HparamError(
            "train_batch_size must be a multiple of gradient_accumulation_steps. Received: "
            f"{config.train_batch_size}, {config.gradient_accumulation_steps}"
        )
    if config.freeze_below_layer is not None and config.freeze_below_layer < 0:
        raise HparamError(f"freeze_below_layer must be at least 0, or null. Received: {config.freeze_below_layer}")
    if config.random_weights and not config.do_train:
        raise HparamError("random_weights, do_train: random weights are there to be trained. Received: do_train=false")
    if config.vocab_file is not None and not config.do_train:
        raise HparamError(
            "vocab_file, do_train: a fine-tuned model has its own vocabulary; leave vocab_file out. Received: "
            f"do_train=false, vocab_file={config.vocab_file}"
        )
    if config.init_vocabulary != "remap" and (config.vocab_file is None or config.random_weights):
        raise HparamError(
            "init_vocabulary, vocab_file: it is about a vocabulary other than that of init_checkpoint; leave it out. "
            f"Received: init_vocabulary={config.init_vocabulary}"
        )
    for task, weight in config.task_weights.items():
        check_choice("task in task_weights", task, config.task_names)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= LARGEST_FACTOR:
            raise HparamError(
                f"task_weights: {task}: must be a number above 0, to {LARGEST_FACTOR:g}. Received: {weight!r}"
            )


def check_questions(config: Any, has_questions: bool) -> None:
    """Raises HparamError where questions are among the tasks and leave no room for their contexts."""
    if has_questions and config.max_seq_length < config.max_query_length + 4:
        raise HparamError(
            "max_seq_length, max_query_length: beside a question and 3 special tokens there must be room for the "
            f"context. Received: max_seq_length={config.max_seq_length}, max_query_length={config.max_query_length}"
        )

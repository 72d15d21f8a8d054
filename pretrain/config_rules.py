"""What the hparams of pretraining may be, alone and together. Imports no TensorFlow."""

import itertools
import json
from typing import Any

from electra_span.config import HparamError, check_choice
from electra_span.schedules import values_of
from pretrain.config_defaults import SHARING

_AT_LEAST: dict[str, float] = {
    "gen_weight": 0, "disc_weight": 0, "sbgo_weight": 0, "sbpo_weight": 0, "lr_decay_power": 0, "weight_decay_rate": 0,
    "num_warmup_steps": 0, "seed": 0,
    "num_eval_examples": 0, "eval_every_steps": 0, "num_train_steps": 1, "num_eval_steps": 1, "log_steps": 1,
    "save_checkpoints_steps": 1, "keep_checkpoint_max": 1, "iterations_per_loop": 1, "shuffle_buffer_size": 1,
    "train_batch_size": 1, "eval_batch_size": 1, "gradient_accumulation_steps": 1, "num_tpu_cores": 1,
    "max_predictions_per_seq": 1, "max_seq_length": 3, "max_span_length": 1,
}  # fmt: skip
_ABOVE_ZERO = ("learning_rate", "temperature", "generator_layers", "generator_hidden_size", "span_geometric_p")
_SCHEDULES = ("mask_prob", "disc_weight", "temperature")
_LARGEST_SEED = 2**31 - 1

# What may change when a run continues in its folder: how long it runs, what it reports and where its files are.
# `precision` and `xla` change rounding only. All else shapes the model, its input or its optimization; of the two
# that hold examples out of training, what they come to (`num_held_out`) is compared.
MAY_CHANGE = frozenset({
    "model_name", "data_dir", "model_dir", "pretrain_tfrecords", "eval_tfrecords", "vocab_file", "results_txt",
    "results_pkl", "generator_checkpoint", "do_train", "do_eval", "debug", "preset", "num_train_steps",
    "num_eval_steps", "num_eval_examples",
    "eval_batch_size", "eval_every_steps", "log_steps", "save_checkpoints_steps", "keep_checkpoint_max", "precision",
    "xla", "iterations_per_loop", "use_tpu", "num_tpu_cores", "tpu_job_name", "tpu_name", "tpu_zone", "gcp_project",
})  # fmt: skip


def check_values(config: Any) -> None:
    """Raises HparamError for a value of a PretrainingConfig that is never possible, whatever the others are."""
    check_choice("precision", config.precision, ("auto", "float32", "mixed_bfloat16", "mixed_float16"))
    check_choice("embedding_sharing", config.embedding_sharing, SHARING)
    check_choice("training_mode", config.training_mode, ("joint", "generator", "two_stage", "discriminator"))
    check_choice("generator_prediction", config.generator_prediction, ("mlm", "sbgo", "mean"))
    check_choice("masking", config.masking, ("token", "whole_word", "span"))
    check_choice("replace_unit", config.replace_unit, ("position", "span"))
    check_choice("random_tokens", config.random_tokens, ("uniform", "frequency"))
    if len(config.replace_probs) != 3 or min(config.replace_probs) < 0 or abs(sum(config.replace_probs) - 1) > 1e-6:
        raise HparamError(
            "replace_probs must be three shares, of [MASK], random and unchanged tokens, that add up to 1. "
            f"Received: {list(config.replace_probs)}"
        )
    if config.span_geometric_p > 1:
        raise HparamError(f"span_geometric_p must be at most 1. Received: {config.span_geometric_p}")
    if config.xla not in (True, False, "auto"):
        raise HparamError(f"xla must be true, false or 'auto'. Received: {config.xla!r}")
    for name in _SCHEDULES:
        _check_schedule(name, getattr(config, name))
    for name, least in _AT_LEAST.items():
        if min(values_of(getattr(config, name))) < least:
            raise HparamError(f"{name} must be at least {least}. Received: {getattr(config, name)}")
    for name in _ABOVE_ZERO:
        if min(values_of(getattr(config, name))) <= 0:
            raise HparamError(f"{name} must be above 0. Received: {getattr(config, name)}")
    if not all(0 < value < 1 for value in values_of(config.mask_prob)):
        raise HparamError(f"mask_prob must be above 0 and below 1. Received: {config.mask_prob}")
    if config.seed > _LARGEST_SEED:
        raise HparamError(f"seed must be at most {_LARGEST_SEED}. Received: {config.seed}")
    if config.use_tpu:
        raise HparamError("use_tpu: TPUs are not supported; set it to false to train on GPUs or CPUs. Received: true")


def _check_schedule(name: str, schedule: Any) -> None:
    """Raises HparamError unless a schedule is a number, or points of rising steps."""
    if isinstance(schedule, float):
        return
    is_pairs = len(schedule) > 0 and all(len(point) == 2 for point in schedule)
    steps = [point[0] for point in schedule] if is_pairs else []
    if not is_pairs or steps[0] < 0 or any(before >= after for before, after in itertools.pairwise(steps)):
        raise HparamError(f"{name} must be a number or a list of [step, value] with rising steps. Received: {schedule}")


# Whether something is possible, the hparams it is about, and the rule.
_Rule = tuple[bool, tuple[str, ...], str]


def check_pairs(config: Any) -> None:
    """Raises HparamError for values of a PretrainingConfig that are not possible together."""
    groups = (
        _rules_of_the_run,
        _rules_of_masking,
        _rules_of_towers,
        _rules_of_embeddings,
        _rules_of_objectives,
        _rules_of_stages,
    )
    for possible, names, rule in itertools.chain.from_iterable(group(config) for group in groups):
        if not possible:
            received = ", ".join(f"{name}={json.dumps(getattr(config, name))}" for name in names)
            raise HparamError(f"{', '.join(names)}: {rule}. Received: {received}")


def _rules_of_the_run(config: Any) -> tuple[_Rule, ...]:
    max_position_embeddings = config.discriminator_encoder().max_position_embeddings
    return (
        (
            config.do_train != config.do_eval,
            ("do_train", "do_eval"),
            "exactly one must be true; to evaluate, set do_train to false as well",
        ),
        (
            config.max_seq_length <= max_position_embeddings,
            ("max_seq_length",),
            f"must be at most max_position_embeddings, {max_position_embeddings}; raise it in model_hparam_overrides",
        ),
        (
            config.train_batch_size % config.gradient_accumulation_steps == 0,
            ("train_batch_size", "gradient_accumulation_steps"),
            "the batch must be a multiple of the steps it is accumulated in",
        ),
    )


def _rules_of_masking(config: Any) -> tuple[_Rule, ...]:
    return (
        (
            config.max_predictions_per_seq <= config.max_seq_length,
            ("max_predictions_per_seq", "max_seq_length"),
            "no more tokens can be masked than a sequence has",
        ),
        (
            config.masking == "span" or not config.span_whole_words,
            ("span_whole_words", "masking"),
            'it is about spans; leave it out, or set masking to "span"',
        ),
        (
            config.replace_probs[1] > 0 or config.training_mode == "discriminator" or config.random_tokens == "uniform",
            ("random_tokens", "replace_probs"),
            "no token is replaced by a random one; leave random_tokens out, or give random tokens a share",
        ),
    )


def _rules_of_towers(config: Any) -> tuple[_Rule, ...]:
    one_tower, not_electric = not config.two_tower_generator, not config.electric_objective
    draws_from_generator = config.temperature == 1 and not config.disallow_correct
    return (
        (
            not_electric or not config.electra_objective,
            ("electric_objective", "electra_objective"),
            "these are two objectives of the discriminator; leave one of them out",
        ),
        (
            not_electric or config.two_tower_generator,
            ("electric_objective", "two_tower_generator"),
            "Electric needs the probability of every token, from a generator that does not read it; "
            "leave two_tower_generator out",
        ),
        (
            not_electric or draws_from_generator,
            ("electric_objective", "temperature", "disallow_correct"),
            "Electric's discriminator is told the probabilities of the distribution that tokens are drawn from, which "
            "is the generator's own; leave temperature and disallow_correct out",
        ),
        (
            not_electric or not config.sbpo_weight,
            ("sbpo_weight", "electric_objective"),
            "all masked tokens are drawn ones to Electric, so that a head which reads no others has nothing to tell "
            "apart; set it to 0",
        ),
        (
            one_tower or (config.has_detection_objective and config.training_mode == "joint"),
            ("two_tower_generator", "electra_objective", "training_mode"),
            "two towers generate for a discriminator that is trained together with them; leave the others out",
        ),
        (
            one_tower or not config.uniform_generator,
            ("two_tower_generator", "uniform_generator"),
            "tokens are drawn uniformly or from a generator; leave one of them out",
        ),
        (
            one_tower or config.untied_generator,
            ("two_tower_generator", "embedding_sharing", "untied_generator"),
            "the discriminator reads both sides of a token and can be no tower, which reads one; leave the others out",
        ),
        (
            one_tower or not config.sbgo_weight,
            ("sbgo_weight", "two_tower_generator"),
            "the span boundary head reads states of a generator that reads both sides of a masked span; set it to 0",
        ),
    )


def _rules_of_embeddings(config: Any) -> tuple[_Rule, ...]:
    return (
        (
            config.untied_generator or not config.untied_generator_embeddings,
            ("untied_generator_embeddings", "untied_generator"),
            "one encoder has one table of embeddings; set untied_generator to true",
        ),
        (
            (config.untied_generator, config.untied_generator_embeddings) == SHARING[config.embedding_sharing],
            ("embedding_sharing", "untied_generator", "untied_generator_embeddings"),
            "these contradict each other; give embedding_sharing alone",
        ),
        (
            config.embedding_sharing != "gdes" or (config.has_detection_objective and not config.uniform_generator),
            ("embedding_sharing", "electra_objective", "uniform_generator"),
            "there are no two models whose embeddings could be disentangled; leave embedding_sharing out",
        ),
        (
            config.embedding_type == "compositional"
            or (config.compositional_operation == "multiply" and config.compositional_num_buckets is None),
            ("compositional_operation", "compositional_num_buckets", "embedding_type"),
            'these are about compositional embeddings; leave them out, or set embedding_type to "compositional"',
        ),
    )


def _rules_of_objectives(config: Any) -> tuple[_Rule, ...]:
    return (
        (
            config.has_detection_objective or not config.uniform_generator,
            ("uniform_generator", "electra_objective"),
            "without a discriminator there is nothing to replace tokens for; set one of them to the other value",
        ),
        (
            (config.gen_weight + config.sbgo_weight if config.has_generator else 0)
            + (max(values_of(config.disc_weight)) + config.sbpo_weight if config.has_discriminator else 0)
            > 0,
            ("gen_weight", "sbgo_weight", "disc_weight", "sbpo_weight"),
            "nothing would be learned; give an objective a weight above 0",
        ),
        (
            config.has_discriminator or not config.sbpo_weight,
            ("sbpo_weight", "electra_objective", "training_mode"),
            "it is an objective of the discriminator, and there is none; set it to 0",
        ),
        (
            config.has_generator or not config.sbgo_weight,
            ("sbgo_weight", "uniform_generator", "training_mode"),
            "it is an objective of the generator, and there is none; set it to 0",
        ),
    )


def _rules_of_stages(config: Any) -> tuple[_Rule, ...]:
    return (
        (
            config.training_mode == "joint" or (config.electra_objective and not config.uniform_generator),
            ("training_mode", "electra_objective", "uniform_generator"),
            "the original's two switches belong to joint training; leave them out",
        ),
        (
            config.training_mode != "two_stage" or config.phases is None,
            ("phases", "training_mode"),
            "its stages have one length each; run them one after the other, with generator_checkpoint",
        ),
        (
            not config.decoupled_generator_update
            or (config.training_mode == "joint" and config.has_generator and config.has_discriminator),
            ("decoupled_generator_update", "training_mode", "electra_objective", "uniform_generator"),
            "there are no two models that are trained side by side; leave decoupled_generator_update out",
        ),
        (
            config.training_mode != "two_stage" or config.embedding_sharing in ("shared", "generator_untied"),
            ("embedding_sharing", "training_mode"),
            "the second stage's generator stands still and shares nothing; leave embedding_sharing out",
        ),
        (
            config.training_mode == "two_stage" or not (config.stage_steps or config.generator_checkpoint),
            ("stage_steps", "generator_checkpoint", "training_mode"),
            "these are about two_stage; leave them out, or set training_mode to it",
        ),
        (
            config.stage_steps is None or (len(config.stage_steps) == 2 and min(config.stage_steps) > 0),
            ("stage_steps",),
            "must be two numbers of steps, [generator's, discriminator's]",
        ),
    )

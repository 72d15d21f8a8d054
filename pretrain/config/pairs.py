"""What the hparams of pretraining may be together. Imports no TensorFlow."""

import itertools
import json
from typing import Any

from electra_span.config import HparamError
from electra_span.schedules import values_of
from pretrain.config.defaults import SHARING

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
        _rules_of_the_start,
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


def _rules_of_the_start(config: Any) -> tuple[_Rule, ...]:
    return (
        (
            config.init_checkpoint is None or config.training_mode != "two_stage",
            ("init_checkpoint", "training_mode"),
            "its first stage is a run with training_mode generator, which may have init_checkpoint; then its second "
            "one starts from generator_checkpoint",
        ),
        (
            config.init_checkpoint is not None or (config.init_step == 0 and config.init_vocabulary == "remap"),
            ("init_step", "init_vocabulary", "init_checkpoint"),
            "these are about init_checkpoint; leave them out, or name it",
        ),
        (
            config.init_step < config.num_train_steps,
            ("init_step", "num_train_steps"),
            "training goes from the one to the other; num_train_steps counts the updates that init_step stands for",
        ),
    )

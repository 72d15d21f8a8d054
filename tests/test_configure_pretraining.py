import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configure_pretraining import PretrainingConfig
from electra_span.config import EncoderConfig, HparamError
from pretrain.config.defaults import PRESETS

# Defaults of the original ELECTRA for model "m" in folder "d".
ORIGINAL_DEFAULTS = {
    "model_name": "m", "debug": False, "do_train": True, "do_eval": False, "electra_objective": True,
    "electric_objective": False, "gen_weight": 1.0, "disc_weight": 50.0, "mask_prob": 0.15, "learning_rate": 5e-4,
    "lr_decay_power": 1.0, "weight_decay_rate": 0.01, "num_warmup_steps": 10000, "iterations_per_loop": 200,
    "save_checkpoints_steps": 1000, "keep_checkpoint_max": 5, "num_train_steps": 1000000, "num_eval_steps": 100,
    "model_size": "small", "model_hparam_overrides": {}, "embedding_size": 128, "vocab_size": 30522,
    "do_lower_case": True, "uniform_generator": False, "two_tower_generator": False,
    "untied_generator_embeddings": False, "untied_generator": True, "generator_layers": 1.0,
    "generator_hidden_size": 0.25, "disallow_correct": False, "temperature": 1.0, "max_seq_length": 128,
    "train_batch_size": 128, "eval_batch_size": 128, "use_tpu": False, "num_tpu_cores": 1, "tpu_job_name": None,
    "tpu_name": None, "tpu_zone": None, "gcp_project": None, "model_dir": "d/models/m",
    "pretrain_tfrecords": "d/pretrain_tfrecords/pretrain_data.tfrecord*", "vocab_file": "d/vocab.txt",
    "results_txt": "d/models/m/results/unsup_results.txt", "results_pkl": "d/models/m/results/unsup_results.pkl",
    "max_predictions_per_seq": 19,
}  # fmt: skip
OWN_DEFAULTS = {
    "data_dir": "d", "preset": None, "seed": 42, "precision": "auto", "xla": "auto", "gradient_accumulation_steps": 1,
    "num_eval_examples": 1000, "eval_tfrecords": None, "eval_every_steps": 0, "log_steps": 100,
    "shuffle_buffer_size": 10000, "embedding_sharing": "shared", "embedding_type": "full",
    "compositional_operation": "multiply", "compositional_num_buckets": None, "sbgo_weight": 1.0, "sbpo_weight": 50.0,
    "generator_prediction": "mean", "masking": "span", "span_geometric_p": 0.2, "max_span_length": 10,
    "span_whole_words": False, "replace_probs": [0.8, 0.1, 0.1], "replace_unit": "span",
    "random_tokens": "uniform", "training_mode": "joint", "stage_steps": None, "generator_checkpoint": None,
    "init_checkpoint": None, "init_vocabulary": "remap", "init_step": 0,
    "language": None, "data_license": None, "model_license": None, "base_model": None,
    "decoupled_generator_update": False, "phases": None,
}  # fmt: skip


PHASE = {"max_seq_length": 64, "num_train_steps": 5}


def configure(**hparams) -> PretrainingConfig:
    return PretrainingConfig.from_hparams(model_name="m", data_dir="d", hparams=hparams)


@pytest.mark.parametrize(
    ("hparams", "masking", "sbgo_weight", "sbpo_weight"),
    [
        ({}, "span", 1.0, 50.0),
        ({"masking": "token"}, "token", 0.0, 0.0),
        ({"masking": "whole_word"}, "whole_word", 0.0, 0.0),
        ({"sbpo_weight": 0}, "span", 1.0, 0.0),
        ({"preset": "electra-small"}, "token", 0.0, 0.0),
        ({"preset": "electra-small", "masking": "span"}, "span", 1.0, 50.0),
        ({"preset": "spanelectra-base"}, "span", 1.0, 50.0),
        ({"preset": "spanbert-base"}, "span", 1.0, 0.0),
        ({"electra_objective": False}, "token", 0.0, 0.0),
        ({"electra_objective": False, "masking": "span"}, "span", 1.0, 0.0),
        ({"uniform_generator": True}, "token", 0.0, 0.0),
        ({"uniform_generator": True, "masking": "span"}, "span", 0.0, 50.0),
        ({"electric_objective": True}, "token", 0.0, 0.0),
        ({"training_mode": "generator"}, "span", 1.0, 0.0),
        ({"training_mode": "discriminator"}, "span", 0.0, 50.0),
        ({"training_mode": "two_stage"}, "span", 1.0, 50.0),
    ],
)
def test_what_is_not_said_is_spanelectra_and_the_originals_other_models_stay_theirs(
    hparams, masking, sbgo_weight, sbpo_weight
):
    config = configure(**hparams)
    assert (config.masking, config.sbgo_weight, config.sbpo_weight) == (masking, sbgo_weight, sbpo_weight)


def test_defaults_are_the_originals_and_our_own():
    assert configure().to_dict() == {**ORIGINAL_DEFAULTS, **OWN_DEFAULTS}


def test_every_hparam_says_what_it_means():
    for field in dataclasses.fields(PretrainingConfig):
        assert field.metadata["meaning"], field.name


@pytest.mark.parametrize(
    ("preset", "model_size", "learning_rate", "batch", "steps", "length", "mask_prob", "predictions", "generator"),
    [
        ("electra-small", "small", 5e-4, 128, 1_000_000, 128, 0.15, 19, (64, 12, 1, 256)),
        ("electra-base", "base", 2e-4, 256, 766_000, 512, 0.15, 79, (256, 12, 4, 1024)),
        ("electra-large", "large", 2e-4, 2048, 400_000, 512, 0.25, 130, (256, 24, 4, 1024)),
    ],
)
def test_presets_are_the_papers_recipes(
    preset, model_size, learning_rate, batch, steps, length, mask_prob, predictions, generator
):
    config = configure(preset=preset)
    assert config.model_size == model_size
    assert config.learning_rate == learning_rate
    assert (config.train_batch_size, config.num_train_steps, config.num_warmup_steps) == (batch, steps, 10_000)
    assert (config.max_seq_length, config.mask_prob, config.max_predictions_per_seq) == (length, mask_prob, predictions)
    assert generator == (
        config.generator_encoder().hidden_size,
        config.generator_encoder().num_hidden_layers,
        config.generator_encoder().num_attention_heads,
        config.generator_encoder().intermediate_size,
    )


@pytest.mark.parametrize("size", ["small", "base"])
def test_spanelectra_is_electra_with_spans_and_an_objective_of_their_boundaries_on_both_sides(size):
    electra, spanelectra = configure(preset=f"electra-{size}"), configure(preset=f"spanelectra-{size}")
    changed = {name for name, value in electra.to_dict().items() if spanelectra.to_dict()[name] != value}
    assert changed == {"preset", "masking", "replace_probs", "replace_unit", "sbgo_weight", "sbpo_weight"}
    assert (spanelectra.masking, list(spanelectra.replace_probs)) == ("span", [0.8, 0.1, 0.1])
    assert (spanelectra.replace_unit, spanelectra.sbgo_weight, spanelectra.sbpo_weight) == ("span", 1.0, 50.0)


def test_berts_have_one_network_and_spanbert_its_boundary_objective():
    bert, spanbert = configure(preset="bert-small"), configure(preset="spanbert-base")
    assert [network.head for network in bert.networks() + spanbert.networks()] == ["masked_lm", "masked_lm"]
    assert (bert.num_train_steps, spanbert.num_train_steps) == (1_450_000, 2_400_000)
    assert (spanbert.learning_rate, spanbert.train_batch_size, spanbert.max_seq_length) == (1e-4, 256, 512)
    assert (spanbert.masking, spanbert.span_whole_words, spanbert.sbgo_weight) == ("span", True, 1.0)
    assert spanbert.random_tokens == "frequency"


def test_two_stages_are_two_runs():
    (joint,) = configure().stages()
    assert joint == configure()
    first, second = configure(training_mode="two_stage", num_train_steps=100, sbpo_weight=1.0).stages()
    assert (first.training_mode, first.num_train_steps, first.has_discriminator) == ("generator", 50, False)
    assert (second.num_train_steps, second.model_dir) == (50, configure().model_dir)
    assert second.generator_checkpoint == f"{first.model_dir}/generator"
    assert first.model_dir != second.model_dir
    first, second = configure(training_mode="two_stage", stage_steps=[30, 40]).stages()
    assert (first.num_train_steps, second.num_train_steps) == (30, 40)
    (alone,) = configure(training_mode="two_stage", stage_steps=[30, 40], generator_checkpoint="g").stages()
    assert (alone.num_train_steps, alone.generator_checkpoint) == (40, "g")


def test_two_stages_go_on_in_a_folder_that_was_moved():
    hparams = {"training_mode": "two_stage", "num_train_steps": 100}
    moved = PretrainingConfig.from_hparams(model_name="m", data_dir="elsewhere", hparams=hparams)
    for before, now in zip(configure(**hparams).stages(), moved.stages(), strict=True):
        assert before.model_dir != now.model_dir
        assert now.different_settings(before.to_dict()) == []


def test_user_wins_over_debug_and_debug_over_preset():
    config = configure(preset="electra-base", debug=True, train_batch_size=2, model_hparam_overrides={"hidden_size": 8})
    assert config.train_batch_size == 2
    assert (config.num_train_steps, config.num_eval_steps, config.eval_batch_size) == (20, 2, 4)
    assert config.learning_rate == 2e-4
    encoder = config.discriminator_encoder()
    assert (encoder.hidden_size, encoder.num_hidden_layers, encoder.embedding_size) == (8, 3, 8)


def test_debug_model_is_the_originals():
    encoder = configure(debug=True).discriminator_encoder()
    expected = EncoderConfig(
        hidden_size=144, num_hidden_layers=3, num_attention_heads=4, intermediate_size=576, embedding_size=128
    )
    assert encoder == expected


def test_paths_follow_the_model_dir_and_null_is_the_rule():
    config = configure(model_dir="elsewhere", vocab_file=None, embedding_size=None)
    assert config.results_txt == "elsewhere/results/unsup_results.txt"
    assert config.results_json == "elsewhere/results/unsup_results.json"
    assert config.vocab_file == "d/vocab.txt"
    assert config.embedding_size == 128


@pytest.mark.parametrize(
    ("embedding_sharing", "untied_generator", "untied_generator_embeddings"),
    [("shared", True, False), ("generator_untied", True, True), ("encoder", False, False), ("gdes", True, False)],
)
def test_embedding_sharing_and_the_originals_booleans_give_each_other(
    embedding_sharing, untied_generator, untied_generator_embeddings
):
    booleans = {"untied_generator": untied_generator, "untied_generator_embeddings": untied_generator_embeddings}
    config = configure(embedding_sharing=embedding_sharing)
    assert booleans.items() <= config.to_dict().items()
    assert configure(embedding_sharing=embedding_sharing, **booleans) == config
    if embedding_sharing != "gdes":
        assert configure(**booleans) == config


def test_a_generator_with_disentangled_embeddings_has_tables_as_wide_as_the_discriminators():
    config = configure(embedding_sharing="gdes", embedding_type="compositional")
    assert config.generator_encoder().embedding_tables == config.discriminator_encoder().embedding_tables


def test_a_run_started_before_there_was_embedding_sharing_goes_on():
    saved = configure(untied_generator=False).to_dict()
    for name in ("embedding_sharing", "embedding_type", "compositional_operation", "compositional_num_buckets"):
        del saved[name]
    assert configure(untied_generator=False).different_settings(saved) == []
    assert configure(embedding_sharing="encoder").different_settings(saved) == []


def test_replacement_follows_masking_where_nothing_is_said():
    assert configure(masking="token").replace_probs == [0.85, 0.0, 0.15]
    for masking, unit in (("whole_word", "position"), ("span", "span")):
        config = configure(masking=masking)
        assert (config.replace_probs, config.replace_unit) == ([0.8, 0.1, 0.1], unit)
    assert configure(masking="span", replace_probs=[1, 0, 0], replace_unit=None).replace_probs == [1.0, 0.0, 0.0]
    assert configure(masking="span", replace_unit="position").replace_unit == "position"


def test_given_max_predictions_win_over_the_rule():
    assert configure(max_predictions_per_seq=7).max_predictions_per_seq == 7
    assert configure(max_seq_length=3).max_predictions_per_seq == 1


def test_tables_in_the_overrides_become_hparams():
    config = configure(model_hparam_overrides={"vocab_size": 37, "embedding_size": 12, "hidden_size": 24})
    assert (config.vocab_size, config.embedding_size) == (37, 12)
    assert config.model_hparam_overrides == {"hidden_size": 24}


def test_own_evaluation_set_holds_nothing_out():
    assert configure().num_held_out == 1000
    assert configure(eval_tfrecords="own*").num_held_out == 0


def test_generator_shapes_are_the_originals(golden):
    for recorded in json.loads(golden("tf1/generator_configs.json").read_text()):
        overrides = {key: recorded[key] for key in ("hidden_size", "num_hidden_layers")}
        config = configure(
            vocab_size=300,
            model_hparam_overrides=overrides,
            generator_hidden_size=recorded["generator_hidden_size"],
            generator_layers=recorded["generator_layers"],
        )
        discriminator = dataclasses.asdict(config.discriminator_encoder())
        generator = dataclasses.asdict(config.generator_encoder())
        assert recorded["discriminator"].items() <= discriminator.items()
        assert recorded["generator"].items() <= generator.items()


@pytest.mark.parametrize(
    "variant", ["small", "small_pp", "tied", "untied_embeddings", "uniform", "mlm", "disallow_correct"]
)
def test_recorded_configurations_of_the_original_are_read_as_they_are(golden, variant):
    meta = json.loads(golden(f"tf1/{variant}/meta.json").read_text())
    hparams = {key: value for key, value in meta["config"].items() if key != "model_name"}
    config = configure(**hparams)
    assert hparams.items() <= config.to_dict().items()
    assert meta["bert_config"].items() <= dataclasses.asdict(config.discriminator_encoder()).items()
    own_generator = config.electra_objective and config.untied_generator
    expected = meta["generator_config"] if own_generator else meta["bert_config"]
    assert expected.items() <= dataclasses.asdict(config.generator_encoder()).items()


def test_generator_embeddings_of_its_own_are_as_wide_as_it_is():
    assert configure(untied_generator_embeddings=True).generator_encoder().embedding_size == 64
    assert configure().generator_encoder().embedding_size == 128


@pytest.mark.parametrize(
    ("hparams", "heads"),
    [
        ({}, ["masked_lm", "discriminator"]),
        ({"untied_generator": False}, ["masked_lm", "discriminator"]),
        ({"electra_objective": False}, ["masked_lm"]),
        ({"uniform_generator": True}, ["discriminator"]),
        ({"two_tower_generator": True}, ["cloze", "discriminator"]),
        ({"electric_objective": True}, ["cloze", "discriminator"]),
    ],
)
def test_networks_are_those_the_objective_needs(hparams, heads):
    assert [network.head for network in configure(**hparams).networks()] == heads


def test_electric_is_an_objective_of_its_own_with_a_generator_of_two_towers():
    config = configure(electric_objective=True, embedding_sharing="gdes", sbpo_weight=0.0)
    assert (config.electra_objective, config.two_tower_generator) == (False, True)
    assert config.generator_encoder() == configure().generator_encoder()
    assert PretrainingConfig.from_saved(config.to_dict()) == config
    assert not configure(two_tower_generator=True).electric_objective


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"learning_rat": 1e-3}, "unknown hparam 'learning_rat': did you mean 'learning_rate'?"),
        ({"learning_rate": "1e-3"}, "learning_rate must be a finite number. Received: '1e-3'"),
        ({"learning_rate": 0}, "learning_rate must be above 0. Received: 0.0"),
        ({"train_batch_size": True}, "train_batch_size must be an integer. Received: True"),
        ({"train_batch_size": 0}, "train_batch_size must be at least 1. Received: 0"),
        ({"train_batch_size": None}, "train_batch_size must be an integer. Received: None"),
        ({"do_eval": True}, "exactly one must be true.*Received: do_train=true, do_eval=true"),
        ({"do_train": False}, "exactly one must be true.*Received: do_train=false, do_eval=false"),
        ({"use_tpu": True}, "use_tpu: TPUs are not supported"),
        ({"mask_prob": 1.0}, "mask_prob must be above 0 and below 1. Received: 1.0"),
        ({"mask_prob": 0}, "mask_prob must be above 0 and below 1. Received: 0.0"),
        ({"max_seq_length": 513}, "must be at most max_position_embeddings, 512.*Received: max_seq_length=513"),
        ({"max_seq_length": 8, "max_predictions_per_seq": 9}, "no more tokens can be masked than a sequence has"),
        ({"gradient_accumulation_steps": 3}, "train_batch_size=128, gradient_accumulation_steps=3"),
        ({"uniform_generator": True, "electra_objective": False}, "without a discriminator"),
        ({"electric_objective": True, "electra_objective": True}, "two objectives.*leave one of them out"),
        (
            {"electric_objective": True, "two_tower_generator": False},
            "a generator that does not read it.*=true, .*=false",
        ),
        ({"electric_objective": True, "temperature": 0.5}, "the generator's own; leave .*temperature=0.5"),
        ({"electric_objective": True, "disallow_correct": True}, "the generator's own; leave .*disallow_correct=true"),
        ({"electric_objective": True, "sbpo_weight": 1.0}, "nothing to tell apart; set it to 0.*sbpo_weight=1.0"),
        ({"electric_objective": True, "training_mode": "generator"}, 'trained together.*training_mode="generator"'),
        ({"electric_objective": True, "embedding_sharing": "encoder"}, 'can be no tower.*="encoder"'),
        ({"two_tower_generator": True, "training_mode": "two_stage"}, 'trained together.*training_mode="two_stage"'),
        ({"two_tower_generator": True, "electra_objective": False}, "trained together.*electra_objective=false"),
        ({"two_tower_generator": True, "uniform_generator": True}, "uniformly or from a generator"),
        ({"two_tower_generator": True, "sbgo_weight": 1.0}, "span boundary head.*sbgo_weight=1.0"),
        ({"untied_generator": False, "untied_generator_embeddings": True}, "one encoder has one table"),
        (
            {"embedding_sharing": "encoder", "untied_generator": True},
            'contradict.*Received: embedding_sharing="encoder", untied_generator=true, '
            "untied_generator_embeddings=false",
        ),
        ({"embedding_sharing": "shared", "untied_generator_embeddings": True}, "give embedding_sharing alone"),
        ({"embedding_sharing": "gdes", "untied_generator": False}, "give embedding_sharing alone"),
        ({"embedding_sharing": "gde"}, "unknown embedding_sharing 'gde': did you mean 'gdes'?"),
        ({"embedding_sharing": "gdes", "electra_objective": False}, "no two models.*electra_objective=false"),
        ({"embedding_sharing": "gdes", "uniform_generator": True}, "no two models.*uniform_generator=true"),
        ({"embedding_type": "compositionl"}, "unknown embedding_type .* did you mean 'compositional'?"),
        ({"embedding_type": "compositional", "compositional_operation": "multipl"}, "did you mean 'multiply'?"),
        ({"embedding_type": "compositional", "compositional_num_buckets": 0}, "must be from 1 to vocab_size, 30522"),
        ({"compositional_num_buckets": 9}, 'leave them out, or set embedding_type to "compositional"'),
        ({"compositional_operation": "add"}, 'about compositional embeddings.*Received: .*="add"'),
        (
            {"embedding_type": "compositional", "compositional_operation": "concat", "embedding_size": 27},
            "embedding_size must be even.*Received: 27",
        ),
        ({"gen_weight": 0, "disc_weight": 0, "masking": "token"}, "nothing would be learned"),
        ({"gen_weight": 0, "electra_objective": False}, "nothing would be learned"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"temperature": [[0, 1.0], [9, 0.0]]}, "temperature must be above 0"),
        ({"mask_prob": [[0, 0.15], [9, 1.0]]}, "mask_prob must be above 0 and below 1"),
        ({"disc_weight": [[9, 50], [0, 1]]}, "disc_weight must be a number or a list of .* with rising steps"),
        ({"disc_weight": []}, "disc_weight must be a number or a list"),
        ({"disc_weight": [[0, 1, 2]]}, "disc_weight must be a number or a list"),
        ({"disc_weight": "fast"}, "disc_weight must be a finite number or a list of .step, value.. Received: 'fast'"),
        ({"mask_prob": []}, r"mask_prob must be a number or a list of .* Received: \[\]"),
        ({"mask_prob": [[0]]}, r"mask_prob must be a number or a list of .* Received: \[\[0.0\]\]"),
        ({"mask_prob": [[0, 0.1, 5]]}, "mask_prob must be a number or a list"),
        ({"num_train_steps": 10**30}, "num_train_steps must be at most 2147483647"),
        ({"shuffle_buffer_size": 10**30}, "shuffle_buffer_size must be at most 1048576"),
        ({"generator_hidden_size": 1e30}, "generator_hidden_size must be at most 1000. Received: 1e.30"),
        ({"generator_layers": 1001}, "generator_layers must be at most 1000"),
        ({"vocab_file": "a\0b"}, "vocab_file must be text without null characters"),
        ({"model_dir": ""}, "model_dir must be a path. Received: ''"),
        ({"vocab_file": ""}, "vocab_file must be a path"),
        ({"phases": []}, "phases must be a list of at least one phase"),
        ({"phases": [{"max_seq_length": 64}]}, "each of phases must have max_seq_length and num_train_steps"),
        ({"phases": [{**PHASE, "learning_rate": 1.0}]}, "each of phases must have .* Received"),
        ({"phases": [{**PHASE, "max_seq_length": "64"}]}, "max_seq_length must be an integer"),
        ({"phases": [{**PHASE, "max_seq_length": 1024}]}, "max_seq_length: must be at most max_position_embeddings"),
        ({"phases": [PHASE], "num_train_steps": 6}, "num_train_steps: phases make it 5; leave it out"),
        ({"phases": [PHASE], "training_mode": "two_stage"}, "phases, training_mode: its stages have one length each"),
        (
            {"decoupled_generator_update": True, "electra_objective": False},
            "decoupled_generator_update, .* there are no two models",
        ),
        ({"masking": "spans"}, "unknown masking 'spans': did you mean 'span'?"),
        ({"masking": "span", "replace_unit": "word"}, "unknown replace_unit 'word': valid are position, span"),
        ({"random_tokens": "often"}, "unknown random_tokens 'often': valid are frequency, uniform"),
        ({"span_geometric_p": 0}, "span_geometric_p must be above 0"),
        ({"span_geometric_p": 1.5}, "span_geometric_p must be at most 1. Received: 1.5"),
        ({"max_span_length": 0}, "max_span_length must be at least 1"),
        ({"replace_probs": 0.8}, "replace_probs must be a list of numbers. Received: 0.8"),
        ({"replace_probs": "0.8"}, "replace_probs must be a list of numbers. Received: '0.8'"),
        ({"replace_probs": [0.8, "0.2", 0]}, "replace_probs must be a finite number. Received: '0.2'"),
        ({"replace_probs": [0.8, 0.2]}, r"three shares.* add up to 1. Received: \[0.8, 0.2\]"),
        ({"replace_probs": [0.8, 0.1, 0.2]}, r"three shares.* add up to 1. Received: \[0.8, 0.1, 0.2\]"),
        ({"span_whole_words": True, "masking": "token"}, 'span_whole_words=true, masking="token"'),
        ({"random_tokens": "frequency", "masking": "token"}, "no token is replaced by a random one"),
        ({"keep_checkpoint_max": 0}, "keep_checkpoint_max must be at least 1"),
        ({"precision": "mixed_bfloat"}, "unknown precision 'mixed_bfloat': did you mean 'mixed_bfloat16'?"),
        ({"xla": "on"}, "xla must be true, false or 'auto'. Received: 'on'"),
        ({"training_mode": "joined"}, "unknown training_mode 'joined': did you mean 'joint'?"),
        ({"training_mode": "generator", "sbpo_weight": 1.0}, "objective of the discriminator, and there is none"),
        ({"training_mode": "discriminator", "sbgo_weight": 1.0}, "objective of the generator, and there is none"),
        ({"training_mode": "two_stage", "embedding_sharing": "gdes"}, "stands still and shares nothing"),
        ({"training_mode": "two_stage", "electra_objective": False}, "belong to joint training"),
        ({"training_mode": "two_stage", "stage_steps": [1, 2, 3]}, "two numbers of steps"),
        ({"training_mode": "two_stage", "stage_steps": [1, 0]}, "two numbers of steps"),
        ({"learning_rate": 1e30}, "learning_rate must be at most 1000000"),
        ({"temperature": 1e-300}, "temperature must be 0, or 1.18e-38 or more. Received: 1e-300"),
        ({"disc_weight": [[0, 1], [1e30, 2]]}, "rising steps up to 2147483647"),
        ({"eval_batch_size": 2**31 - 1}, "eval_batch_size must be at most 1048576. Received: 2147483647"),
        ({"max_span_length": 2**31 - 1}, "max_span_length must be at most 65536. Received: 2147483647"),
        ({"stage_steps": [1, 2]}, "these are about two_stage"),
        ({"preset": "electra-smal"}, "unknown preset 'electra-smal': did you mean 'electra-small'?"),
        ({"model_size": "bases"}, "unknown model_size 'bases': did you mean 'base'?"),
        ({"model_hparam_overrides": {"hiden_size": 8}}, "model_hparam_overrides: unknown hparam 'hiden_size'"),
        ({"model_hparam_overrides": {"hidden_size": 8.0}}, "model_hparam_overrides: hidden_size must be an integer"),
        ({"model_hparam_overrides": []}, "model_hparam_overrides must be an object"),
        ({"generator_hidden_size": 250 / 256}, "of the generator.*Received: generator_hidden_size=0.9765625"),
        ({"generator_layers": 0.01}, "of the generator, num_hidden_layers must be at least 1"),
        ({"seed": 2**31}, "seed must be at most"),
        ({"model_name": "other"}, "model_name is not an hparam: it is given as --model-name"),
    ],
)
def test_wrong_hparam_is_refused_with_key_value_and_remedy(hparams, message):
    with pytest.raises(HparamError, match=message):
        configure(**hparams)


def test_no_warmup_is_possible():
    assert configure(num_warmup_steps=0).num_warmup_steps == 0


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "preset": st.sampled_from([None, *PRESETS]),
            "debug": st.booleans(),
            "mask_prob": st.floats(-1, 2),
            "max_seq_length": st.integers(-1, 600),
            "model_hparam_overrides": st.dictionaries(
                st.sampled_from(["hidden_size", "num_hidden_layers", "vocab_size"]), st.integers(-1, 999)
            ),
            "generator_hidden_size": st.floats(-1, 2),
            "untied_generator": st.booleans(),
            "electra_objective": st.booleans(),
            "embedding_sharing": st.sampled_from(["shared", "generator_untied", "gdes", "encoder"]),
            "embedding_type": st.sampled_from(["full", "compositional"]),
            "compositional_num_buckets": st.integers(-1, 999),
        },
    )
)
def test_any_config_is_refused_or_consistent_and_survives_its_json(hparams):
    try:
        config = configure(**hparams)
    except HparamError:
        return
    assert PretrainingConfig.from_saved(json.loads(config.to_json())) == config
    assert 1 <= config.max_predictions_per_seq <= config.max_seq_length
    assert config.different_settings(config.to_dict()) == []


def test_run_may_continue_longer_elsewhere_and_with_other_reports():
    started = configure().to_dict()
    now = PretrainingConfig.from_hparams(
        model_name="n",
        data_dir="e",
        hparams={"num_train_steps": 9, "log_steps": 1, "eval_batch_size": 2, "precision": "float32", "do_train": True},
    )
    assert now.different_settings(started) == []


def test_run_may_not_continue_with_another_model_data_or_optimization():
    now = configure(learning_rate=1e-4, seed=1, model_hparam_overrides={"hidden_size": 64}, max_seq_length=64)
    assert now.different_settings(configure().to_dict()) == [
        "seed", "max_predictions_per_seq", "learning_rate", "model_hparam_overrides", "max_seq_length"
    ]  # fmt: skip


def test_run_may_not_continue_with_other_examples_held_out():
    started = configure().to_dict()
    assert configure(num_eval_examples=0).different_settings(started) == ["num_eval_examples"]
    assert configure(eval_tfrecords="own*").different_settings(started) == ["num_eval_examples"]


def test_evaluation_may_read_fewer_of_the_examples_held_out_or_others_but_none_of_training():
    started, evaluation = configure().to_dict(), {"do_train": False, "do_eval": True}
    assert configure(num_eval_examples=999, **evaluation).different_settings(started) == []
    assert configure(eval_tfrecords="own*", **evaluation).different_settings(started) == []
    assert configure(num_eval_examples=1001, **evaluation).different_settings(started) == ["num_eval_examples"]


def test_phases_make_the_whole_of_a_preset_and_each_has_settings_of_its_own():
    phases = [{**PHASE, "train_batch_size": 32}, {"max_seq_length": 128, "num_train_steps": 2, "eval_tfrecords": "e"}]
    config = configure(preset="electra-base", phases=phases, mask_prob=[[0, 0.3], [7, 0.15]])
    assert (config.num_train_steps, config.max_seq_length, config.phase_ends) == (7, 128, [5, 7])
    first, second = config.in_phases()
    assert (first.train_batch_size, second.train_batch_size) == (32, 256)
    assert (first.max_predictions_per_seq, second.max_predictions_per_seq) == (19, 39)
    assert first.pretrain_tfrecords == "d/pretrain_tfrecords_64/pretrain_data.tfrecord*"
    assert (first.num_held_out, second.num_held_out) == (1000, 0)
    assert {first.num_train_steps, second.num_train_steps} == {7}
    assert PretrainingConfig.from_saved(json.loads(config.to_json())) == config


def test_without_phases_a_run_is_one():
    config = configure()
    assert config.in_phases() == (config,)
    assert config.phase_ends == [1_000_000]


@pytest.mark.parametrize(
    ("hparams", "steps"),
    [
        ({"train_batch_size": 4096}, 1),
        ({"vocab_size": 131_071, "train_batch_size": 512}, 1),
        ({"vocab_size": 1_000_000, "train_batch_size": 4}, 1),
        ({"vocab_size": 1_000_000, "train_batch_size": 16}, 4),
        ({"vocab_size": 1_000_000, "train_batch_size": 27}, 9),  # 7 parts would be small enough
        ({"vocab_size": 1_000_000, "train_batch_size": 128}, 32),
        ({"vocab_size": 1_000_000, "train_batch_size": 128, "gradient_accumulation_steps": 1}, 1),
    ],
)
def test_a_large_vocabulary_divides_the_batch_so_that_its_logits_fit(hparams, steps):
    assert configure(**hparams).gradient_accumulation_steps == steps

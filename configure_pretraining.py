"""PretrainingConfig: every hparam of pretraining, with its default, its meaning and its rules.

Names, defaults and meanings are those of the original ELECTRA, but for what makes SpanElectra of it where nothing is
said: spans are masked, and both models have a span objective. Values come from, later ones winning: the class,
`preset`, `debug`, the user. Imports no TensorFlow.
"""

import dataclasses
import functools
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from electra_span.config import (
    EncoderConfig,
    HparamError,
    check_at_most,
    check_text,
    checked_hparams,
    derived,
    hparam,
    widths_by_rule,
)
from electra_span.model_cost import Network
from electra_span.published.card_metadata import Origin
from pretrain.config.defaults import (
    TABLE_FIELDS,
    ends_of,
    merged_hparams,
    most_masked,
    settings_by_phases,
    settings_of,
    values_by_rule,
)
from pretrain.config.pairs import check_pairs
from pretrain.config.rules import AT_MOST, MAY_CHANGE, check_schedules, check_values


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """All hparams of one pretraining run; made by `from_hparams`."""

    model_name: str = derived("`--model-name`", "name of the run")
    data_dir: str = derived("`--data-dir`", "folder of the vocabulary, the TFRecords and the models")
    preset: str | None = hparam(
        None, "recipe to start from: electra-small, -base, -large, spanelectra-small, -base, spanbert-base, bert-small"
    )
    debug: bool = hparam(False, "tiny model (3 layers, hidden 144), batches of 8 and 4, 20 steps, 2 evaluation steps")
    do_train: bool = hparam(True, "train; exactly one of do_train and do_eval is true")
    do_eval: bool = hparam(False, "evaluate the last checkpoint")
    seed: int = hparam(42, "seed of initialisation, order, masks, samples and dropout")

    training_mode: str = hparam(
        "joint",
        "joint (generator and discriminator together), generator (masked LM alone, of the generator's size), two_stage "
        "(the generator, then the discriminator against the frozen generator), discriminator (replacements drawn at "
        "random, nothing generates)",
    )
    stage_steps: Sequence[int] | None = hparam(
        None, "of two_stage, the steps of each stage; null: half of num_train_steps each"
    )
    generator_checkpoint: str | None = hparam(
        None, "of two_stage, a generator to start from in place of the first stage, in any form as init_checkpoint"
    )
    init_checkpoint: str | None = hparam(
        None,
        "models to go on from, with a fresh optimizer: a TensorFlow checkpoint of the original's, a Hugging Face "
        "folder, a folder that a run published or one with discriminator and generator, a zip of any of these; null: "
        "fresh weights",
    )
    init_vocabulary: str = hparam(
        "remap",
        "of init_checkpoint, whose vectors words take: remap (those of the same token, new tokens' are drawn), same "
        "(those of the same id), new (all are drawn)",
    )
    init_step: int = hparam(
        0,
        "step that training from init_checkpoint begins at, as if so many updates had been made: schedules, learning "
        "rate and warmup included, are what they are at that step; num_train_steps - init_step updates are made",
    )
    decoupled_generator_update: bool = hparam(
        False, "at each step update the generator alone, then the discriminator, each with an optimizer of its own"
    )
    phases: Sequence[Mapping[str, Any]] | None = hparam(
        None,
        "parts of the run, one after the other, each an object of max_seq_length and num_train_steps, and, where it "
        "differs, train_batch_size, max_predictions_per_seq, pretrain_tfrecords (by rule "
        "`<data-dir>/pretrain_tfrecords_<max_seq_length>/pretrain_data.tfrecord*`), eval_tfrecords",
    )
    electra_objective: bool = derived(
        "false for electric_objective, else true", "generator and discriminator; false: masked LM only, as BERT"
    )
    electric_objective: bool = hparam(
        False,
        "Electric: the discriminator, told the probability that a generator of two towers gives each token, tells "
        "drawn tokens, changed or not, from the others",
    )
    gen_weight: float = hparam(1.0, "weight of the generator's masked LM loss")
    disc_weight: float | Sequence[Sequence[float]] = hparam(
        50.0, "weight of the discriminator's loss, replaced token detection; a number, or [[step, value], ...]"
    )
    sbgo_weight: float = derived(
        "`1.0` with masking of spans and a generator, else `0.0`",
        "weight of the generator's span boundary generative objective; 0: without its head",
    )
    sbpo_weight: float = derived(
        "`50.0` with masking of spans and a discriminator, else `0.0`",
        "weight of the discriminator's span boundary predictive objective; 0: without its head",
    )
    generator_prediction: str = hparam(
        "mean", "the generator's head that replacements are drawn from, with SBGO: mlm, sbgo or the mean of both logits"
    )
    mask_prob: float | Sequence[Sequence[float]] = hparam(
        0.15, "share of the tokens to mask, special tokens counted; a number, or [[step, value], ...]"
    )
    max_predictions_per_seq: int = derived(
        "`int((mask_prob + 0.005) * max_seq_length)`, of the largest mask_prob", "most masked tokens a sequence"
    )
    masking: str = derived(
        "span; token without `electra_objective`, with `uniform_generator` or two towers",
        "what is masked together: token (as the original), whole_word, span",
    )
    span_geometric_p: float = hparam(0.2, "of span, p of the geometric law of lengths; higher: shorter")
    max_span_length: int = hparam(10, "of span, the longest length drawn")
    span_whole_words: bool = hparam(False, "of span, count lengths in words; false: in tokens")
    replace_probs: Sequence[float] = derived(
        "`[0.85, 0, 0.15]` for token, else `[0.8, 0.1, 0.1]`",
        "shares of masked tokens that become [MASK], a random token, or stay as they are",
    )
    replace_unit: str = derived(
        "span for span, else position", "what takes one of these ways together: position, span (or word)"
    )
    random_tokens: str = hparam(
        "uniform", "how random tokens are drawn: uniform, frequency (as in the first 100,000 training examples)"
    )

    learning_rate: float = hparam(5e-4, "peak learning rate; the paper takes 2e-4 for base and large")
    lr_decay_power: float = hparam(1.0, "power of the polynomial decay to 0; 1: linear")
    weight_decay_rate: float = hparam(0.01, "decoupled weight decay; biases and LayerNorm are not decayed")
    num_warmup_steps: int = hparam(10_000, "steps of linear warmup; 0: none")
    num_train_steps: int = hparam(1_000_000, "steps of training, at the end of which the learning rate is 0")
    train_batch_size: int = hparam(128, "sequences a step, over all devices")
    gradient_accumulation_steps: int = derived(
        "1; from 131,072 words on, as many as keep a part's logits below 320 MiB",
        "parts a batch is worked through in, with the gradient of the whole",
    )
    eval_batch_size: int = hparam(128, "sequences an evaluation step")

    model_size: str = hparam("small", "small, base or large")
    model_hparam_overrides: Mapping[str, Any] = dataclasses.field(
        default_factory=dict, metadata={"meaning": "fields of EncoderConfig that differ from model_size"}
    )
    embedding_size: int = derived("128 for small, else the hidden size", "width of the embeddings")
    vocab_size: int = hparam(30522, "number of tokens in the vocabulary")
    embedding_type: str = hparam(
        "full", "embeddings of words: full (a row for each), compositional (a row of each of two small tables)"
    )
    compositional_operation: str = hparam("multiply", "what makes a vector of two rows: multiply, add or concat")
    compositional_num_buckets: int | None = hparam(
        None, "rows of one of the two tables, by which the words are divided; null: the square root of vocab_size"
    )
    do_lower_case: bool = hparam(True, "lower-case the input")
    max_seq_length: int = hparam(128, "tokens a sequence, as the TFRecords were built")

    uniform_generator: bool = hparam(False, "replace with uniformly drawn tokens, without a generator")
    two_tower_generator: bool = derived(
        "true for electric_objective, else false",
        "a generator of two encoders of its size, left to right and right to left, that learns to predict every token "
        "from the others",
    )
    embedding_sharing: str = derived(
        "`shared`, or as the next two say",
        "shared (one embedding layer), generator_untied (two), gdes (the discriminator's is the generator's, without "
        "gradient, plus trained differences: DeBERTaV3), encoder (one whole network is both)",
    )
    untied_generator: bool = derived(
        "false for `encoder`, else true", "generator with layers of its own; false: one encoder is both"
    )
    untied_generator_embeddings: bool = derived(
        "true for `generator_untied`, else false", "generator with embeddings of its own, as wide as it is"
    )
    generator_layers: float = hparam(1.0, "the generator's layers, as a fraction of the discriminator's")
    generator_hidden_size: float = hparam(0.25, "the generator's hidden size, as a fraction of the discriminator's")
    disallow_correct: bool = hparam(False, "never sample the original token")
    temperature: float | Sequence[Sequence[float]] = hparam(
        1.0, "temperature of sampling from the generator; a number, or [[step, value], ...]"
    )

    precision: str = hparam("auto", "auto (the fastest the device is good at), float32, mixed_bfloat16, mixed_float16")
    xla: bool | str = hparam("auto", "compile the step with XLA: true, false, auto (on a GPU)")
    shuffle_buffer_size: int = hparam(10_000, "examples the shuffle of the input holds")
    save_checkpoints_steps: int = hparam(1000, "steps between checkpoints")
    keep_checkpoint_max: int = hparam(5, "checkpoints kept")
    log_steps: int = hparam(100, "steps between lines of the training log")
    num_eval_examples: int = hparam(1000, "examples held out of training to evaluate on; eval_tfrecords overrides it")
    eval_tfrecords: str | None = hparam(None, "comma-separated globs of an evaluation set; nothing is then held out")
    eval_every_steps: int = hparam(0, "steps between evaluations during training; 0: none")
    num_eval_steps: int = hparam(100, "most batches an evaluation reads")
    iterations_per_loop: int = hparam(200, "accepted, without effect: it belongs to TPUs")

    language: str | Sequence[str] | None = hparam(
        None, "for the published models' cards: code of the texts' language, as en, or a list of codes"
    )
    data_license: str | None = hparam(None, "for the cards: licence of the texts")
    model_license: str | None = hparam(None, "for the cards: licence of the models, as the hub calls it: apache-2.0")
    base_model: str | None = hparam(None, "for the cards: name on the hub of the model that init_checkpoint is")

    pretrain_tfrecords: str = derived(
        "`<data-dir>/pretrain_tfrecords/pretrain_data.tfrecord*`", "comma-separated globs of the training set"
    )
    vocab_file: str = derived("`<data-dir>/vocab.txt`", "vocabulary the TFRecords were built with")
    model_dir: str = derived("`<data-dir>/models/<model-name>`", "folder of everything a run writes")
    results_txt: str = derived("`<model_dir>/results/unsup_results.txt`", "evaluation results; as JSON beside it")
    results_pkl: str = derived("`<model_dir>/results/unsup_results.pkl`", "accepted, never written: results are JSON")

    use_tpu: bool = hparam(False, "TPUs are not supported: true is an error")
    num_tpu_cores: int = hparam(1, "accepted, without effect")
    tpu_job_name: str | None = hparam(None, "accepted, without effect")
    tpu_name: str | None = hparam(None, "accepted, without effect")
    tpu_zone: str | None = hparam(None, "accepted, without effect")
    gcp_project: str | None = hparam(None, "accepted, without effect")

    @classmethod
    def from_hparams(cls, *, model_name: str, data_dir: str, hparams: Mapping[str, Any]) -> "PretrainingConfig":
        """Returns the config of a run: class defaults, then preset, then debug, then the given hparams.

        Args:
            model_name: name of the run.
            data_dir: folder of vocabulary, TFRecords and models.
            hparams: what the user sets. null gives a value that has a rule back to its rule.

        Raises:
            HparamError: for an unknown hparam, a wrong type, or a value that is not possible; names key and remedy.
        """
        for key in {"model_name", "data_dir"} & hparams.keys():
            raise HparamError(f"{key} is not an hparam: it is given as --{key.replace('_', '-')}")
        fields = dataclasses.fields(cls)
        ruled = {field.name for field in fields if "rule" in field.metadata}
        check_text("model_name", model_name)
        check_text("data_dir", data_dir)
        check_at_most(hparams, AT_MOST)
        given = checked_hparams(cls, {k: v for k, v in hparams.items() if not (v is None and k in ruled)})
        defaults = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
        settings = {**defaults, "model_name": model_name, "data_dir": data_dir, **merged_hparams(given)}
        check_schedules(settings)
        settings |= settings_by_phases(cls, settings, given)
        return cls(**{**values_by_rule(settings), **settings})

    @classmethod
    def from_saved(cls, saved: Mapping[str, Any]) -> "PretrainingConfig":
        """Returns the config that `to_dict` gave, as a model folder's config.json holds it.

        Raises:
            HparamError: a value is missing, of a wrong type or impossible.
        """
        for key in ("model_name", "data_dir"):
            if not isinstance(saved.get(key), str):
                raise HparamError(f"{key} must be a string. Received: {saved.get(key)!r}")
        hparams = {key: value for key, value in saved.items() if key not in ("model_name", "data_dir")}
        return cls.from_hparams(model_name=saved["model_name"], data_dir=saved["data_dir"], hparams=hparams)

    def __post_init__(self) -> None:
        check_values(self)
        check_pairs(self)
        self.generator_encoder()

    def discriminator_encoder(self) -> EncoderConfig:
        """Returns the shape of the discriminator's encoder, of the only one where there is one."""
        tables = {name: getattr(self, name) for name in TABLE_FIELDS}
        return EncoderConfig.of_size(self.model_size, **tables, **self.model_hparam_overrides)

    def generator_encoder(self) -> EncoderConfig:
        """Returns the shape of the generator's encoder: the discriminator's where the generator has none of its own."""
        discriminator = self.discriminator_encoder()
        if not (self.has_detection_objective and self.untied_generator):
            return discriminator
        hidden_size = round(discriminator.hidden_size * self.generator_hidden_size)
        num_hidden_layers = round(discriminator.num_hidden_layers * self.generator_layers)
        shape: dict[str, Any] = {
            "hidden_size": hidden_size,
            "num_hidden_layers": num_hidden_layers,
            **widths_by_rule(hidden_size),
        }
        if not self.untied_generator_embeddings:
            shape["embedding_size"] = self.embedding_size
        try:
            return dataclasses.replace(discriminator, **shape)
        except HparamError as error:
            raise HparamError(
                f"generator_hidden_size, generator_layers: of the generator, {error}. Received: "
                f"generator_hidden_size={self.generator_hidden_size}, generator_layers={self.generator_layers}"
            ) from None

    def networks(self) -> tuple[Network, ...]:
        """Returns what a step runs."""
        networks: tuple[Network, ...] = ()
        if self.has_generator:
            is_trained = self.training_mode != "two_stage"
            head = "cloze" if self.two_tower_generator else "masked_lm"
            networks += (Network(self.generator_encoder(), head, self.sbgo_weight > 0, is_trained),)
        if self.has_discriminator:
            networks += (Network(self.discriminator_encoder(), "discriminator", self.sbpo_weight > 0),)
        return networks

    @property
    def has_generator(self) -> bool:
        """Whether a masked language model is part of the run."""
        return self.training_mode != "discriminator" and not (self.has_detection_objective and self.uniform_generator)

    @property
    def has_discriminator(self) -> bool:
        """Whether a discriminator is part of the run."""
        return self.has_detection_objective and self.training_mode != "generator"

    @property
    def has_detection_objective(self) -> bool:
        """Whether the objective is one of a generator and a discriminator: ELECTRA's or Electric's."""
        return self.electra_objective or self.electric_objective

    def stages(self) -> tuple["PretrainingConfig", ...]:
        """Returns the configurations of the runs that this one is made of, in order: of two_stage, two."""
        if self.training_mode != "two_stage":
            return (self,)
        half = self.num_train_steps // 2
        of_generator, of_discriminator = self.stage_steps or (half, self.num_train_steps - half)
        last: dict[str, Any] = {"stage_steps": None, "num_train_steps": of_discriminator}
        if self.generator_checkpoint:
            return (dataclasses.replace(self, **last),)
        folder = os.path.join(self.model_dir, "generator_stage")
        first: dict[str, Any] = {
            "training_mode": "generator",
            "stage_steps": None,
            "num_train_steps": of_generator,
            "sbpo_weight": 0.0,
            "model_dir": folder,
            "results_txt": os.path.join(folder, "results", "unsup_results.txt"),
            "results_pkl": os.path.join(folder, "results", "unsup_results.pkl"),
        }
        return (
            dataclasses.replace(self, **first),
            dataclasses.replace(self, **last, generator_checkpoint=os.path.join(folder, "generator")),
        )

    def in_phases(self) -> tuple["PretrainingConfig", ...]:
        """Returns the configuration in force in each phase; without phases, this one."""
        if self.phases is None:
            return (self,)
        return tuple(
            dataclasses.replace(
                self,
                phases=None,
                **settings_of(
                    phase, data_dir=self.data_dir, most_masked=functools.partial(most_masked, self.mask_prob)
                ),
            )
            for phase in self.phases
        )

    @property
    def phase_ends(self) -> list[int]:
        """Updates made at the end of each phase."""
        return [self.num_train_steps] if self.phases is None else ends_of(self.phases)

    @property
    def num_held_out(self) -> int:
        """Examples at the head of the training set that are kept for evaluation."""
        return 0 if self.eval_tfrecords else self.num_eval_examples

    @property
    def origin(self) -> Origin:
        """What is said of the models for their cards."""
        return Origin(*(getattr(self, name) for name in Origin._fields))

    @property
    def results_json(self) -> str:
        """Path of the evaluation results as JSON, beside results_txt."""
        return os.path.splitext(self.results_txt)[0] + ".json"

    def to_dict(self) -> dict[str, Any]:
        """Returns the effective configuration, every value by its hparam's name."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Returns the effective configuration as JSON text, as a model folder's config.json holds it."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def different_settings(self, saved: Mapping[str, Any]) -> list[str]:
        """Returns the names of the settings that differ from a run's and may not while it continues or is evaluated.

        Args:
            saved: the configuration the run was started with, as `to_dict` gave it.
        """
        before = self.from_saved(saved)
        fixed = [field.name for field in dataclasses.fields(self) if field.name not in MAY_CHANGE]
        different = [name for name in fixed if getattr(before, name) != getattr(self, name)]
        is_same = before.num_held_out == self.num_held_out
        is_unseen = self.do_eval and self.num_held_out < before.num_held_out  # an evaluation may read fewer, or others
        return different + ([] if is_same or is_unseen else ["num_eval_examples"])

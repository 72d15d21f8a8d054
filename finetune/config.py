"""FinetuningConfig: every hparam of fine-tuning, with its default, its meaning and its rules.

Names, defaults and meanings are those of the original ELECTRA. Values come from, later ones winning: the class, the
tasks, `model_size`, `preset`, the user. Imports no TensorFlow.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from electra_span.config import (
    MODEL_SIZES,
    HparamError,
    check_at_most,
    check_choice,
    check_text,
    checked_hparams,
    derived,
    hparam,
)
from electra_span.published.card_metadata import Origin
from finetune.config_rules import AT_MOST, check_questions, check_values
from finetune.task_names import TaskName, defaults_of, directory_of, parse_task_names, with_earlier_slugs

# The learning rates of Clark et al. 2020, table 7, by size of the model; the released code has another one for small.
_PAPER_LEARNING_RATES = {"small": 3e-4, "base": 1e-4, "large": 5e-5}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuningConfig:
    """All hparams of fine-tuning; made by `from_hparams`."""

    model_name: str = derived("`--model-name`", "name of the pretrained model")
    data_dir: str = derived("`--data-dir`", "folder of the tasks' files and the models")
    preset: str | None = hparam(None, "recipe to start from: paper (its learning rate by model_size, no weight decay)")
    debug: bool = hparam(False, "one trial, its examples logged, features made anew")
    seed: int = hparam(42, "seed of the first trial; each one after it adds 1")
    task_names: Sequence[str] = dataclasses.field(
        default=("chunk",),
        metadata={
            "meaning": "tasks to learn together: cola, sst, mrpc, sts, qqp, mnli, qnli, rte, wnli, chunk, squad, "
            "squadv1, newsqa, naturalqs, triviaqa, searchqa, hotpotqa, quac, csv:PATH, tag:PATH, qa:PATH"
        },
    )
    num_trials: int = hparam(1, "runs, each with a seed of its own")
    do_train: bool = hparam(True, "train; false: evaluate init_checkpoint")
    do_eval: bool = hparam(True, "evaluate on the development examples")
    keep_all_models: bool = hparam(True, "keep the model of every trial; false: of the last")
    keep_best: bool = hparam(False, "keep the weights with the best score on the development examples, not the last")
    retry_failed_trials: int = hparam(0, "times that a trial stuck on one class is run again, with other seeds")
    log_examples: bool = derived("as debug", "log the first examples with their features")

    model_size: str = hparam("small", "small, base or large")
    model_hparam_overrides: Mapping[str, Any] = dataclasses.field(
        default_factory=dict, metadata={"meaning": "fields of EncoderConfig that differ from model_size"}
    )
    embedding_size: int | None = derived("128 for small, else null", "width of the embeddings; null: the hidden size")
    vocab_size: int = hparam(30522, "number of tokens in the vocabulary")
    do_lower_case: bool = hparam(True, "lower-case the input, where a vocab.txt alone is the tokenizer")
    classifier_head: str = hparam("linear", "of classes and scores; dense: transformers' head, of two layers")

    learning_rate: float = derived("1e-4, 5e-5 for large", "peak learning rate")
    weight_decay_rate: float = hparam(0.01, "decoupled weight decay; biases and LayerNorm are not decayed")
    layerwise_lr_decay: float = derived("0.8, 0.9 for large", "what the learning rate of a layer is of the one above")
    layerwise_lr_decay_compat: bool = hparam(False, "one power more for every layer, as the original code has it")
    num_train_epochs: float = derived("3; 10 for rte and sts, 2 for questions; of several tasks the fewest", "epochs")
    warmup_proportion: float = hparam(0.1, "share of the steps with a linear warmup")
    freeze_below_layer: int | None = hparam(None, "layers below this one, and the embeddings, are not trained")
    frozen_encoder_epochs: float = hparam(0.0, "epochs, before all others, that train the heads alone")
    frozen_encoder_learning_rate: float = hparam(1e-3, "peak learning rate of these")
    gradient_accumulation_steps: int = hparam(1, "parts that a device works through a batch in")
    precision: str = hparam("auto", "auto, float32, mixed_bfloat16 or mixed_float16")
    xla: bool | str = hparam(
        "auto", "compile steps by XLA; auto: on a GPU, and on a CPU their elementwise parts, if training is long"
    )
    train_batch_size: int = hparam(32, "examples a step, over all devices")
    eval_batch_size: int = hparam(32, "examples an evaluation step")
    predict_batch_size: int = hparam(32, "examples a step of prediction")
    save_checkpoints_steps: int = hparam(1_000_000, "steps between checkpoints")
    log_steps: int = hparam(100, "steps between reports")
    eval_every_steps: int = hparam(0, "steps between evaluations; 0: an epoch with keep_best, else none before the end")
    task_weights: Mapping[str, Any] = dataclasses.field(
        default_factory=dict, metadata={"meaning": "what the loss of a task counts, by its name in task_names; else 1"}
    )
    task_mixing: str = hparam("proportional", "examples of several tasks in an epoch: all; uniform: of each as many")
    iterations_per_loop: int = derived("1000, 1 with debug", "accepted, without effect: it belongs to TPUs")
    use_tfrecords_if_existing: bool = derived("false with debug", "use features that were made before")
    write_test_outputs: bool = hparam(False, "write predictions for the test files")
    n_writes_test: int = hparam(5, "trials that predictions are written of")

    max_seq_length: int = derived(
        "128; 512 for questions, 256 for tags; of several tasks the longest", "most tokens of an example"
    )
    double_unordered: bool = hparam(True, "train on the pairs of mrpc and sts in both orders")

    max_query_length: int = hparam(64, "most tokens of a question")
    doc_stride: int = hparam(128, "tokens between the starts of a context's windows")
    n_best_size: int = hparam(20, "answers kept for each question")
    max_answer_length: int = hparam(30, "most tokens of an answer")
    align_answers: bool = hparam(False, "find the texts of answers by the original's alignment of words; slower")
    history_turns: int = hparam(0, "of quac, questions and answers before it that a question begins with")
    answerable_classifier: bool = hparam(True, "a head that tells whether there is an answer")
    answerable_uses_start_logits: bool = hparam(True, "the head reads the start logits too")
    answerable_weight: float = hparam(0.5, "weight of its loss")
    joint_prediction: bool = hparam(True, "predict the end from the start; false: both alone")
    beam_size: int = hparam(20, "starts that ends are predicted for")
    qa_na_threshold: float = hparam(-2.75, "logit of no answer above which there is none")

    text_column: str = hparam("text", "of csv, the column of the text")
    text_pair_column: str | None = hparam(None, "of csv, the column of a second text")
    label_column: str = hparam("label", "of csv, the column of the class or score")
    is_regression: bool = hparam(False, "of csv, labels are scores")
    csv_delimiter: str | None = hparam(None, "of csv, what parts the columns; null: a comma, or a tab in .tsv")
    csv_quotes: bool = hparam(True, "of csv, fields may be quoted; false: quotation marks are text")
    dev_rate: float = hparam(0.1, "of csv and tag without a file dev, share of the training examples to evaluate on")
    word_column: int = hparam(0, "of tag, the column of the word, from 0, or from -1 at the end")
    tag_column: int = hparam(-1, "of tag, the column of the tag")
    tag_scheme: str = hparam("bioes", "labels of spans: bioes, or bio, which the pipelines of transformers join by")
    tagging_segment_id: int = hparam(0, "of tags, the segment id of all tokens; the original has 1")
    encoding: str = hparam("utf-8-sig", "of csv and tag, the encoding of the files")
    max_bad_rows: int = hparam(10, "rows of a file that may be bad, if max_bad_rate does not allow more")
    max_bad_rate: float = hparam(0.01, "share of a file's rows that may be bad")

    language: str | Sequence[str] | None = hparam(
        None, "for the published models' cards: code of the texts' language, as en, or a list of codes"
    )
    data_license: str | None = hparam(None, "for the cards: licence of the texts")
    model_license: str | None = hparam(None, "for the cards: licence of the models, as the hub calls it: apache-2.0")
    base_model: str | None = hparam(None, "for the cards: name on the hub of the model that init_checkpoint is")

    model_dir: str = derived("`<data-dir>/models/<model-name>`", "folder of everything a run writes")
    init_checkpoint: str = derived(
        "`<model_dir>/discriminator`",
        "model to start from: a published folder, one with discriminator and generator, a Hugging Face folder, a "
        "TensorFlow checkpoint of the original's, a zip of any of these; or the fine-tuned one to evaluate",
    )
    vocab_file: str | None = hparam(
        None, "vocabulary of the tasks; null: that of init_checkpoint, or else vocab.txt in model_dir or data_dir"
    )
    init_vocabulary: str = hparam(
        "remap",
        "with vocab_file, whose vectors words take: remap (those of the same token in init_checkpoint, new tokens' are "
        "drawn), same (those of the same id), new (all are drawn)",
    )
    random_weights: bool = hparam(False, "start from random weights, of the sizes of init_checkpoint's config.json")

    use_tpu: bool = hparam(False, "TPUs are not supported: true is an error")
    num_tpu_cores: int = hparam(1, "accepted, without effect")
    tpu_job_name: str | None = hparam(None, "accepted, without effect")
    tpu_name: str | None = hparam(None, "accepted, without effect")
    tpu_zone: str | None = hparam(None, "accepted, without effect")
    gcp_project: str | None = hparam(None, "accepted, without effect")

    @classmethod
    def from_hparams(cls, *, model_name: str, data_dir: str, hparams: Mapping[str, Any]) -> "FinetuningConfig":
        """Returns the config of a run: class defaults, then rules of task and size, then preset, then the hparams.

        Args:
            model_name: name of the pretrained model.
            data_dir: folder of the tasks' files and the models.
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
        settings = {**defaults, "model_hparam_overrides": {}, "task_weights": {}, **given}
        settings |= {"model_name": model_name, "data_dir": data_dir}
        return cls(**{**settings, **_values_by_rule(settings), **given})

    @property
    def origin(self) -> Origin:
        """What is said of the models for their cards."""
        return Origin(*(getattr(self, name) for name in Origin._fields))

    def __post_init__(self) -> None:
        check_values(self)
        check_questions(self, any(task.kind == "qa" for task in self.tasks))

    @property
    def tasks(self) -> tuple[TaskName, ...]:
        """The tasks that are named."""
        return with_earlier_slugs(parse_task_names(self.task_names), self.model_dir)

    def task_dir(self, task: TaskName) -> str:
        """Returns where the files of a task are."""
        return directory_of(task, self.data_dir)

    def to_dict(self) -> dict[str, Any]:
        """Returns the effective configuration, every value by its hparam's name."""
        return {**dataclasses.asdict(self), "task_names": list(self.task_names)}

    def to_json(self) -> str:
        """Returns the effective configuration as JSON text."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def _values_by_rule(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a value for every field that has a rule, and what the preset sets, from the other settings."""
    size, debug = settings["model_size"], settings["debug"]
    check_choice("model_size", size, MODEL_SIZES)
    model_dir = settings.get("model_dir", os.path.join(settings["data_dir"], "models", settings["model_name"]))
    preset: dict[str, Any] = {}
    if settings["preset"] is not None:
        check_choice("preset", settings["preset"], ("paper",))
        preset = {"learning_rate": _PAPER_LEARNING_RATES[size], "weight_decay_rate": 0.0}
    return {
        **defaults_of(parse_task_names(settings["task_names"])),
        "embedding_size": 128 if size == "small" else None,
        "learning_rate": 5e-5 if size == "large" else 1e-4,
        "layerwise_lr_decay": 0.9 if size == "large" else 0.8,
        "log_examples": debug,
        "iterations_per_loop": 1 if debug else 1000,
        "use_tfrecords_if_existing": not debug,
        "model_dir": model_dir,
        "init_checkpoint": os.path.join(model_dir, "discriminator"),
        **preset,
    }

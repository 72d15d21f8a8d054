"""One configured pretraining run: its files, tokenizer, devices, models, data and steps, ready to train or evaluate."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from configure_pretraining import PretrainingConfig
from electra_span.checkpoints import Checkpoints
from electra_span.command_line import read_json_file
from electra_span.config import HparamError
from electra_span.devices import Execution, is_chief, make_strategy, resolve_execution
from electra_span.loop import WindowSums
from electra_span.losses import LossWeights
from electra_span.objective import Corrupt, corrupt_at_random, corrupt_batch
from electra_span.optimization import AdamW, learning_rate_at
from electra_span.tokenization import Tokenizer, load_tokenizer
from electra_span.training import LossScale, StepResult, make_evaluation_step, make_train_step
from pretrain.input_pipeline import evaluation_dataset, training_dataset
from pretrain.manifest import read_manifest
from pretrain.masking_settings import make_masking
from pretrain.metrics import summarize
from pretrain.model import PretrainingModel, build_model, make_loss_function
from pretrain.records import check_records, input_files
from pretrain.stages import start_from_generator


class Run:
    """One configured run: its files, tokenizer, devices and models.

    Args:
        config: the effective configuration.

    Raises:
        UserError: vocabulary, records and configuration do not fit, or the folder holds another run.
    """

    def __init__(self, config: PretrainingConfig) -> None:
        self.config = config
        self.model_dir = pathlib.Path(config.model_dir)
        self.strategy = make_strategy()  # before all else: several hosts can only be joined by an idle TensorFlow
        self.is_chief = is_chief(self.strategy)
        self.files = input_files(config.pretrain_tfrecords)
        self.evaluation_files = input_files(config.eval_tfrecords) if config.eval_tfrecords else self.files
        self.tokenizer = _load_tokenizer(config, self.files)
        for files in (self.files, self.evaluation_files):
            check_records(files, max_seq_length=config.max_seq_length, tokenizer=self.tokenizer)
        self._check_folder()
        self._masking = make_masking(config, self.tokenizer, self.files)

        keras.utils.set_random_seed(config.seed)
        self.execution = resolve_execution(config.precision, config.xla)
        logging.info("%d device(s), %s", self.strategy.num_replicas_in_sync, self.execution)
        self._check_batch_sizes()
        with self.strategy.scope():
            self.model = build_configured_model(config, self.execution, self._masking.random_token_counts)
            generator, discriminator = self.model.generator, self.model.discriminator
            if config.generator_checkpoint and generator is not None and discriminator is not None:
                start_from_generator(generator, discriminator, config.generator_checkpoint)
        self._loss_function = make_loss_function(
            self.model,
            weights=loss_weights(config),
            compile_kernels=self.execution.compile_kernels,
        )
        self.evaluation_step = make_evaluation_step(
            lambda batch: self._loss_function(batch, batch, None)[1],
            strategy=self.strategy,
            compile_step=self.execution.compile_step,
        )

    def evaluate(self) -> dict[str, float]:
        """Returns the numbers of `summarize` on the evaluation set, at the current weights."""
        config = self.config
        batches = evaluation_dataset(
            self.evaluation_files,
            batch_size=config.eval_batch_size,
            num_held_out=config.num_held_out,
            **self._data_settings(),
        )
        totals = WindowSums()
        for batch in batches.take(config.num_eval_steps):
            totals.add(self.evaluation_step(batch))
        return self.summarize(totals.take())

    def training_batches(self) -> tf.data.Dataset:
        """Returns the endless batches of training."""
        config = self.config
        return training_dataset(
            self.files,
            batch_size=config.train_batch_size,
            num_held_out=config.num_held_out,
            shuffle_buffer_size=config.shuffle_buffer_size,
            **self._data_settings(),
        )

    def make_optimizer(self) -> tuple[AdamW, LossScale | None]:
        """Returns the optimizer of the model's variables, and the loss scale that float16 needs."""
        with self.strategy.scope():
            optimizer = AdamW(
                self.model.trained_variables,
                weight_decay_rate=self.config.weight_decay_rate,
                compile_from=self.execution.compile_updates_from,
            )
            return optimizer, LossScale() if self.execution.dtype == "mixed_float16" else None

    def make_train_step(self, optimizer: AdamW, loss_scale: LossScale | None) -> Callable[[Any, tf.Tensor], StepResult]:
        """Returns the function of (batch, step) that updates the model once."""
        config = self.config
        return make_train_step(
            self._loss_function,
            self.model.trained_variables,
            optimizer,
            strategy=self.strategy,
            learning_rate=self.learning_rate,
            seed=config.seed,
            num_accumulation_steps=config.gradient_accumulation_steps,
            compile_step=self.execution.compile_step,
            loss_scale=loss_scale,
        )

    def learning_rate(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate after that many updates: float32 []."""
        config = self.config
        return learning_rate_at(
            step,
            peak=config.learning_rate,
            num_train_steps=config.num_train_steps,
            num_warmup_steps=config.num_warmup_steps,
            decay_power=config.lr_decay_power,
        )

    def checkpoints(self, **state: Any) -> Checkpoints:
        """Returns the checkpoints of the run's folder; without state, to read weights only."""
        return Checkpoints(
            self.model_dir / "checkpoints",
            self.model.variables,
            num_kept=self.config.keep_checkpoint_max,
            is_writer=self.is_chief,
            **state,
        )

    def summarize(self, sums: dict[str, np.ndarray]) -> dict[str, float]:
        """Returns the reported numbers of some sums."""
        return summarize(sums, weights=loss_weights(self.config))

    def _check_folder(self) -> None:
        """Raises HparamError where the folder holds a run of another configuration."""
        path = self.model_dir / "config.json"
        if not path.exists():
            return
        saved = read_json_file(str(path))
        try:
            different = self.config.different_settings(saved)
        except (HparamError, KeyError) as error:
            raise HparamError(f"{path} is of no run: {error}; take another --model-name") from error
        if different:
            raise HparamError(
                f"{self.model_dir} holds a run with other values of {', '.join(different)}; "
                "take another --model-name, or the values in its config.json"
            )

    def _check_batch_sizes(self) -> None:
        """Raises HparamError where a batch cannot be divided among replicas and accumulation steps."""
        replicas, config = self.strategy.num_replicas_in_sync, self.config
        multiples = {
            "train_batch_size": replicas * config.gradient_accumulation_steps,
            "eval_batch_size": replicas,
        }
        for name, multiple in multiples.items():
            if getattr(config, name) % multiple:
                raise HparamError(
                    f"{name} must be a multiple of {multiple}, with {replicas} devices. "
                    f"Received: {getattr(config, name)}"
                )

    def _data_settings(self) -> dict[str, Any]:
        """Returns what training and evaluation data share."""
        config = self.config
        return {"max_seq_length": config.max_seq_length, "masking": self._masking, "seed": config.seed}


def _load_tokenizer(config: PretrainingConfig, files: list[str]) -> Tokenizer:
    """Returns the tokenizer that the records were built with, as far as their manifest tells."""
    manifest = read_manifest(pathlib.Path(files[0]).parent)
    strip_accents = None if manifest is None else manifest["tokenizer"].get("strip_accents")
    tokenizer = load_tokenizer(config.vocab_file, do_lower_case=config.do_lower_case, strip_accents=strip_accents)
    if tokenizer.vocab_size > config.vocab_size:
        raise HparamError(
            f"vocab_size must be at least the {tokenizer.vocab_size} entries of {config.vocab_file}. "
            f"Received: {config.vocab_size}"
        )
    return tokenizer


def loss_weights(config: PretrainingConfig) -> LossWeights:
    """Returns the weights of a configuration's losses."""
    return LossWeights(gen=config.gen_weight, disc=config.disc_weight, sbgo=config.sbgo_weight, sbpo=config.sbpo_weight)


def build_configured_model(
    config: PretrainingConfig, execution: Execution, random_token_counts: np.ndarray | None
) -> PretrainingModel:
    """Returns the networks of a configuration.

    Args:
        config: the effective configuration.
        execution: how they are computed.
        random_token_counts: int64 [V], how often each id is drawn where nothing generates replacements.
    """
    corrupt: Corrupt = functools.partial(
        corrupt_batch, temperature=config.temperature, disallow_correct=config.disallow_correct
    )
    if config.training_mode == "discriminator" and random_token_counts is not None:
        corrupt = functools.partial(corrupt_at_random, token_counts=random_token_counts)
    return build_model(
        config.discriminator_encoder(),
        config.generator_encoder(),
        corrupt=corrupt,
        has_generator=config.has_generator,
        has_discriminator=config.has_discriminator,
        embedding_sharing="generator_untied" if config.training_mode == "two_stage" else config.embedding_sharing,
        sbgo_span_length=config.max_span_length if config.sbgo_weight else 0,
        sbpo_span_length=config.max_span_length if config.sbpo_weight else 0,
        generator_prediction=config.generator_prediction,
        draws_alone=config.training_mode == "discriminator",
        freezes_generator=config.training_mode == "two_stage",
        compile_kernels=execution.compile_kernels,
        skips_padding=execution.skips_padding,
        dtype=execution.dtype,
    )

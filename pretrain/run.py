"""One configured pretraining run: its devices, data, models and steps, ready to train or evaluate."""

import functools
import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from configure_pretraining import PretrainingConfig
from electra_span.command_line import read_json_file
from electra_span.config import HparamError
from electra_span.model_cost import check_memory
from electra_span.objective.corruption import Corrupt, corrupt_at_random, corrupt_batch
from electra_span.objective.losses import LossWeights
from electra_span.training.checkpoints import Checkpoints
from electra_span.training.devices import Execution, has_gpu, is_chief, make_strategy, resolve_execution
from electra_span.training.loop import WindowSums
from electra_span.training.optimizer import AdamW, learning_rate_at
from electra_span.training.step import (
    LossFunction,
    LossScale,
    StepResult,
    Update,
    make_evaluation_step,
    make_train_step,
)
from pretrain.data import RunData
from pretrain.metrics import summarize
from pretrain.model import PretrainingModel, build_model, make_loss_function
from pretrain.warm_start import start_from_checkpoint, start_from_generator


class Run:
    """One configured run: its folder, devices, data and models.

    Args:
        config: the effective configuration.
        strategy: for the devices at hand; by default that of `make_strategy`.

    Raises:
        UserError: vocabulary, records and configuration do not fit, or the folder holds another run.
    """

    def __init__(self, config: PretrainingConfig, strategy: tf.distribute.Strategy | None = None) -> None:
        self.config = config
        self.model_dir = pathlib.Path(config.model_dir)
        self.strategy = strategy or make_strategy()  # several hosts can only be joined by an idle TensorFlow
        self.is_chief = is_chief(self.strategy)
        self.data = RunData(config)
        self._check_folder()

        keras.utils.set_random_seed(config.seed)
        self.execution = resolve_execution(config.precision, config.xla)
        logging.info("%d device(s), %s", self.strategy.num_replicas_in_sync, self.execution)
        self._check_batch_sizes()
        num_tokens = config.train_batch_size * config.max_seq_length // config.gradient_accumulation_steps
        check_memory(config.networks(), num_tokens=0 if has_gpu() else num_tokens)
        with self.strategy.scope():
            self.model = build_configured_model(config, self.execution, self.data.phases[0].masking.random_token_counts)
        loss_function = self._loss_function("both")
        last_step = tf.constant(config.num_train_steps, tf.int64)  # all evaluations of a run are made by the same rules
        self.evaluation_step = make_evaluation_step(
            lambda batch: loss_function(batch, batch, None, last_step)[1],
            strategy=self.strategy,
            compile_step=self.execution.compile_step,
        )

    def start(self) -> int:
        """Gives the models the weights that the configuration names, where it does; returns the step to begin at.

        Raises:
            UserError: these cannot be read, or do not fit.
        """
        config, generator, discriminator = self.config, self.model.generator, self.model.discriminator
        with self.strategy.scope():
            if config.generator_checkpoint and generator is not None and discriminator is not None:
                beside = self.model_dir / "generator_checkpoint"
                start_from_generator(generator, discriminator, config.generator_checkpoint, beside=beside)
            if config.init_checkpoint:
                start_from_checkpoint(self.model, config, self.data.tokenizer)
        return config.init_step

    def evaluate(self, step: int) -> dict[str, float]:
        """Returns the numbers of `summarize` on the evaluation set, at the current weights, made by step updates."""
        totals = WindowSums()
        for batch in self.data.evaluation_batches(step):
            totals.add(self.evaluation_step(batch))
        return self.summarize(totals.take(), self.config.num_train_steps)

    def make_updates(self) -> dict[str, Update]:
        """Returns what a step updates, by the name of the model that learns: "both", or one after the other."""
        variables = {"both": self.model.trained_variables}
        if self.config.decoupled_generator_update:
            parts = {"generator": self.model.generator, "discriminator": self.model.discriminator}
            variables = {name: part.trainable_variables for name, part in parts.items() if part is not None}
        with self.strategy.scope():
            return {
                learner: Update(self._loss_function(learner), trained, self._make_optimizer(trained))
                for learner, trained in variables.items()
            }

    def make_loss_scale(self) -> LossScale | None:
        """Returns the loss scale where the precision is float16, which needs one."""
        with self.strategy.scope():
            return LossScale() if self.execution.dtype == "mixed_float16" else None

    def make_train_step(
        self, updates: Sequence[Update], loss_scale: LossScale | None
    ) -> Callable[[Any, tf.Tensor], StepResult]:
        """Returns the function of (batch, step) that makes all updates once."""
        config = self.config
        return make_train_step(
            updates,
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

    def summarize(self, sums: dict[str, np.ndarray], step: int) -> dict[str, float]:
        """Returns the reported numbers of some sums, the total loss with the weights in force at a step."""
        return summarize(sums, weights=loss_weights(self.config).at(tf.constant(step, tf.int64)))

    def _loss_function(self, learner: str) -> LossFunction:
        return make_loss_function(
            self.model,
            weights=loss_weights(self.config),
            learner=learner,
            special_ids=self.data.tokenizer.special_ids,
            compile_kernels=self.execution.compile_kernels,
        )

    def _make_optimizer(self, variables: Sequence[keras.Variable]) -> AdamW:
        return AdamW(
            variables,
            weight_decay_rate=self.config.weight_decay_rate,
            compile_from=self.execution.compile_updates_from,
        )

    def _check_folder(self) -> None:
        """Raises HparamError where the folder holds a run of another configuration."""
        path = self.model_dir / "config.json"
        if not path.exists():
            return
        saved = read_json_file(str(path))
        try:
            different = self.config.different_settings(saved)
        except HparamError as error:
            raise HparamError(f"{path} is of no run: {error}; take another --model-name") from error
        if different:
            raise HparamError(
                f"{self.model_dir} holds a run with other values of {', '.join(different)}; "
                "take another --model-name, or the values in its config.json"
            )

    def _check_batch_sizes(self) -> None:
        """Raises HparamError where a batch cannot be divided among replicas and accumulation steps."""
        replicas = self.strategy.num_replicas_in_sync
        multiples = {
            "train_batch_size": replicas * self.config.gradient_accumulation_steps,
            "eval_batch_size": replicas,
        }
        for phase, (name, multiple) in itertools.product(self.data.phases, multiples.items()):
            if getattr(phase.config, name) % multiple:
                raise HparamError(
                    f"{name} must be a multiple of {multiple}, with {replicas} devices. "
                    f"Received: {getattr(phase.config, name)}"
                )


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
    corrupt: Corrupt = functools.partial(corrupt_batch, disallow_correct=config.disallow_correct)
    if config.training_mode == "discriminator" and random_token_counts is not None:
        corrupt = functools.partial(corrupt_at_random, token_counts=random_token_counts)
    return build_model(
        config.discriminator_encoder(),
        config.generator_encoder(),
        corrupt=corrupt,
        has_generator=config.has_generator,
        has_discriminator=config.has_discriminator,
        has_two_towers=config.two_tower_generator,
        embedding_sharing="generator_untied" if config.training_mode == "two_stage" else config.embedding_sharing,
        sbgo_span_length=config.max_span_length if config.sbgo_weight else 0,
        sbpo_span_length=config.max_span_length if config.sbpo_weight else 0,
        generator_prediction=config.generator_prediction,
        temperature=config.temperature,
        noise_prob=config.mask_prob if config.electric_objective else None,
        draws_alone=config.training_mode == "discriminator",
        freezes_generator=config.training_mode == "two_stage",
        compile_kernels=execution.compile_kernels,
        skips_padding=execution.skips_padding,
        dtype=execution.dtype,
    )

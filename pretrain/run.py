"""One configured pretraining run: its devices, data, networks, updates and evaluation."""

import contextlib
import functools
import pathlib
from collections.abc import Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from configure_pretraining import PretrainingConfig
from electra_span.command_line import read_json_file
from electra_span.config import HparamError
from electra_span.files import remove_unfinished, write_json, write_text
from electra_span.folders import lock_folder
from electra_span.model_cost import check_memory
from electra_span.objective.corruption import Corrupt, corrupt_at_random, corrupt_batch
from electra_span.objective.losses import LossWeights
from electra_span.training.devices import Execution, has_gpu, is_chief, make_strategy, resolve_execution
from electra_span.training.loop import MetricAccumulator
from electra_span.training.optimizer import learning_rate_at
from electra_span.training.session import check_batch_sizes, make_update
from electra_span.training.step import LossFunction, Update, make_evaluation_step
from pretrain.data import RunData
from pretrain.model import PretrainingModel, build_model, make_loss_function, summarize
from pretrain.warm_start import start_from_checkpoint, start_from_generator

# A discriminator that learns is above this AUC after the warmup, and after this many steps at the least.
_CHANCE_AUC, _STEPS_ABOVE_CHANCE = 0.55, 2000


class Run:
    """One configured run: its folder, devices, data and networks.

    Args:
        config: the effective configuration.
        strategy: the replicas; by default those of `make_strategy`.

    Raises:
        UserError: vocabulary, records and configuration do not fit, or the folder holds another run.
    """

    def __init__(self, config: PretrainingConfig, strategy: tf.distribute.Strategy | None = None) -> None:
        self.config = config
        self.model_dir = pathlib.Path(config.model_dir)
        self.strategy = strategy or make_strategy()  # first: see `train`
        self.is_chief = is_chief(self.strategy)
        self.data = RunData(config)
        self._check_folder()

        keras.utils.set_random_seed(config.seed)  # the initial weights; all other random numbers are stateless
        self.execution = resolve_execution(config.precision, config.xla)
        num_replicas = self.strategy.num_replicas_in_sync
        logging.info("%d device(s), %s", num_replicas, self.execution)
        for phase in self.data.phases:
            sizes = {name: getattr(phase.config, name) for name in ("train_batch_size", "eval_batch_size")}
            check_batch_sizes(
                sizes, num_replicas=num_replicas, num_accumulation_steps=config.gradient_accumulation_steps
            )
        num_tokens = config.train_batch_size * config.max_seq_length // config.gradient_accumulation_steps
        check_memory(config.networks(), num_tokens=0 if has_gpu() else num_tokens)
        with self.strategy.scope():
            self.model = build_configured_model(config, self.execution, self.data.phases[0].masking.random_token_counts)
        loss_function = self._loss_function("both")
        # Evaluations take the last step's value of each schedule, so that all evaluations of a run compare.
        last_step = tf.constant(config.num_train_steps, tf.int64)
        self._evaluation_step = make_evaluation_step(
            lambda batch: loss_function(batch, batch, None, last_step)[1],
            strategy=self.strategy,
            compile_step=self.execution.compile_step,
        )

    def initialize_weights(self) -> int:
        """Reads init_checkpoint and generator_checkpoint, if they are given; returns the step to begin at.

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

    def make_updates(self) -> dict[str, Update]:
        """Returns the updates of a step, by the networks they train: "both", or "generator" and "discriminator".

        Two updates have a clipped gradient and moments each; a table that both networks use is changed by both.
        """
        trained = {"both": self.model.trained_variables}
        if self.config.decoupled_generator_update:
            networks = {"generator": self.model.generator, "discriminator": self.model.discriminator}
            trained = {name: model.trainable_variables for name, model in networks.items() if model is not None}
        return {
            learner: make_update(
                self._loss_function(learner),
                variables,
                strategy=self.strategy,
                execution=self.execution,
                weight_decay_rate=self.config.weight_decay_rate,
            )
            for learner, variables in trained.items()
        }

    def learning_rate(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate after a number of updates, int64 []: float32 []."""
        config = self.config
        return learning_rate_at(
            step,
            peak=config.learning_rate,
            num_train_steps=config.num_train_steps,
            num_warmup_steps=config.num_warmup_steps,
            decay_power=config.lr_decay_power,
        )

    def evaluate(self, step: int) -> dict[str, float]:
        """Returns the reported numbers on the evaluation set, with the current weights.

        Args:
            step: number of updates made; it chooses the evaluation set of its phase.
        """
        totals = MetricAccumulator()
        for batch in self.data.evaluation_batches(step):
            totals.add(self._evaluation_step(batch))
        return summarize(totals.take(), weights=self._loss_weights_at(self.config.num_train_steps))

    def summarize(self, sums: dict[str, np.ndarray], step: int) -> dict[str, float]:
        """Returns the reported numbers of a window of training steps; warns of a discriminator that does not learn.

        Args:
            sums: metric sums of the steps.
            step: number of updates made at the end of the window.
        """
        numbers = summarize(sums, weights=self._loss_weights_at(step - 1))
        if is_discriminator_at_chance(numbers, step, self.config):
            logging.warning("step %d: the discriminator's AUC is near chance, 0.5; see docs/pretraining.md", step)
        return numbers

    def _loss_weights_at(self, step: int) -> LossWeights:
        return loss_weights(self.config).at(tf.constant(step, tf.int64))

    def _loss_function(self, learner: str) -> LossFunction:
        return make_loss_function(
            self.model,
            weights=loss_weights(self.config),
            learner=learner,
            special_ids=self.data.tokenizer.special_ids,
            compile_kernels=self.execution.compile_kernels,
        )

    def _check_folder(self) -> None:
        """Raises HparamError if the folder holds a run of another configuration."""
        path = self.model_dir / "config.json"
        if not path.exists():
            return
        saved = read_json_file(str(path))
        try:
            different = self.config.different_settings(saved)
        except HparamError as error:
            raise HparamError(f"{path} is not a run configuration: {error}; take another --model-name") from error
        if different:
            raise HparamError(
                f"{self.model_dir} holds a run with other values of {', '.join(different)}; "
                "take another --model-name, or the values in its config.json"
            )


@contextlib.contextmanager
def locked_folders(config: PretrainingConfig) -> Iterator[None]:
    """Keeps other trainings out of the folders of a run and its stages, and removes what killed ones left there.

    Raises:
        FileError: another training uses one of them.
    """
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys([config.model_dir, *(stage.model_dir for stage in config.stages())]):
            stack.enter_context(lock_folder(folder, "training"))
            remove_unfinished(folder)
        yield


def is_discriminator_at_chance(numbers: Mapping[str, float], step: int, config: PretrainingConfig) -> bool:
    """Returns whether the discriminator's AUC is still near chance after warmup.

    Args:
        numbers: the reported numbers.
        step: number of updates made.
        config: of the run.
    """
    is_late = step > max(config.num_warmup_steps, _STEPS_ABOVE_CHANCE)
    return is_late and numbers.get("disc_auc", 1.0) < _CHANCE_AUC


def write_results(config: PretrainingConfig, results: Mapping[str, float]) -> None:
    """Writes the results of an evaluation as JSON and, as the original does, as text."""
    write_json(config.results_json, results)
    write_text(config.results_txt, "".join(f"{name} = {value}\n" for name, value in results.items()))
    logging.info("wrote %s", config.results_json)


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

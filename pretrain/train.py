"""Pretraining and its evaluation, from a configuration to checkpoints, logs, results and published models."""

import contextlib

from absl import logging

from configure_pretraining import PretrainingConfig
from electra_span.files import write_text
from electra_span.training.checkpoints import CheckpointError, Checkpoints
from electra_span.training.devices import is_chief, make_strategy
from electra_span.training.loop import LoopSettings
from electra_span.training.session import TrainingSession, TrainingStage
from pretrain.cards import publish
from pretrain.run import Run, locked_folders, write_results


def train(config: PretrainingConfig) -> None:
    """Pretrains, from the last checkpoint in the model folder if there is one, and publishes the models.

    Raises:
        UserError: input, configuration or model folder are not usable; the message says why.
    """
    strategy = make_strategy()  # first: several hosts can only be joined before TensorFlow runs an operation
    with locked_folders(config) if is_chief(strategy) else contextlib.nullcontext():
        for stage in config.stages():  # two of `training_mode` "two_stage": a generator, then a discriminator
            run = Run(stage, strategy)
            with run.data.damaged_records_named():
                _train(run)
            if run.is_chief:
                publish(run)


def evaluate(config: PretrainingConfig) -> dict[str, float]:
    """Evaluates the last checkpoint, writes the results and returns them. The run may be training meanwhile.

    Raises:
        UserError: there is no checkpoint, or input or configuration are not usable.
    """
    run = Run(config.stages()[-1])
    step = Checkpoints(run.model_dir / "checkpoints", run.model.variables).restore_latest()
    if step is None:
        raise CheckpointError(f"{run.model_dir} holds no checkpoint; train first (do_train)")
    with run.data.damaged_records_named():
        results = {"step": step, **run.evaluate(step)}
    write_results(run.config, results)
    return results


def _train(run: Run) -> None:
    """Trains from the last checkpoint to the last step."""
    config = run.config
    # A step applies each update once (training/step.py): it computes the loss of its networks (`make_loss_function` in
    # pretrain/model.py) and the gradients on all replicas, then AdamW changes their variables. One update trains both
    # networks; with decoupled_generator_update, one trains the generator and the next one the discriminator.
    updates = run.make_updates()
    # A checkpoint holds the weights, the moments of the optimizers and the position in the records of each phase.
    # Random numbers need no state: they follow from the seed and the step.
    iterators = run.data.training_iterators()
    session = TrainingSession(
        run.model_dir,
        run.model.variables,
        [TrainingStage(0, list(updates.values()), run.learning_rate)],
        strategy=run.strategy,
        execution=run.execution,
        settings=LoopSettings(
            num_train_steps=config.num_train_steps,
            log_steps=config.log_steps,
            save_steps=config.save_checkpoints_steps,
            evaluate_steps=config.eval_every_steps,
            batch_tokens=run.data.batch_tokens,
        ),
        seed=config.seed,
        num_accumulation_steps=config.gradient_accumulation_steps,
        state={"optimizers": {name: update.optimizer for name, update in updates.items()}, "iterators": iterators},
        num_kept=config.keep_checkpoint_max,
        rescue_dir=run.model_dir / "checkpoints",
    )
    first_step = session.restore()
    if first_step is None:
        first_step = run.initialize_weights()  # of init_checkpoint or generator_checkpoint, if they are given
    logging.info("training from step %d to %d", first_step, config.num_train_steps)
    if run.is_chief:
        write_text(run.model_dir / "config.json", config.to_json())
    batches = run.data.training_batches(iterators, first_step)
    # Ends after the last step, or after SIGINT or SIGTERM with a checkpoint, from which the same command goes on.
    session.run(batches, first_step, summarize=run.summarize, evaluate=run.evaluate)

"""Pretraining and its evaluation from a configuration, to checkpoints, logs, results and published models."""

import contextlib
import json
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf
from absl import logging

from configure_pretraining import PretrainingConfig
from electra_span.files import JsonLines, remove_unfinished, write_json, write_text
from electra_span.folders import lock_folder
from electra_span.published.card import CARD_FILE, write_card
from electra_span.published.config import CONFIG_FILE, read_config
from electra_span.published.save_load import save_pretrained
from electra_span.training.checkpoints import CheckpointError
from electra_span.training.devices import describe_hardware, is_chief, make_strategy
from electra_span.training.log import TrainingLog
from electra_span.training.loop import LoopSettings, TrainingLoop, WindowSums
from pretrain.cards import make_card
from pretrain.records import RecordError, find_corruption, find_misfit
from pretrain.run import Run
from pretrain.run_facts import facts_of

_BLIND_AUC, _STEPS_TO_SEE = 0.55, 2000
_SKIPS_OF_FLOAT16 = 50  # halvings of the loss scale in a row before a run is given up


def train(config: PretrainingConfig) -> None:
    """Pretrains as configured; goes on where an earlier run in the same folder stopped, and publishes the models.

    Raises:
        UserError: one line that says what is wrong with input, configuration or folder.
    """
    strategy = make_strategy()  # before all else: several hosts can only be joined by an idle TensorFlow
    with _only_training(config) if is_chief(strategy) else contextlib.nullcontext():
        for stage in config.stages():
            run = Run(stage, strategy)
            with _naming_damaged_records(run):
                _train(run)
            if run.is_chief:
                _publish(run)


def evaluate(config: PretrainingConfig) -> dict[str, float]:
    """Evaluates the last checkpoint, writes the results and returns them; the run may be training meanwhile.

    Raises:
        UserError: among others, where there is no checkpoint.
    """
    run = Run(config.stages()[-1])
    step = run.checkpoints().restore_latest()
    if step is None:
        raise CheckpointError(f"{run.model_dir} holds no checkpoint; train first (do_train)")
    with _naming_damaged_records(run):
        results = {"step": step, **run.evaluate(step)}
    _write_results(run, results)
    return results


@contextlib.contextmanager
def _only_training(config: PretrainingConfig) -> Iterator[None]:
    """Keeps other trainings out of a run's folder and those of its stages, and removes what killed ones left there.

    Raises:
        FileError: another training is at work there.
    """
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys([config.model_dir, *(stage.model_dir for stage in config.stages())]):
            stack.enter_context(lock_folder(folder, "training"))
            remove_unfinished(folder)
        yield


def _train(run: Run) -> None:
    """Trains from the last checkpoint to the end, evaluating on the way."""
    config = run.config
    updates, loss_scale = run.make_updates(), run.make_loss_scale()
    iterators, window = run.data.training_iterators(), WindowSums()
    optimizers = {learner: update.optimizer for learner, update in updates.items()}
    state = {"optimizers": optimizers, "iterators": iterators, "window": window}
    checkpoints = run.checkpoints(**state, **({"loss_scale": loss_scale} if loss_scale else {}))
    if run.is_chief:
        checkpoints.remove_unfinished()
    restored = checkpoints.restore_latest()
    first_step = run.start() if restored is None else restored
    logging.info("training from step %d to %d", first_step, config.num_train_steps)
    if run.is_chief:
        write_text(run.model_dir / "config.json", run.config.to_json())
    evaluations = _evaluations(run)
    evaluated_steps = {line["step"] for line in evaluations.read()}
    if run.is_chief:
        evaluations.cut_after(first_step)
    log = TrainingLog(
        run.model_dir, first_step=first_step, num_train_steps=config.num_train_steps, is_chief=run.is_chief
    )

    def summarize_window(sums: dict[str, np.ndarray], step: int) -> dict[str, float]:
        rate = float(run.learning_rate(tf.constant(step - 1, tf.int64)))
        norm = float(sums["gradient_norm"]) / max(float(sums["num_steps"]), 1.0)
        numbers = run.summarize(sums, step - 1)
        if is_blind(numbers, step, config):
            logging.warning("step %d: the discriminator's AUC is near 0.5, which is chance; see the README", step)
        return {**numbers, "gradient_norm": norm, "learning_rate": rate}

    def evaluate_and_note(step: int) -> None:
        numbers = {"step": step, **run.evaluate(step)}
        if run.is_chief:
            evaluations.append(numbers)
        logging.info("evaluation at step %d: %s", step, json.dumps(numbers))

    loop = TrainingLoop(
        run.make_train_step(list(updates.values()), loss_scale),
        checkpoints=checkpoints,
        window=window,
        log=log,
        settings=_loop_settings(run),
        summarize=summarize_window,
        evaluate=evaluate_and_note,
        rescue_dir=run.model_dir / "checkpoints" if run.is_chief else None,
    )
    with contextlib.closing(log):
        loop.run(
            run.data.training_batches(iterators, first_step), first_step, is_evaluated=first_step in evaluated_steps
        )


def is_blind(numbers: Mapping[str, float], step: int, config: PretrainingConfig) -> bool:
    """Returns whether the discriminator knows hardly more than chance when it should, from what is reported."""
    return step > max(config.num_warmup_steps, _STEPS_TO_SEE) and numbers.get("disc_auc", 1.0) < _BLIND_AUC


def _loop_settings(run: Run) -> LoopSettings:
    config = run.config
    return LoopSettings(
        num_train_steps=config.num_train_steps,
        log_steps=config.log_steps,
        save_steps=config.save_checkpoints_steps,
        evaluate_steps=config.eval_every_steps,
        max_skipped_steps=_SKIPS_OF_FLOAT16 if run.execution.dtype == "mixed_float16" else 0,
        batch_tokens=run.data.batch_tokens,
    )


def _publish(run: Run) -> None:
    """Writes the models in their published form, the last evaluation as the run's results, and the models' cards."""
    parts = {"discriminator": run.model.discriminator, "generator": run.model.generator}
    published = {name: part for name, part in parts.items() if part is not None}
    for name, part in published.items():
        save_pretrained(part, run.data.tokenizer, run.model_dir / name)
        logging.info("wrote %s", run.model_dir / name)
    evaluations = _evaluations(run).read()
    if evaluations:
        _write_results(run, evaluations[-1])
    for name in published:
        _write_card(run, name, evaluations[-1] if evaluations else {})


def _write_card(run: Run, part: str, results: Mapping[str, float]) -> None:
    """Writes the card of a published model, unless a person wrote the one that is there."""
    folder = run.model_dir / part
    card = make_card(
        run.config,
        part,
        read_config(folder / CONFIG_FILE),
        facts=facts_of(run.config, run.config.num_train_steps, JsonLines(run.model_dir / "train_log.jsonl").read()),
        results=results,
        hardware=describe_hardware(run.strategy),
        mask=run.data.tokenizer.special_tokens.mask,
    )
    if not write_card(folder, card):
        logging.info("%s stays as it is: it is not of this program", folder / CARD_FILE)


def _write_results(run: Run, results: dict[str, float]) -> None:
    """Writes evaluation results as JSON and, as the original, as text."""
    write_json(run.config.results_json, results)
    write_text(run.config.results_txt, "".join(f"{name} = {value}\n" for name, value in results.items()))
    logging.info("wrote %s", run.config.results_json)


def _evaluations(run: Run) -> JsonLines:
    """Returns the file of the evaluations made during training."""
    return JsonLines(run.model_dir / "eval_log.jsonl")


@contextlib.contextmanager
def _naming_damaged_records(run: Run) -> Iterator[None]:
    """Raises RecordError, naming file and offset, where TensorFlow meets a damaged record of the run's files."""
    try:
        yield
    except tf.errors.DataLossError as error:
        raise RecordError(find_corruption(run.data.files) or str(error)) from error
    except tf.errors.InvalidArgumentError as error:
        if "ParseExample" not in str(error):
            raise
        for phase in run.data.phases:
            found = find_misfit([*phase.files, *phase.evaluation_files], phase.config.max_seq_length)
            if found:
                raise RecordError(found) from error
        raise

"""Fine-tuning and its evaluation, from a configuration to published models, results and predictions."""

import dataclasses
import functools
import shutil
import time

from absl import logging

from electra_span.config import UserError
from electra_span.training.session import TrainingSession
from finetune.cards import write_cards
from finetune.config import FinetuningConfig
from finetune.evaluation import Predictor, evaluate_trial
from finetune.results import ResultsFile, TrialResult
from finetune.run import Run
from finetune.trial import Trial, next_seed


def train(config: FinetuningConfig) -> list[TrialResult]:
    """Trains and evaluates all trials that are not finished; returns the results of all.

    Raises:
        UserError: input, configuration or model folder are not usable; the message says why.
    """
    run = Run(config)
    if config.log_examples:
        run.log_examples()
    run.check_rows()
    with run.locked():
        fingerprint, file = run.fingerprint(), ResultsFile(run.model_dir, run.slug)
        results = file.finished(fingerprint)
        numbers = range(1, (1 if config.debug else config.num_trials) + 1)
        run.check_target(numbers)
        for number in numbers:
            while (seed := next_seed(config, results, number)) is not None:  # a trial stuck on one class runs again
                logging.info("trial %d of %d, seed %d", number, config.num_trials, seed)
                results.append(_run_trial(run, number, seed, fingerprint))
                if run.is_chief:
                    file.write(results, fingerprint=fingerprint, seed=config.seed)
                    write_cards(run, results)
            if run.is_chief and not config.keep_all_models and number > 1:
                shutil.rmtree(run.trial_dir(number - 1), ignore_errors=True)
    return results


def evaluate(config: FinetuningConfig) -> TrialResult:
    """Evaluates the trained model in init_checkpoint, writes the results and returns them.

    Raises:
        UserError: the model has no head for a task, or input or configuration are not usable.
    """
    run = Run(config)
    if run.trained is None:
        raise UserError("do_train must be false to evaluate a trained model alone")
    run.check_rows()
    with run.locked():
        fingerprint = run.fingerprint()
        result = evaluate_trial(run, Predictor(run, run.trained), fingerprint, number=1, seed=config.seed)
        if run.is_chief:
            ResultsFile(run.model_dir, run.slug).write([result], fingerprint=fingerprint, seed=config.seed)
    return result


def _run_trial(run: Run, number: int, seed: int, fingerprint: str) -> TrialResult:
    """Trains one trial from its last checkpoint, publishes its model and evaluates it."""
    started, config, trial = time.perf_counter(), run.config, Trial(run, number, seed)
    if run.is_chief:
        trial.begin(f"{fingerprint}-{seed}")
    session = TrainingSession(
        trial.folder,
        trial.model.variables,
        trial.stages,
        strategy=run.strategy,
        execution=run.execution,
        settings=trial.loop_settings,
        seed=seed,
        num_accumulation_steps=config.gradient_accumulation_steps,
        state={"optimizers": [update.optimizer for stage in trial.stages for update in stage.updates]},
        signature=trial.batches.signature(),  # batches have several lengths: without it, each length is traced
        rescue_dir=trial.folder,
    )
    first_step = session.restore() or 0
    evaluate_weights = functools.partial(trial.evaluate, evaluations=session.evaluations)
    session.run(trial.training_batches(first_step), first_step, summarize=trial.summarize, evaluate=evaluate_weights)
    trial.publish()
    result = evaluate_trial(run, trial.predictor, fingerprint, number=number, seed=seed)
    return dataclasses.replace(result, num_train_steps=trial.num_train_steps, seconds=time.perf_counter() - started)

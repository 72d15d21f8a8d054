"""Fine-tuning and evaluation from a configuration, to published models, results and predictions."""

import contextlib
import pathlib
import shutil
import time
from collections.abc import Iterable, Iterator

from absl import logging

from electra_span.config import HparamError, UserError
from electra_span.files import shown
from electra_span.folders import lock_file
from electra_span.models import ElectraTaskModel
from electra_span.published.card_metadata import Origin
from finetune.cards import write_cards
from finetune.config import FinetuningConfig
from finetune.config_rules import RETRY_SEED_STEP
from finetune.evaluation import Predictor, finish
from finetune.results import ResultsFile, TrialResult, fingerprint_of, result_lines
from finetune.run import Run
from finetune.trial import Trial

# Hparams that a trial does not depend on: with others, finished trials still count.
_OF_NO_TRIAL = (
    "num_trials", "retry_failed_trials", "keep_all_models", "debug", "log_examples", "log_steps", "seed",
    "save_checkpoints_steps", "iterations_per_loop", "use_tfrecords_if_existing", "write_test_outputs", "n_writes_test",
    *Origin._fields,
)  # fmt: skip


def train(config: FinetuningConfig) -> list[TrialResult]:
    """Trains and evaluates all trials that are not finished; returns the results of all.

    Raises:
        UserError: one line that says what is wrong with input, configuration or folder.
    """
    run = Run(config)
    if config.log_examples:
        _log_examples(run)
    run.check_rows()
    with _only_user(run):
        return _train_trials(run)


def _train_trials(run: Run) -> list[TrialResult]:
    config, fingerprint = run.config, _fingerprint(run)
    file = ResultsFile(run.model_dir, run.slug)
    results = file.finished(fingerprint)
    numbers = range(1, (1 if config.debug else config.num_trials) + 1)
    _check_target(run, numbers)
    for number in numbers:
        while (seed := _next_seed(config, results, number)) is not None:
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
        UserError: among others, where the model has no head for a task.
    """
    run = Run(config)
    if run.trained is None:
        raise UserError("do_train must be false to evaluate a trained model alone")
    run.check_rows()
    with _only_user(run):
        return _evaluate_trained(run, run.trained)


def _evaluate_trained(run: Run, trained: ElectraTaskModel) -> TrialResult:
    started, file, fingerprint = time.perf_counter(), ResultsFile(run.model_dir, run.slug), _fingerprint(run)
    if run.is_chief:
        file.keep_others(fingerprint)
    scores = finish(run, Predictor(run, trained), trial=1)
    result = TrialResult(trial=1, seed=run.config.seed, **scores._asdict(), seconds=time.perf_counter() - started)
    _log_result(result)
    if run.is_chief:
        file.write([result], fingerprint=fingerprint, seed=run.config.seed)
    return result


@contextlib.contextmanager
def _only_user(run: Run) -> Iterator[None]:
    """Keeps other runs of the same tasks out of a model's folder; raises FileError if one is at work there."""
    busy = f"another fine-tuning of {run.slug} is at work in {shown(str(run.model_dir))}; wait until it has ended"
    lock = lock_file(run.model_dir / "results" / f".{run.slug}.lock", busy)
    with lock if run.is_chief else contextlib.nullcontext():
        yield


def _run_trial(run: Run, number: int, seed: int, fingerprint: str) -> TrialResult:
    """Trains and evaluates one trial."""
    started = time.perf_counter()
    trial = Trial(run, number, seed)
    trial.train(f"{fingerprint}-{seed}")
    if run.is_chief:
        ResultsFile(run.model_dir, run.slug).keep_others(fingerprint)
    scores = finish(run, trial.predictor, trial=number)
    result = TrialResult(
        trial=number,
        seed=seed,
        **scores._asdict(),
        num_train_steps=trial.num_train_steps,
        seconds=time.perf_counter() - started,
        is_retry=seed != run.config.seed + number - 1,
    )
    _log_result(result)
    return result


def _log_result(result: TrialResult) -> None:
    for line in result_lines([result], {}):
        logging.info("trial %d: %s", result.trial, line)


def _next_seed(config: FinetuningConfig, results: list[TrialResult], number: int) -> int | None:
    """Returns the seed that a trial is run with next, None where it is done."""
    runs = [result for result in results if result.trial == number]
    if not runs:
        return config.seed + number - 1
    if not runs[-1].constant_tasks or len(runs) > config.retry_failed_trials:
        return None
    return config.seed + number - 1 + len(runs) * RETRY_SEED_STEP


def _fingerprint(run: Run) -> str:
    """Returns a hash of all that a trial depends on, but its seed."""
    settings = {name: value for name, value in run.config.to_dict().items() if name not in _OF_NO_TRIAL}
    if settings["tag_scheme"] == "bioes":  # which was the only one: finished trials still count
        del settings["tag_scheme"]
    return fingerprint_of({"hparams": settings, "seed": run.config.seed, "sources": run.digest_of_sources()})


def _check_target(run: Run, numbers: Iterable[int]) -> None:
    """Raises HparamError where a trial would write over the model that it starts from."""
    source = pathlib.Path(run.config.init_checkpoint).resolve()
    for number in numbers:
        if run.trial_dir(number).resolve() in (source, *source.parents):
            raise HparamError(
                f"init_checkpoint is where trial {number} is written: move it, or take another --model-name. "
                f"Received: {run.config.init_checkpoint}"
            )


def _log_examples(run: Run, num_logged: int = 3) -> None:
    """Logs the tokens of the first training examples of each task, with what is to be told about them."""
    for slug, rows in run.training_rows.items():
        for index in range(min(num_logged, len(rows))):
            ids = rows.text.input_ids[slice(*rows.text.row_splits[index : index + 2])]
            logging.info("%s, row %d: %s", slug, index, " ".join(run.tokenizer.tokens(ids.tolist())))

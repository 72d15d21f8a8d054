"""Fine-tuning and evaluation from a configuration, to published models, results and predictions."""

import pathlib
import shutil
import time
from collections.abc import Sequence
from typing import NamedTuple

from absl import logging

from electra_span.config import UserError
from finetune.config import FinetuningConfig
from finetune.glue import GLUE_TASKS
from finetune.inference import Predictor
from finetune.predictions import write_glue_submission, write_question_files, write_test_predictions
from finetune.qa.task import Answered
from finetune.results import ResultsFile, TrialResult, fingerprint_of, result_lines
from finetune.run import Run
from finetune.task import Evaluation, Task
from finetune.trial import Trial

# Hparams that a trial does not depend on: with others, finished trials still count.
_OF_NO_TRIAL = (
    "num_trials", "retry_failed_trials", "keep_all_models", "debug", "log_examples", "log_steps", "seed",
    "save_checkpoints_steps", "iterations_per_loop", "use_tfrecords_if_existing", "write_test_outputs", "n_writes_test",
)  # fmt: skip


class Scores(NamedTuple):
    """What a model's evaluation came to, by task."""

    scores: dict[str, dict[str, float]]
    headlines: dict[str, float]
    constant_tasks: list[str]


def train(config: FinetuningConfig) -> list[TrialResult]:
    """Trains and evaluates all trials that are not finished; returns the results of all.

    Raises:
        UserError: one line that says what is wrong with input, configuration or folder.
    """
    run = Run(config)
    if config.log_examples:
        _log_examples(run)
    fingerprint = _fingerprint(run)
    file = ResultsFile(run.model_dir, run.slug)
    results = file.finished(fingerprint)
    for number in range(1, (1 if config.debug else config.num_trials) + 1):
        while (seed := _next_seed(config, results, number)) is not None:
            logging.info("trial %d of %d, seed %d", number, config.num_trials, seed)
            results.append(_run_trial(run, number, seed, f"{fingerprint}-{seed}"))
            if run.is_chief:
                file.write(results, fingerprint=fingerprint, seed=config.seed)
        if run.is_chief and not config.keep_all_models and number > 1:
            shutil.rmtree(_trial_dir(run, number - 1), ignore_errors=True)
    return results


def evaluate(config: FinetuningConfig) -> TrialResult:
    """Evaluates the trained model in init_checkpoint, writes the results and returns them.

    Raises:
        UserError: among others, where the model has no head for a task.
    """
    run = Run(config)
    if run.trained is None:
        raise UserError("do_train must be false to evaluate a trained model alone")
    started = time.perf_counter()
    scores = _finish(run, Predictor(run, run.trained), trial=1)
    result = TrialResult(trial=1, seed=config.seed, **scores._asdict(), seconds=time.perf_counter() - started)
    _log_result(result)
    if run.is_chief:
        ResultsFile(run.model_dir, run.slug).write([result], fingerprint=_fingerprint(run), seed=config.seed)
    return result


def _run_trial(run: Run, number: int, seed: int, fingerprint: str) -> TrialResult:
    """Trains and evaluates one trial."""
    started = time.perf_counter()
    trial = Trial(run, number, seed)
    trial.train(fingerprint)
    scores = _finish(run, trial.predictor, trial=number)
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
    return max(config.seed + config.num_trials - 1, *(result.seed for result in results)) + 1


def _finish(run: Run, predictor: Predictor, *, trial: int) -> Scores:
    """Evaluates a model, and writes what it predicts for the test files."""
    found = Scores({}, {}, [])
    if run.config.do_eval:
        for task in run.tasks:
            _evaluate(run, predictor, task, found)
    if run.config.write_test_outputs and trial <= run.config.n_writes_test:
        for task in run.tasks:
            _write_tests(run, predictor, task, trial)
        if run.is_chief and any(task.slug in GLUE_TASKS for task in run.tasks):
            submission = write_glue_submission(run.model_dir, trial)
            logging.info("wrote %s; the benchmark also wants %s", submission.path, submission.missing or "nothing")
    return found


def _evaluate(run: Run, predictor: Predictor, task: Task, found: Scores) -> None:
    """Adds the scores of a task on all its evaluation splits; names of the second and later ones lead their metrics."""
    found.scores[task.slug] = {}
    for split in _existing(task, task.evaluation_splits):
        evaluation = _evaluation(run, predictor, task, split)
        if split == task.evaluation_splits[0]:
            found.headlines[task.slug] = task.headline(evaluation.scores)
            found.constant_tasks.extend([task.slug] if evaluation.is_constant else [])
            prefix = ""
        else:
            prefix = split.removeprefix("dev_") + "_"
        found.scores[task.slug] |= {prefix + name: value for name, value in evaluation.scores.items()}
        if run.is_chief and isinstance(evaluation.details, Answered):
            write_question_files(run.model_dir, run.slug, task.slug, *evaluation.details)


def _evaluation(run: Run, predictor: Predictor, task: Task, split: str) -> Evaluation:
    predictions = predictor.predict(task, split, run.config.eval_batch_size)
    return task.evaluate(split, run.rows(task, split), predictions)


def _write_tests(run: Run, predictor: Predictor, task: Task, trial: int) -> None:
    """Writes what a model predicts for the test files that there are."""
    for split in _existing(task, task.test_splits):
        predictions = predictor.predict(task, split, run.config.predict_batch_size)
        of_examples = task.of_examples(split, run.rows(task, split), predictions)
        if run.is_chief:
            write_test_predictions(run.model_dir, task.slug, split, trial, of_examples)


def _existing(task: Task, splits: Sequence[str]) -> list[str]:
    """Returns the splits whose files are there; says which are not."""
    there = [split for split in splits if all(pathlib.Path(file).exists() for file in task.files(split))]
    for split in splits:
        if split not in there:
            logging.warning("%s: there is no %s", task.slug, ", ".join(map(str, task.files(split))))
    return there


def _fingerprint(run: Run) -> str:
    """Returns a hash of all that a trial depends on, but its seed."""
    settings = {name: value for name, value in run.config.to_dict().items() if name not in _OF_NO_TRIAL}
    return fingerprint_of({"hparams": settings, "seed": run.config.seed, "tokenizer": run.tokenizer.fingerprint})


def _trial_dir(run: Run, number: int) -> pathlib.Path:
    return run.model_dir / "finetuning_models" / f"{run.slug}_model_{number}"


def _log_examples(run: Run, num_logged: int = 3) -> None:
    """Logs the tokens of the first training examples of each task, with what is to be told about them."""
    for slug, rows in run.training_rows.items():
        for index in range(min(num_logged, len(rows))):
            ids = rows.text.input_ids[slice(*rows.text.row_splits[index : index + 2])]
            logging.info("%s, row %d: %s", slug, index, " ".join(run.tokenizer.tokens(ids.tolist())))

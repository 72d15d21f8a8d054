"""Runs every step from text to a fine-tuned ELECTRA; train.sh prepares the environment and calls this.

The steps: corpus, vocabulary, TFRecords, pretraining, evaluation, summary, then fine-tuning and scores of each task. A
second run reuses what exists, and an interrupted training continues.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from absl.flags import argparse_flags

from configure_pretraining import PretrainingConfig
from electra_span import command_line
from electra_span.files import read_json_object
from finetune.config import FinetuningConfig

# Run by its path, a script finds the folder it lies in, not the repository.
sys.path.insert(0, str(pathlib.Path(__file__).absolute().parents[1]))
from scripts import build_pretraining_dataset, train_variables
from scripts.train_variables import REPOSITORY, VariableError, Variables, read_variables

# Learns visibly from the default corpus in minutes on two cores.
TINY_RECIPE: dict[str, Any] = {
    "max_seq_length": 32, "embedding_size": 128, "generator_hidden_size": 0.5,
    "model_hparam_overrides": {
        "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 512,
        "initializer_range": 0.05, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    },
    "train_batch_size": 128, "eval_batch_size": 128, "learning_rate": 1e-3, "num_warmup_steps": 60,
    "num_train_steps": 1000, "save_checkpoints_steps": 200, "log_steps": 20,
    "num_eval_examples": 1000, "eval_every_steps": 200,
}  # fmt: skip
# So short a pretraining leaves little worth keeping: all layers learn at the same rate, and for long.
_FINETUNING: dict[str, Any] = {"train_batch_size": 16, "learning_rate": 3e-4, "layerwise_lr_decay": 1.0}
MODULES_RECIPE = {**_FINETUNING, "max_seq_length": 128, "num_train_epochs": 10}
CLOZE_RECIPE = {**_FINETUNING, "max_seq_length": 256, "num_train_epochs": 6, "qa_na_threshold": 0.0}

DEFAULT_VOCAB_SIZE = 30522  # of the hparam
_TINY_VOCAB_SIZE = 8000
_FEW_EXAMPLES = 10_000


class StepError(Exception):
    """A step ended with an exit status other than 0.

    Attributes:
        status: the exit status, 128 and the signal's number if a signal ended the step.
    """

    def __init__(self, command: str, status: int) -> None:
        super().__init__(f"{command}: exit status {status}")
        self.status = status


class Finetuning(NamedTuple):
    """Fine-tuning on one task.

    Attributes:
        task: its name, such as "sst" or "csv:my_table.csv".
        hparams: for `--hparams`, without the task.
        model_dir: folder of the model and the results.
    """

    task: str
    hparams: str
    model_dir: str


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command, which takes no arguments: its settings are environment variables."""
    return argparse_flags.ArgumentParser(
        description=f"{__doc__}\n{train_variables.__doc__}", formatter_class=argparse.RawDescriptionHelpFormatter
    )


def main(arguments: argparse.Namespace) -> None:
    """Runs the steps, and exits with the status of the first that fails; 1 for a mistake in the variables."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = os.environ.get("TF_CPP_MIN_LOG_LEVEL") or "2"
    try:
        run_pipeline(read_variables(os.environ))
    except VariableError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except StepError as error:
        sys.exit(error.status)


def run_pipeline(variables: Variables) -> None:
    """Runs all steps; mistakes in variables and hparams stop it before anything is written.

    Raises:
        VariableError: a variable does not fit the hparams, or a task's files are missing.
        HparamError: an hparam is impossible.
        StepError: a step failed.
    """
    config = configure_pretraining(variables) if variables.pretrain else None
    finetunings = configure_finetuning(variables) if variables.finetune else []
    if config is not None:
        pretrain(variables, config)
    if finetunings and not variables.tasks:
        make_tasks(variables)
    for finetuning in finetunings:
        finetune(variables, config, finetuning)


def configure_pretraining(variables: Variables) -> PretrainingConfig:
    """Returns the configuration that the steps before pretraining take their settings from.

    Raises:
        HparamError: an hparam is impossible.
        VariableError: the hparams need records of several lengths.
    """
    config = PretrainingConfig.from_hparams(
        model_name=variables.model_name,
        data_dir=variables.data_dir,
        hparams=command_line.read_hparams(_pretraining_hparams(variables)),
    )
    if config.phases is not None:
        raise VariableError("phases need records of several lengths, of which one is built here; see README.md")
    return config


def _pretraining_hparams(variables: Variables) -> str:
    return variables.hparams or json.dumps(TINY_RECIPE)


def configure_finetuning(variables: Variables) -> list[Finetuning]:
    """Returns the fine-tuning on each task.

    Raises:
        HparamError: a task does not exist, or an hparam is impossible.
        VariableError: the files of a task are missing.
    """
    finetunings = []
    default_tasks = (f"csv:{variables.data_dir}/default_tasks/modules", f"qa:{variables.data_dir}/default_tasks/cloze")
    for task in variables.tasks or default_tasks:
        hparams = _finetuning_hparams(variables, task)
        config = FinetuningConfig.from_hparams(
            model_name=variables.model_name,
            data_dir=variables.data_dir,
            hparams=command_line.read_hparams(hparams, [_task_word(task)]),
        )
        _, colon, path = task.partition(":")
        place = path if colon else f"{variables.data_dir}/finetuning_data/{task}"
        if variables.tasks and not os.path.exists(place):
            raise VariableError(f"TASK: {task} needs its files in {place}")
        finetunings.append(Finetuning(task, hparams, config.model_dir))
    return finetunings


def _finetuning_hparams(variables: Variables, task: str) -> str:
    recipe: dict[str, Any] = {}
    if variables.pretrain and not (variables.hparams or variables.tasks):
        recipe = MODULES_RECIPE if task.startswith("csv:") else CLOZE_RECIPE
    return variables.finetuning_hparams or json.dumps(recipe)


def _task_word(task: str) -> str:
    return f"task_names={json.dumps([task])}"


def pretrain(variables: Variables, config: PretrainingConfig) -> None:
    """Runs the steps from the corpus to the summary of pretraining; see `run_pipeline`."""
    make_corpus(variables)
    check_corpus(variables)
    vocab_file = vocab_file_of(variables, config)
    num_tokens = make_vocabulary(variables, config, vocab_file)
    make_records(variables, config, vocab_file)
    words = [*fit_recipe(variables)]
    if variables.tokenizer_type != "wordpiece":
        words.append(f"vocab_file={vocab_file}")
    if config.vocab_size == DEFAULT_VOCAB_SIZE:  # not set: the embedding table is as large as the vocabulary
        words.append(f"vocab_size={num_tokens}")
    flags = [*_run_flags(variables), "--hparams", _pretraining_hparams(variables), *words]
    say(f"Pretraining: {config.model_dir}")
    run_step("run_pretraining.py", *flags, "do_train=true", "do_eval=false")
    say("Evaluation on the held-out examples")
    run_step("run_pretraining.py", *flags, "do_train=false", "do_eval=true")
    say("Summary")
    run_step("scripts/summarize_pretraining.py", config.model_dir)


def _run_flags(variables: Variables) -> Sequence[str]:
    return "--data-dir", variables.data_dir, "--model-name", variables.model_name


def make_corpus(variables: Variables) -> None:
    """Writes the default corpus if the user names none and it does not exist."""
    folder = f"{variables.data_dir}/corpus"
    if variables.has_own_corpus:
        say(f"Corpus: {' '.join(variables.corpus_flags)}")
    elif os.path.isdir(folder):
        say(f"Corpus: {folder} is there")
    else:
        say(f"Corpus: writing the text that ships with Python to {folder}")
        run_step("scripts/write_default_corpus.py", folder)


def check_corpus(variables: Variables) -> None:
    """Prints the first documents; flags that do not exist or do not fit the text stop the run before the long steps.

    Raises:
        SystemExit: the flags are not those of build_pretraining_dataset.py.
        StepError: they do not fit the text.
    """
    parser = build_pretraining_dataset.make_parser()
    parser.prog = "build_pretraining_dataset.py"
    flags = (*variables.corpus_flags, *variables.build_flags)
    parser.parse_args([*flags, "--vocab-file", "vocab", "--output-dir", "records"])
    kind = ("--tokenizer-type", variables.tokenizer_type)
    run_step("scripts/create_vocab.py", "--preview", *variables.corpus_flags, *kind)


def vocab_file_of(variables: Variables, config: PretrainingConfig) -> str:
    """Returns the path of the vocabulary: the hparam, or a folder where the kind of tokenizer has several files."""
    if variables.tokenizer_type != "wordpiece" and config.vocab_file == f"{variables.data_dir}/vocab.txt":
        return f"{variables.data_dir}/tokenizer"
    return config.vocab_file


def make_vocabulary(variables: Variables, config: PretrainingConfig, vocab_file: str) -> int:
    """Learns the vocabulary if it does not exist, and returns its number of tokens.

    Raises:
        VariableError: it has more tokens than the hparam vocab_size.
    """
    kind = variables.tokenizer_type
    if os.path.exists(vocab_file):
        say(f"Vocabulary: {vocab_file} is there")
    else:
        size = variables.vocab_size or str(config.vocab_size if variables.hparams else _TINY_VOCAB_SIZE)
        say(
            f"Vocabulary: learning {kind} of {size} tokens, fewer where the text has not so many "
            "(VOCAB_SIZE names another number)"
        )
        place = ["--output-dir", vocab_file]
        if kind == "wordpiece":
            place = ["--vocab-file", vocab_file, "--do-lower-case", str(config.do_lower_case)]
        flags = (*variables.corpus_flags, "--vocab-size", size, "--tokenizer-type", kind)
        run_step("scripts/create_vocab.py", *flags, *place)
    num_tokens = count_tokens(vocab_file)
    if DEFAULT_VOCAB_SIZE != config.vocab_size < num_tokens:
        raise VariableError(
            f"the hparam vocab_size={config.vocab_size} is less than the {num_tokens} tokens of {vocab_file}"
        )
    return num_tokens


def count_tokens(vocab_file: str) -> int:
    """Returns the number of tokens of a vocabulary, whatever its kind: a file or a folder.

    Another process reads it, so that TensorFlow takes no memory of this one while the model trains.

    Raises:
        UserError: it is no vocabulary.
    """
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(_count_tokens, vocab_file).result()


def _count_tokens(vocab_file: str) -> int:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # text needs no GPU
    from electra_span.tokenization import load_tokenizer

    return load_tokenizer(vocab_file).vocab_size


def make_records(variables: Variables, config: PretrainingConfig, vocab_file: str) -> None:
    """Builds the TFRecords, or the rest of them."""
    folder = f"{variables.data_dir}/pretrain_tfrecords"
    say(f"TFRecords: {folder}")
    run_step(
        "scripts/build_pretraining_dataset.py",
        *variables.corpus_flags,
        *("--num-processes", variables.num_processes, "--num-out-files", "100"),
        *variables.build_flags,
        # The last flag of a name counts: the hparams win over BUILD_FLAGS.
        *("--vocab-file", vocab_file, "--output-dir", folder, "--max-seq-length", str(config.max_seq_length)),
        *("--do-lower-case", str(config.do_lower_case)),
    )


def fit_recipe(variables: Variables) -> Sequence[str]:
    """Returns hparams that fit the tiny recipe to few examples, as `KEY=VALUE`.

    A tenth is held out, and a batch has at most the rest.
    """
    if variables.hparams:
        return ()
    num_examples = read_json_object(f"{variables.data_dir}/pretrain_tfrecords/manifest.json")["num_examples"]
    if num_examples >= _FEW_EXAMPLES:
        return ()
    held_out = (num_examples + 9) // 10
    batch_size = min(num_examples - held_out, TINY_RECIPE["train_batch_size"])
    words = (f"num_eval_examples={held_out}", f"train_batch_size={batch_size}")
    say(f"Only {num_examples} examples: {' '.join(words)}")
    return words


def make_tasks(variables: Variables) -> None:
    """Writes the default tasks if they do not exist."""
    folder = f"{variables.data_dir}/default_tasks"
    if os.path.isdir(folder):
        say(f"Tasks: {folder} is there")
    else:
        say(f"Tasks: writing two of the text that ships with Python to {folder}")
        run_step("scripts/write_default_tasks.py", folder)


def finetune(variables: Variables, pretrained: PretrainingConfig | None, finetuning: Finetuning) -> None:
    """Fine-tunes on a task, and prints its scores.

    Args:
        variables: see `Variables`.
        pretrained: the pretraining that this run has done, if it has.
        finetuning: the task.
    """
    words, model_dir = [_task_word(finetuning.task)], finetuning.model_dir
    if pretrained is not None and pretrained.model_dir != f"{variables.data_dir}/models/{variables.model_name}":
        model_dir = pretrained.model_dir
        words.append(f"model_dir={model_dir}")
    say(f"Fine-tuning: {finetuning.task}")
    run_step("run_finetuning.py", *_run_flags(variables), "--hparams", finetuning.hparams, *words)
    say(f"Scores: {finetuning.task}")
    run_step("scripts/summarize_finetuning.py", model_dir, finetuning.task)


def say(text: str) -> None:
    """Prints the title of a step, before anything that the step prints."""
    print(f"==> {text}", flush=True)


def run_step(script: str, *arguments: str) -> None:
    """Runs a script of the repository and waits for it to end.

    Ctrl-C reaches the script as well, which saves what it must and ends; only then this process ends, by the signal.

    Args:
        script: its path in the repository.
        arguments: its command line.

    Raises:
        StepError: it failed.
    """
    interrupts: list[int] = []
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.SIG_IGN:  # as under nohup: the script then ignores it too
        signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        status = subprocess.Popen([sys.executable, str(REPOSITORY / script), *arguments]).wait()
    finally:
        signal.signal(signal.SIGINT, handler)
    if interrupts:
        # A calling shell stops at a command that a signal ended, and goes on after one with a status of 130.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    if status < 0:
        print(signal.strsignal(-status), file=sys.stderr)
    if status:
        raise StepError(script, status if status > 0 else 128 - status)


if __name__ == "__main__":
    command_line.run(main, make_parser)

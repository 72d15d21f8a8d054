"""The environment variables of train.sh, all optional; an empty one counts as missing.

CORPUS_DIR      folder of text files, of the kinds that docs/data.md lists
CORPUS_FILES    in place of CORPUS_DIR, files, folders and patterns: tweets.csv, or 'a.csv more/**/*.jsonl.gz'
CORPUS_FLAGS    flags of both scripts that read text: '--col-name tweet --encoding latin-1'
BUILD_FLAGS     flags of build_pretraining_dataset.py alone: '--format sentences --num-out-files 10'
DATA_DIR        folder for all results (default: data/NAME in the repository, where NAME is that of CORPUS_DIR, or of
                the first of CORPUS_FILES up to its dot, or "default")
MODEL_NAME      the model goes into DATA_DIR/models/MODEL_NAME (default: tiny)
HPARAMS         hparams of pretraining as JSON, or a JSON file (default: the tiny recipe in train_pipeline.py)
TOKENIZER_TYPE  of a new vocabulary: wordpiece (default; DATA_DIR/vocab.txt), bpe, sentencepiece-unigram or
                sentencepiece-bpe (folder DATA_DIR/tokenizer)
VOCAB_SIZE      number of tokens of a new vocabulary (default: 8000 with the tiny recipe, else the hparam vocab_size,
                30522); an existing vocabulary is used as it is
NUM_PROCESSES   for building the TFRecords (default: the number of cores)
PRETRAIN        false: skip pretraining, and fine-tune DATA_DIR/models/MODEL_NAME/discriminator, or the hparam
                init_checkpoint
TASK            tasks to fine-tune on, one after the other: squad, 'sst cola' (files in DATA_DIR/finetuning_data),
                csv:PATH, tag:PATH, qa:PATH (default: two tasks made from the docstrings of Python's standard library)
FINETUNING_HPARAMS
                hparams of fine-tuning as JSON, or a JSON file (default: for the tiny recipe and the two default tasks
                the recipes in train_pipeline.py, else {})
FINETUNE        false: stop after pretraining (default: true; false with your own corpus and no TASK)
PYTHON          the Python 3.11, 3.12 or 3.13 that makes .venv (default: the first one found)
"""

import os
import pathlib
import re
import shlex
import sys
from collections.abc import Mapping
from typing import NamedTuple

# Not resolved: what is printed and recorded names the repository as the user does, links included.
REPOSITORY = pathlib.Path(__file__).absolute().parents[1]

_TOKENIZER_TYPES = ("wordpiece", "bpe", "sentencepiece-unigram", "sentencepiece-bpe")
_PATTERN = re.compile(r"[][*?'\"\\]")


class VariableError(Exception):
    """A mistake in an environment variable of train.sh."""


class Variables(NamedTuple):
    """The environment variables of train.sh, split into words and with their defaults.

    Attributes:
        data_dir: folder for all results.
        model_name: name of the model.
        has_own_corpus: whether the user names a corpus.
        corpus_flags: flags that say where the text is and how to read it.
        build_flags: flags of build_pretraining_dataset.py alone.
        tokenizer_type: kind of a new vocabulary.
        vocab_size: number of tokens of a new vocabulary; "" leaves it to the hparams.
        num_processes: of the build.
        hparams: of pretraining; "" stands for the tiny recipe.
        finetuning_hparams: of fine-tuning; "" stands for the default of each task.
        tasks: names of the tasks to fine-tune on; () stands for the default tasks.
        pretrain: whether to pretrain.
        finetune: whether to fine-tune.
    """

    data_dir: str
    model_name: str
    has_own_corpus: bool
    corpus_flags: tuple[str, ...]
    build_flags: tuple[str, ...]
    tokenizer_type: str
    vocab_size: str
    num_processes: str
    hparams: str
    finetuning_hparams: str
    tasks: tuple[str, ...]
    pretrain: bool
    finetune: bool


def read_variables(environment: Mapping[str, str]) -> Variables:
    """Returns the variables of an environment.

    Raises:
        VariableError: a value is impossible, or names a file or folder that does not exist.
    """
    set_ones = {name: value for name, value in environment.items() if value}
    tokenizer_type = set_ones.get("TOKENIZER_TYPE", _TOKENIZER_TYPES[0])
    if tokenizer_type not in _TOKENIZER_TYPES:
        raise VariableError(f"TOKENIZER_TYPE={tokenizer_type} is none of {', '.join(_TOKENIZER_TYPES)}")
    has_own_corpus = "CORPUS_DIR" in set_ones or "CORPUS_FILES" in set_ones
    pretrain = _switch(set_ones, "PRETRAIN", default=True)
    finetune = _switch(set_ones, "FINETUNE", default="TASK" in set_ones or not has_own_corpus)
    if not (pretrain or finetune):
        raise VariableError("PRETRAIN=false and FINETUNE=false leave nothing to do")
    corpus, name = _read_corpus(set_ones)
    data_dir = set_ones.get("DATA_DIR", f"{REPOSITORY}/data/{name}").removesuffix("/")
    return Variables(
        data_dir=data_dir,
        model_name=set_ones.get("MODEL_NAME", "tiny"),
        has_own_corpus=has_own_corpus,
        corpus_flags=(*(corpus or ("--corpus-dir", f"{data_dir}/corpus")), *_words(set_ones, "CORPUS_FLAGS")),
        build_flags=_words(set_ones, "BUILD_FLAGS"),
        tokenizer_type=tokenizer_type,
        vocab_size=set_ones.get("VOCAB_SIZE", ""),
        num_processes=set_ones.get("NUM_PROCESSES", str(_num_cores())),
        hparams=set_ones.get("HPARAMS", ""),
        finetuning_hparams=set_ones.get("FINETUNING_HPARAMS", ""),
        tasks=_read_tasks(set_ones),
        pretrain=pretrain,
        finetune=finetune,
    )


def _switch(variables: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = variables.get(name, str(default).lower())
    if value not in ("true", "false"):
        raise VariableError(f"{name}={value} is neither true nor false")
    return value == "true"


def _read_corpus(variables: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """Returns the flags that name the user's corpus, if there is one, and the name of its folder in data/."""
    folder, files = variables.get("CORPUS_DIR"), variables.get("CORPUS_FILES")
    if folder and files:
        raise VariableError("CORPUS_DIR and CORPUS_FILES name a corpus each; leave one of them out")
    if folder:
        if not os.path.isdir(folder):
            raise VariableError(f"CORPUS_DIR={folder} is no folder")
        return ("--corpus-dir", folder), os.path.basename(folder.rstrip("/"))
    if not files:
        return (), "default"
    # A single file needs no quotation marks for the blanks in its name.
    is_one_file = os.path.exists(files)
    words = (files,) if is_one_file else _words(variables, "CORPUS_FILES")
    for word in words:
        # The scripts that read the corpus report patterns that match no file.
        if not _PATTERN.search(word) and not os.path.exists(word):
            raise VariableError(f"CORPUS_FILES: {word} is not there")
    first = files if is_one_file else next(iter(files.split()), "")
    name = os.path.basename(first.rstrip("/")).partition(".")[0]
    if "DATA_DIR" not in variables and (not name or _PATTERN.search(name)):
        raise VariableError(f"CORPUS_FILES={files} gives no name; name a folder: DATA_DIR=data/NAME")
    return ("--corpus-files", *words), name


def _read_tasks(variables: Mapping[str, str]) -> tuple[str, ...]:
    task = variables.get("TASK", "")
    return (task,) if os.path.exists(task.partition(":")[2] or task) else _words(variables, "TASK")


def _words(variables: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Returns the words of a variable, split at blanks outside of quotation marks; nothing is expanded."""
    text = variables.get(name, "")
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise VariableError(f"{name}: {error}. Received: {text}") from None


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    try:
        read_variables(os.environ)
    except VariableError as error:
        sys.exit(f"error: {error}")

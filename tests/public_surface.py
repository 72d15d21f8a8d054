"""The names that users type and read: flags, hparams and their defaults, public names. Prose is no part of it.

`python -m tests.record` writes it to golden/surface, with which tests compare it.
"""

import argparse
import dataclasses
import importlib
import inspect
import pathlib
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from absl.flags import argparse_flags

import electra_span
from configure_pretraining import PretrainingConfig
from electra_span.config import MODEL_SIZES, EncoderConfig
from electra_span.head_config import HeadConfig
from finetune.config import FinetuningConfig
from pretrain.config.defaults import PRESETS
from scripts import train_variables

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "golden" / "surface"

_CONFIGS = (PretrainingConfig, FinetuningConfig, EncoderConfig, HeadConfig)
# Hparams that decide about the defaults of others.
_PRETRAINING: dict[str, dict[str, Any]] = {
    "class": {},
    **{f"preset {name}": {"preset": name} for name in PRESETS},
    **{f"model_size {name}": {"model_size": name} for name in MODEL_SIZES},
    **{f"training_mode {name}": {"training_mode": name} for name in ("generator", "two_stage", "discriminator")},
    **{f"masking {name}": {"masking": name} for name in ("token", "whole_word", "span")},
    **{
        f"embedding_sharing {name}": {"embedding_sharing": name}
        for name in ("shared", "generator_untied", "gdes", "encoder")
    },
    **{name: {name: True} for name in ("debug", "electric_objective", "uniform_generator", "two_tower_generator")},
    **{
        f"{name} false": {name: False}
        for name in ("electra_objective", "untied_generator", "untied_generator_embeddings")
    },
    "mask_prob schedule": {"mask_prob": [[0, 0.2], [9, 0.1]]},
    "vocab_size 250000": {"vocab_size": 250_000},
    "phases": {"phases": [{"max_seq_length": 64, "num_train_steps": 9}, {"max_seq_length": 128, "num_train_steps": 1}]},
}
_TASKS = (
    "cola", "sst", "mrpc", "sts", "qqp", "mnli", "qnli", "rte", "wnli", "chunk", "squad", "squadv1", "newsqa",
    "naturalqs", "triviaqa", "searchqa", "hotpotqa", "quac", "csv:t.csv", "tag:t.txt", "qa:t.json",
)  # fmt: skip
_FINETUNING: dict[str, dict[str, Any]] = {
    "class": {},
    "debug": {"debug": True},
    "preset paper": {"preset": "paper"},
    **{f"model_size {name}": {"model_size": name} for name in MODEL_SIZES},
    **{f"task_names {name}": {"task_names": [name]} for name in _TASKS},
    "task_names rte mnli": {"task_names": ["rte", "mnli"]},
}


def surface() -> dict[str, Any]:
    """Returns the content of each file of golden/surface that needs no training, by its name."""
    return {"commands.json": commands(), "hparams.json": hparams(), "names.json": names()}


def commands() -> dict[str, Any]:
    """Returns the arguments of each command by its name, and the variables that shell scripts read."""
    modules = [*sorted(ROOT.glob("run_*.py")), *sorted((ROOT / "scripts").glob("*.py"))]
    parsers = {str(path.relative_to(ROOT)): _parser_of(path) for path in modules}
    found = {name: _arguments(parser) for name, parser in parsers.items() if parser is not None}
    program = importlib.import_module("electra_span.__main__").make_parser()
    found["python -m electra_span"] = _arguments(program)
    for name, parser in _subparsers(program):
        found[f"python -m electra_span {name}"] = _arguments(parser)
    variables = {
        "scripts/train.sh": re.findall(r"^([A-Z_]{3,})(?=\s)", train_variables.__doc__ or "", re.MULTILINE),
        **{
            f"scripts/{path.name}": re.findall(r"^#   ([A-Z_]{3,})(?=\s)", path.read_text("utf-8"), re.MULTILINE)
            for path in sorted((ROOT / "scripts").glob("*.sh"))
            if path.name != "train.sh"
        },
    }
    return {"arguments": found, "variables": variables}


def hparams() -> dict[str, Any]:
    """Returns the fields of each configuration with types and defaults, and what other hparams make of the defaults."""
    declared = {config.__name__: _fields(config) for config in _CONFIGS}
    return {
        "fields": declared,
        "pretraining": _effective(PretrainingConfig, _PRETRAINING),
        "finetuning": _effective(FinetuningConfig, _FINETUNING),
        "model_size": {name: dataclasses.asdict(EncoderConfig.of_size(name)) for name in MODEL_SIZES},
    }


def names() -> dict[str, Any]:
    """Returns the package's public names with their parameters, and the names of its classes in .keras files."""
    registered = [name for name in keras.saving.get_custom_objects() if name.startswith("electra_span>")]
    public = {name: _parameters(getattr(electra_span, name)) for name in electra_span.__all__}
    return {"electra_span": public, "keras": sorted(registered)}


def _parser_of(path: pathlib.Path) -> argparse.ArgumentParser | None:
    """Returns the parser of a command; None for a module that is not one."""
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return module.make_parser() if hasattr(module, "make_parser") else None


def _subparsers(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _arguments(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Returns what a parser takes, by flag or place; absl's own flags aside."""
    usual = {action.dest for action in argparse_flags.ArgumentParser()._actions}
    ours = [action for action in parser._actions if action.dest not in usual]
    return {" ".join(action.option_strings) or action.dest: _argument(action) for action in ours}


def _argument(action: argparse.Action) -> dict[str, Any]:
    """Returns what is special about one argument: the usual values are left out."""
    choices = None if action.choices is None else [str(choice) for choice in action.choices]
    described = {
        "action": type(action).__name__.strip("_").removesuffix("Action"),
        "dest": action.dest,
        "nargs": action.nargs,
        "required": action.required or None if action.option_strings else None,  # of places, nargs says it
        "default": _as_json(action.default),
        "const": _as_json(action.const),
        "choices": choices,
        "metavar": action.metavar,
    }
    return {name: value for name, value in described.items() if value not in (None, "Store", argparse.SUPPRESS)}


def _fields(config: type) -> dict[str, dict[str, Any]]:
    """Returns type and default of each field, without a default where there is none."""
    declared = typing.get_type_hints(config)
    found: dict[str, dict[str, Any]] = {}
    for field in dataclasses.fields(config):
        found[field.name] = {"type": _type_name(declared[field.name])}
        if field.default is not dataclasses.MISSING:
            found[field.name]["default"] = _as_json(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name]["default"] = _as_json(field.default_factory())
    return found


def _type_name(declared: Any) -> str:
    """Returns a type as text; a choice among texts counts as text."""
    if typing.get_origin(declared) is typing.Literal:
        return " | ".join(sorted({type(choice).__name__ for choice in typing.get_args(declared)}))
    if isinstance(declared, types.UnionType) or typing.get_origin(declared) is typing.Union:
        return " | ".join(sorted({_type_name(each) for each in typing.get_args(declared)}))
    return getattr(declared, "__name__", "") if isinstance(declared, type) else str(declared)


def _effective(config: type, cases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the values without hparams, and for each case what it makes different."""
    values = {
        case: config.from_hparams(model_name="m", data_dir="d", hparams=given).to_dict()
        for case, given in cases.items()
    }
    usual = _as_json(values["class"])
    return {
        case: {name: value for name, value in _as_json(each).items() if case == "class" or value != usual[name]}
        for case, each in values.items()
    }


def _parameters(thing: Any) -> dict[str, str]:
    """Returns the parameters of a function or class with their kinds and defaults."""
    return {name: _parameter(parameter) for name, parameter in inspect.signature(thing).parameters.items()}


def _parameter(parameter: inspect.Parameter) -> str:
    kind, default = parameter.kind.description, parameter.default
    if default is parameter.empty:
        return kind
    return f"{kind} = {default.__name__ if isinstance(default, type) else repr(default)}"


def _as_json(value: Any) -> Any:
    """Returns a value as JSON would bring it back, what JSON does not know as text."""
    if isinstance(value, Mapping):
        return {str(name): _as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

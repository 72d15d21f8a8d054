"""What each command asks of a model, and how it prints that. Imports no TensorFlow."""

import argparse
import functools
import json
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from electra_span.cli.command_io import Row, coloured, read_batches, read_text
from electra_span.command_line import number, parse_path, whole_number
from electra_span.inference.requests import MOST_ANSWERS, POOLINGS, TextCutWarning
from electra_span.places import check_input

_NUM_DIGITS = 7  # of numbers, which are float32


class Fields(NamedTuple):
    """What a command reads of a text: the names of fields, and whether a JSON object has them."""

    names: tuple[str, ...]
    are_objects: bool


class TextCommand(NamedTuple):
    """A command.

    Attributes:
        summary: for its help.
        texts: what its texts are.
        half: the folder that it takes where MODEL has both, as pretraining writes them.
        add_flags: adds its own flags.
        fields: returns what it reads, by its arguments.
        lines: yields what it prints for rows, a line each; takes model, rows and arguments.
    """

    summary: str
    texts: str
    half: str
    add_flags: Callable[[argparse.ArgumentParser], None]
    fields: Callable[[argparse.Namespace], Fields]
    lines: Callable[[Any, Sequence[Row], argparse.Namespace], Iterator[str]]


def _text_alone(arguments: argparse.Namespace) -> Fields:
    return Fields(("text",), are_objects=False)


def _no_flags(parser: argparse.ArgumentParser) -> None:
    """Adds no flag."""


def _task_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", help="of the head, where the model has several that could do it")


def _classify_flags(parser: argparse.ArgumentParser) -> None:
    _task_flag(parser)
    parser.add_argument("--pairs", action="store_true", help='texts are JSON objects with "text" and "pair"')


def _classify_fields(arguments: argparse.Namespace) -> Fields:
    return Fields(("text", "pair"), are_objects=True) if arguments.pairs else _text_alone(arguments)


def _classify(model: Any, rows: Sequence[Row], arguments: argparse.Namespace) -> Iterator[str]:
    pairs = _column("pair", rows) if arguments.pairs else None
    found = model.classify(_column("text", rows), pairs, task=arguments.task)
    return map(_line, rows, (result._asdict() for result in found))


def _answer_flags(parser: argparse.ArgumentParser) -> None:
    _task_flag(parser)
    context = parser.add_mutually_exclusive_group()
    context.add_argument("--context", help="the text that has the answers; texts are questions then")
    context.add_argument("--context-file", help="a file with that text")
    parser.add_argument(
        "--num-answers",
        type=whole_number(1, MOST_ANSWERS),
        default=1,
        metavar="N",
        help="at most (default: %(default)s)",
    )
    parser.add_argument(
        "--no-answer-threshold",
        type=number(),
        metavar="X",
        help="the no_answer_score above which has_answer is false (default: the original's -2.75; none for a head "
        "without a classifier of answerability)",
    )


def _answer_fields(arguments: argparse.Namespace) -> Fields:
    if arguments.context_file is not None:
        arguments.context = read_text(arguments.context_file)
    if arguments.context is not None:
        return Fields(("question",), are_objects=False)
    return Fields(("question", "context"), are_objects=True)


def _answer(model: Any, rows: Sequence[Row], arguments: argparse.Namespace) -> Iterator[str]:
    has_own = arguments.context is None
    found = model.answer(
        _column("question", rows),
        _column("context", rows) if has_own else [arguments.context] * len(rows),
        task=arguments.task,
        num_answers=arguments.num_answers,
        no_answer_threshold=arguments.no_answer_threshold,
    )
    without_contexts = ({name: value for name, value in row.items() if name != "context"} for row in rows)
    return map(_line, without_contexts, (result._asdict() for result in found))


def _tag_flags(parser: argparse.ArgumentParser) -> None:
    _task_flag(parser)
    parser.add_argument("--words", action="store_true", help="words are what is between blanks, punctuation included")


def _tag(model: Any, rows: Sequence[Row], arguments: argparse.Namespace) -> Iterator[str]:
    texts = _column("text", rows)
    found = model.tag([text.split() for text in texts] if arguments.words else texts, task=arguments.task)
    return map(_line, rows, (result._asdict() for result in found))


def _embed_flags(parser: argparse.ArgumentParser) -> None:
    pooling = "the state of [CLS], the mean of all states, or one for each token (default: %(default)s)"
    parser.add_argument("--pooling", choices=POOLINGS, default=POOLINGS[0], help=pooling)


def _embed(model: Any, rows: Sequence[Row], arguments: argparse.Namespace) -> Iterator[str]:
    found = model.embed(_column("text", rows), pooling=arguments.pooling)
    if arguments.pooling != "none":
        return map(_line, rows, ({"vector": vector} for vector in found))
    return map(_line, rows, (result._asdict() for result in found))


def _replaced_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="print the text with its suspicious tokens in colours, instead of JSON: yellow from a probability of 0.5 "
        "on, red from 0.9 on (default: auto, which is on a terminal)",
    )


def _replaced(model: Any, rows: Sequence[Row], arguments: argparse.Namespace) -> Iterator[str]:
    found = model.replaced_tokens(_column("text", rows))
    is_terminal = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    if arguments.color == "always" or (arguments.color == "auto" and is_terminal):
        return map(coloured, _column("text", rows), found)
    return map(_line, rows, ({"tokens": tokens} for tokens in found))


def _fill_mask_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--num-candidates",
        type=whole_number(1),
        default=5,
        metavar="N",
        help="tokens for each mask (default: %(default)s)",
    )


def _fill_mask(model: Any, rows: Sequence[Row], arguments: argparse.Namespace) -> Iterator[str]:
    found = model.fill_mask(_column("text", rows), arguments.num_candidates)
    return map(_line, rows, ({"masks": masks} for masks in found))


TEXT_COMMANDS: Mapping[str, TextCommand] = {
    "classify": TextCommand(
        "The label of each text, or its score, by a model that was fine-tuned on that.",
        "texts",
        "discriminator",
        _classify_flags,
        _classify_fields,
        _classify,
    ),
    "answer": TextCommand(
        "The best answers to questions, by a model that was fine-tuned on such.",
        'JSON objects with "question" and "context", or questions where a context is given',
        "discriminator",
        _answer_flags,
        _answer_fields,
        _answer,
    ),
    "tag": TextCommand(
        "The words of each text with their tags, by a model that was fine-tuned on such.",
        "texts",
        "discriminator",
        _tag_flags,
        _text_alone,
        _tag,
    ),
    "embed": TextCommand(
        "A vector for each text, or for each of its tokens: the encoder's last states.",
        "texts",
        "discriminator",
        _embed_flags,
        _text_alone,
        _embed,
    ),
    "replaced": TextCommand(
        "How probable it is of each token that it was replaced, by a discriminator.",
        "texts",
        "discriminator",
        _replaced_flags,
        _text_alone,
        _replaced,
    ),
    "fill-mask": TextCommand(
        "What may stand in the place of masks, by a generator.",
        "texts with [MASK], or what the mask is called in the model's vocabulary",
        "generator",
        _fill_mask_flags,
        _text_alone,
        _fill_mask,
    ),
}


def _column(name: str, rows: Iterable[Row]) -> list[str]:
    return [row[name] for row in rows]


def _line(row: Row, result: Mapping[str, Any]) -> str:
    """Returns a row and what was said of it as one line of JSON."""
    line = json.dumps({**row, **{name: _plain(value) for name, value in result.items()}}, ensure_ascii=False)
    return line if line.isprintable() else json.dumps(json.loads(line))  # escapes halves of characters, and controls


def _plain(value: Any) -> Any:
    """Returns a value as JSON has it: tuples with names as objects, numbers with the digits that they are worth."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return float(f"{value:.{_NUM_DIGITS}g}")
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [*map(_plain, value)] if isinstance(value, (list, tuple)) else value


_DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")


def add_commands(subparsers: Any) -> None:
    """Adds a command for each that can be asked of a model.

    Args:
        subparsers: as `add_subparsers` returns them.
    """
    for name, command in TEXT_COMMANDS.items():
        parser = subparsers.add_parser(name, help=command.summary, description=command.summary, allow_abbrev=False)
        parser.add_argument("model", metavar="MODEL", type=parse_path, help="folder of a published model")
        parser.add_argument("texts", metavar="TEXT", nargs="*", help=f"{command.texts}; without any, they are read")
        parser.add_argument("--file", help="a file to read, a text a line; default: standard input")
        parser.add_argument("--dtype", choices=_DTYPES, default=_DTYPES[0], help="precision (default: %(default)s)")
        command.add_flags(parser)
        parser.set_defaults(run=functools.partial(_run, command))


def _run(command: TextCommand, arguments: argparse.Namespace) -> None:
    """Asks the model that the arguments name, and prints what it says, one line a text.

    Raises:
        UserError: for texts or a model that cannot be read, or a model that cannot do it.
    """
    check_input("MODEL", arguments.model, expects_folder=True)
    fields = command.fields(arguments)
    batches = read_batches(arguments.texts, arguments.file, fields.names, are_objects=fields.are_objects)
    first = next(batches)
    model = _load(arguments.model, command.half, arguments.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("always", TextCutWarning)
        warnings.showwarning = _show_warning
        try:
            _print_lines(command, model, first, arguments)
            for rows in batches:
                _print_lines(command, model, rows, arguments)
        except BrokenPipeError:  # who reads has enough; what Python still writes at its end goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _load(folder: pathlib.Path, half: str, dtype: str) -> Any:
    """Returns the model of a folder, or of the half of it that a command takes."""
    from electra_span.published.save_load import load_pretrained

    own = folder / half
    return load_pretrained(own if (own / "config.json").is_file() else folder, dtype=dtype)


def _print_lines(command: TextCommand, model: Any, rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    for line in command.lines(model, rows, arguments):
        print(line)
    sys.stdout.flush()


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)

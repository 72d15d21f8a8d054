"""The commands that ask a model about texts: their flags, and what they print. Imports no TensorFlow for its help."""

import argparse
import functools
import os
import pathlib
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from electra_span.command_line import parse_path
from electra_span.inference.input_rows import Row, read_batches
from electra_span.inference.requests import TextCutWarning
from electra_span.inference.text_commands import TEXT_COMMANDS, TextCommand
from electra_span.places import check_input

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
    from electra_span.pretrained import load_pretrained

    own = folder / half
    return load_pretrained(own if (own / "config.json").is_file() else folder, dtype=dtype)


def _print_lines(command: TextCommand, model: Any, rows: Sequence[Row], arguments: argparse.Namespace) -> None:
    for line in command.lines(model, rows, arguments):
        print(line)
    sys.stdout.flush()


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)

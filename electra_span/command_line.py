"""How every command line of the project starts, reports the user's mistakes, and ends.

Exit status: 0 done, 2 the user's mistake (one line on stderr), 130 interrupted, 1 ours (with a traceback).
Imports no TensorFlow, so that `--help` and mistakes in arguments answer at once.
"""

import argparse
import contextlib
import errno
import io
import logging
import math
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import app

from electra_span.config import LARGEST_COUNT, HparamError, UserError
from electra_span.files import JsonError, MalformedJsonError, parse_json, read_json_object, shown

# Failures of the machine, and places that are not what they should be: a traceback would not explain them any better.
_PLACE_ERRORS = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR,
    errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.EIO,
    errno.EXDEV, errno.EBUSY, errno.ETXTBSY, errno.ENODEV, errno.ENXIO, errno.ESTALE,
})  # fmt: skip
_LONGEST_MISTAKE = 1000  # characters
_LONGEST_LOGGED = 4000  # of one text in a line of the log: as many as the tokens of an example take


def run(main: Callable[[argparse.Namespace], None], parser_factory: Callable[[], argparse.ArgumentParser]) -> None:
    """Runs main on the parsed command line under absl.app, and exits.

    Args:
        main: gets the parsed arguments.
        parser_factory: makes the parser, an `absl.flags.argparse_flags.ArgumentParser`: it adds absl's own flags
            (`--verbosity` and the like), without which absl.app does not run.

    Raises:
        SystemExit: with the status of the module's docstring, always, unless main raised anything but a UserError.
    """
    _show_logged_texts()
    try:
        app.run(main, flags_parser=lambda argv: _parse(parser_factory(), argv[1:]))
    except UserError as error:
        _exit_with_mistake(str(error))
    except OSError as error:
        if error.errno not in _PLACE_ERRORS:
            raise
        file = shown(str(error.filename)) if error.filename else "no file named"
        _exit_with_mistake(f"{error.strerror}: {file}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


class _ShownTexts(logging.Filter):
    """Makes texts in log lines, such as names of files, safe for a terminal; see `shown`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns True; changes the texts that the message is made of."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                shown(str(value), _LONGEST_LOGGED) if isinstance(value, str | os.PathLike | Exception) else value
                for value in record.args
            )
        return True


def _show_logged_texts() -> None:
    logger = logging.getLogger("absl")
    if not any(isinstance(each, _ShownTexts) for each in logger.filters):
        logger.addFilter(_ShownTexts())


def _parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Returns parsed arguments; what argparse says of a mistake is bounded as any other, and keeps to one line."""
    written = io.StringIO()
    try:
        with contextlib.redirect_stderr(written):
            return parser.parse_args(words)
    finally:
        before, error, mistake = written.getvalue().partition(": error: ")
        usage, newline, command = before.rpartition("\n")
        if error:
            line = shown(f"{command}{error}{' '.join(mistake.split())}", _LONGEST_MISTAKE)
            print(f"{usage}{newline}{line}", file=sys.stderr)
        else:
            sys.stderr.write(before)


def whole_number(least: int, most: int = LARGEST_COUNT) -> Callable[[str], int]:
    """Returns the function that reads a flag's whole number from `least` to `most`; use as argparse's `type`."""

    def parse(text: str) -> int:
        with contextlib.suppress(ValueError):  # no number, or one of more digits than Python converts
            if least <= int(text) <= most:
                return int(text)
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {least} to {most}. Received: {shown(repr(text), 80)}"
        )

    return parse


def number(least: float = -math.inf, most: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """Returns the function that reads a flag's number from `least` to `most`; use as argparse's `type`.

    Args:
        least: the smallest number.
        most: the largest number.
        above: whether `least` itself is too small.
    """

    def parse(text: str) -> float:
        with contextlib.suppress(ValueError):
            value = float(text)
            if least <= value <= most and not (above and value == least):  # false for NaN
                return value
        rule = f" above {least}" if above else f" from {least}" if math.isfinite(least) else ""
        rule += f"{',' if above else ''} to {most}" if math.isfinite(most) else ""
        raise argparse.ArgumentTypeError(f"must be a number{rule}. Received: {shown(repr(text), 80)}")

    return parse


def add_run_flags(parser: argparse.ArgumentParser, *, data_dir_help: str) -> None:
    """Adds the flags of the run commands, which are the original's, and words that are hparams as well."""
    parser.add_argument("--data-dir", required=True, help=data_dir_help)
    parser.add_argument("--model-name", required=True, help="name of the model, in DATA_DIR/models/MODEL_NAME")
    parser.add_argument("--hparams", default="{}", help="JSON object of hparams, or the path of a .json file")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="hparams too; they win over --hparams")


def add_switch(
    parser: argparse.ArgumentParser, flag: str, default: bool, meaning: str, opposite: str | None = None
) -> None:
    """Adds a flag that means true, may be followed by true or false, and may have an opposite flag."""
    parser.add_argument(flag, nargs="?", type=parse_bool, const=True, default=default, metavar="BOOL", help=meaning)
    if opposite:
        name = flag.removeprefix("--").replace("-", "_")
        parser.add_argument(opposite, dest=name, action="store_const", const=False, help=f"the opposite of {flag}")


def parse_bool(text: str) -> bool:
    """Returns the truth value a flag's text spells; use as argparse's `type`.

    Args:
        text: true, yes or 1, false, no or 0, in any case.

    Raises:
        argparse.ArgumentTypeError: for any other text.
    """
    spelled = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in spelled:
        raise argparse.ArgumentTypeError(f"must be true or false. Received: {text!r}")
    return spelled[text.lower()]


def parse_path(text: str) -> pathlib.Path:
    """Returns the path that a flag's text names; use as argparse's `type`.

    Raises:
        argparse.ArgumentTypeError: for an empty text, which would mean the current folder.
    """
    if not text:
        raise argparse.ArgumentTypeError("must be a path. Received: ''")
    return pathlib.Path(text)


def read_hparams(text: str, words: Sequence[str] = ()) -> dict[str, Any]:
    """Returns hparams by name, from `--hparams` and the words after the flags.

    Args:
        text: a JSON object, or the path of a file of one, ending in .json.
        words: key=value each, the value as JSON, or else as a string as it stands. They win over the text.

    Raises:
        HparamError: for a file that cannot be read, malformed JSON (with its position), or a word without "=".
    """
    is_path = text.rstrip().endswith(".json")
    hparams = read_json_file(text.strip()) if is_path else _json_object("--hparams", text)
    return hparams | dict(_key_and_value(word) for word in words)


def read_json_file(path: str) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Raises:
        HparamError: for a file that cannot be read, malformed JSON (with its position), a key that is there twice, or
            another value.
    """
    try:
        return read_json_object(path, unique_keys=True)
    except JsonError as error:
        raise HparamError(str(error)) from None


def _json_object(source: str, text: str) -> dict[str, Any]:
    try:
        value = parse_json(text, source, unique_keys=True)
    except JsonError as error:
        raise HparamError(str(error)) from None
    if not isinstance(value, dict):
        raise HparamError(f"{source} must be a JSON object. Received: {shown(repr(value), 80)}")
    return value


def _key_and_value(word: str) -> tuple[str, Any]:
    key, equals, value = word.partition("=")
    if not (key and equals):
        raise HparamError(f"words after the flags must be key=value. Received: {word!r}")
    try:
        return key, parse_json(value, key, unique_keys=True)
    except MalformedJsonError:
        return key, value
    except JsonError as error:
        raise HparamError(str(error)) from None


def _exit_with_mistake(message: str) -> NoReturn:
    print(shown(f"error: {' '.join(message.splitlines())}", _LONGEST_MISTAKE), file=sys.stderr)
    sys.exit(2)

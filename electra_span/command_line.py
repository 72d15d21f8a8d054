"""How every command line of the project starts, reports the user's mistakes, and ends.

Exit status: 0 done, 2 the user's mistake (one line on stderr), 130 interrupted, 1 ours (with a traceback).
Imports no TensorFlow, so that `--help` and mistakes in arguments answer at once.
"""

import argparse
import errno
import sys
from collections.abc import Callable
from typing import NoReturn

from absl import app

from electra_span.config import UserError

# Failures of the machine a command runs on, which a traceback would not explain any better.
_MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def run(main: Callable[[argparse.Namespace], None], parser_factory: Callable[[], argparse.ArgumentParser]) -> None:
    """Runs main on the parsed command line under absl.app, and exits.

    Args:
        main: gets the parsed arguments.
        parser_factory: makes the parser, an `absl.flags.argparse_flags.ArgumentParser`: it adds absl's own flags
            (`--verbosity` and the like), without which absl.app does not run.

    Raises:
        SystemExit: with the status of the module's docstring, always, unless main raised anything but a UserError.
    """
    try:
        app.run(main, flags_parser=lambda argv: parser_factory().parse_args(argv[1:]))
    except UserError as error:
        _exit_with_mistake(str(error))
    except OSError as error:
        if error.errno not in _MACHINE_ERRORS:
            raise
        _exit_with_mistake(f"{error.strerror}: {error.filename or 'no file named'}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


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


def _exit_with_mistake(message: str) -> NoReturn:
    print("error: " + " ".join(message.splitlines()), file=sys.stderr)
    sys.exit(2)

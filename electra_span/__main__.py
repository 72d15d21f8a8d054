"""Asks a pretrained or fine-tuned model about raw texts, one JSON object a line, or serves it as a web page."""

import argparse
from typing import Any

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.cli import commands as inference_command
from electra_span.server import command as server_command

_SERVE = "A web page to try models on, with JSON endpoints beside it."


class _MixedParser(argparse_flags.ArgumentParser):
    """A parser that takes texts before and after flags; argparse's own, once it met a flag, takes no more."""

    _is_inside = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Returns the arguments that are known, and the others."""
        if self._is_inside:
            return super().parse_known_args(args, namespace)
        self._is_inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_inside = False


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of `python -m electra_span`."""
    parser = argparse_flags.ArgumentParser(prog="python -m electra_span", description=__doc__, allow_abbrev=False)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_MixedParser)
    inference_command.add_commands(subparsers)
    serve = subparsers.add_parser("serve", help=_SERVE, description=_SERVE, allow_abbrev=False)
    server_command.add_arguments(serve)
    serve.set_defaults(run=server_command.main)
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Runs the command that the arguments name."""
    arguments.run(arguments)


if __name__ == "__main__":
    command_line.run(main, make_parser)

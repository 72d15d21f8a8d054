"""The project's commands, run in the process of the tests: TensorFlow is imported once and not for each command."""

import contextlib
import importlib
import io
import os
import pathlib
import sys
from typing import NamedTuple
from unittest import mock

from electra_span import command_line


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        status: its exit status.
        stdout: what it printed.
        stderr: what it printed there, its log not included.
    """

    status: int
    stdout: str
    stderr: str

    @property
    def mistake(self) -> str:
        """The one line about the user's mistake with which the command ended."""
        lines = [line for line in self.stderr.splitlines() if "error: " in line]
        assert self.status == 2, self
        assert len(lines) == 1, self
        return lines[0]


def run_command(module: str, *arguments: str | os.PathLike[str], folder: pathlib.Path | None = None) -> Ended:
    """Runs a command as its module does when it is the main program.

    Args:
        module: such as "run_pretraining", "scripts.create_vocab" or "electra_span.__main__".
        arguments: of its command line.
        folder: the current folder meanwhile.

    Raises:
        Exception: whatever would end the command with a traceback.
    """
    command = importlib.import_module(module)
    stdout, stderr = io.StringIO(), io.StringIO()
    status: object = 0
    with (
        mock.patch.object(sys, "argv", [module, *map(os.fspath, arguments)]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        contextlib.chdir(folder or pathlib.Path.cwd()),
    ):
        try:
            command_line.run(command.main, command.make_parser)
        except SystemExit as ended:
            status = ended.code or 0
    assert isinstance(status, int), status
    return Ended(status, stdout.getvalue(), stderr.getvalue())

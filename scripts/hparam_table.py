"""Prints the table of all hparams as Markdown, or brings the one in a file up to date."""

import argparse
import dataclasses
import json
import pathlib

from absl.flags import argparse_flags

from configure_pretraining import PretrainingConfig
from electra_span import command_line
from electra_span.config import UserError

BEGIN, END = "<!-- hparams -->", "<!-- /hparams -->"
_FLAGS = ("model_name", "data_dir")


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--update", type=pathlib.Path, metavar="FILE", help=f"file with {BEGIN} and {END} in it")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints the table, or writes it into the file named in the arguments."""
    if arguments.update is None:
        print(hparam_table(), end="")
        return
    if not arguments.update.is_file():
        raise UserError(f"--update: no file {str(arguments.update)!r}")
    text = arguments.update.read_text(encoding="utf-8")
    if not has_table(text):
        raise UserError(f"{arguments.update} has no {BEGIN} with {END} after it; write them where the table goes")
    arguments.update.write_text(with_table(text), encoding="utf-8")


def hparam_table() -> str:
    """Returns the Markdown table of hparams, with defaults and meanings."""
    rows = ["| hparam | default | meaning |", "|---|---|---|"]
    for field in dataclasses.fields(PretrainingConfig):
        if field.name not in _FLAGS:
            rows.append(f"| `{field.name}` | {_default(field)} | {field.metadata['meaning']} |")
    return "\n".join(rows) + "\n"


def has_table(text: str) -> bool:
    """Returns whether the text has the two marks that the table stands between."""
    return END in text.partition(BEGIN)[2]


def with_table(text: str) -> str:
    """Returns the text with the table of today between its marks."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{hparam_table()}{END}{after}"


def _default(field: dataclasses.Field) -> str:
    if "rule" in field.metadata:
        return field.metadata["rule"]
    value = {} if field.default is dataclasses.MISSING else field.default
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    command_line.run(main, make_parser)

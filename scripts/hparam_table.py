"""Prints the tables of all hparams as Markdown, or brings those in a file up to date."""

import argparse
import dataclasses
import json

from absl.flags import argparse_flags

from configure_pretraining import PretrainingConfig
from electra_span import command_line
from electra_span.config import UserError
from electra_span.files import write_text
from finetune.config import FinetuningConfig

CONFIGS = {"pretraining": PretrainingConfig, "fine-tuning": FinetuningConfig}
_FLAGS = ("model_name", "data_dir")


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    marks = " and ".join(_marks("KIND"))
    parser.add_argument(
        "--update",
        type=command_line.parse_path,
        metavar="FILE",
        help=f"file with {marks} in it; KIND: {', '.join(CONFIGS)}",
    )
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints the tables, or writes them into the file named in the arguments."""
    if arguments.update is None:
        print("\n".join(map(hparam_table, CONFIGS)), end="")
        return
    if not arguments.update.is_file():
        raise UserError(f"--update: no file {str(arguments.update)!r}")
    text = arguments.update.read_text(encoding="utf-8")
    kinds = [kind for kind in CONFIGS if has_table(text, kind)]
    if not kinds:
        begin, end = _marks(next(iter(CONFIGS)))
        raise UserError(f"{arguments.update} has no {begin} with {end} after it; write them where the table goes")
    for kind in kinds:
        text = with_table(text, kind)
    write_text(arguments.update, text)


def hparam_table(kind: str) -> str:
    """Returns the Markdown table of hparams of pretraining or fine-tuning, with defaults and meanings."""
    rows = ["| hparam | default | meaning |", "|---|---|---|"]
    for field in dataclasses.fields(CONFIGS[kind]):
        if field.name not in _FLAGS:
            rows.append(f"| `{field.name}` | {_default(field)} | {field.metadata['meaning']} |")
    return "\n".join(rows) + "\n"


def has_table(text: str, kind: str) -> bool:
    """Returns whether the text has the two marks that the table stands between."""
    begin, end = _marks(kind)
    return end in text.partition(begin)[2]


def with_table(text: str, kind: str) -> str:
    """Returns the text with the table of today between its marks."""
    begin, end = _marks(kind)
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    return f"{before}{begin}\n{hparam_table(kind)}{end}{after}"


def _marks(kind: str) -> tuple[str, str]:
    return f"<!-- hparams of {kind} -->", f"<!-- end of hparams of {kind} -->"


def _default(field: dataclasses.Field) -> str:
    if "rule" in field.metadata:
        return field.metadata["rule"]
    value = {} if field.default is dataclasses.MISSING else field.default
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    command_line.run(main, make_parser)

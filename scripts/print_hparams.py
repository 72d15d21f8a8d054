"""Prints the values of pretraining hparams as a run would have them, one a line; without names, all of them as JSON."""

import argparse

from absl.flags import argparse_flags

from configure_pretraining import PretrainingConfig
from electra_span import command_line
from electra_span.config import HparamError


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command: the flags of run_pretraining.py, and the names of hparams."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data-dir", required=True, help="as run_pretraining.py takes it")
    parser.add_argument("--model-name", required=True, help="as run_pretraining.py takes it")
    parser.add_argument("--hparams", default="{}", help="as run_pretraining.py takes it")
    parser.add_argument("names", nargs="*", metavar="HPARAM", help="what to print")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints what the arguments name."""
    config = PretrainingConfig.from_hparams(
        model_name=arguments.model_name,
        data_dir=arguments.data_dir,
        hparams=command_line.read_hparams(arguments.hparams),
    )
    values = config.to_dict()
    if not arguments.names:
        print(config.to_json(), end="")
    for name in arguments.names:
        if name not in values:
            raise HparamError(f"{name} is no hparam of pretraining; run without names to see all of them")
        print(values[name])


if __name__ == "__main__":
    command_line.run(main, make_parser)

"""Prints the values of hparams as a run would have them, one a line; without names, all of them as JSON."""

import argparse

from absl.flags import argparse_flags

from configure_pretraining import PretrainingConfig
from electra_span import command_line
from electra_span.config import HparamError
from finetune.config import FinetuningConfig


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command: the flags of the run scripts, and the names of hparams."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data-dir", required=True, help="as the run scripts take it")
    parser.add_argument("--model-name", required=True, help="as the run scripts take it")
    parser.add_argument("--hparams", default="{}", help="as the run scripts take it")
    parser.add_argument(
        "--finetuning", action="store_true", help="hparams of run_finetuning.py, not run_pretraining.py"
    )
    parser.add_argument("names", nargs="*", metavar="HPARAM", help="what to print; or KEY=VALUE, which sets one")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints what the arguments name."""
    words = [name for name in arguments.names if "=" in name]
    names = [name for name in arguments.names if "=" not in name]
    config_class = FinetuningConfig if arguments.finetuning else PretrainingConfig
    config = config_class.from_hparams(
        model_name=arguments.model_name,
        data_dir=arguments.data_dir,
        hparams=command_line.read_hparams(arguments.hparams, words),
    )
    values = config.to_dict()
    if not names:
        print(config.to_json(), end="")
    for name in names:
        if name not in values:
            kind = "fine-tuning" if arguments.finetuning else "pretraining"
            raise HparamError(f"{name} is no hparam of {kind}; run without names to see all of them")
        print(values[name])


if __name__ == "__main__":
    command_line.run(main, make_parser)

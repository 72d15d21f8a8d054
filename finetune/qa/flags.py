"""Flags that commands about files of questions share. Imports no TensorFlow."""

import argparse

from electra_span import command_line
from finetune.reading import BadRowLimit


def add_limit_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that tell how many questions may be bad."""
    default = BadRowLimit()
    parser.add_argument(
        "--max-bad-rows",
        type=command_line.whole_number(0),
        default=default.num_rows,
        metavar="N",
        help="bad questions at which it goes on, however few there are",
    )
    parser.add_argument(
        "--max-bad-rate",
        type=command_line.number(0, 1),
        default=default.rate,
        metavar="SHARE",
        help="share of bad questions at which it goes on; the larger of both counts",
    )


def limit_of(arguments: argparse.Namespace) -> BadRowLimit:
    """Returns how many questions may be bad."""
    return BadRowLimit(num_rows=arguments.max_bad_rows, rate=arguments.max_bad_rate)

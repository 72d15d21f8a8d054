"""Tells which questions a model answers wrongly and how, and whether another model is better.

Writes a page with plots and examples (index.html), tables (CSV) and all numbers (summary.json) to a folder.
"""

import argparse

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.files import reason_of, write_json, write_text
from electra_span.places import check_distinct, check_input, check_output_folder
from finetune.analysis.analysis import analyze
from finetune.analysis.models import AnswerFiles
from finetune.analysis.page import page
from finetune.analysis.tables import csv_tables, summary, summary_line
from finetune.qa.file_formats import FILE_FORMATS
from finetune.qa.readers import add_limit_flags, limit_of, read_questions

_FILES_READ = ("gold", "predictions", "null-odds", "compare", "compare-null-odds")


class AnalysisError(UserError):
    """Flags that do not go together, or a folder that cannot be written to."""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, argument_default=argparse.SUPPRESS
    )
    parser.add_argument("--gold", required=True, metavar="FILE", help="questions with their right answers")
    parser.add_argument("--format", choices=tuple(FILE_FORMATS), default="squad", help="of the questions")
    parser.add_argument("--predictions", required=True, metavar="FILE", help="JSON object of answers by question id")
    parser.add_argument(
        "--null-odds", default=None, metavar="FILE", help="JSON object: how likely each question has no answer"
    )
    parser.add_argument("--compare", default=None, metavar="FILE", help="predictions of a second model")
    parser.add_argument("--compare-null-odds", default=None, metavar="FILE", help="null odds of the second model")
    parser.add_argument(
        "--threshold",
        type=command_line.number(),
        default=None,
        help="null odds above which there is no answer; without it, for each model where its F1 is best",
    )
    parser.add_argument(
        "--output", type=command_line.parse_path, required=True, metavar="DIR", help="folder to write to"
    )
    parser.add_argument(
        "--num-examples", type=command_line.whole_number(0), default=10, help="questions of each kind to be read"
    )
    parser.add_argument(
        "--seed", type=command_line.whole_number(0), default=0, help="of the examples and of the bootstrap"
    )
    add_limit_flags(parser)
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Writes the files and prints the scores."""
    _check(arguments)
    check_output_folder("--output", arguments.output)
    read_files = {f"--{name}": getattr(arguments, name.replace("-", "_")) for name in _FILES_READ}
    for flag, path in read_files.items():
        if path is not None:
            check_input(flag, path, expects_folder=False)
    files = [AnswerFiles(arguments.predictions, arguments.null_odds)]
    if arguments.compare is not None:
        files.append(AnswerFiles(arguments.compare, arguments.compare_null_odds))
    read = read_questions(arguments.gold, arguments.format, for_training=False, limit=limit_of(arguments))
    analysis = analyze(
        arguments.gold,
        read,
        files,
        threshold=arguments.threshold,
        num_examples=arguments.num_examples,
        seed=arguments.seed,
    )
    tables = csv_tables(analysis)
    names = (*tables, "summary.json", "index.html")
    check_distinct({name: arguments.output / name for name in names}, read_files)
    try:
        for name, content in tables.items():
            write_text(arguments.output / name, content)
        write_json(arguments.output / "summary.json", summary(analysis))
        write_text(arguments.output / "index.html", page(analysis))
    except OSError as error:
        raise AnalysisError(f"--output {arguments.output}: cannot be written to: {reason_of(error)}") from error
    print(summary_line(analysis))
    print(arguments.output / "index.html")


def _check(arguments: argparse.Namespace) -> None:
    """Checks what flags need of each other.

    Raises:
        AnalysisError: names the first flag that does not fit.
    """
    has_null_odds = arguments.null_odds is not None or arguments.compare_null_odds is not None
    rules = {
        "--threshold needs --null-odds, which it is compared with": arguments.threshold is None or has_null_odds,
        "--compare-null-odds needs --compare": arguments.compare_null_odds is None or arguments.compare is not None,
    }
    for rule, is_met in rules.items():
        if not is_met:
            received = getattr(arguments, rule.split()[0].removeprefix("--").replace("-", "_"))
            raise AnalysisError(f"{rule}. Received: {received}")


if __name__ == "__main__":
    command_line.run(main, make_parser)

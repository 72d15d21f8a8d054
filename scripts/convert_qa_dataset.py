"""Writes a data set of questions (NewsQA, QuAC, MRQA, tables) in the layout of SQuAD 2.0, every answer at its offset.

Questions that cannot be converted are counted by what is wrong with them, and the first are named.
"""

import argparse

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.files import write_json
from electra_span.places import check_distinct, check_output_file
from finetune.qa.conversion import convert_to_squad
from finetune.qa.readers import add_limit_flags, limit_of

_SOURCES = {
    "newsqa": "the tables of NewsQA (combined-newsqa-data-v1.csv, or the tokenized one)",
    "quac": "JSON of dialogues",
    "mrqa": "JSON lines of the MRQA shared task",
    "squad": "JSON or JSON lines with SQuAD's fields, such as exports of annotation tools and tables of questions",
}


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, argument_default=argparse.SUPPRESS
    )
    sources = "; ".join(f"{name}: {meaning}" for name, meaning in _SOURCES.items())
    parser.add_argument(
        "--from", dest="source", choices=_SOURCES, required=True, help=f"layout of the input. {sources}"
    )
    parser.add_argument("--to", dest="target", choices=("squad",), default="squad", help="layout of the output")
    parser.add_argument(
        "--input",
        type=command_line.parse_path,
        required=True,
        metavar="FILE",
        help="file to read; gzip is no hindrance",
    )
    parser.add_argument("--output", type=command_line.parse_path, required=True, metavar="FILE", help="file to write")
    parser.add_argument(
        "--report", type=command_line.parse_path, default=None, metavar="FILE", help="JSON file to write all counts to"
    )
    parser.add_argument(
        "--history-turns",
        type=command_line.whole_number(0),
        default=0,
        metavar="K",
        help="quac: how many questions and answers before it a question begins with",
    )
    add_limit_flags(parser)
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Writes the files and prints the counts."""
    check_output_file("--output", arguments.output)
    if arguments.report is not None:
        check_output_file("--report", arguments.report)
    check_distinct({"--output": arguments.output, "--report": arguments.report}, {"--input": arguments.input})
    report = convert_to_squad(
        arguments.input,
        arguments.source,
        arguments.output,
        history_turns=arguments.history_turns,
        limit=limit_of(arguments),
    )
    if arguments.report is not None:
        write_json(arguments.report, report.to_json())
    print(report.line())


if __name__ == "__main__":
    command_line.run(main, make_parser)

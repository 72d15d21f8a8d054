"""Tells what is in a corpus: sizes, scripts, tokens, repetitions, overlap with evaluation files, lines to look at."""

import argparse
import os

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.files import write_json, write_text
from electra_span.places import check_distinct, check_output_file
from pretrain.builder.build import plan_corpus
from pretrain.builder.settings import BOUNDS
from pretrain.dataset.packing import DOCUMENT_TAILS, FORMATS, Packing
from pretrain.inspection.inspection import InspectionSettings, inspect_corpus
from pretrain.inspection.report_html import report_html
from pretrain.inspection.report_text import report_text
from pretrain.quality.settings import MAX_THRESHOLD, MIN_THRESHOLD
from pretrain.sources.corpus import check_outside_corpus
from pretrain.sources.flags import add_corpus_flags, corpus_places, files_of, source_settings


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command: the flags that a build has too mean the same."""
    parser = argparse_flags.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, argument_default=argparse.SUPPRESS
    )
    add_corpus_flags(parser)
    default = InspectionSettings()
    wanted = parser.add_argument_group("what to look for, and where to write it")
    wanted.add_argument(
        "--against", nargs="+", type=command_line.parse_path, default=(), metavar="FILE", help="evaluation files"
    )
    wanted.add_argument(
        "--duplicate-threshold",
        type=command_line.number(MIN_THRESHOLD, MAX_THRESHOLD),
        default=default.duplicate_threshold,
        help="least similarity of near-duplicate documents, from 0.3 to 0.95",
    )
    wanted.add_argument(
        "--html", type=command_line.parse_path, default=None, metavar="FILE", help="page to write, with charts"
    )
    wanted.add_argument(
        "--json", type=command_line.parse_path, default=None, metavar="FILE", help="file to write all numbers to"
    )
    parser.add_argument(
        "--num-processes",
        type=command_line.whole_number(*BOUNDS["num_processes"]),
        default=1,
        help="processes that share the work",
    )
    command_line.add_switch(
        parser, "--blanks-separate-docs", default.blanks_separate_docs, "whether a blank line ends a document"
    )
    _add_token_flags(parser, default)
    return parser


def _add_token_flags(parser: argparse.ArgumentParser, default: InspectionSettings) -> None:
    tokens = parser.add_argument_group("about tokens and examples, with a vocabulary")
    tokens.add_argument(
        "--vocab-file", type=command_line.parse_path, default=None, help="a vocabulary, or the folder of a tokenizer"
    )
    tokens.add_argument(
        "--max-seq-length",
        type=command_line.whole_number(*BOUNDS["max_seq_length"]),
        default=default.packing.max_seq_length,
        help="tokens of an example",
    )
    tokens.add_argument("--format", choices=FORMATS, default=default.packing.format, help="of the examples")
    tokens.add_argument(
        "--document-tails",
        choices=DOCUMENT_TAILS,
        default=default.packing.document_tails,
        help="sentences: what becomes of a document's last tokens",
    )
    tokens.add_argument(
        "--seed",
        type=command_line.whole_number(*BOUNDS["seed"]),
        default=default.seed,
        help="decides how lines are packed",
    )
    command_line.add_switch(
        parser, "--do-lower-case", default.do_lower_case, "whether to lower-case text", "--no-lower-case"
    )
    command_line.add_switch(
        parser,
        "--do-strip-accents",
        default.do_strip_accents,
        "whether to strip accents of lower-cased text",
        "--no-strip-accents",
    )


def main(arguments: argparse.Namespace) -> None:
    """Prints the report, and writes it to the files that are wanted."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # text needs no GPU
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    settings = _settings(arguments)
    files = files_of(arguments)
    written = {"--html": arguments.html, "--json": arguments.json}
    for name, path in written.items():
        if path is not None:
            check_output_file(name, path)
    check_distinct(written, {f"--against {file}": file for file in arguments.against})
    check_outside_corpus(written, corpus_places(arguments), files)
    tasks = plan_corpus(
        files, blanks_separate_docs=settings.blanks_separate_docs, source_settings=settings.source_settings
    )
    report = inspect_corpus(files, tasks, settings)
    print(report_text(report))
    if arguments.json is not None:
        write_json(arguments.json, report)
    if arguments.html is not None:
        write_text(arguments.html, report_html(report, str(arguments.corpus_dir or " ".join(arguments.corpus_files))))


def _settings(arguments: argparse.Namespace) -> InspectionSettings:
    names = InspectionSettings.__dataclass_fields__
    told = {name: value for name, value in vars(arguments).items() if name in names}
    told["packing"] = Packing(arguments.max_seq_length, arguments.format, arguments.document_tails)
    told["source_settings"] = source_settings(arguments)
    return InspectionSettings(**told | {"against": tuple(arguments.against)})


if __name__ == "__main__":
    command_line.run(main, make_parser)

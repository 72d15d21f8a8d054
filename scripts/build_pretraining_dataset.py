"""Builds files of pretraining examples (TFRecords) from text: plain, in tables, JSON or archives, packed or not."""

import argparse
import os

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.places import check_output_folder
from pretrain.builder.build import BuildSettings, build_dataset
from pretrain.builder.settings import BOUNDS, RUNNERS
from pretrain.dataset.packing import DOCUMENT_TAILS, FORMATS
from pretrain.quality.settings import DEDUP, MAX_THRESHOLD, MIN_THRESHOLD
from pretrain.sources.flags import add_corpus_flags, source_settings


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command: the original's flags and defaults, and a few more."""
    parser = argparse_flags.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, argument_default=argparse.SUPPRESS
    )
    add_corpus_flags(parser)
    paths = {
        "vocab-file": "a vocabulary, one token a line, or the folder of a published tokenizer",
        "output-dir": "folder for the records, empty or not there yet",
    }
    required = parser.add_argument_group("what to build with and where to write")
    for name, meaning in paths.items():
        required.add_argument(f"--{name}", type=command_line.parse_path, required=True, help=meaning)
    numbers = {
        "max_seq_length": "tokens of an example",
        "num_processes": "processes that share the work; the records do not depend on it",
        "num_out_files": "files of records",
        "seed": "decides how lines are packed and where examples go",
    }
    for name, meaning in numbers.items():
        default = getattr(BuildSettings, name)
        kind = command_line.whole_number(*BOUNDS[name])
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=meaning)
    choices = {
        "runner": (RUNNERS, "what shares the work: processes of this machine, or Apache Beam (docs/scaling.md)"),
        "format": (
            FORMATS,
            "pairs: one or two segments of whole lines, as the original's; sentences: one segment of the "
            "next tokens of a document, full; rows: one segment, the first tokens of each document",
        ),
        "document_tails": (
            DOCUMENT_TAILS,
            "sentences: whether the last tokens of several documents share an example, "
            "have one of their own, or are left out",
        ),
    }
    for name, (values, meaning) in choices.items():
        default = getattr(BuildSettings, name)
        parser.add_argument(f"--{name.replace('_', '-')}", choices=values, default=default, help=meaning)
    parser.add_argument(
        "--beam-options",
        default=BuildSettings.beam_options,
        metavar="OPTIONS",
        help="those of Beam's runner, as '--runner=FlinkRunner --flink_master=HOST:8081'; "
        "if empty, num-processes of this machine",
    )
    switches = (
        ("blanks_separate_docs", "whether a blank line ends a document", None),
        ("do_lower_case", "whether to lower-case text", "--no-lower-case"),
        ("do_strip_accents", "whether to strip accents of lower-cased text", "--no-strip-accents"),
    )
    for name, meaning, opposite in switches:
        flag, default = f"--{name.replace('_', '-')}", getattr(BuildSettings, name)
        command_line.add_switch(parser, flag, default, meaning, opposite)
    _add_filter_flags(parser)
    return parser


def _add_filter_flags(parser: argparse.ArgumentParser) -> None:
    filters = parser.add_argument_group("what to leave out (scripts/inspect_corpus.py tells how much that is)")
    filters.add_argument(
        "--dedup",
        nargs="*",
        choices=DEDUP,
        default=None,
        help="documents like an earlier one, and lines of 10 words or more that are equal to an earlier one; "
        "or one of them only",
    )
    filters.add_argument(
        "--duplicate-threshold",
        type=command_line.number(MIN_THRESHOLD, MAX_THRESHOLD),
        default=BuildSettings.duplicate_threshold,
        help="least similarity of documents that are alike, of their sets of five words in a row",
    )
    filters.add_argument(
        "--drop-overlap",
        nargs="+",
        type=command_line.parse_path,
        default=(),
        metavar="FILE",
        help="evaluation files (JSON, CSV, TSV, text): documents that share 13 words in a row with them",
    )


def main(arguments: argparse.Namespace) -> None:
    """Builds the records the arguments tell of."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # text needs no GPU, and each process would claim all of its memory
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    check_output_folder("--output-dir", arguments.output_dir)
    names = BuildSettings.__dataclass_fields__
    told = {name: value for name, value in vars(arguments).items() if name in names}
    told |= {"corpus_files": tuple(arguments.corpus_files), "source_settings": source_settings(arguments)}
    told |= {"dedup": dedup_of(arguments), "drop_overlap": tuple(arguments.drop_overlap)}
    build_dataset(BuildSettings(**told))


def dedup_of(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Returns what is left out where it occurs again: all there is, where the flag stands alone."""
    return () if arguments.dedup is None else tuple(arguments.dedup) or DEDUP


if __name__ == "__main__":
    command_line.run(main, make_parser)

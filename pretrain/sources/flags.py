"""The flags that say what a corpus is and how its sources are read, for all commands that read one."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from electra_span import command_line
from pretrain.sources.corpus import corpus_files, matching_files
from pretrain.sources.settings import ON_BAD_TEXT, SourceSettings


def add_corpus_flags(parser: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    """Adds the flags of a corpus: where it is, and the fields of SourceSettings."""
    places = parser.add_mutually_exclusive_group(required=is_required)
    places.add_argument(
        "--corpus-dir", type=command_line.parse_path, default=None, help="folder of the corpus' files, in any depth"
    )
    places.add_argument(
        "--corpus-files", nargs="+", default=(), metavar="FILE", help="its files, folders, or patterns as text/**/*.csv"
    )
    default = SourceSettings()
    texts = {
        "text_field": ("NAME", "the field of JSON objects that holds the text"),
        "col_name": ("NAME", "the column of CSV, TSV or Parquet that holds the text"),
        "encoding": ("NAME", "encoding of the text"),
    }
    for name, (metavar, meaning) in texts.items():
        value = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", default=value, metavar=metavar, help=meaning)
    parser.add_argument(
        "--on-bad-text",
        choices=ON_BAD_TEXT,
        default=default.on_bad_text,
        help="what becomes of text that cannot be decoded (replace: its bytes, by U+FFFD; skip: its line or row), and "
        "of rows that cannot be parsed (skip)",
    )
    parser.add_argument(
        "--max-bad-rate",
        type=command_line.number(0, 1),
        default=default.max_bad_rate,
        help="share of a file's lines or rows above which, from 100 on, replaced or skipped ones are an error",
    )
    parser.add_argument(
        "--csv-delimiter",
        type=_delimiter,
        default=default.csv_delimiter,
        metavar="CHARACTER",
        help=r"what is between the fields of a row, such as ';' or '\t'; by default a comma in CSV and a tab in TSV",
    )
    command_line.add_switch(
        parser, "--csv-quotes", default.csv_quotes, "whether quotation marks quote in CSV and TSV, or are text"
    )
    command_line.add_switch(
        parser, "--openwebtext", default.openwebtext, "whether the files are archives of texts, each one document"
    )


def _delimiter(text: str) -> str:
    """Returns a delimiter as it is; a tab may be told as in most languages."""
    return "\t" if text == r"\t" else text


def source_settings(arguments: argparse.Namespace) -> SourceSettings:
    """Returns what the flags say of the sources."""
    names = [field.name for field in dataclasses.fields(SourceSettings)]
    return SourceSettings(**{name: getattr(arguments, name) for name in names})


def corpus_places(arguments: argparse.Namespace) -> Sequence[str | Path]:
    """Returns the folder, or the files, folders and patterns, that the flags name as the corpus."""
    return arguments.corpus_files if arguments.corpus_dir is None else [arguments.corpus_dir]


def files_of(arguments: argparse.Namespace) -> list[Path]:
    """Returns the files that the flags name.

    Raises:
        CorpusError: where there are none.
    """
    if arguments.corpus_dir is not None:
        return corpus_files(arguments.corpus_dir)
    return matching_files(arguments.corpus_files)

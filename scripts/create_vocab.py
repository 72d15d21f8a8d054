"""Learns a vocabulary from text files of any kind, or adds special tokens to one that is there.

The same corpus gives the same vocabulary. A file that is there already, and is another vocabulary, is left as it is.
"""

import argparse
import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import logging
from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.places import check_output_file, check_output_folder
from pretrain.dataset.text_losses import vocabulary_warnings
from pretrain.sources.corpus import check_outside_corpus, corpus_lines
from pretrain.sources.flags import add_corpus_flags, corpus_places, files_of, source_settings
from pretrain.sources.kinds import preview
from pretrain.vocabularies import (
    TOKENIZER_OPTIONS,
    Lines,
    OptionError,
    OutputError,
    fit_of,
    learn_tokenizer,
    write_tokenizer,
    write_vocabulary,
)

_SAMPLE_LINES = 10_000


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, argument_default=argparse.SUPPRESS
    )
    add_corpus_flags(parser, is_required=False)
    parser.add_argument(
        "--vocab-file", type=command_line.parse_path, default=None, help="file to write, one token a line"
    )
    parser.add_argument(
        "--add-special-tokens",
        type=command_line.parse_path,
        default=None,
        metavar="VOCABULARY",
        help="learn nothing: append the special tokens that this vocabulary lacks, and write it to --output-dir",
    )
    parser.add_argument(
        "--preview",
        action="store_true",
        default=False,
        help="learn nothing: try the start of each file, and print the first documents as these flags have them read",
    )
    parser.add_argument(
        "--output-dir", type=command_line.parse_path, default=None, help="folder to write a tokenizer's files to"
    )
    parser.add_argument("--vocab-size", type=command_line.whole_number(1), default=30522, help="number of tokens")
    parser.add_argument(
        "--tokenizer-type", choices=list(TOKENIZER_OPTIONS), default="wordpiece", help="kind of the vocabulary"
    )
    parser.add_argument(
        "--special-tokens",
        nargs="+",
        default=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        help="special tokens in the order of their ids, as [CLS] or <s>, [SEP] or </s> and so on; others may be added",
    )
    parser.add_argument(
        "--max-sentences",
        type=command_line.whole_number(1),
        help="lines to learn from, spread over the corpus; all otherwise",
    )
    options = parser.add_argument_group("what not every kind has, and where nothing is said depends on it")
    options.add_argument(
        "--min-frequency",
        type=command_line.whole_number(1),
        help=_meaning("min_frequency", "how often a piece must occur"),
    )
    options.add_argument(
        "--character-coverage",
        type=command_line.number(0, 1, above=True),
        help=_meaning("character_coverage", "share of the text whose characters are known"),
    )
    _add_switch(options, ("--do-lower-case", "--lowercase"), "--no-lower-case", "whether to lower-case text")
    _add_switch(
        options, ("--do-strip-accents", "--strip-accents"), "--no-strip-accents", "whether to strip accents of text"
    )
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace another vocabulary")
    return parser


def _add_switch(group: argparse._ArgumentGroup, flags: Sequence[str], opposite: str, meaning: str) -> None:
    """Adds a flag that means true, may be followed by true or false, and its opposite; neither has a default."""
    name = flags[0].removeprefix("--").replace("-", "_")
    group.add_argument(
        *flags,
        dest=name,
        nargs="?",
        type=command_line.parse_bool,
        const=True,
        metavar="BOOL",
        help=_meaning(name, meaning),
    )
    group.add_argument(opposite, dest=name, action="store_const", const=False, help=f"the opposite of {flags[0]}")


def _meaning(name: str, meaning: str) -> str:
    """Returns the help of an option that not every kind of tokenizer has."""
    defaults = (f"{kind} {options[name]}" for kind, options in TOKENIZER_OPTIONS.items() if name in options)
    return f"{meaning} ({', '.join(defaults)})"


def training_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the options of the arguments' kind of tokenizer, by name.

    Raises:
        OptionError: for an option that this kind does not have.
    """
    kind = arguments.tokenizer_type
    names = {name for options in TOKENIZER_OPTIONS.values() for name in options}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    for name in given:
        if name not in TOKENIZER_OPTIONS[kind]:
            flag, *others = (f"--{each.replace('_', '-')}" for each in (name, *TOKENIZER_OPTIONS[kind]))
            raise OptionError(f"--tokenizer-type {kind} has no {flag}; it has {', '.join(others)}")
    return TOKENIZER_OPTIONS[kind] | given


def main(arguments: argparse.Namespace) -> None:
    """Learns a vocabulary, or adds special tokens to one, or shows what would be learned from."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # text needs no GPU
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if arguments.preview:
        _check_corpus(arguments, "--preview")
        training_options(arguments)
        for line in preview(files_of(arguments), source_settings(arguments)):
            print(line)
    elif arguments.add_special_tokens is not None:
        add_special_tokens(arguments)
    else:
        learn(arguments)


def add_special_tokens(arguments: argparse.Namespace) -> None:
    """Writes a vocabulary with the special tokens that it lacks, and logs which these are."""
    _check_flags(arguments, "--add-special-tokens", needed=("output_dir",), useless=("corpus_dir", "vocab_file"))
    check_output_folder("--output-dir", arguments.output_dir)
    from electra_span.tokenization import load_with_special_tokens

    source = arguments.add_special_tokens
    settings = TOKENIZER_OPTIONS["wordpiece"] | vars(arguments)  # the others have theirs in their files
    strip_accents = None if settings["do_strip_accents"] else False
    tokenizer, added = load_with_special_tokens(source, settings["do_lower_case"], strip_accents)
    for warning in vocabulary_warnings(tokenizer):
        logging.warning("%s", warning)
    write_tokenizer(tokenizer, arguments.output_dir, overwrite=arguments.overwrite)
    first_id = tokenizer.vocab_size - len(added)
    names = ", ".join(f"{token} as {first_id + number}" for number, token in enumerate(added))
    logging.info("%s: %s", source, f"added {names}" if added else "lacks no special token, nothing was added")
    logging.info("%s: %d tokens, special: %s", arguments.output_dir, tokenizer.vocab_size, tokenizer.special_tokens)


def learn(arguments: argparse.Namespace) -> None:
    """Learns and writes a vocabulary, and logs how large it is and how well it fits."""
    start = time.monotonic()
    options = training_options(arguments)
    place = _check_place(arguments)
    files, settings = files_of(arguments), source_settings(arguments)
    written = {"--vocab-file": arguments.vocab_file, "--output-dir": arguments.output_dir}
    check_outside_corpus(written, corpus_places(arguments), files)
    lines = Lines(lambda: corpus_lines(files, settings, label="read"), getattr(arguments, "max_sentences", None))
    tokenizer = learn_tokenizer(
        lines,
        arguments.tokenizer_type,
        vocab_size=arguments.vocab_size,
        special_tokens=arguments.special_tokens,
        options=options,
    )
    if arguments.output_dir is None:
        write_vocabulary(place, tokenizer.vocabulary, overwrite=arguments.overwrite)
    else:
        write_tokenizer(tokenizer, place, overwrite=arguments.overwrite)
    sample = list(itertools.islice(corpus_lines(files, settings), _SAMPLE_LINES))
    logging.info("corpus: %d lines in %d files, %d lines used", lines.num_lines, len(files), lines.num_used)
    logging.info("%s: %d tokens; %d were asked for", place, tokenizer.vocab_size, arguments.vocab_size)
    fit = fit_of(tokenizer, sample)
    rate = 100 * fit.num_unknown / max(1, fit.num_tokens)
    logging.info("%.4f%% of the tokens in the first %d lines are unknown", rate, len(sample))
    for warning in fit.warnings:
        logging.warning("%s", warning)
    logging.info("%.1f seconds", time.monotonic() - start)


def _check_flags(arguments: argparse.Namespace, action: str, *, needed: Sequence[str], useless: Sequence[str]) -> None:
    """Raises OutputError for a flag that an action lacks, or one that it has no use for."""
    for names, is_needed in ((needed, True), (useless, False)):
        for name in names:
            if (getattr(arguments, name) is not None) != is_needed:
                flag = f"--{name.replace('_', '-')}"
                raise OutputError(f"{action} needs {flag}" if is_needed else f"{action} has no use for {flag}")


def _check_corpus(arguments: argparse.Namespace, action: str) -> None:
    """Raises OutputError where an action has no corpus."""
    if arguments.corpus_dir is None and not arguments.corpus_files:
        raise OutputError(f"{action} needs --corpus-dir or --corpus-files")


def _check_place(arguments: argparse.Namespace) -> Path:
    """Returns where to write what is learned.

    Raises:
        FileError: where nothing can be written there.
        OutputError: where no place is given, or two.
        OptionError: where a kind of tokenizer has no vocabulary file of one token a line.
    """
    _check_corpus(arguments, "learning")
    vocab_file, folder = arguments.vocab_file, arguments.output_dir
    if (vocab_file is None) == (folder is None):
        raise OutputError("learning needs --vocab-file or --output-dir, one of them")
    if vocab_file is not None and arguments.tokenizer_type != "wordpiece":
        raise OptionError(f"--tokenizer-type {arguments.tokenizer_type} has no --vocab-file; name an --output-dir")
    flag, place = ("--vocab-file", vocab_file) if folder is None else ("--output-dir", folder)
    (check_output_file if folder is None else check_output_folder)(flag, place)
    return place


if __name__ == "__main__":
    command_line.run(main, make_parser)

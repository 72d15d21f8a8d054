"""Learns a vocabulary from a folder of text files, or adds special tokens to one that is there.

The same corpus gives the same vocabulary. A file that is there already, and is another vocabulary, is left as it is.
"""

import argparse
import itertools
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import logging
from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from pretrain.corpus import corpus_files, corpus_lines

if TYPE_CHECKING:
    from electra_span.tokenization import Tokenizer

_SAMPLE_LINES = 10_000


class OutputError(UserError):
    """A place where the vocabulary cannot be written."""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, argument_default=argparse.SUPPRESS
    )
    parser.add_argument("--corpus-dir", type=Path, default=None, help="folder of UTF-8 text files, in any depth")
    parser.add_argument("--vocab-file", type=Path, default=None, help="file to write, one token a line")
    parser.add_argument(
        "--add-special-tokens",
        type=Path,
        default=None,
        metavar="VOCABULARY",
        help="learn nothing: append the special tokens that this vocabulary lacks, and write it to --output-dir",
    )
    parser.add_argument("--output-dir", type=Path, default=None, help="folder to write a tokenizer's files to")
    parser.add_argument("--vocab-size", type=int, default=30522, help="number of tokens")
    parser.add_argument("--tokenizer-type", choices=["wordpiece"], default="wordpiece", help="kind of the vocabulary")
    parser.add_argument("--min-frequency", type=int, default=2, help="how often a piece must be in the corpus")
    command_line.add_switch(parser, "--do-lower-case", True, "whether to lower-case text", "--no-lower-case")
    command_line.add_switch(
        parser, "--do-strip-accents", True, "whether to strip accents of lower-cased text", "--no-strip-accents"
    )
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace another vocabulary")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Learns a vocabulary, or adds special tokens to one."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # text needs no GPU
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if arguments.add_special_tokens is not None:
        add_special_tokens(arguments)
    else:
        learn(arguments)


def add_special_tokens(arguments: argparse.Namespace) -> None:
    """Writes a vocabulary with the special tokens that it lacks, and logs which these are."""
    _check_flags(arguments, "--add-special-tokens", needed=("output_dir",), useless=("corpus_dir", "vocab_file"))
    from electra_span.tokenization import load_with_special_tokens

    source = arguments.add_special_tokens
    strip_accents = None if arguments.do_strip_accents else False
    tokenizer, added = load_with_special_tokens(source, arguments.do_lower_case, strip_accents)
    write_tokenizer(tokenizer, arguments.output_dir, overwrite=arguments.overwrite)
    first_id = tokenizer.vocab_size - len(added)
    names = ", ".join(f"{token} as {first_id + number}" for number, token in enumerate(added))
    logging.info("%s: %s", source, f"added {names}" if added else "lacks no special token, nothing was added")
    logging.info("%s: %d tokens, special: %s", arguments.output_dir, tokenizer.vocab_size, tokenizer.special_tokens)


def learn(arguments: argparse.Namespace) -> None:
    """Learns and writes the vocabulary, and logs how large it is and how well it fits."""
    start = time.monotonic()
    _check_flags(arguments, "learning", needed=("corpus_dir", "vocab_file"), useless=("output_dir",))
    check_place(arguments.vocab_file, arguments.corpus_dir)
    files = corpus_files(arguments.corpus_dir)
    from electra_span.tokenization.vocabulary_training import train_wordpiece

    normalization = {"do_lower_case": arguments.do_lower_case, "strip_accents": arguments.do_strip_accents}
    tokens, num_lines = train_wordpiece(
        lambda: corpus_lines(files),
        vocab_size=arguments.vocab_size,
        min_frequency=arguments.min_frequency,
        **normalization,
    )
    write_vocabulary(arguments.vocab_file, tokens, overwrite=arguments.overwrite)
    sample = list(itertools.islice(corpus_lines(files), _SAMPLE_LINES))
    rate = unknown_rate(tokens, normalization, sample)
    logging.info("corpus: %d lines in %d files", num_lines, len(files))
    logging.info("%s: %d tokens; %d were asked for", arguments.vocab_file, len(tokens), arguments.vocab_size)
    logging.info("%.4f%% of the tokens in the first %d lines are unknown", 100 * rate, len(sample))
    logging.info("%.1f seconds", time.monotonic() - start)


def _check_flags(arguments: argparse.Namespace, action: str, *, needed: Sequence[str], useless: Sequence[str]) -> None:
    """Raises OutputError for a flag that an action lacks, or one that it has no use for."""
    for names, is_needed in ((needed, True), (useless, False)):
        for name in names:
            if (getattr(arguments, name) is not None) != is_needed:
                flag = f"--{name.replace('_', '-')}"
                raise OutputError(f"{action} needs {flag}" if is_needed else f"{action} has no use for {flag}")


def check_place(vocab_file: Path, corpus_dir: Path) -> None:
    """Raises OutputError where the vocabulary's place is a folder or in the corpus, which it would become part of."""
    if vocab_file.is_dir():
        raise OutputError(f"--vocab-file must be a file. Received: {vocab_file}, a folder")
    if vocab_file.resolve().is_relative_to(corpus_dir.resolve()):
        raise OutputError(f"--vocab-file must not be in the corpus. Received: {vocab_file}, which is in {corpus_dir}")


def unknown_rate(vocabulary: Sequence[str], normalization: Mapping[str, bool], lines: Sequence[str]) -> float:
    """Returns the fraction of the lines' tokens that a vocabulary does not know."""
    from electra_span.tokenization import WordPieceTokenizer

    tokenizer = WordPieceTokenizer(vocabulary, normalization["do_lower_case"], normalization["strip_accents"])
    ids = tokenizer.encode_flat(lines).ids
    return float((ids == tokenizer.unk_id).mean()) if len(ids) else 0.0


def write_vocabulary(path: Path, vocabulary: Sequence[str], *, overwrite: bool) -> None:
    """Writes a vocabulary, one token a line, whole or not at all.

    Raises:
        OutputError: where another vocabulary is there and overwrite is false.
    """
    content = "".join(f"{token}\n" for token in vocabulary).encode()
    _check_difference(path, content, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def write_tokenizer(tokenizer: "Tokenizer", folder: Path, *, overwrite: bool) -> None:
    """Writes all files of a tokenizer, in the published form.

    Raises:
        OutputError: where another file of one's name is there and overwrite is false.
    """
    unfinished = folder / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        tokenizer.save(unfinished)
        for file in unfinished.iterdir():
            _check_difference(folder / file.name, file.read_bytes(), overwrite=overwrite)
        for file in unfinished.iterdir():
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _check_difference(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Raises OutputError where a file is there with another content, and overwrite is false."""
    if path.exists() and not overwrite and path.read_bytes() != content:
        raise OutputError(f"{path} is there already and differs; name another place, or add --overwrite")


if __name__ == "__main__":
    command_line.run(main, make_parser)

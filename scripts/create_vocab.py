"""Learns a vocabulary from a folder of text files.

The same corpus gives the same vocabulary. A file that is there already, and is another vocabulary, is left as it is.
"""

import argparse
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import logging
from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from pretrain.corpus import corpus_files, corpus_lines

_SAMPLE_LINES = 10_000


class OutputError(UserError):
    """A place where the vocabulary cannot be written."""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter, argument_default=argparse.SUPPRESS
    )
    parser.add_argument("--corpus-dir", type=Path, required=True, help="folder of UTF-8 text files, in any depth")
    parser.add_argument("--vocab-file", type=Path, required=True, help="file to write, one token a line")
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
    """Learns and writes the vocabulary, and logs how large it is and how well it fits."""
    start = time.monotonic()
    check_place(arguments.vocab_file, arguments.corpus_dir)
    files = corpus_files(arguments.corpus_dir)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # text needs no GPU
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
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


def check_place(vocab_file: Path, corpus_dir: Path) -> None:
    """Raises OutputError where the vocabulary's place is a folder or in the corpus, which it would become part of."""
    if vocab_file.is_dir():
        raise OutputError(f"--vocab-file must be a file. Received: {vocab_file}, a folder")
    if vocab_file.resolve().is_relative_to(corpus_dir.resolve()):
        raise OutputError(f"--vocab-file must not be in the corpus. Received: {vocab_file}, which is in {corpus_dir}")


def unknown_rate(vocabulary: Sequence[str], normalization: Mapping[str, bool], lines: Sequence[str]) -> float:
    """Returns the fraction of the lines' tokens that a vocabulary does not know."""
    from electra_span.tokenization import WordPieceTokenizer

    tokenizer = WordPieceTokenizer(vocabulary, **normalization)
    ids = tokenizer.encode_flat(lines).ids
    return float((ids == tokenizer.unk_id).mean()) if len(ids) else 0.0


def write_vocabulary(path: Path, vocabulary: Sequence[str], *, overwrite: bool) -> None:
    """Writes a vocabulary, one token a line, whole or not at all.

    Raises:
        OutputError: where another vocabulary is there and overwrite is false.
    """
    content = "".join(f"{token}\n" for token in vocabulary).encode()
    if path.exists() and not overwrite and path.read_bytes() != content:
        raise OutputError(f"{path} is there already and differs; name another --vocab-file, or add --overwrite")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


if __name__ == "__main__":
    command_line.run(main, make_parser)

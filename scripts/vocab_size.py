"""Prints how many tokens a vocabulary has: of any kind, a file or a folder."""

import argparse
import os

from absl.flags import argparse_flags

from electra_span import command_line


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__)
    parser.add_argument(
        "vocab_file", type=command_line.parse_path, help="as the other commands take it by --vocab-file"
    )
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints the number."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # text needs no GPU
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from electra_span.tokenization import load_tokenizer

    print(load_tokenizer(arguments.vocab_file).vocab_size)


if __name__ == "__main__":
    command_line.run(main, make_parser)

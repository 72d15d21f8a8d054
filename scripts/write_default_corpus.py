"""Writes a small English corpus from the text that ships with Python itself.

Two files of plain text, one sentence a line, a blank line between documents: the language reference (a document a
topic) and the docstrings of the standard library (a document a module). Sources are parsed, never imported, so nothing
of theirs runs. The same Python gives the same corpus, byte for byte.
"""

import argparse
import pathlib
import sysconfig
from collections.abc import Iterable, Iterator

from absl import logging
from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.folders import whole_folder
from electra_span.places import check_output_folder
from pretrain.library_text import module_docstrings, paragraphs, sentences, topics

_MIN_DOCUMENT_CHARACTERS = 200


class CorpusError(UserError):
    """The default corpus cannot be written here."""


def make_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse_flags.ArgumentParser(description=__doc__)
    parser.add_argument(
        "output_dir", type=command_line.parse_path, help="folder to write the text files into; made if missing"
    )
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Writes the corpus and logs how large it is."""
    for file, num_documents in write_corpus(arguments.output_dir).items():
        logging.info("%s: %d documents, %d bytes", file, num_documents, file.stat().st_size)


def write_corpus(output_dir: pathlib.Path) -> dict[pathlib.Path, int]:
    """The files written, each with its number of documents.

    The folder appears under its name only when it is complete.

    Args:
        output_dir: folder for `language_reference.txt` and `standard_library.txt`.

    Raises:
        CorpusError: the folder is there already.
        LibraryTextError: this Python came without its language reference.
    """
    check_output_folder("output_dir", output_dir)
    if output_dir.exists():
        raise CorpusError(f"{output_dir} is there already; remove it, or name another folder for the default corpus")
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    seen: set[str] = set()
    corpus = {
        "language_reference.txt": list(_documents(topics(library), seen)),
        "standard_library.txt": list(_documents((module.docstrings for module in module_docstrings(library)), seen)),
    }
    with whole_folder(output_dir) as partial:
        for name, documents in corpus.items():
            text = "\n\n".join("\n".join(lines) for lines in documents) + "\n"
            (partial / name).write_text(text, encoding="utf-8")
    return {output_dir / name: len(documents) for name, documents in corpus.items()}


def _documents(sources: Iterable[list[str]], seen: set[str]) -> Iterator[list[str]]:
    """The documents, as lines, of sources, which are lists of texts; a paragraph in `seen` is left out."""
    for texts in sources:
        lines: list[str] = []
        for paragraph in (paragraph for text in texts for paragraph in paragraphs(text)):
            # A repeated paragraph, on both sides of the held-out split, would make the evaluation too good.
            if paragraph not in seen:
                seen.add(paragraph)
                lines.extend(sentences(paragraph))
        if sum(map(len, lines)) >= _MIN_DOCUMENT_CHARACTERS:
            yield lines


if __name__ == "__main__":
    command_line.run(main, make_parser)

"""Writes a small English corpus from the text that ships with Python itself.

Two files of plain text, one sentence a line, a blank line between documents: the language reference (a document a
topic) and the docstrings of the standard library (a document a module). Sources are parsed, never imported, so nothing
of theirs runs. The same Python gives the same corpus, byte for byte.
"""

import argparse
import ast
import pathlib
import re
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from absl import logging
from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.folders import whole_folder
from electra_span.places import check_output_folder

_MIN_DOCUMENT_CHARACTERS = 200
# Tests and demonstrations, code of other projects, and packages that only some of the supported Pythons have.
_SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idlelib", "turtledemo", "lib2to3", "distutils", "ensurepip", "pydoc_data"}
    | {"site-packages", "dist-packages", "__pycache__"}
)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# A hard-wrapped line ends because the next word would not have fitted; code, lists and titles end earlier.
_MIN_WRAP_COLUMN = 58
_ITEM = re.compile(r"([*+•-]|\d+[.)]|\(?[a-z]\)|>>>|\.\.\.|:\w|@\w)\s*")
_SENTENCE_END = re.compile(
    r"""(?:(?<=[.!?])|(?<=[.!?]["')]))(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)\s+(?=["'(*`]*[A-Z])"""
)


class CorpusError(UserError):
    """The default corpus cannot be written: its folder exists, or this Python lacks its language reference."""


class ModuleDocstrings(NamedTuple):
    """The docstrings of a module, its classes and its functions."""

    name: str  # as it is imported
    docstrings: list[str]  # as they follow each other in the source, "" where there is none


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
        CorpusError: the folder is there already, or this Python came without its language reference.
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


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs, list items and code lines of a plain text, each on one line.

    Lines without a letter or a digit (rules under titles, table borders) are left out.

    Args:
        text: hard-wrapped text, whose indentation tells how it hangs together.
    """
    parts: list[str] = []
    previous = ""
    for line in text.expandtabs().splitlines():
        if parts and not _continues(previous, line):
            yield " ".join(parts)
            parts = []
        previous = line
        if _has_words(line):
            parts.append(" ".join(line.split()))
    if parts:
        yield " ".join(parts)


def _continues(previous: str, line: str) -> bool:
    """Whether a line is the rest of the hard-wrapped one before it."""
    if not _has_words(line) or _ITEM.match(line.lstrip()) or previous.lstrip().startswith((">>>", "...")):
        return False
    was_full = len(previous) + len(line.split()[0]) >= _MIN_WRAP_COLUMN
    return was_full and _indentation(line) >= _indentation(previous)


def _has_words(line: str) -> bool:
    return any(character.isalnum() for character in line)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph that is on one line; an ellipsis or a mark that stands alone is none."""
    return [sentence for sentence in _SENTENCE_END.sub("\n", paragraph).split("\n") if _has_words(sentence)]


def topics(library: pathlib.Path) -> Iterator[list[str]]:
    """The language reference: one text a topic, in the order of the topics' names."""
    file = library / "pydoc_data" / "topics.py"
    if not file.is_file():
        raise CorpusError(f"{file} is missing from this Python; install its standard library whole, or set CORPUS_DIR")
    for statement in _parse(file).body:
        if isinstance(statement, ast.Assign):
            texts = ast.literal_eval(statement.value)
            yield from ([texts[name]] for name in sorted(texts))


def module_docstrings(library: pathlib.Path) -> Iterator[ModuleDocstrings]:
    """The docstrings of each module of the standard library, as they follow each other in its source."""
    for file in sorted(library.rglob("*.py")):
        path = file.relative_to(library)
        if _SKIPPED_FOLDERS.isdisjoint(path.parts):
            nodes = [node for node in ast.walk(_parse(file)) if isinstance(node, _DOCUMENTED)]
            nodes.sort(key=lambda node: getattr(node, "lineno", 0))
            name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
            yield ModuleDocstrings(name, [ast.get_docstring(node) or "" for node in nodes])


def _parse(file: pathlib.Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escape sequences in the sources are not the user's
        return ast.parse(file.read_bytes(), filename=str(file))


if __name__ == "__main__":
    command_line.run(main, make_parser)

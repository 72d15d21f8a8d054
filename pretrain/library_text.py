"""The text that ships with Python itself: the language reference, and the docstrings of the standard library.

Sources are parsed, never imported, so nothing of theirs runs.
"""

import ast
import pathlib
import re
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from electra_span.config import UserError

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


class LibraryTextError(UserError):
    """A Python that came without its text."""


class ModuleDocstrings(NamedTuple):
    """The docstrings of a module, its classes and its functions."""

    name: str  # as it is imported
    docstrings: list[str]  # as they follow each other in the source, "" where there is none


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
        raise LibraryTextError(
            f"{file} is missing from this Python; install its standard library whole, or set CORPUS_DIR"
        )
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

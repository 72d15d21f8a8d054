"""Writes two small tasks for fine-tuning from the docstrings that ship with Python itself.

OUTPUT/modules is a classification, for `csv:OUTPUT/modules`: train.csv and dev.csv with a text and the package of the
standard library whose docstring it is from, the packages' names masked. OUTPUT/cloze is question answering, for
`qa:OUTPUT/cloze`: train.json and dev.json as of SQuAD 2.0, in which a question is a sentence with a gap, and the answer
the name that was there, found in the sentences around it; a fifth has none. The same Python gives the same files.
"""

import argparse
import collections
import csv
import hashlib
import itertools
import json
import pathlib
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from absl import logging
from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.folders import whole_folder
from electra_span.places import check_output_folder

# Run by its path, a script finds the folder it lies in, not the repository.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from scripts.write_default_corpus import module_docstrings, paragraphs, sentences

PLACEHOLDER = "@placeholder"  # as in the cloze questions of Hermann et al. 2015
MASK = "_"

_PROMPTS = (">>>", "...")

_DEV_RATE = 1 / 8  # of the docstrings, of whose examples there may be more than are wanted

_NUM_PACKAGES = 10
_MAX_TRAIN_TEXTS, _MAX_DEV_TEXTS = 250, 25  # of a package
_TEXT_CHARACTERS = 120  # a text ends with the sentence that reaches them
_MIN_TEXT_WORDS = 8

_NUM_TRAIN_QUESTIONS, _NUM_DEV_QUESTIONS = 2000, 250
_IMPOSSIBLE_RATE = 0.2
_CONTEXT_CHARACTERS = 500  # at most, with the sentence that is asked for
_MIN_QUESTION_WORDS, _MAX_QUESTION_CHARACTERS = 5, 200

_WORD = re.compile("[A-Za-z]{2,}")
# a_name, a.name, aName, ANAME, name(), which are no words of English; and within a sentence Name.
_IDENTIFIER = r"[A-Za-z]\w*(?:_\w+|\.\w+)+(?:\(\))?|_+[A-Za-z]\w*|[a-z]+[A-Z]\w*|[A-Z]\w*[A-Z_]\w*|[A-Za-z]\w+\(\)"
_NAME = re.compile(rf"(?<![\w.@])(?:{_IDENTIFIER}|(?<=[\w,] )[A-Z][a-z]\w+)(?![\w(])")
_CONSTANTS = frozenset({"None", "True", "False"})

_Row = TypeVar("_Row")


class TasksError(UserError):
    """The default tasks cannot be written here."""


class Docstring(NamedTuple):
    """A docstring."""

    module: str  # as it is imported
    sentences: tuple[str, ...]

    @property
    def package(self) -> str:
        """The first part of the module's name; of a module that stands in for one in C, the name of that."""
        return self.module.partition(".")[0].removeprefix("_py").lstrip("_")


class LabelledText(NamedTuple):
    """A text, and the package whose it is."""

    text: str
    label: str


class ClozeQuestion(NamedTuple):
    """A sentence with PLACEHOLDER for a name, and the sentences around it, in which to find the name."""

    title: str
    context: str
    question: str
    name: str
    answer_starts: tuple[int, ...]  # code points; none where the context does not have the name

    @property
    def id(self) -> str:
        """A name that depends on the question alone."""
        return _digest(self.context, self.question).hex()[:16]


class Splits(NamedTuple, Generic[_Row]):
    """Examples, parted."""

    train: list[_Row]
    dev: list[_Row]


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__)
    parser.add_argument(
        "output_dir", type=command_line.parse_path, help="folder to write the tasks into; made if missing"
    )
    parser.add_argument(
        "--seed", type=command_line.whole_number(0), default=42, help="decides which examples are for development"
    )
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Writes the tasks and logs how many examples they have."""
    for file, num_examples in write_tasks(arguments.output_dir, seed=arguments.seed).items():
        logging.info("%s: %d examples", file, num_examples)


def write_tasks(output_dir: pathlib.Path, *, seed: int) -> dict[pathlib.Path, int]:
    """Writes both tasks and returns the files, each with its number of examples.

    The folder appears under its name only when it is complete.

    Args:
        output_dir: folder for `modules` and `cloze`.
        seed: decides which examples are for development.

    Raises:
        TasksError: the folder is there already.
    """
    check_output_folder("output_dir", output_dir)
    if output_dir.exists():
        raise TasksError(f"{output_dir} is there already; remove it, or name another folder for the default tasks")
    docstrings = library_docstrings(pathlib.Path(sysconfig.get_path("stdlib")))
    numbers: dict[pathlib.Path, int] = {}
    with whole_folder(output_dir) as partial:
        for split, texts in package_texts(docstrings, seed=seed)._asdict().items():
            _write_table(partial / "modules" / f"{split}.csv", texts)
            numbers[output_dir / "modules" / f"{split}.csv"] = len(texts)
        for split, questions in cloze_questions(docstrings, seed=seed)._asdict().items():
            _write_questions(partial / "cloze" / f"{split}.json", questions)
            numbers[output_dir / "cloze" / f"{split}.json"] = len(questions)
    return numbers


def library_docstrings(library: pathlib.Path) -> list[Docstring]:
    """Returns the docstrings of the standard library, without lines of code; a sentence is there once.

    Args:
        library: its folder.
    """
    seen: set[str] = set()
    docstrings = []
    for module in module_docstrings(library):
        for text in module.docstrings:
            prose = (each for each in paragraphs(text) if not each.startswith(_PROMPTS))
            new = [part for each in prose for part in sentences(each) if part not in seen]
            seen.update(new)
            docstrings.append(Docstring(module.name, tuple(dict.fromkeys(new))))
    return [docstring for docstring in docstrings if docstring.sentences]


def _write_table(path: pathlib.Path, texts: Sequence[LabelledText]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LabelledText._fields)
        writer.writerows(texts)


def _write_questions(path: pathlib.Path, questions: Sequence[ClozeQuestion]) -> None:
    """Writes questions as of SQuAD 2.0; each has a context of its own, without the sentence that is asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    articles = [{"title": question.title, "paragraphs": [_paragraph(question)]} for question in questions]
    path.write_text(json.dumps({"version": "2.0", "data": articles}, indent=1) + "\n", encoding="utf-8")


def _paragraph(question: ClozeQuestion) -> dict[str, Any]:
    answers = [{"text": question.name, "answer_start": start} for start in question.answer_starts]
    asked = {"id": question.id, "question": question.question, "answers": answers, "is_impossible": not answers}
    return {"context": question.context, "qas": [asked]}


def package_texts(docstrings: Sequence[Docstring], *, seed: int) -> Splits[LabelledText]:
    """Returns texts of the packages that have most of them, the packages' names masked.

    Names are masked in any case and inside of other words too, and those of all packages in every text. A text that
    two packages have is left out; one that is there twice is taken once.

    Args:
        docstrings: of all modules, each once.
        seed: decides which are taken, and for what.
    """
    texts = [(docstring, text) for docstring in docstrings for text in _texts_of(docstring.sentences)]
    counts = collections.Counter(docstring.package for docstring, _ in texts)
    packages = sorted(counts, key=lambda package: (-counts[package], package))[:_NUM_PACKAGES]
    names = re.compile("|".join(map(re.escape, packages)), re.IGNORECASE)
    owners: dict[str, list[Docstring]] = collections.defaultdict(list)
    for docstring, text in texts:
        if docstring.package in packages:
            owners[names.sub(MASK, text)].append(docstring)
    rows: dict[str, list[tuple[Docstring, LabelledText]]] = {package: [] for package in packages}
    for text, of_text in owners.items():
        if len({docstring.package for docstring in of_text}) == 1:
            rows[of_text[0].package].append((of_text[0], LabelledText(text, of_text[0].package)))
    return _joined(_parted(own, seed, _MAX_TRAIN_TEXTS, _MAX_DEV_TEXTS) for own in rows.values())


def cloze_questions(docstrings: Sequence[Docstring], *, seed: int) -> Splits[ClozeQuestion]:
    """Returns questions, each once, a fifth of them with a name that the context does not have.

    Args:
        docstrings: of all modules, each once.
        seed: decides which are taken, and for what.
    """
    rows: dict[str, tuple[Docstring, ClozeQuestion]] = {}
    for docstring in docstrings:
        for context in _contexts_of(docstring.sentences):
            for question in _questions_of(docstring.module, context):
                rows.setdefault(question.question, (docstring, question))
    parts = []
    for is_impossible, rate in ((False, 1 - _IMPOSSIBLE_RATE), (True, _IMPOSSIBLE_RATE)):
        own = [row for row in rows.values() if is_impossible is not bool(row[1].answer_starts)]
        numbers = (round(rate * number) for number in (_NUM_TRAIN_QUESTIONS, _NUM_DEV_QUESTIONS))
        parts.append(_parted(own, seed, *numbers))
    return _joined(parts)


def _texts_of(sentences: Sequence[str]) -> Iterator[str]:
    """Yields texts of one sentence or more; too short a rest is left out."""
    parts: list[str] = []
    for number, sentence in enumerate(sentences, 1):
        parts.append(sentence)
        text = " ".join(parts)
        if len(text) >= _TEXT_CHARACTERS or number == len(sentences):
            if len(_WORD.findall(text)) >= _MIN_TEXT_WORDS:
                yield text
            parts = []


def _contexts_of(sentences: Sequence[str]) -> Iterator[list[str]]:
    """Yields sentences that follow each other, as many as have room in a context."""
    context: list[str] = []
    for sentence in sentences:
        if context and len(" ".join([*context, sentence])) > _CONTEXT_CHARACTERS:
            yield context
            context = []
        context.append(sentence)
    if context:
        yield context


def _questions_of(title: str, context: Sequence[str]) -> Iterator[ClozeQuestion]:
    """Yields a question of each sentence that has a name, where the others have names too.

    A name that the others have is asked for before one that they have not.
    """
    for number, sentence in enumerate(context):
        rest = " ".join([*context[:number], *context[number + 1 :]])
        if not _names_of(rest) or len(sentence) > _MAX_QUESTION_CHARACTERS:
            continue
        starts = {name: _starts_of(name, rest) for name in _names_of(sentence)}
        if not starts:
            continue
        name = max(starts, key=lambda name: bool(starts[name]))
        question = _occurrences(name).sub(PLACEHOLDER, sentence)
        is_whole = name not in question and (bool(starts[name]) or name.lower() not in rest.lower())
        if is_whole and len(_WORD.findall(question)) > _MIN_QUESTION_WORDS:
            yield ClozeQuestion(title, rest, question, name, starts[name])


def _names_of(text: str) -> list[str]:
    """Returns the names in a text, each once."""
    return [name for name in dict.fromkeys(_NAME.findall(text)) if name not in _CONSTANTS]


def _occurrences(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.@]){re.escape(name)}(?![\w(])(?!\.\w)")


def _starts_of(name: str, text: str) -> tuple[int, ...]:
    return tuple(match.start() for match in _occurrences(name).finditer(text))


def _parted(rows: Iterable[tuple[Docstring, _Row]], seed: int, num_train: int, num_dev: int) -> Splits[_Row]:
    """Returns the rows of the docstrings of each side, at most so many, chosen by chance."""
    ranked = sorted(rows, key=lambda row: _digest(seed, row))
    is_dev = [_digest(seed, *docstring.sentences)[0] < 256 * _DEV_RATE for docstring, _ in ranked]
    sides = [
        [row for (_, row), of_side in zip(ranked, is_dev, strict=True) if of_side is side] for side in (False, True)
    ]
    return Splits(sides[0][:num_train], sides[1][:num_dev])


def _joined(parts: Iterable[Splits[_Row]]) -> Splits[_Row]:
    """Returns the rows of all parts, mixed."""
    train, dev = (itertools.chain.from_iterable(rows) for rows in zip(*parts, strict=True))
    return Splits(*(sorted(rows, key=lambda row: _digest(row)) for rows in (train, dev)))


def _digest(*values: object) -> bytes:
    return hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass")).digest()


if __name__ == "__main__":
    command_line.run(main, make_parser)

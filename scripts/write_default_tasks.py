"""Writes two small tasks for fine-tuning from the docstrings that ship with Python itself.

OUTPUT/modules is a classification, for `csv:OUTPUT/modules`: train.csv and dev.csv with a text and the package of the
standard library whose docstring it is from, the packages' names masked. OUTPUT/cloze is question answering, for
`qa:OUTPUT/cloze`: train.json and dev.json as of SQuAD 2.0, in which a question is a sentence with a gap, and the answer
the name that was there, found in the sentences around it; a fifth has none. The same Python gives the same files.
"""

import argparse
import csv
import json
import pathlib
import sysconfig
from collections.abc import Sequence
from typing import Any

from absl import logging
from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.folders import whole_folder
from electra_span.places import check_output_folder
from finetune.docstring_tasks import ClozeQuestion, Docstring, LabelledText, cloze_questions, package_texts
from pretrain.library_text import module_docstrings, paragraphs, sentences

_PROMPTS = (">>>", "...")


class TasksError(UserError):
    """The default tasks cannot be written here."""


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


if __name__ == "__main__":
    command_line.run(main, make_parser)

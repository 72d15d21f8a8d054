"""The data sets of questions: where their files are, how they are read, and which metrics they have."""

import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from finetune.metrics import squad
from finetune.qa.decoding import DecodedQuestion
from finetune.qa.examples import Question
from finetune.qa.readers import ReadQuestions, has_mrqa_lines, read_questions
from finetune.readers.reading import BadRowLimit, DataError


class QaDataset(NamedTuple):
    """A data set of questions."""

    name: str
    file_format: str  # of finetune.qa.file_formats
    extension: str  # of its files, which are train, dev and test
    has_impossible: bool  # whether null odds are asked for, and the metrics are those of SQuAD 2.0


QA_DATASETS: Mapping[str, QaDataset] = {
    dataset.name: dataset
    for dataset in (
        QaDataset("squad", "squad", ".json", has_impossible=True),
        QaDataset("squadv1", "squad", ".json", has_impossible=False),
        QaDataset("quac", "quac", ".json", has_impossible=True),
        *(
            QaDataset(name, "mrqa", ".jsonl", has_impossible=False)
            for name in ("newsqa", "naturalqs", "triviaqa", "searchqa", "hotpotqa")
        ),
    )
}


def dataset_of_folder(name: str, directory: str | os.PathLike[str]) -> QaDataset:
    """Returns the data set of one's own files: .json with SQuAD's fields, or .jsonl with those or MRQA's."""
    for extension in (".json", ".jsonl"):
        for split in ("train", "dev", "test"):
            dataset = QaDataset(name, "squad", extension, has_impossible=True)
            file = file_of(dataset, split, directory)
            if file.is_file() and extension == ".jsonl" and has_mrqa_lines(file):
                return QaDataset(name, "mrqa", extension, has_impossible=False)
            if file.is_file():
                return dataset
    raise DataError(
        f"{os.fspath(directory)}: there must be train and dev files, .json (SQuAD) or .jsonl (SQuAD or MRQA)"
    )


def read_split(
    dataset: QaDataset,
    split: str,
    directory: str | os.PathLike[str],
    *,
    limit: BadRowLimit | None = None,
    history_turns: int = 0,
) -> ReadQuestions:
    """Returns the questions of one file of a data set: its name is the split's, with or without .gz.

    Args:
        dataset: of the questions.
        split: train, dev or test. Questions of train have answers to train on, those of test may have none.
        directory: where the files are.
        limit: how many questions may be bad.
        history_turns: how many questions and answers before it a question of QuAC begins with.

    Raises:
        DataError: as read_questions.
    """
    return read_questions(
        file_of(dataset, split, directory),
        dataset.file_format,
        for_training=split == "train",
        has_answers=split != "test",
        limit=limit,
        history_turns=history_turns,
    )


def file_of(dataset: QaDataset, split: str, directory: str | os.PathLike[str]) -> pathlib.Path:
    """Returns the file of a split: compressed where there is no other."""
    file = pathlib.Path(directory, split + dataset.extension)
    compressed = file.with_name(file.name + ".gz")
    return compressed if compressed.exists() and not file.exists() else file


def evaluate(
    dataset: QaDataset, questions: Iterable[Question], decoded: Iterable[DecodedQuestion], null_threshold: float
) -> squad.AnswerScores:
    """Returns the metrics of a data set; see finetune.metrics.squad.

    Where every question should have an answer, one without cannot be measured; reading it has counted it.

    Args:
        dataset: of the questions.
        questions: all that were asked.
        decoded: what is answered; a question that is not there counts as wrong.
        null_threshold: null odds above which a question has no answer, where there are impossible ones.
    """
    answered = list(decoded)
    predictions = {row.id: row.text for row in answered}
    gold = {question.id: question.gold_texts for question in questions}
    if dataset.has_impossible:
        null_odds = {row.id: row.null_odds for row in answered if row.null_odds is not None}
        return squad.evaluate_v2(gold, predictions, null_odds, null_threshold)
    gold = {name: texts for name, texts in gold.items() if texts}
    return squad.evaluate_v1(gold, predictions)  # MRQA has the metrics of SQuAD 1.1

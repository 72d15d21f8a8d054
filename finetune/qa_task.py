"""Tasks of questions: answers are parts of a context, found in the windows it is read in."""

import functools
import itertools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.special
from absl import logging

from electra_span.head_config import HeadConfig
from electra_span.tokenization import Tokenizer
from finetune.features import Ragged, Rows, TextFeatures
from finetune.metrics.squad import AnswerScores
from finetune.predictions import ExamplePredictions, answer_predictions
from finetune.qa.datasets import QaDataset, evaluate, file_of, read_split
from finetune.qa.decoding import (
    AnswerText,
    Candidates,
    DecodedQuestion,
    answers_above_threshold,
    covered_text,
    decode,
    independent_candidates,
    joint_candidates,
    joint_null_scores,
)
from finetune.qa.examples import Question
from finetune.qa.windows import Window, iter_windows, questions_without_target
from finetune.readers.reading import BadRowLimit
from finetune.task import Evaluation, Predictions, Task
from finetune.task_names import TaskName


class QuestionSettings(NamedTuple):
    """How questions are read and answered; names and meanings of the hparams."""

    max_seq_length: int
    doc_stride: int
    max_query_length: int
    n_best_size: int
    max_answer_length: int
    qa_na_threshold: float
    history_turns: int


class Answered(NamedTuple):
    """What an evaluation of questions leaves behind."""

    decoded: list[DecodedQuestion]
    scores: AnswerScores


class QuestionTask(Task):
    """A data set of questions in a folder.

    Args:
        name: as in hparams.
        head: how starts, ends and the lack of an answer are predicted.
        dataset: the format of its files and its metrics.
        directory: of the files.
        settings: how questions are read and answered.
        answer_text: returns the text of a span.
        limit: how many questions of a file may be bad.
    """

    def __init__(
        self,
        name: TaskName,
        head: HeadConfig,
        *,
        dataset: QaDataset,
        directory: str | os.PathLike[str],
        settings: QuestionSettings,
        answer_text: AnswerText = covered_text,
        limit: BadRowLimit,
    ) -> None:
        super().__init__(name, head)
        self._dataset, self._directory, self._settings, self._limit = dataset, directory, settings, limit
        self._answer_text = answer_text
        self.questions = functools.cache(self._read_questions)

    def files(self, split: str) -> Sequence[pathlib.Path]:
        """Returns the files of a split."""
        return [file_of(self._dataset, split, self._directory)]

    @property
    def settings(self) -> dict[str, Any]:
        """What decides about rows beside files and tokenizer."""
        return {
            **{name: getattr(self._settings, name) for name in ("max_seq_length", "doc_stride", "max_query_length")},
            "history_turns": self._settings.history_turns,
            "file_format": self._dataset.file_format,
        }

    def make_rows(self, split: str, tokenizer: Tokenizer) -> Rows:
        """Returns the windows of all questions of a split."""
        questions = self.questions(split)
        windows = list(
            iter_windows(
                questions,
                tokenizer,
                max_seq_length=self._settings.max_seq_length,
                doc_stride=self._settings.doc_stride,
                max_query_length=self._settings.max_query_length,
            )
        )
        if split == "train" and (lost := questions_without_target(questions, windows)):
            logging.warning(
                "%s: %d of %d questions have an answer that no window holds: %s",
                self.slug, len(lost), len(questions), ", ".join(lost[:5]),
            )  # fmt: skip
        return rows_of_windows(questions, windows)

    def evaluate(self, split: str, rows: Rows, predictions: Predictions) -> Evaluation:
        """Returns the metrics of the data set; their details are `Answered`."""
        decoded = self._decoded(split, rows, predictions)
        scores = evaluate(self._dataset, self.questions(split), decoded, self._settings.qa_na_threshold)
        return Evaluation(scores.metrics, details=Answered(decoded, scores))

    def headline(self, scores: Mapping[str, float]) -> float:
        """Returns the score that counts."""
        return scores["f1"]

    def of_examples(self, split: str, rows: Rows, predictions: Predictions) -> ExamplePredictions:
        """Returns the answer to each question, "" for none."""
        decoded = self._decoded(split, rows, predictions)
        return answer_predictions(answers_above_threshold(decoded, self._settings.qa_na_threshold))

    def _read_questions(self, split: str) -> list[Question]:
        turns = self._settings.history_turns if self._dataset.file_format == "quac" else 0
        return read_split(self._dataset, split, self._directory, limit=self._limit, history_turns=turns).questions

    def _decoded(self, split: str, rows: Rows, predictions: Predictions) -> list[DecodedQuestion]:
        null_scores = self._null_scores(predictions) if self._dataset.has_impossible else None
        return list(
            decode(
                self.questions(split),
                windows_of_rows(rows),
                self._candidates(predictions),
                null_scores,
                n_best_size=self._settings.n_best_size,
                max_answer_length=self._settings.max_answer_length,
                subtract_best=not self.head.answerable_classifier,
                answer_text=self._answer_text,
            )
        )

    def _candidates(self, predictions: Predictions) -> Iterator[Candidates]:
        """Yields the spans of each window."""
        if self.head.joint_prediction:
            names = ("start_top_log_probs", "start_top_index", "end_top_log_probs", "end_top_index")
            yield from itertools.starmap(joint_candidates, zip(*(predictions[name] for name in names), strict=True))
        else:
            for start_logits, end_logits in zip(predictions["start_logits"], predictions["end_logits"], strict=True):
                yield independent_candidates(start_logits, end_logits, self._settings.n_best_size)

    def _null_scores(self, predictions: Predictions) -> Sequence[float]:
        """Returns how much each window speaks for no answer."""
        if self.head.answerable_classifier:
            return np.stack(predictions["answerable_logit"]).tolist()
        if self.head.joint_prediction:
            log_probs = [scipy.special.log_softmax(logits)[:1] for logits in predictions["start_logits"]]
            return joint_null_scores(np.stack(log_probs)).tolist()
        pairs = zip(predictions["start_logits"], predictions["end_logits"], strict=True)
        return [float(start[0] + end[0]) for start, end in pairs]


def rows_of_windows(questions: Sequence[Question], windows: Sequence[Window]) -> Rows:
    """Returns windows of questions as rows."""
    row_splits = np.cumsum([0, *(len(window.input_ids) for window in windows)])
    context_splits = np.cumsum([0, *(len(window.token_starts) for window in windows)])

    def joined(arrays: Iterator[np.ndarray], dtype: type) -> np.ndarray:
        return np.concatenate([np.zeros(0, dtype), *arrays])

    def column(name: str, dtype: type) -> np.ndarray:
        return np.array([getattr(window, name) for window in windows], dtype)

    text = TextFeatures(
        joined((window.input_ids for window in windows), np.int32),
        joined((window.segment_ids for window in windows), np.int32),
        row_splits,
    )
    indices = column("question_index", np.int32)
    targets = {
        "start_positions": column("start_position", np.int32),
        "end_positions": column("end_position", np.int32),
        "is_impossible": np.array([questions[index].is_impossible for index in indices], np.float32),
    }
    places = {
        "question_index": indices,
        "window_index": column("window_index", np.int32),
        "first_context_position": column("first_context_position", np.int32),
        "token_starts": Ragged(joined((window.token_starts for window in windows), np.int32), context_splits),
        "token_ends": Ragged(joined((window.token_ends for window in windows), np.int32), context_splits),
        "is_max_context": Ragged(joined((window.is_max_context for window in windows), np.bool_), context_splits),
    }
    return Rows(text, targets, places)


def windows_of_rows(rows: Rows) -> Iterator[Window]:
    """Yields the windows that `rows_of_windows` was given."""
    ids = Ragged(rows.text.input_ids, rows.text.row_splits)
    columns: dict[str, Any] = {**rows.places, **rows.targets}
    for index in range(len(rows)):
        yield Window(
            question_index=int(columns["question_index"][index]),
            window_index=int(columns["window_index"][index]),
            input_ids=ids.row(index),
            first_context_position=int(columns["first_context_position"][index]),
            token_starts=columns["token_starts"].row(index),
            token_ends=columns["token_ends"].row(index),
            is_max_context=columns["is_max_context"].row(index),
            start_position=int(columns["start_positions"][index]),
            end_position=int(columns["end_positions"][index]),
        )

"""The tasks of a configuration."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

from absl import logging

from electra_span.config import HparamError
from electra_span.head_config import HeadConfig
from electra_span.tokenization import Tokenizer, WordPieceTokenizer
from finetune.config import FinetuningConfig
from finetune.qa.alignment import aligned_text
from finetune.qa.datasets import QA_DATASETS, dataset_of_folder
from finetune.qa.decoding import AnswerText, covered_text
from finetune.qa_task import QuestionSettings, QuestionTask
from finetune.readers.csv_tables import CsvSettings
from finetune.readers.reading import BadRowLimit, DataError
from finetune.tagging_task import TaggingTask
from finetune.task import Task, matched_labels
from finetune.task_names import TaskName
from finetune.text_task import make_csv_task, make_glue_task


def make_tasks(
    config: FinetuningConfig, tokenizer: Tokenizer, known: Mapping[str, HeadConfig] | None = None
) -> list[Task]:
    """Returns the tasks that a configuration names, in their order.

    Args:
        config: the effective configuration.
        tokenizer: of the model.
        known: the heads of a trained model that is evaluated, by their tasks; None for heads that are to be trained.

    Raises:
        DataError: for files that cannot be read, or a model without a head for one of the tasks.
    """
    makers: Mapping[str, Callable[[FinetuningConfig, TaskName, HeadConfig | None], Task]] = {
        "glue": _glue,
        "csv": _csv,
        "tagging": _tagging,
        "qa": functools.partial(_questions, answer_text=_answer_text(config, tokenizer)),
    }
    tasks = []
    for name in config.tasks:
        trained = None if known is None else _trained_head(name, known, len(config.tasks))
        task = makers[name.kind](config, name, trained)
        if trained is not None:
            task.head = _checked_head(task, trained)
        tasks.append(task)
    return tasks


def _trained_head(name: TaskName, known: Mapping[str, HeadConfig], num_tasks: int) -> HeadConfig:
    """Returns a model's head for a task: that of its name, or the only one for the only task."""
    for head in name.heads:
        if head in known:
            return known[head]
    if len(known) == 1 and num_tasks == 1:
        return next(iter(known.values()))
    raise DataError(f"{name.name}: init_checkpoint has no head for it, only for {', '.join(known)}; train first")


def _checked_head(task: Task, trained: HeadConfig) -> HeadConfig:
    """Returns a trained head with the labels of its task, which it must have been trained for."""
    if trained.kind != task.head.kind:
        raise DataError(f"{task.name.name}: the head in init_checkpoint is for {trained.kind}, not {task.head.kind}")
    labels = matched_labels(trained.labels, task.head.labels, has_fixed_order=task.name.kind == "glue")
    if labels is None:
        raise DataError(
            f"{task.name.name}: its labels must be those that the model has learned, {', '.join(trained.labels)}. "
            f"Received: {', '.join(task.head.labels)}"
        )
    if labels != trained.labels:
        pairs = zip(trained.labels, labels, strict=True)
        logging.warning("%s: classes of the model are called %s", task.slug, ", ".join(map(" = ".join, pairs)))
    return dataclasses.replace(trained, labels=labels)


def _glue(config: FinetuningConfig, name: TaskName, known: HeadConfig | None) -> Task:
    del known
    return make_glue_task(
        name,
        config.task_dir(name),
        max_seq_length=config.max_seq_length,
        classifier=config.classifier_head,
        doubles_pairs=config.double_unordered,
        limit=_limit(config),
    )


def _csv(config: FinetuningConfig, name: TaskName, known: HeadConfig | None) -> Task:
    del known
    return make_csv_task(
        name,
        CsvSettings(
            text_column=config.text_column,
            text_pair_column=config.text_pair_column,
            label_column=config.label_column,
            is_regression=config.is_regression,
            delimiter=config.csv_delimiter,
            has_quotes=config.csv_quotes,
            encoding=config.encoding,
        ),
        max_seq_length=config.max_seq_length,
        classifier=config.classifier_head,
        dev_rate=config.dev_rate,
        seed=config.seed,
        limit=_limit(config),
    )


def _tagging(config: FinetuningConfig, name: TaskName, known: HeadConfig | None) -> Task:
    return TaggingTask(
        name,
        config.task_dir(name),
        known=known,
        max_seq_length=config.max_seq_length,
        segment_id=config.tagging_segment_id,
        word_column=config.word_column,
        tag_column=config.tag_column,
        scheme=config.tag_scheme,
        encoding=config.encoding,
        dev_rate=config.dev_rate,
        seed=config.seed,
        limit=_limit(config),
    )


def _questions(config: FinetuningConfig, name: TaskName, known: HeadConfig | None, *, answer_text: AnswerText) -> Task:
    head = HeadConfig(
        task=name.head,
        kind="questions",
        joint_prediction=config.joint_prediction,
        answerable_classifier=config.answerable_classifier,
        answerable_uses_start_logits=config.answerable_uses_start_logits,
    )
    directory = config.task_dir(name)
    return QuestionTask(
        name,
        known or head,
        dataset=dataset_of_folder(name.slug, directory) if name.path else QA_DATASETS[name.name],
        directory=directory,
        settings=QuestionSettings(*(getattr(config, field) for field in QuestionSettings._fields)),
        answer_text=answer_text,
        limit=_limit(config),
    )


def _answer_text(config: FinetuningConfig, tokenizer: Tokenizer) -> AnswerText:
    """Returns how the texts of answers are found."""
    if not config.align_answers:
        return covered_text
    if not isinstance(tokenizer, WordPieceTokenizer):
        raise HparamError(f"align_answers is for WordPiece by BERT's rules alone. Received: {type(tokenizer).__name__}")
    return aligned_text(tokenizer)


def _limit(config: FinetuningConfig) -> BadRowLimit:
    return BadRowLimit(num_rows=config.max_bad_rows, rate=config.max_bad_rate)

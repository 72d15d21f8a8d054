"""What there is to know of a corpus before a model is trained on it, found in two looks at its text.

The first adds numbers up, task by task; the second, knowing those of the whole corpus, finds its strangest lines, and
fetches the text of what is shown. The report does not depend on the number of processes. Of the text only a task a
process is in memory; what grows with the corpus are 528 bytes a document and 9 a line.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pretrain.dataset.packing import Packing
from pretrain.dataset.workers import Workers
from pretrain.inspection.report import Findings, Shown, make_report, places_of
from pretrain.quality.duplicates import Compared, Fingerprints, fingerprints_of, joined
from pretrain.quality.overlap import EvaluationNgrams, load_ngrams
from pretrain.quality.settings import DEFAULT_THRESHOLD, check_threshold, require
from pretrain.quality.statistics import (
    NUM_SHOWN,
    RankedLine,
    Span,
    TextStatistics,
    find_repetitions,
    highest,
    text_statistics,
)
from pretrain.quality.words import log_probabilities, strangeness, words_of
from pretrain.sources.corpus import CorpusError, Documents, TextRange, read_batches
from pretrain.sources.settings import SourceCounts, SourceSettings

if TYPE_CHECKING:
    from pretrain.inspection.token_statistics import TokenStatistics  # brings TensorFlow


_EXCERPT_LINES = 5
_EXCERPT_CHARACTERS = 240

Task = tuple[int, list[TextRange]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectionSettings:
    """What to look for, and how the text is read."""

    vocab_file: Path | None = None  # or a folder of a published tokenizer; None: nothing about tokens
    do_lower_case: bool = True
    do_strip_accents: bool = True  # of lower-cased text
    packing: Packing = dataclasses.field(default_factory=Packing)
    seed: int = 0
    blanks_separate_docs: bool = True
    source_settings: SourceSettings = dataclasses.field(default_factory=SourceSettings)
    against: tuple[Path, ...] = ()  # evaluation files
    duplicate_threshold: float = DEFAULT_THRESHOLD
    num_processes: int = 1

    def __post_init__(self) -> None:
        check_threshold(self.duplicate_threshold)


class _FirstLook(NamedTuple):
    """What is known of a task."""

    text: TextStatistics
    tokens: "TokenStatistics | None"
    fingerprints: Fingerprints
    sources: dict[str, SourceCounts]  # by kind


class _SecondLook(NamedTuple):
    """What else is shown of a task."""

    strangest_lines: list[RankedLine]
    excerpts: dict[Span, str]


def inspect_corpus(
    files: Sequence[Path], tasks: Sequence[list[TextRange]], settings: InspectionSettings
) -> dict[str, Any]:
    """Returns the report of a corpus, ready for JSON.

    Args:
        files: the corpus' files.
        tasks: their text, as a build divides it.
        settings: what to look for.

    Raises:
        UserError: for a package that is missing, a file that cannot be read, or a corpus without text.
    """
    for module in ("datasketch", "fontTools.unicodedata"):
        require(module)
    evaluation = load_ngrams(settings.against)  # a mistake in them is told before the work starts
    sizes = [sum(text_range.end - text_range.start for text_range in ranges) for ranges in tasks]
    numbered = list(enumerate(tasks))
    with Workers(settings.num_processes) as workers:
        look = functools.partial(_look, settings)
        findings = _sum_up(workers.map(look, numbered, label="inspected", sizes=sizes), settings, evaluation)
        log_probs = log_probabilities(findings.text.bigrams)
        look_again = functools.partial(_look_again, settings, log_probs, findings.spans())
        strangest: list[RankedLine] = []
        excerpts: dict[Span, str] = {}
        for again in workers.map(look_again, numbered, label="looked through", sizes=sizes):
            strangest = highest([*strangest, *again.strangest_lines])
            excerpts |= again.excerpts
    return make_report(files, findings, strangest, Shown(excerpts, places_of(files, tasks)))


def _sum_up(looks: Iterable[_FirstLook], settings: InspectionSettings, evaluation: EvaluationNgrams) -> Findings:
    """Returns what is known of a corpus from what is known of its tasks, in their order."""
    text = TextStatistics()
    tokens: TokenStatistics | None = None
    fingerprints, sources = [], []
    for look in looks:
        text += look.text
        if look.tokens is not None:
            tokens = look.tokens if tokens is None else tokens + look.tokens
        fingerprints.append(look.fingerprints)
        sources.append(look.sources)
    if not text.num_lines:
        raise CorpusError("The corpus must hold text. Received: one that holds none")
    corpus = joined(fingerprints)
    task_lines = [each.num_lines for each in fingerprints]
    return Findings(
        text=text,
        tokens=tokens,
        repetitions=find_repetitions(corpus, task_lines, settings.duplicate_threshold),
        overlap=corpus.overlap,
        evaluation=evaluation,
        sources=sources,
        threshold=settings.duplicate_threshold,
        packing=settings.packing,
    )


def _batches(
    settings: InspectionSettings, ranges: Sequence[TextRange], sources: dict[str, SourceCounts] | None = None
) -> Iterator[tuple[int, Documents]]:
    """Yields the batches of a task's text, each with the number of its first line."""
    first_line = 0
    for documents in read_batches(
        ranges,
        blanks_separate_docs=settings.blanks_separate_docs,
        settings=settings.source_settings,
        counts=sources,
    ):
        yield first_line, documents
        first_line += len(documents.lines)


def _look(settings: InspectionSettings, task: Task) -> _FirstLook:
    """Returns what is known of a task by itself."""
    number, ranges = task
    text = TextStatistics()
    tokens: TokenStatistics | None = None
    fingerprints = []
    sources: dict[str, SourceCounts] = {}
    compared = Compared(has_documents=True, has_lines=True, evaluation_files=settings.against)
    for batch, (first_line, documents) in enumerate(_batches(settings, ranges, sources)):
        words = words_of(documents.lines)
        text += text_statistics(documents, words, task=number, first_line=first_line)
        fingerprints.append(fingerprints_of(documents, words, compared))
        if settings.vocab_file is not None:
            more = _tokens(settings, settings.vocab_file, documents, number, batch)
            tokens = more if tokens is None else tokens + more
    return _FirstLook(text, tokens, joined(fingerprints), sources)


def _tokens(
    settings: InspectionSettings, vocab_file: Path, documents: Documents, task: int, batch: int
) -> "TokenStatistics":
    from pretrain.builder.shards import cached_tokenizer
    from pretrain.inspection.token_statistics import token_statistics  # brings TensorFlow

    tokenizer = cached_tokenizer(vocab_file, settings.do_lower_case, None if settings.do_strip_accents else False)
    return token_statistics(documents, tokenizer, task=task, batch=batch, seed=settings.seed, packing=settings.packing)


def _look_again(settings: InspectionSettings, log_probs: np.ndarray, wanted: Sequence[Span], task: Task) -> _SecondLook:
    """Returns a task's strangest lines, and the beginnings of what is to be shown of it."""
    number, ranges = task
    strangest: list[RankedLine] = []
    excerpts: dict[Span, str] = {}
    spans = [span for span in wanted if span.task == number]
    for first_line, (lines, _) in _batches(settings, ranges):
        values = strangeness(lines, log_probs)
        best = np.argsort(-values, kind="stable")[:NUM_SHOWN].tolist()
        places = {line: Span(number, first_line + line, first_line + line + 1) for line in best}
        strangest = highest(
            [*strangest, *(RankedLine(float(values[line]), places[line]) for line in best if values[line])]
        )
        for span in [*spans, *(line.span for line in strangest)]:
            if first_line <= span.start < first_line + len(lines):
                end = min(span.end, span.start + _EXCERPT_LINES)
                excerpts[span] = _excerpt(lines[span.start - first_line : end - first_line])
    return _SecondLook(strangest, excerpts)


def _excerpt(lines: Sequence[str]) -> str:
    """Returns the beginning of some lines, on one line."""
    text = " / ".join(line[:_EXCERPT_CHARACTERS] for line in lines)
    is_whole = len(text) <= _EXCERPT_CHARACTERS and all(len(line) <= _EXCERPT_CHARACTERS for line in lines)
    return text if is_whole else text[: _EXCERPT_CHARACTERS - 1] + "…"

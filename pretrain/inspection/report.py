"""The report of an inspection: numbers, histograms and excerpts, ready for JSON."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pretrain.dataset.manifest import count_entries, source_entries
from pretrain.dataset.packing import Packing
from pretrain.quality.duplicates import MIN_REPEATED_WORDS
from pretrain.quality.overlap import MIN_WORDS, NGRAM_WORDS, EvaluationNgrams, Overlap
from pretrain.quality.statistics import NUM_SHOWN, RankedLine, Repetitions, Span, TextStatistics
from pretrain.quality.words import script_counts
from pretrain.sources.corpus import TextRange
from pretrain.sources.settings import SourceCounts

if TYPE_CHECKING:
    from pretrain.inspection.token_statistics import TokenStatistics  # brings TensorFlow


class Findings(NamedTuple):
    """What is known of a corpus, but for the text that is shown."""

    text: TextStatistics
    tokens: "TokenStatistics | None"
    repetitions: Repetitions
    overlap: Overlap
    evaluation: EvaluationNgrams
    sources: list[dict[str, SourceCounts]]  # of each task, by kind
    threshold: float  # of near-duplicates
    packing: Packing

    def spans(self) -> list[Span]:
        """Returns the lines and documents that are shown."""
        documents = [span for group in self.repetitions.groups for span in (group.original, group.duplicate)]
        repeated = [line.span for line in self.repetitions.lines]
        return documents + repeated + [line.span for line in self.text.longest_lines]


class Shown(NamedTuple):
    """The text that is shown, and where it is."""

    excerpts: Mapping[Span, str]
    places: Sequence[str]  # of each task, its files

    def entry(self, span: Span) -> dict[str, str]:
        """Returns the beginning of some lines, and the name of their file."""
        return {"text": self.excerpts[span], "file": self.places[span.task]}


def places_of(files: Sequence[Path], tasks: Sequence[Sequence[TextRange]]) -> list[str]:
    """Returns of each task the name of its file, or those of its first and last ones, in the folder of all files."""
    folder = os.path.commonpath([path.absolute().parent for path in files])
    names = [[str(place.path.absolute().relative_to(folder)) for place in (ranges[0], ranges[-1])] for ranges in tasks]
    return [first if first == last else f"{first} to {last}" for first, last in names]


def make_report(
    files: Sequence[Path], findings: Findings, strangest_lines: Sequence[RankedLine], shown: Shown
) -> dict[str, Any]:
    """Returns the report.

    Args:
        files: the corpus' files.
        findings: what is known of it.
        strangest_lines: by bits a character, the strangest first.
        shown: the text that the report shows.
    """
    text = findings.text
    return {
        "corpus": {
            "files": len(files),
            "bytes": sum(path.stat().st_size for path in files),
            "sources": source_entries(findings.sources, str),
        },
        "text": _text(text),
        "tokens": _tokens(findings),
        "scripts": script_counts(text.characters),
        "repetitions": _repetitions(findings, shown),
        "overlap": _overlap(findings),
        "longest_lines": [{"characters": int(line.value), **shown.entry(line.span)} for line in text.longest_lines],
        "strangest_lines": [
            {"bits_a_character": round(line.value, 2), **shown.entry(line.span)} for line in strangest_lines
        ],
    }


def _text(text: TextStatistics) -> dict[str, Any]:
    return {
        "documents": text.num_documents,
        "lines": text.num_lines,
        "words": text.num_words,
        "characters": text.num_characters,
        "different_characters": len(text.characters),
        "lines_by_characters": _by_power(text.line_characters),
        "documents_by_words": _by_power(text.document_words),
    }


def _by_power(counts: np.ndarray) -> dict[str, int]:
    """Returns a histogram with the smallest and largest numbers of each bin, from the first to the last that holds."""
    present = np.flatnonzero(counts)
    bins = range(int(present[0]), int(present[-1]) + 1) if len(present) else range(0)
    return {_range(1 << power, (2 << power) - 1): int(counts[power]) for power in bins}


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _tokens(findings: Findings) -> dict[str, Any] | None:
    if findings.tokens is None:
        return None
    counts, num_words = findings.tokens.counts, findings.text.num_words
    fill = findings.tokens.example_fill.tolist()
    step = 100 // len(fill)
    return {
        **findings.packing._asdict(),
        **count_entries(counts, findings.packing.max_seq_length),
        "tokens_a_word": round(counts.tokens_in / max(1, num_words), 4),
        "characters_a_token": round(findings.text.num_characters / max(1, counts.tokens_in), 4),
        "unknown_rate": counts.unknown_tokens / max(1, counts.tokens_in),
        "examples_by_fill": {f"{step * place} to {step * (place + 1)} %": num for place, num in enumerate(fill)},
    }


def _repetitions(findings: Findings, shown: Shown) -> dict[str, Any]:
    found = findings.repetitions
    return {
        "threshold": findings.threshold,
        "near_duplicate_documents": found.num_near_duplicates,
        "alike_documents": found.num_alike,
        "repeated_lines": found.num_repeated_lines,
        "repeated_long_lines": found.num_repeated_long_lines,
        "long_lines_have_words": MIN_REPEATED_WORDS,
        "groups": [
            {
                "near_duplicates": group.num_duplicates,
                "similarity": round(group.similarity, 3),
                "original": shown.entry(group.original),
                "duplicate": shown.entry(group.duplicate),
            }
            for group in found.groups
        ],
        "most_repeated_lines": [{"times": line.num_times, **shown.entry(line.span)} for line in found.lines],
    }


def _overlap(findings: Findings) -> dict[str, Any] | None:
    evaluation, overlap = findings.evaluation, findings.overlap
    if not evaluation.files:
        return None
    ngrams, texts = evaluation.owners
    shared_texts = np.unique(texts[np.isin(ngrams, overlap.ngrams)])
    shared = np.bincount(evaluation.file_of_text[shared_texts], minlength=len(evaluation.files)).tolist()
    return {
        "ngram_words": NGRAM_WORDS,
        "least_words": MIN_WORDS,
        "contaminated_documents": int(np.count_nonzero(overlap.is_contaminated)),
        "files": [
            {
                "file": file.name,
                "texts": file.num_texts,
                "texts_too_short": file.num_short_texts,
                "texts_shared": num_shared,
            }
            for file, num_shared in zip(evaluation.files, shared, strict=True)
        ],
        "examples": [{"document": number + 1, "shared": words} for number, words in overlap.examples[:NUM_SHOWN]],
    }

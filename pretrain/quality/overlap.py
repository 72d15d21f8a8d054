"""The texts of evaluation files, of any layout: every string in them."""

import csv
import functools
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from electra_span.files import json_reason, parse_json
from pretrain.quality.settings import QualityError
from pretrain.quality.words import Words, ngram_hashes, word_texts, words_of
from pretrain.sources.streams import BLOCK_BYTES, inner_suffix, open_stream, unpacked

_MAX_FIELD_CHARACTERS = 1 << 26


def evaluation_texts(path: Path) -> Iterator[str]:
    """Yields every string of an evaluation file: values of JSON, fields of CSV and TSV, lines of anything else.

    JSON may be one value, as SQuAD's, or one a line. The file may be packed (.gz .xz .bz2 .zst); it is UTF-8, and
    fits the memory.

    Raises:
        UserError: names a file that cannot be read, and where it is malformed.
    """
    with open_stream(path) as packed:
        stream = unpacked(packed)
        content = b"".join(iter(lambda: stream.read(BLOCK_BYTES), b""))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QualityError(f"{path}: not UTF-8 at byte {error.start} ({error.reason})") from error
    reader = _READERS.get(inner_suffix(path.name), _lines)
    yield from reader(text, path)


def _json(text: str, path: Path) -> Iterator[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if "Extra data" not in str(error):
            raise QualityError(f"{path}: {json_reason(error)}") from None
        yield from _json_lines(text, path)
    else:
        yield from _strings(value)


def _json_lines(text: str, path: Path) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield from _strings(parse_json(line, f"{path}: line {number}", is_line=True))


def _strings(value: Any) -> Iterator[str]:
    """Yields the strings in a value of JSON, in any depth; names of fields are none."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += reversed(value.values())
        elif isinstance(value, list):
            waiting += reversed(value)


def _csv(text: str, path: Path) -> Iterator[str]:
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in rows:
            yield from row
    except csv.Error as error:
        raise QualityError(f"{path}: line {rows.line_num}: {error}") from error


def _tsv(text: str, path: Path) -> Iterator[str]:
    for line in _lines(text, path):
        yield from line.split("\t")  # quotation marks are text, as in GLUE's files


def _lines(text: str, path: Path) -> Iterator[str]:
    yield from text.splitlines()


_READERS: dict[str, Callable[[str, Path], Iterator[str]]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".tsv": _tsv,
    ".tab": _tsv,
}


NGRAM_WORDS = 13
MIN_WORDS = 8

_MAX_EXAMPLES = 3  # a batch of text


class EvaluationFile(NamedTuple):
    """How much of an evaluation file can be looked for."""

    name: str
    num_texts: int  # different strings of MIN_WORDS words or more
    num_short_texts: int  # different strings of fewer words, which are not looked for


class EvaluationNgrams(NamedTuple):
    """Runs of words that are looked for in a corpus."""

    files: list[EvaluationFile]
    file_of_text: np.ndarray  # int64 [num_texts], of all files
    ngrams: np.ndarray  # uint64 [num_ngrams], ascending
    lengths: tuple[int, ...]  # the numbers of words there are among them
    owners: np.ndarray  # int64 [2, num_pairs], an ngram's number and the number of a text it is in
    may_match: np.ndarray  # bool [a power of two], false for the low bits that no ngram has


class Overlap(NamedTuple):
    """What some documents share with evaluation files."""

    is_contaminated: np.ndarray  # bool [num_documents]
    ngrams: np.ndarray  # int64 [n], numbers of the ngrams that occur, ascending
    examples: list[tuple[int, str]]  # of some documents, the number and the words that they share


def load_ngrams(paths: tuple[Path, ...]) -> EvaluationNgrams:
    """Returns what is looked for of evaluation files, read once a process.

    Raises:
        UserError: names a file that cannot be read.
    """
    return _load(paths, tuple(path.stat().st_mtime_ns if path.exists() else None for path in paths))


@functools.cache
def _load(paths: tuple[Path, ...], _times: tuple[int | None, ...]) -> EvaluationNgrams:
    files: list[EvaluationFile] = []
    all_ngrams: list[np.ndarray] = []
    all_texts: list[np.ndarray] = []
    text_files: list[np.ndarray] = []
    lengths: set[int] = set()
    for number, path in enumerate(paths):
        texts = [" ".join(text.split("\n")) for text in dict.fromkeys(evaluation_texts(path))]
        words = words_of(texts)
        ngrams, owners = _ngrams_of_texts(words, lengths)
        different = np.unique(owners)
        files.append(EvaluationFile(str(path), len(different), len(texts) - len(different)))
        all_ngrams.append(ngrams)
        all_texts.append(np.searchsorted(different, owners) + sum(file.num_texts for file in files[:-1]))
        text_files.append(np.full(len(different), number))
    empty = np.zeros(0, np.int64)
    ngrams, inverse = np.unique(np.concatenate([*all_ngrams, empty.astype(np.uint64)]), return_inverse=True)
    owners = np.stack([inverse, np.concatenate([*all_texts, empty])])
    return EvaluationNgrams(
        files, np.concatenate([*text_files, empty]), ngrams, tuple(sorted(lengths)), owners, _may_match(ngrams)
    )


def _ngrams_of_texts(words: Words, lengths: set[int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ngrams of texts and the text of each, int64 [n] both, and adds the numbers of their words."""
    ends = words.line_ends
    starts = np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]])
    sizes = ends - starts
    ngrams, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for length, windows in ngram_hashes(words.hashes, range(MIN_WORDS, NGRAM_WORDS + 1)):
        is_wanted = sizes >= NGRAM_WORDS if length == NGRAM_WORDS else sizes == length
        texts = np.repeat(np.flatnonzero(is_wanted), sizes[is_wanted] - length + 1)
        if len(texts):
            lengths.add(length)
            is_first = np.diff(texts, prepend=-1) > 0
            firsts = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
            ngrams.append(windows[starts[texts] + np.arange(len(texts)) - firsts])
            owners.append(texts)
    return np.concatenate(ngrams), np.concatenate(owners)


def _may_match(ngrams: np.ndarray) -> np.ndarray:
    """Returns a table that leaves one in sixteen of the ngrams that are not there, or fewer."""
    table = np.zeros(1 << max(4, (16 * len(ngrams)).bit_length()), np.bool_)
    table[ngrams & np.uint64(len(table) - 1)] = True
    return table


def find_overlap(
    words: Words, lines: Sequence[str], document_ends: Sequence[int], evaluation: EvaluationNgrams
) -> Overlap:
    """Returns which documents share ngrams with evaluation files, and which ngrams.

    Args:
        words: of the lines.
        lines: the text.
        document_ends: of each document, the number of the line after its last one.
        evaluation: what is looked for.
    """
    ends = words.line_ends[np.asarray(document_ends, np.int64) - 1]  # [num_documents], in words
    is_contaminated = np.zeros(len(ends), np.bool_)
    found = [np.zeros(0, np.int64)]
    firsts: dict[int, tuple[int, int]] = {}  # of documents, the place and length of the first match
    mask = np.uint64(len(evaluation.may_match) - 1)
    for length, windows in ngram_hashes(words.hashes, evaluation.lengths):
        places = np.flatnonzero(evaluation.may_match[windows & mask])
        numbers = np.minimum(np.searchsorted(evaluation.ngrams, windows[places]), len(evaluation.ngrams) - 1)
        documents = np.searchsorted(ends, places, side="right")
        is_found = (evaluation.ngrams[numbers] == windows[places]) & (places + length <= ends[documents])
        found.append(numbers[is_found])
        is_contaminated[documents[is_found]] = True
        for document, place in zip(documents[is_found].tolist(), places[is_found].tolist(), strict=True):
            firsts.setdefault(document, (place, length))
    starts = [0, *ends.tolist()]
    line_starts = [0, *document_ends]
    examples = []
    for document in sorted(firsts)[:_MAX_EXAMPLES]:
        place, length = firsts[document]
        texts = word_texts(lines[line_starts[document] : line_starts[document + 1]])
        examples.append((document, " ".join(texts[place - starts[document] :][:length])))
    return Overlap(is_contaminated, np.unique(np.concatenate(found)), examples)

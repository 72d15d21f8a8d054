"""The two kinds of work in a build: some text to a spill of examples, and all spills to some files of records.

Each piece of work has random numbers of its own, so it does not matter which process does it, nor in which order. No
piece needs memory for more than one task's text or one read of the plan: neither corpus nor files of records need fit.
"""

import functools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from electra_span.tokenization import FlatIds, Tokenizer, load_tokenizer
from pretrain.dataset.examples import PackedExamples
from pretrain.dataset.manifest import Counts, sum_of
from pretrain.dataset.packing import Packing, pack
from pretrain.dataset.records import write_records
from pretrain.dataset.text_losses import losses_of, vocabulary_warnings
from pretrain.dataset.workspace import ReadPlan, Spill, read_slots, write_spill
from pretrain.quality.filters import DroppedLines, keep_rest
from pretrain.sources.corpus import Documents, TextRange, read_batches
from pretrain.sources.settings import SourceCounts, SourceSettings

# First numbers of the seeds of text and of records, which makes their random numbers differ.
_TEXT_STREAM, _RECORD_STREAM = 0, 1


@functools.cache
def cached_tokenizer(vocab_file: Path, do_lower_case: bool, strip_accents: bool | None) -> Tokenizer:
    """Returns the tokenizer, loaded once a process."""
    return load_tokenizer(vocab_file, do_lower_case=do_lower_case, strip_accents=strip_accents)


@functools.cache
def manifest_entry(tokenizer: Tokenizer) -> dict[str, Any]:
    """Returns what a manifest keeps of a tokenizer: settings and fingerprint."""
    return {**tokenizer.settings, "fingerprint": tokenizer.fingerprint}


class EncodedTask(NamedTuple):
    """What became of a task's text, and where its examples are."""

    counts: Counts
    spills: list[Spill]  # several, where the text is too much to be in memory at a time
    sources: dict[str, SourceCounts]  # by kind of source


class PackedBatch(NamedTuple):
    """The examples of some text, and what became of its tokens."""

    examples: PackedExamples
    counts: Counts


def encode_task(
    ranges: Sequence[TextRange],
    spill_file: Path,
    *,
    tokenizer: Tokenizer,
    task: int,
    seed: int,
    packing: Packing,
    blanks_separate_docs: bool,
    source_settings: SourceSettings | None = None,
    dropped_lines: DroppedLines | None = None,
) -> EncodedTask:
    """Returns what became of a task's text after writing its examples.

    Args:
        ranges: the text.
        spill_file: the file to write, the first of several where the text is large.
        tokenizer: cuts lines into ids.
        task: the number of the task.
        seed: of the whole build.
        packing: the format of the examples.
        blanks_separate_docs: whether a blank line ends a document.
        source_settings: how the ranges' files are read.
        dropped_lines: the lines of the task that are left out.
    """
    for warning in vocabulary_warnings(tokenizer) if task == 0 else ():
        logging.warning("%s", warning)
    sources: dict[str, SourceCounts] = {}
    batches = read_batches(ranges, blanks_separate_docs=blanks_separate_docs, settings=source_settings, counts=sources)
    counts, spills = [], []
    first_line = 0
    for batch, documents in enumerate(batches):
        file = spill_file.with_name(f"{spill_file.name}-{batch}") if batch else spill_file
        stream = stream_of(task, batch)
        packed = pack_batch(
            documents,
            tokenizer=tokenizer,
            stream=stream,
            seed=seed,
            packing=packing,
            dropped_lines=dropped_lines,
            first_line=first_line,
        )
        generator = np.random.default_rng([_TEXT_STREAM, seed, *stream])
        spills.append(write_spill(file, packed.examples, vocab_size=tokenizer.vocab_size, generator=generator))
        counts.append(packed.counts)
        first_line += len(documents.lines)
    return EncodedTask(sum_of(counts), spills, sources)


def stream_of(task: int, batch: int) -> tuple[int, ...]:
    """Returns the numbers that name the random numbers of a batch of a task's text."""
    return (task, batch) if batch else (task,)


def pack_batch(
    documents: Documents,
    *,
    tokenizer: Tokenizer,
    stream: Sequence[int],
    seed: int,
    packing: Packing,
    dropped_lines: DroppedLines | None = None,
    first_line: int = 0,
) -> PackedBatch:
    """Returns the examples of a batch of text, with random numbers of their own stream.

    Args:
        documents: the text.
        tokenizer: cuts lines into ids.
        stream: names the random numbers.
        seed: of the whole build.
        packing: the format of the examples.
        dropped_lines: the lines of the task that are left out.
        first_line: the number of the batch's first line in the task.
    """
    lines = tokenizer.encode_flat(documents.lines)
    losses = losses_of(tokenizer, documents.lines, lines.ids, lines.row_splits)
    kept = keep_rest(lines.ids, lines.row_splits, documents.document_ends, dropped_lines, first_line)
    draws = random.Random(" ".join(map(str, (seed, *stream))))
    rest = FlatIds(kept.ids, kept.row_splits)
    examples, dropped = pack(rest, kept.document_ends, packing, tokenizer=tokenizer, draws=draws)
    num_examples = len(examples.lengths)
    special_tokens = num_examples + int(np.count_nonzero(examples.input_ids == tokenizer.sep_id))
    counts = Counts(
        num_documents=len(kept.document_ends),
        num_examples=num_examples,
        tokens_in=len(lines.ids),
        tokens_out=int(examples.lengths.sum()) - special_tokens,
        special_tokens=special_tokens,
        unknown_tokens=int(np.count_nonzero(lines.ids == tokenizer.unk_id)),
        dropped={**dropped, **kept.dropped},
        characters_in=losses.characters,
        stripped_letters=losses.stripped_letters,
        long_words=losses.long_words,
        letters_in_long_words=losses.letters_in_long_words,
    )
    return PackedBatch(examples, counts)


def write_shards(
    spills: Sequence[Spill],
    record_files: Sequence[Path],
    *,
    first_shard: int,
    plan: ReadPlan,
    stream: Sequence[int],
) -> list[int]:
    """Returns the number of examples in each of some files of records after writing them.

    Args:
        spills: those of all tasks, in the tasks' order.
        record_files: the files to write, plan.shards_per_read or fewer.
        first_shard: the number of the first of them.
        plan: what is read at a time.
        stream: numbers of which the random numbers' seeds are made.
    """
    num_slots = plan.num_shards * plan.parts_per_shard

    def examples_of(slots: range) -> list[PackedExamples]:
        return read_slots(spills, slots, num_slots, np.random.default_rng([_RECORD_STREAM, *stream, slots.start]))

    if plan.parts_per_shard == 1:
        together = examples_of(range(first_shard, first_shard + len(record_files)))
        return [write_records(file, [examples]) for file, examples in zip(record_files, together, strict=True)]
    first_slot = first_shard * plan.parts_per_shard
    parts = (examples_of(range(slot, slot + 1))[0] for slot in range(first_slot, first_slot + plan.parts_per_shard))
    return [write_records(record_files[0], parts)]

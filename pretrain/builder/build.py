"""Builds the files of records of a corpus, in several processes or on several machines.

The result depends on the corpus, the vocabulary and the settings, not on who did the work or how often it was
interrupted. Files get their final names when all are complete, manifest.json last. Imports no TensorFlow: only the
processes that work need it.
"""

import contextlib
import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from absl import logging

from pretrain.builder import steps
from pretrain.builder.settings import BuildError, BuildSettings, source_of
from pretrain.builder.steps import TaskResult
from pretrain.dataset.manifest import (
    MANIFEST_NAME,
    count_entries,
    is_up_to_date,
    read_manifest,
    source_entries,
    sum_of,
    write_manifest,
)
from pretrain.dataset.record_files import check_folder, file_entries
from pretrain.dataset.text_losses import TextLosses, loss_warnings, unknown_warning
from pretrain.dataset.workers import Workers
from pretrain.dataset.workspace import (
    Spill,
    deal_groups,
    end_publication,
    only_build,
    plan_reads,
    publish,
    was_publishing,
    workspace,
)
from pretrain.quality import filters
from pretrain.quality.filters import check_filters
from pretrain.sources.corpus import CorpusError, TextRange, plan_tasks
from pretrain.sources.settings import SourceSettings

# Tasks are large enough to keep the pieces of a large corpus few, small enough to divide a small one evenly.
_MIN_TASK_BYTES, _MAX_TASK_BYTES = 1 << 20, 1 << 24
_NUM_TASKS = 64

_GROUP_STREAM = (
    2  # first number of the seed by which spills are dealt; the others are those of pretrain/builder/shards.py
)


class Run(Protocol):
    """Does one step of a build for all of its pieces, wherever that is."""

    def __call__(
        self, step: Callable[[Any], None], pieces: Sequence[Any], *, label: str, sizes: Sequence[int], unit: str
    ) -> None:
        """Calls the step with each piece, at least once, and returns when all are done.

        Args:
            step: a function that can be pickled.
            pieces: what to call it with.
            label: what it does, as "tokenized".
            sizes: how much work each piece is.
            unit: of the sizes.
        """


def build_dataset(settings: BuildSettings) -> dict[str, Any]:
    """Returns the manifest of the records in the output folder, built now unless they are there already.

    The output folder must be empty, or hold the records of the same build, whole or begun. While it works, everything
    is in a hidden folder in it: about the size of the records, twice. A build that was stopped goes on there.

    Raises:
        UserError: for a corpus, vocabulary or output folder that cannot be used.
    """
    output_dir = settings.output_dir
    files = settings.find_files()
    source = source_of(settings, files)
    if was_publishing(output_dir) or not is_up_to_date(output_dir, source):
        try:
            with only_build(output_dir):
                _build_here(settings, files, source)
        except OSError as error:
            place = error.filename or output_dir
            raise BuildError(f"Cannot build {output_dir}: {error.strerror}: {place}") from error
    else:
        check_folder(output_dir)
        logging.info("%s is up to date", output_dir)
    return read_manifest(output_dir) or {}


def _build_here(settings: BuildSettings, files: Sequence[Path], source: dict[str, Any]) -> None:
    """Builds the records in the output folder, which is this build's alone, unless another one just did."""
    end_publication(settings.output_dir)
    if is_up_to_date(settings.output_dir, source):
        return
    identity = {"source": source, "corpus_stamps": _stamps(files)}
    with workspace(settings.output_dir, identity) as folder, _runner(settings, folder) as run:
        manifest = _build(settings, files, folder, run) | {"source": source}
        write_manifest(folder, manifest)
        publish(folder, settings.output_dir, [*manifest["files"], MANIFEST_NAME])


def _stamps(files: Sequence[Path]) -> str:
    """Returns what changes when one of the files is written to."""
    stamps = hashlib.sha256()
    for path in files:
        stamps.update(b"%d," % path.stat().st_mtime_ns)
    return stamps.hexdigest()


@contextlib.contextmanager
def _runner(settings: BuildSettings, folder: Path) -> Iterator[Run]:
    if settings.runner == "beam":
        from pretrain.builder.beam_runner import BeamRun

        yield BeamRun(settings.beam_arguments, folder)
        return
    with Workers(settings.num_processes) as workers:

        def run(step: Callable[[Any], None], pieces: Sequence[Any], **amounts: Any) -> None:
            for _ in workers.map(step, pieces, **amounts):
                pass

        yield run


def _build(settings: BuildSettings, files: Sequence[Path], folder: Path, run: Run) -> dict[str, Any]:
    """Returns the manifest of the records it leaves in the workspace."""
    start_seconds = time.monotonic()
    results = _encode(settings, files, folder, run)
    if not sum(result.counts.num_examples for result in results):
        raise CorpusError(f"The corpus must hold text. Received: {settings.corpus}, which holds none")
    shard_sizes = _write(settings, [spill for result in results for spill in result.spills], folder, run)
    names = steps.shard_names(settings.num_out_files)
    manifest = _manifest(settings, results) | file_entries(folder, names, shard_sizes)
    _report(manifest, time.monotonic() - start_seconds)
    return manifest


def plan_corpus(
    files: Sequence[Path], *, blanks_separate_docs: bool, source_settings: SourceSettings
) -> list[list[TextRange]]:
    """Returns a corpus in tasks, the pieces of the first step.

    Args:
        files: its files.
        blanks_separate_docs: whether a blank line ends a document.
        source_settings: how the files are read.
    """
    num_bytes = sum(path.stat().st_size for path in files)
    task_bytes = min(max(num_bytes // _NUM_TASKS, _MIN_TASK_BYTES), _MAX_TASK_BYTES)
    return plan_tasks(files, task_bytes=task_bytes, blanks_separate_docs=blanks_separate_docs, settings=source_settings)


def _encode(settings: BuildSettings, files: Sequence[Path], folder: Path, run: Run) -> list[TaskResult]:
    """Returns what became of each task, with its examples in the workspace."""
    tasks = plan_corpus(
        files, blanks_separate_docs=settings.blanks_separate_docs, source_settings=settings.source_settings
    )
    sizes = [sum(text_range.end - text_range.start for text_range in ranges) for ranges in tasks]
    pieces = list(enumerate(tasks))
    if settings.filters and not filters.is_decided(folder, len(tasks)):
        check_filters(settings.filters)
        compare = functools.partial(filters.compare_task, settings, folder)
        run(compare, pieces, label="compared", sizes=sizes, unit="B")
        filters.decide_tasks(settings, folder, len(tasks))
    step = functools.partial(steps.encode_task, settings, folder)
    run(step, pieces, label="tokenized", sizes=sizes, unit="B")
    return [steps.read_result(folder, number) for number in range(len(tasks))]


def _write(settings: BuildSettings, spills: Sequence[Spill], folder: Path, run: Run) -> list[int]:
    """Returns the number of records in each of the files that it leaves in the workspace."""
    reads, sizes, shard_sizes = [], [], []
    generator = np.random.default_rng([_GROUP_STREAM, settings.seed])
    for group, shards in deal_groups(spills, settings.num_out_files, generator):
        plan = plan_reads(group, len(shards))
        spill_list = steps.write_spill_list(folder, group)
        group_sizes = steps.shard_sizes(group, plan)
        for first in range(0, len(shards), plan.shards_per_read):
            reads.append(steps.Read(shards.start, first, plan, spill_list))
            sizes.append(sum(group_sizes[first : first + plan.shards_per_read]))
        shard_sizes += group_sizes
    step = functools.partial(steps.write_shards, settings, folder)
    run(step, reads, label="written", sizes=sizes, unit=" examples")
    return shard_sizes


def _manifest(settings: BuildSettings, results: Sequence[TaskResult]) -> dict[str, Any]:
    return {
        "max_seq_length": settings.max_seq_length,
        "format": settings.format,
        **count_entries(sum_of([result.counts for result in results]), settings.max_seq_length),
        "sources": source_entries([result.sources for result in results], lambda name: settings.name_of(Path(name))),
        "tokenizer": results[0].tokenizer,
        "seed": settings.seed,
    }


def _report(manifest: dict[str, Any], seconds: float) -> None:
    for kind, entry in manifest["sources"].items():
        logging.info(
            "%s: %d documents in %d files; rows: %d without text, %d skipped, %d replaced in",
            kind,
            entry["num_documents"],
            entry["num_files"],
            entry["rows_without_text"],
            entry["rows_skipped"],
            entry["rows_replaced"],
        )
    losses = TextLosses(
        manifest["characters_in"],
        manifest["stripped_letters"],
        manifest["long_words"],
        manifest["letters_in_long_words"],
    )
    unknown = unknown_warning(manifest["unknown_tokens"], manifest["tokens_in"])
    for warning in [*loss_warnings(losses), *unknown]:
        logging.warning("%s", warning)
    tokens_in = max(1, manifest["tokens_in"])
    logging.info(
        "%d examples, %.1f %% full, in %d files from %d documents of %d tokens (%.2f %% unknown, %.2f %% dropped) "
        "in %.1f seconds",
        manifest["num_examples"],
        100 * manifest["fill"],
        len(manifest["files"]),
        manifest["num_documents"],
        manifest["tokens_in"],
        100 * manifest["unknown_tokens"] / tokens_in,
        100 * sum(manifest["dropped"].values()) / tokens_in,
        seconds,
    )

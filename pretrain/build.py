"""Builds the files of records of a corpus, in several processes.

The result depends on the corpus, the vocabulary and the settings, not on the number of processes. Files get their final
names when all are complete, manifest.json last. Imports no TensorFlow: only the processes that work need it.
"""

import contextlib
import functools
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from absl import logging
from tqdm import tqdm

from pretrain.build_settings import BuildError, BuildSettings, source_of
from pretrain.corpus import CorpusError, TextRange, plan_tasks
from pretrain.manifest import (
    MANIFEST_NAME,
    count_entries,
    is_up_to_date,
    read_manifest,
    source_entries,
    sum_of,
    write_manifest,
)
from pretrain.spills import ReadPlan, Spill, plan_reads

if TYPE_CHECKING:
    from pretrain.shards import EncodedTask  # brings TensorFlow

# Tasks are large enough to keep the pieces of a large corpus few, small enough to divide a small one evenly.
_MIN_TASK_BYTES, _MAX_TASK_BYTES = 1 << 20, 1 << 24
_NUM_TASKS = 64

_WORKSPACE_NAME = ".partial"

Item = TypeVar("Item")
Result = TypeVar("Result")
MapFunction = Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[Result]]


def build_dataset(settings: BuildSettings) -> dict[str, Any]:
    """Returns the manifest of the records in the output folder, built now unless they are there already.

    The output folder must be empty, or hold the records of the same build. While it works, everything is in a hidden
    folder in it: about the size of the records, twice.

    Raises:
        UserError: for a corpus, vocabulary or output folder that cannot be used. Nothing is left of the build then.
    """
    output_dir = settings.output_dir
    files = settings.find_files()
    source = source_of(settings, files)
    if is_up_to_date(output_dir, source):
        logging.info("%s is up to date", output_dir)
        return read_manifest(output_dir) or {}
    workspace = output_dir / _WORKSPACE_NAME
    try:
        shutil.rmtree(workspace, ignore_errors=True)  # of a build that was killed
        workspace.mkdir(parents=True)
        manifest = _build(settings, files, workspace) | {"source": source}
        write_manifest(workspace, manifest)
        _publish(workspace, output_dir, [*manifest["files"], MANIFEST_NAME])
    except OSError as error:
        raise BuildError(f"Cannot build {output_dir}: {error.strerror}: {error.filename or workspace}") from error
    except BrokenProcessPool as error:
        raise BuildError(
            f"Cannot build {output_dir}: a worker process was killed, most likely for lack of memory; use fewer than "
            f"{settings.num_processes} processes"
        ) from error
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    return manifest


def _build(settings: BuildSettings, files: Sequence[Path], workspace: Path) -> dict[str, Any]:
    """Returns the manifest of the records it leaves in the workspace."""
    start_seconds = time.monotonic()
    num_bytes = sum(path.stat().st_size for path in files)
    task_bytes = min(max(num_bytes // _NUM_TASKS, _MIN_TASK_BYTES), _MAX_TASK_BYTES)
    tasks = plan_tasks(
        files,
        task_bytes=task_bytes,
        blanks_separate_docs=settings.blanks_separate_docs,
        settings=settings.source_settings,
    )
    with _processes(settings.num_processes) as map_function:
        encode = functools.partial(_encode_task, settings, workspace)
        encoded = list(_progress(map_function(encode, enumerate(tasks)), "tokenized", len(tasks)))
        if not sum(task.counts.num_examples for task, _ in encoded):
            raise CorpusError(f"The corpus must hold text. Received: {settings.corpus}, which holds none")
        spills = [spill for task, _ in encoded for spill in task.spills]
        plan = plan_reads(spills, settings.num_out_files)
        first_shards = range(0, settings.num_out_files, plan.shards_per_read)
        write = functools.partial(_write_shards, settings, workspace, spills, plan)
        written = list(_progress(map_function(write, first_shards), "written", len(first_shards)))
    manifest = _manifest(settings, [task for task, _ in encoded], itertools.chain(*written), encoded[0][1])
    _report(manifest, time.monotonic() - start_seconds)
    return manifest


def _encode_task(
    settings: BuildSettings, workspace: Path, task: tuple[int, list[TextRange]]
) -> tuple["EncodedTask", dict[str, Any]]:
    """Returns what became of one task, and the tokenizer's entry in the manifest."""
    from pretrain import shards  # brings TensorFlow, which the parent process does without

    tokenizer = shards.cached_tokenizer(
        settings.vocab_file, settings.do_lower_case, None if settings.do_strip_accents else False
    )
    number, ranges = task
    encoded = shards.encode_task(
        ranges,
        workspace / f"rows-{number}",
        tokenizer=tokenizer,
        task=number,
        seed=settings.seed,
        packing=settings.packing,
        blanks_separate_docs=settings.blanks_separate_docs,
        source_settings=settings.source_settings,
    )
    return encoded, shards.manifest_entry(tokenizer)


def _write_shards(
    settings: BuildSettings, workspace: Path, spills: Sequence[Spill], plan: ReadPlan, first_shard: int
) -> list[int]:
    """Returns the number of examples in each of the shards of one read after writing them."""
    from pretrain import shards

    names = _shard_names(settings.num_out_files)[first_shard : first_shard + plan.shards_per_read]
    record_files = [workspace / name for name in names]
    return shards.write_shards(spills, record_files, first_shard=first_shard, plan=plan, seed=settings.seed)


def _shard_names(num_shards: int) -> list[str]:
    return [f"pretrain_data.tfrecord-{shard}-of-{num_shards}" for shard in range(num_shards)]


@contextlib.contextmanager
def _processes(num_processes: int) -> Iterator[MapFunction]:
    """Yields a map, as the built-in function, that works in num_processes: in this one, where it is one."""
    if num_processes == 1:
        yield map
        return
    num_threads = max(1, (os.cpu_count() or 1) // num_processes)
    with ProcessPoolExecutor(
        num_processes,
        mp_context=multiprocessing.get_context("spawn"),  # TensorFlow does not survive a fork
        initializer=_start_worker,
        initargs=(num_threads,),
    ) as pool:
        try:
            yield pool.map
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(num_threads: int) -> None:
    import tensorflow as tf

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process is interrupted, and ends its workers
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)


def _progress(results: Iterable[Result], done: str, total: int) -> Iterator[Result]:
    """Yields the results with a bar on a terminal, with ten lines in a log."""
    if sys.stderr.isatty():
        yield from tqdm(results, desc=done, total=total)
        return
    for number, result in enumerate(results, start=1):
        if number * 10 // total > (number - 1) * 10 // total:
            logging.info("%s %d of %d", done, number, total)
        yield result


def _manifest(
    settings: BuildSettings, tasks: Sequence["EncodedTask"], shard_sizes: Iterable[int], tokenizer: dict[str, Any]
) -> dict[str, Any]:
    return {
        "max_seq_length": settings.max_seq_length,
        "format": settings.format,
        **count_entries(sum_of([task.counts for task in tasks]), settings.max_seq_length),
        "sources": source_entries([task.sources for task in tasks], lambda name: settings.name_of(Path(name))),
        "tokenizer": tokenizer,
        "seed": settings.seed,
        "files": dict(zip(_shard_names(settings.num_out_files), shard_sizes, strict=True)),
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


def _publish(workspace: Path, output_dir: Path, names: Sequence[str]) -> None:
    """Moves the named files to the output folder: all of them, or none."""
    is_published = False
    try:
        for name in names:
            (workspace / name).rename(output_dir / name)
        is_published = True
    finally:
        if not is_published:
            for name in names:
                (output_dir / name).unlink(missing_ok=True)

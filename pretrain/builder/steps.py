"""The two steps of a build, each in pieces that any process or machine can do, in any order, again and again.

The results of a piece are files in the build's workspace that appear when they are whole: a piece whose results are
there is done. Importing this brings no TensorFlow; doing a piece does.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from electra_span.files import read_json
from pretrain.builder.settings import BuildSettings
from pretrain.dataset.manifest import Counts
from pretrain.dataset.workspace import ReadPlan, Spill, read_json_if_whole, slot_sizes, write_json
from pretrain.quality.filters import read_dropped_lines
from pretrain.sources.corpus import TextRange
from pretrain.sources.settings import SourceCounts

Task = tuple[int, list[TextRange]]


class TaskResult(NamedTuple):
    """What became of a task's text, and where its examples are."""

    counts: Counts
    spills: list[Spill]
    sources: dict[str, SourceCounts]  # by kind of source
    tokenizer: dict[str, Any]  # its entry in the manifest


def shard_names(num_shards: int) -> list[str]:
    """Returns the names of all files of records."""
    return [f"pretrain_data.tfrecord-{shard}-of-{num_shards}" for shard in range(num_shards)]


def encode_task(settings: BuildSettings, workspace: Path, task: Task) -> None:
    """Writes the examples of a task to spills, and what became of its text beside them, unless that is there."""
    number, ranges = task
    if _is_encoded(workspace, number):
        return
    from pretrain.builder import shards  # brings TensorFlow

    tokenizer = shards.cached_tokenizer(
        settings.vocab_file, settings.do_lower_case, None if settings.do_strip_accents else False
    )
    encoded = shards.encode_task(
        ranges,
        workspace / f"rows-{number}",
        tokenizer=tokenizer,
        task=number,
        seed=settings.seed,
        packing=settings.packing,
        blanks_separate_docs=settings.blanks_separate_docs,
        source_settings=settings.source_settings,
        dropped_lines=read_dropped_lines(settings, workspace, number),
    )
    write_json(
        _result_file(workspace, number),
        {
            "counts": dataclasses.asdict(encoded.counts),
            "spills": _as_json(encoded.spills),
            "sources": {kind: dataclasses.asdict(counts) for kind, counts in encoded.sources.items()},
            "tokenizer": shards.manifest_entry(tokenizer),
        },
    )


def _is_encoded(workspace: Path, number: int) -> bool:
    """Returns whether the results of a task are there and whole: a power cut leaves names without content."""
    value = read_json_if_whole(_result_file(workspace, number))
    if value is None:
        return False
    return all(
        spill.path.is_file() and spill.path.stat().st_size == spill.num_bytes
        for spill in _from_json(value["spills"], workspace)
    )


def read_result(workspace: Path, number: int) -> TaskResult:
    """Returns what became of a task that is done."""
    value = read_json(_result_file(workspace, number))
    return TaskResult(
        Counts(**value["counts"]),
        _from_json(value["spills"], workspace),
        {kind: SourceCounts(**counts) for kind, counts in value["sources"].items()},
        value["tokenizer"],
    )


class Read(NamedTuple):
    """Shards of a group that are written together."""

    group_start: int  # the group's first shard, among all
    first_shard: int  # among the group's
    plan: ReadPlan  # of the group
    spill_list: str  # name of the file of the group's spills


def write_spill_list(workspace: Path, spills: Sequence[Spill]) -> str:
    """Returns the name of a file in the workspace after writing all spills to it, for write_shards to read."""
    entries = _as_json(spills)
    name = f"spills-{hashlib.sha256(json.dumps(entries).encode()).hexdigest()}.json"
    write_json(workspace / name, entries)
    return name


def write_shards(settings: BuildSettings, workspace: Path, read: Read) -> None:
    """Writes the shards of one read, unless they are there and whole."""
    from pretrain.builder import shards
    from pretrain.dataset import records

    spills = _read_spill_list(workspace, read.spill_list)
    here = slice(read.first_shard, read.first_shard + read.plan.shards_per_read)  # in the group
    sizes = shard_sizes(spills, read.plan)[here]
    first = read.group_start + read.first_shard
    files = [workspace / name for name in shard_names(settings.num_out_files)[first : first + len(sizes)]]
    if not all(map(records.holds_records, files, sizes)):
        stream = (settings.seed, read.group_start)
        shards.write_shards(spills, files, first_shard=read.first_shard, plan=read.plan, stream=stream)


def shard_sizes(spills: Sequence[Spill], plan: ReadPlan) -> list[int]:
    """Returns the number of records in each shard."""
    sizes = slot_sizes(spills, plan.num_shards * plan.parts_per_shard)
    return sizes.reshape(plan.num_shards, plan.parts_per_shard).sum(axis=1).tolist()


@functools.cache
def _read_spill_list(workspace: Path, name: str) -> list[Spill]:
    return _from_json(read_json(workspace / name), workspace)


def _result_file(workspace: Path, number: int) -> Path:
    return workspace / f"task-{number}.json"


def _as_json(spills: Sequence[Spill]) -> list[dict[str, Any]]:
    return [{**spill._asdict(), "path": spill.path.name} for spill in spills]


def _from_json(entries: Sequence[dict[str, Any]], workspace: Path) -> list[Spill]:
    return [Spill(**{**entry, "path": workspace / entry["path"]}) for entry in entries]

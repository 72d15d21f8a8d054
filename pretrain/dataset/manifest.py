"""manifest.json: what a folder of records was built from, and what it holds.

Imports no TensorFlow, so that a folder that is up to date, or not to be touched, is known at once.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from electra_span.config import UserError
from electra_span.files import JsonError, read_json_object, shown, write_text
from pretrain.sources.settings import SourceCounts

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of some text, in documents, examples and tokens; tokens in are those out and those dropped."""

    num_documents: int
    num_examples: int
    tokens_in: int
    tokens_out: int
    special_tokens: int  # [CLS] and [SEP], not among tokens_out
    unknown_tokens: int  # [UNK] among tokens_in
    dropped: Mapping[str, int]  # tokens that are in no example, by reason
    characters_in: int = 0
    stripped_letters: int = 0  # among characters_in, as the next two; see TextLosses
    long_words: int = 0
    letters_in_long_words: int = 0


def sum_of(counts: Iterable[Counts]) -> Counts:
    """Returns what became of several texts in all."""
    entries = [dataclasses.asdict(each) for each in counts]
    dropped = [entry.pop("dropped") for entry in entries]
    reasons = dict.fromkeys(reason for each in dropped for reason in each)
    return Counts(
        **{name: sum(entry[name] for entry in entries) for name in entries[0]},
        dropped={reason: sum(each.get(reason, 0) for each in dropped) for reason in reasons},
    )


def count_entries(counts: Counts, max_seq_length: int) -> dict[str, Any]:
    """Returns the counts of a whole build, and `fill`: the share of the examples' positions that are not padding."""
    entries = dataclasses.asdict(counts)
    dropped = entries.pop("dropped")
    num_positions = counts.num_examples * max_seq_length
    fill = (counts.tokens_out + counts.special_tokens) / max(1, num_positions)
    return {**entries, "fill": round(fill, 4), "dropped": dropped}


class ManifestError(UserError):
    """A manifest that cannot be read, or that tells of other records than those wanted."""


def source_entries(
    counts: Iterable[Mapping[str, SourceCounts]], name_of: Callable[[str], str]
) -> dict[str, dict[str, Any]]:
    """Returns what was read of the corpus, by kind of source.

    Args:
        counts: of each task.
        name_of: returns a file's name in the corpus from its path.
    """
    totals: dict[str, SourceCounts] = {}
    for task_counts in counts:
        for kind, kind_counts in task_counts.items():
            totals[kind] = totals.get(kind, SourceCounts()) + kind_counts
    return {
        kind: {**dataclasses.asdict(total), "first_files": [name_of(path) for path in total.first_files]}
        for kind, total in sorted(totals.items())
    }


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Returns the manifest of a folder of records, or None where it has none.

    Raises:
        ManifestError: the manifest cannot be read, is of another format version, or an entry is malformed.
    """
    path = Path(folder) / MANIFEST_NAME
    if not path.exists():
        return None
    try:
        manifest = read_json_object(path)
    except JsonError as error:
        raise ManifestError(str(error)) from None
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ManifestError(f"{path} must have format_version {FORMAT_VERSION}; build the records again")
    for name, is_of_type in _ENTRIES.items():
        if name in manifest and not is_of_type(manifest[name]):
            received = shown(repr(manifest[name]), 80)
            raise ManifestError(f"{path}: malformed {name}; build the records again. Received: {received}")
    return manifest


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_tokenizer(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("fingerprint", ""), str)


def _maps_names_to(is_of_type: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(is_of_type, value.values()))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


# What each entry that is read again must be.
_ENTRIES: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("max_seq_length", "num_documents", "num_examples", "tokens_in", "tokens_out"), _is_count),
    "tokenizer": _is_tokenizer,
    "source": _is_object,
    "sources": _maps_names_to(_is_object),
    "files": _maps_names_to(_is_count),
    "file_bytes": _maps_names_to(_is_count),
    "file_ends": _maps_names_to(lambda value: isinstance(value, str)),
}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes manifest.json into a folder of records."""
    text = json.dumps({"format_version": FORMAT_VERSION, **manifest}, indent=2, ensure_ascii=False)
    write_text(folder / MANIFEST_NAME, text + "\n")


def is_up_to_date(folder: Path, source: Mapping[str, Any]) -> bool:
    """Returns whether a folder holds the records built from a source, False where it holds nothing.

    Args:
        folder: where records are or shall be; hidden files in it do not count.
        source: what the records shall be built from: corpus, vocabulary, settings.

    Raises:
        ManifestError: where it holds anything else, so that nothing is overwritten and no two builds get mixed.
    """
    if folder.exists() and not folder.is_dir():
        raise ManifestError(f"The output folder must be a folder. Received: {folder}, which is a file")
    if not folder.exists() or all(path.name.startswith(".") for path in folder.iterdir()):
        return False
    manifest = read_manifest(folder)
    if manifest is None:
        raise ManifestError(f"The output folder must be empty. Received: {folder}, which holds files of another origin")
    built_from = manifest.get("source", {})
    differences = [
        f"{name} {built_from.get(name)!r}, now {source.get(name)!r}"
        for name in {**source, **built_from}
        if built_from.get(name) != source.get(name)
    ]
    if differences:
        raise ManifestError(
            f"{folder} holds records of another build ({'; '.join(differences)}); choose another output folder or "
            "delete this one"
        )
    return True

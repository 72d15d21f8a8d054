"""Unpacking a zip of a checkpoint, as Google released them, without trusting it."""

import contextlib
import pathlib
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from electra_span.config import UserError
from electra_span.containers import check_hub_snapshot
from electra_span.convert.source_models import (
    CONFIG_OF_PART,
    PARTS,
    Half,
    Unused,
    hugging_face_half,
    tf1_halves,
    unused_tensors,
)
from electra_span.folders import Stamps, changed, stamps_of, temporary_folder
from electra_span.published.config import CONFIG_FILE
from electra_span.published.names import ConversionError
from electra_span.published.tensor_files import (
    ADAPTER_FILE,
    PICKLE_FILE,
    SHARD_INDEX,
    WEIGHTS_FILE,
    open_hugging_face,
    open_tf1,
)

_MOST_MEMBERS = 1000
_MOST_EXPANSION = 100  # weights hardly compress
_SLACK_BYTES = 2**20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@contextlib.contextmanager
def unpacked(path: pathlib.Path, beside: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary folder with the files of a zip, which is removed afterwards.

    Args:
        path: the zip.
        beside: the temporary folder is made in this one's.

    Raises:
        ConversionError: it is no zip, is broken, or holds what an archive of a checkpoint has no reason to.
        UserError: as raised inside, with the zip in place of the folder.
    """
    with temporary_folder(beside.parent, f".{beside.name[:40]}.unpacked-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                _check_members(path, members, shutil.disk_usage(folder).free)
                for member in members:
                    _extract(archive, member, folder)
        except _BROKEN as error:
            raise ConversionError(f"{path}: is not a zip that can be unpacked: {error}") from error
        except OSError as error:
            raise ConversionError(f"{path}: cannot be unpacked beside {beside}: {error.strerror}") from error
        try:
            yield folder
        except UserError as error:  # whose user knows the zip, and not the temporary folder
            error.args = tuple(str(part).replace(str(folder), str(path)) for part in error.args)
            raise


def _check_members(path: pathlib.Path, members: Sequence[zipfile.ZipInfo], free_bytes: int) -> None:
    """Raises ConversionError, before anything is written, where the directory of a zip asks for harm."""
    for member in members:
        problem = _problem(member)
        if problem:
            raise ConversionError(f"{path}: {problem} in the archive: {member.filename!r}. Nothing was unpacked")
    names = [member.filename for member in members]
    if len(names) > _MOST_MEMBERS or len(set(names)) < len(names):
        raise ConversionError(f"{path}: must have up to {_MOST_MEMBERS} files, each once. Received: {len(names)}")
    total = sum(member.file_size for member in members)
    packed = path.stat().st_size
    if total > _MOST_EXPANSION * packed + _SLACK_BYTES:
        raise ConversionError(f"{path}: its {packed:,} bytes claim to hold {total:,}, which no weights do")
    if total > free_bytes:
        raise ConversionError(f"{path}: unpacks to {total:,} bytes, but {free_bytes:,} are free on the target's disk")


def _problem(member: zipfile.ZipInfo) -> str:
    """Returns what is wrong with a member's name or type; "" if nothing is."""
    name, kind = member.filename.replace("\\", "/"), stat.S_IFMT(member.external_attr >> 16)
    if name.startswith("/") or ":" in name.split("/")[0]:
        return "an absolute path"
    if ".." in name.split("/"):
        return "a path that leaves the folder"
    if kind not in (0, stat.S_IFREG):
        return "a link or a device"
    return "an encrypted file" if member.flag_bits & 1 else ""


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: pathlib.Path) -> None:
    """Writes a member's bytes, never more than its declared size, which zipfile sees to."""
    file = folder / member.filename.replace("\\", "/")
    file.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, open(file, "xb") as out:
        shutil.copyfileobj(packed, out, length=2**20)


_INDEX = ".index"
_WEIGHT_FILES = (WEIGHTS_FILE, SHARD_INDEX, PICKLE_FILE, ADAPTER_FILE)  # the last one is refused by name
_MAC = "__MACOSX"  # what its zips hold beside
_DEEPEST = 3


class Source(NamedTuple):
    """What was recognised.

    Attributes:
        kind: in words.
        halves: one or two.
        unused: what they do not take.
    """

    kind: str
    halves: list[Half]
    unused: Unused


@contextlib.contextmanager
def opened(path: pathlib.Path, beside: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the path of a source, all of whose reading must be done inside.

    Of a zip it is that of its files, which are removed afterwards.

    Args:
        path: as for `read_source`, or a zip of any of that.
        beside: a zip is unpacked in this one's folder.

    Raises:
        ConversionError: it is a zip that cannot be unpacked, or holds what no such zip has a reason to.
        FileError: another process replaced the files of a folder meanwhile.
    """
    if path.is_file() and (path.suffix == ".zip" or zipfile.is_zipfile(path)):
        with unpacked(path, beside) as folder:
            yield folder
        return
    before = _stamps_of(path)
    try:
        yield path
    except UserError as error:
        if _stamps_of(path) != before:
            raise changed(path) from error
        raise
    if _stamps_of(path) != before:
        raise changed(path)


def _stamps_of(path: pathlib.Path) -> list[Stamps]:
    """Returns what changes when the models in a folder are replaced."""
    return [stamps_of(folder) for folder in (path, *(path / part for part in CONFIG_OF_PART))]


def read_source(path: pathlib.Path, num_attention_heads: Mapping[str, int | None]) -> Source:
    """Returns the models at a path, checked but not yet read.

    Args:
        path: a folder, or the path of a TF1 checkpoint before ".index".
        num_attention_heads: by part, "discriminator" and "generator"; None for what config.json says, or heads of 64.

    Raises:
        UserError: it holds none of the forms that are known, or one that does not fit together.
    """
    if not path.is_dir():
        return _of_tf1(_prefix(path), num_attention_heads)
    check_hub_snapshot(path)
    for _ in range(_DEEPEST):
        if _recognise(path) is not None:
            break
        folders = [each for each in path.iterdir() if each.is_dir() and each.name != _MAC and each.name[0] != "."]
        if len(folders) != 1:
            break
        path = folders[0]  # as zips have it
    reader = _recognise(path)
    if reader is None:
        raise ConversionError(f"{path}: {_nothing_known(path)}")
    return reader(path, num_attention_heads)


def _recognise(folder: pathlib.Path) -> Callable[[pathlib.Path, Mapping[str, int | None]], Source] | None:
    """Returns what reads a folder; None where its files are of no form that is known."""
    if any(folder.glob(f"*{_INDEX}")):
        return lambda folder, heads: _of_tf1(_only_checkpoint(folder), heads)
    if any((folder / name).exists() for name in _WEIGHT_FILES):
        return _of_one_model
    is_model = [any((folder / part / name).exists() for name in (*_WEIGHT_FILES, CONFIG_FILE)) for part in PARTS]
    return _of_pair if any(is_model) else None


def _of_tf1(prefix: pathlib.Path, heads: Mapping[str, int | None]) -> Source:
    weights = open_tf1(prefix)
    halves = tf1_halves(weights, heads)
    return Source(f"the TensorFlow checkpoint {prefix.name}", halves, unused_tensors(weights, halves))


def _of_hugging_face(folder: pathlib.Path, heads: Mapping[str, int | None]) -> Source:
    weights = open_hugging_face(folder)
    half = hugging_face_half(weights, folder, heads)
    return Source(f"a published model, {weights.path.name}", [half], unused_tensors(weights, [half]))


def _of_one_model(folder: pathlib.Path, heads: Mapping[str, int | None]) -> Source:
    return _of_hugging_face(folder, {**heads, "generator": heads["generator"] or heads["discriminator"]})


def _of_pair(folder: pathlib.Path, heads: Mapping[str, int | None]) -> Source:
    sources = [_of_hugging_face(folder / part, heads) for part in PARTS if (folder / part).is_dir()]
    halves = [half for source in sources for half in source.halves]
    parts = [half.part for half in halves]
    if len(set(parts)) < len(parts):
        raise ConversionError(f"{folder}: must hold one discriminator and one generator. Received: {', '.join(parts)}")
    known, unknown = (
        [f"{half.part}: {name}" for half, source in zip(halves, sources, strict=True) for name in source.unused[kind]]
        for kind in range(2)
    )
    return Source("published models, " + " and ".join(parts), halves, Unused(known, unknown))


def _prefix(path: pathlib.Path) -> pathlib.Path:
    """Returns the path of a TF1 checkpoint before ".index", which may be given with it."""
    prefix = path.with_name(path.name.removesuffix(_INDEX))
    if not prefix.with_name(prefix.name + _INDEX).is_file():
        rule = "is no folder, no zip, and no checkpoint's path before .index"
        if path.is_file():
            rule = "is none of the files that are read here; a pickle, as .bin, .pt and .pkl are, may run anything"
        raise ConversionError(f"{path}: {rule if path.exists() or path.parent.exists() else 'no such file'}")
    return prefix


def _only_checkpoint(folder: pathlib.Path) -> pathlib.Path:
    """Returns the path of the one checkpoint in a folder, before ".index"."""
    prefixes = sorted(file.with_name(file.name.removesuffix(_INDEX)) for file in folder.glob(f"*{_INDEX}"))
    if len(prefixes) > 1:
        names = ", ".join(prefix.name for prefix in prefixes)
        raise ConversionError(f"{folder}: has several checkpoints, {names}; give the path of one of them")
    return prefixes[0]


def _nothing_known(folder: pathlib.Path) -> str:
    """Returns what to say of a folder whose files are of no form that is known."""
    names = sorted(file.name for file in folder.iterdir())
    pickles = [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl", ".ckpt"))]
    if pickles:
        return f"has {pickles[0]}, which may be a pickle and run anything when read; only {PICKLE_FILE} is, by torch"
    wanted = f"a TensorFlow checkpoint (*{_INDEX}), {', '.join(_WEIGHT_FILES[:-1])}, or folders {' and '.join(PARTS)}"
    return f"must have {wanted}. Received: {', '.join(names[:10]) or 'nothing'}"

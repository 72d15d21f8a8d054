"""Files of known formats that hold no plain text, recognised by their first bytes. No TensorFlow."""

import os
import pathlib
import re
import stat

from electra_span.config import UserError
from electra_span.files import shown

HEAD_BYTES = 512

_ZIP = "a zip archive, as .docx, .xlsx, .odt and .epub files are"
_FORMATS: tuple[tuple[bytes, str], ...] = (
    (rb"PK(\x03\x04|\x05\x06|\x07\x08)", _ZIP),
    (rb"%PDF-\d\.\d\s", "a PDF document"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (rb"Rar!\x1a\x07", "a RAR archive"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office before 2007 (.doc, .xls, .ppt)"),
    (rb"\{\\rtf\d\\", "an RTF document"),
    (rb"ARROW1\x00\x00", "an Arrow file (pyarrow.parquet.write_table writes Parquet, which can be read)"),
    (
        rb"\xff\xff\xff\xff",
        "an Arrow stream (Dataset.to_parquet of datasets writes Parquet, which can be read)",
    ),
    (rb"ORC(\n?[\x00-\x08\x0e-\x1f])", "an ORC file"),
    (rb".{4}\x00{4}.{4}\n", "a TFRecord file"),
    (rb"version https://git-lfs\.github\.com/spec/", "a pointer of Git LFS; git lfs pull fetches the file"),
    (rb"PAR1[\x00-\x08\x0e-\x1f]", "a Parquet file"),
    (rb"Obj\x01", "an Avro file"),
    (rb"SQLite format 3\x00", "an SQLite database"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (rb"\x80[\x04\x05]\x95.{5}\x00{3}|\x80[\x02\x03]c[a-z_.]{6}", "a Python pickle"),
    (rb".{7}\x00\{[\"}]", "a safetensors file"),
    (rb"GGUF[\x01-\x09]\x00", "a GGUF model"),
    (rb"\x7fELF|MZ.\x00|\xca\xfe\xba\xbe\x00|\x00asm", "a program"),
    (rb"MSCF\x00", "a cabinet archive"),
    (rb"II\*\x00|MM\x00\*", "a TIFF image"),
    (rb"\x1f\x8b", "a gzip file"),
    (rb"\xfd7zXZ\x00", "an xz file"),
    (rb"BZh\d1AY&SY", "a bzip2 file"),
    (rb"\x28\xb5\x2f\xfd", "a zstd file"),
    (rb"\x04\x22\x4d\x18", "an LZ4 file"),
    (rb"LZIP\x01", "an lzip file"),
    (rb"\x5d\x00\x00.\x00", "an LZMA file"),
    (rb".{257}ustar(\x0000|  \x00)", "a tar archive"),
    (rb"\x89PNG\r\n\x1a\n", "a PNG image"),
    (rb"\xff\xd8\xff", "a JPEG image"),
    (rb"GIF8[79]a", "a GIF image"),
    (rb"RIFF.{4}(WAVE|WEBP|AVI )", "a RIFF file of sound, images or video"),
    (rb"OggS\x00|fLaC\x00|ID3[\x02-\x04]\x00", "a sound file"),
    (rb"\x1a\x45\xdf\xa3|\x00\x00.{2}ftyp", "a video file"),
)


def check_hub_snapshot(path: str | os.PathLike[str]) -> None:
    """Checks that a path is not the upper folder of a model in the Hub's cache, whose files are further down.

    Raises:
        UserError: it is; the message names the folder to use.
    """
    snapshots = pathlib.Path(path, "snapshots")
    # A copy without links has no blobs.
    if not (snapshots.is_dir() and any(pathlib.Path(path, name).is_dir() for name in ("blobs", "refs"))):
        return
    found = sorted(folder for folder in snapshots.iterdir() if folder.is_dir())
    main = pathlib.Path(path, "refs", "main")
    if main.is_file():
        newest = snapshots / main.read_text(errors="replace").strip()
        found = [newest] if newest in found else found
    take = f"give its snapshot: {', '.join(map(str, found[:3]))}" if found else "it has no snapshot; download the model"
    raise UserError(f"{shown(os.fspath(path))} is the upper folder of a model in the Hub's cache; {take}")


def container_of(head: bytes) -> str | None:
    """Returns what a file is, such as "a PDF document"; None where its first bytes are of no format known here.

    Args:
        head: the first HEAD_BYTES bytes, or all if the file is shorter.
    """
    return next((name for pattern, name in _FORMATS if re.match(pattern, head, re.DOTALL)), None)


def check_plain_text(path: str | os.PathLike[str]) -> None:
    """Checks that a file is none of the known formats that hold no plain text.

    A file that cannot be read is left to whoever reads it.

    Raises:
        UserError: names the file and what it is.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return  # what is read of a pipe is gone
        with open(path, "rb") as file:
            found = container_of(file.read(HEAD_BYTES))
    except OSError:
        return
    if found is not None:
        raise UserError(f"{shown(os.fspath(path))} is {found}, not a text file; extract its text first")

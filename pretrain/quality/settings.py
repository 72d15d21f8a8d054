"""What is to be left out of a corpus, and the errors of looking for it."""

import dataclasses
import hashlib
import importlib
from pathlib import Path
from typing import Any

from electra_span.config import UserError

DEDUP = ("documents", "lines")
DEFAULT_THRESHOLD = 0.8
MIN_THRESHOLD, MAX_THRESHOLD = 0.3, 0.95  # of which signatures of 128 numbers can tell something


class QualityError(UserError):
    """A setting that cannot be, a package that is missing, an evaluation file that cannot be read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QualityFilters:
    """What is left out of a corpus."""

    dedup: tuple[str, ...] = ()  # of DEDUP: what occurs again
    drop_overlap: tuple[Path, ...] = ()  # evaluation files whose text is left out
    duplicate_threshold: float = DEFAULT_THRESHOLD  # least similarity of near-duplicate documents

    def __post_init__(self) -> None:
        check_threshold(self.duplicate_threshold)
        for what in self.dedup:
            if what not in DEDUP:
                raise QualityError(f"dedup must be of {', '.join(DEDUP)}. Received: {what!r}")
        if self.duplicate_threshold != DEFAULT_THRESHOLD and "documents" not in self.dedup:
            raise QualityError(f"duplicate_threshold goes with dedup documents only. Received: dedup {self.dedup}")

    def __bool__(self) -> bool:
        return bool(self.dedup or self.drop_overlap)

    def source_entries(self) -> dict[str, Any]:
        """Returns all of it that decides about a build's records; nothing, where nothing is left out.

        Raises:
            QualityError: names an evaluation file that cannot be read.
        """
        entries: dict[str, Any] = {}
        if self.dedup:
            entries["dedup"] = sorted(set(self.dedup))
        if "documents" in self.dedup:
            entries["duplicate_threshold"] = self.duplicate_threshold
        if self.drop_overlap:
            entries["drop_overlap_sha256"] = sorted({_sha256(path) for path in self.drop_overlap})
        return entries


def check_threshold(threshold: float) -> None:
    """Raises QualityError for a similarity that signatures are not made for."""
    if not MIN_THRESHOLD <= threshold <= MAX_THRESHOLD:
        raise QualityError(
            f"duplicate_threshold must be from {MIN_THRESHOLD} to {MAX_THRESHOLD}. Received: {threshold}"
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise QualityError(f"Cannot read the evaluation file {path}: {error.strerror}") from error


def require(module: str) -> Any:
    """Returns a module of the extra `inspect`.

    Raises:
        QualityError: says how to install it, where it is missing.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise QualityError(
            f"to inspect a corpus or to find duplicates install {package.lower()}: pip install 'electra-span[inspect]'"
        ) from None

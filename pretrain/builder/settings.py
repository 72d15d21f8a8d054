"""What a build is told, the corpus' files, and all that its records depend on."""

import dataclasses
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from electra_span.config import UserError
from pretrain.dataset.examples import MIN_SEQ_LENGTH
from pretrain.dataset.packing import DOCUMENT_TAILS, FORMATS, Packing
from pretrain.quality.settings import DEFAULT_THRESHOLD, QualityFilters
from pretrain.sources.corpus import check_outside_corpus, corpus_files, matching_files
from pretrain.sources.settings import SourceSettings

RUNNERS = ("local", "beam")

# Records are held in memory by the thousand, and output files are open at once by the group.
BOUNDS = {
    "max_seq_length": (MIN_SEQ_LENGTH, 2**20),
    "num_processes": (1, 1024),
    "num_out_files": (1, 2**20),
    "seed": (0, 2**63 - 1),
}

# The files that decide about ids, in the order in which they are read for a digest.
_WORDPIECE_FILES = (
    "vocab.txt",
    "tokenizer_config.json",
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


class BuildError(UserError):
    """Settings that cannot be, an output that cannot be written, a worker that died."""


def check_bounds(settings: Any) -> None:
    """Raises BuildError for a number of examples, files or processes that is impossible."""
    for name, (least, most) in BOUNDS.items():
        value = getattr(settings, name, least)
        if not least <= value <= most:
            raise BuildError(f"{name} must be from {least} to {most}. Received: {value}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What to build, from what, and where to."""

    corpus_dir: Path | None = None
    corpus_files: tuple[str, ...] = ()  # in its place: files, folders and patterns
    vocab_file: Path  # or a folder of a published tokenizer
    output_dir: Path
    max_seq_length: int = 128
    format: str = "pairs"  # one of FORMATS
    document_tails: str = "join"  # one of DOCUMENT_TAILS
    num_processes: int = 1
    runner: str = "local"  # or beam, told by
    beam_options: str = ""  # those of Beam, as on its command line
    blanks_separate_docs: bool = True
    do_lower_case: bool = True
    do_strip_accents: bool = True  # of lower-cased text
    num_out_files: int = 1000
    seed: int = 0
    source_settings: SourceSettings = dataclasses.field(default_factory=SourceSettings)
    dedup: tuple[str, ...] = ()  # what is left out where it occurs again: documents, lines
    duplicate_threshold: float = DEFAULT_THRESHOLD  # least similarity of near-duplicate documents
    drop_overlap: tuple[Path, ...] = ()  # evaluation files: documents that share text with them are left out

    def __post_init__(self) -> None:
        check_bounds(self)
        choices = {"format": FORMATS, "document_tails": DOCUMENT_TAILS, "runner": RUNNERS}
        for name, values in choices.items():
            if getattr(self, name) not in values:
                raise BuildError(f"{name} must be one of {', '.join(values)}. Received: {getattr(self, name)!r}")
        if self.format != "sentences" and self.document_tails != BuildSettings.document_tails:
            raise BuildError(f"document_tails goes with the format sentences only. Received: format {self.format!r}")
        if self.runner != "beam" and self.beam_options:
            raise BuildError(f"beam_options go with the runner beam only. Received: runner {self.runner!r}")
        if (self.corpus_dir is None) == (not self.corpus_files):
            raise BuildError("Either corpus_dir or corpus_files must be given, and not both")
        _ = self.filters  # which are checked

    @property
    def packing(self) -> Packing:
        """How lines of text become examples."""
        return Packing(self.max_seq_length, self.format, self.document_tails)

    @property
    def filters(self) -> QualityFilters:
        """What is left out of the corpus."""
        return QualityFilters(
            dedup=self.dedup, duplicate_threshold=self.duplicate_threshold, drop_overlap=self.drop_overlap
        )

    @property
    def beam_arguments(self) -> list[str]:
        """The options of Beam; where nothing is said, num_processes of this machine."""
        here = ["--runner=DirectRunner", "--direct_running_mode=multi_processing"]
        return shlex.split(self.beam_options) or [*here, f"--direct_num_workers={self.num_processes}"]

    @property
    def corpus(self) -> str:
        """What the corpus was called by, for messages."""
        return str(self.corpus_dir or " ".join(self.corpus_files))

    def find_files(self) -> list[Path]:
        """Returns the corpus' files, sorted.

        Raises:
            UserError: where there are none, or the output folder lies among them.
        """
        files = matching_files(self.corpus_files) if self.corpus_dir is None else corpus_files(self.corpus_dir)
        places = self.corpus_files if self.corpus_dir is None else (self.corpus_dir,)
        check_outside_corpus({"--output-dir": self.output_dir}, places, files)
        return files

    def name_of(self, file: Path) -> str:
        """Returns a file's name in the corpus."""
        return str(file.relative_to(self.corpus_dir) if self.corpus_dir else file)


def source_of(settings: BuildSettings, files: Sequence[Path]) -> dict[str, Any]:
    """Returns all that the records depend on.

    Raises:
        BuildError: names a vocabulary that cannot be read.
    """
    listing = hashlib.sha256()
    num_bytes = 0
    for path in files:
        size = path.stat().st_size
        listing.update(f"{settings.name_of(path)}\0{size}\0".encode(errors="surrogateescape"))
        num_bytes += size
    names = ("max_seq_length", "blanks_separate_docs", "do_lower_case", "do_strip_accents", "num_out_files", "seed")
    optional = {name: getattr(BuildSettings, name) for name in ("format", "document_tails")}
    default = {**optional, **dataclasses.asdict(SourceSettings())}
    told = {name: getattr(settings, name) for name in optional} | dataclasses.asdict(settings.source_settings)
    return {
        "corpus_files": len(files),
        "corpus_bytes": num_bytes,
        "corpus_listing_sha256": listing.hexdigest(),
        "vocabulary_sha256": _vocabulary_sha256(settings.vocab_file),
        **{name: getattr(settings, name) for name in names},
        **{name: value for name, value in told.items() if value != default[name]},
        **settings.filters.source_entries(),
    }


def _is_decided_by_config(path: Path) -> bool:
    """Returns whether a tokenizer is as it was published here before its other files could change it."""
    content = path.read_bytes() if path.is_file() else b""
    return b'"tokenizer_class": "ElectraTokenizer"' in content and b'"tokenizer_type": "wordpiece"' in content


def _tokenizer_files(folder: Path) -> list[Path]:
    """Returns the files of a folder that a tokenizer depends on."""
    names = list(_WORDPIECE_FILES)
    if not (folder / "vocab.txt").is_file():
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    elif _is_decided_by_config(folder / "tokenizer_config.json"):
        names = names[:2]
    return [path for name in names if (path := folder / name).is_file()]


def _vocabulary_sha256(vocab_file: Path) -> str:
    try:
        paths = _tokenizer_files(vocab_file) if vocab_file.is_dir() else [vocab_file]
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()
    except OSError as error:
        raise BuildError(f"Cannot read the vocabulary {vocab_file}: {error.strerror}") from error

"""What is said of a corpus' sources, and what is counted as they are read."""

import codecs
import dataclasses
import re
from collections.abc import Callable
from typing import Self

from electra_span.config import UserError
from electra_span.files import check_delimiter, check_encoding

ON_BAD_TEXT = ("error", "replace", "skip")

MAX_FIRST_FILES = 1000

# Fewer bad rows than this never stop a build that was told to pass over them.
_MIN_BAD_ROWS = 100
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class CorpusError(UserError):
    """A corpus that is missing, empty or not text."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """How the text is found in the sources, and what becomes of bad text.

    A row is a row of a table, a value of JSON or a line of text.
    """

    text_field: str = "text"  # of JSON
    col_name: str = "text"  # of CSV, TSV and Parquet
    csv_delimiter: str | None = None  # one character; None: a comma in CSV, a tab in TSV
    csv_quotes: bool = True  # false: quotation marks in CSV and TSV are text
    openwebtext: bool = False  # archives of texts, each one document
    encoding: str = "utf-8"
    on_bad_text: str = "error"  # or replace what cannot be decoded, or skip the rows that cannot be read
    max_bad_rate: float = 0.01  # share of a source's rows that may be replaced or skipped

    def __post_init__(self) -> None:
        check_encoding("encoding", self.encoding)
        check_delimiter("csv_delimiter", self.csv_delimiter)
        if self.on_bad_text not in ON_BAD_TEXT:
            raise CorpusError(f"on_bad_text must be one of {', '.join(ON_BAD_TEXT)}. Received: {self.on_bad_text!r}")
        if not 0 <= self.max_bad_rate <= 1:
            raise CorpusError(f"max_bad_rate must be from 0 to 1. Received: {self.max_bad_rate}")

    @property
    def is_utf8(self) -> bool:
        """Whether the text is UTF-8, which is read as it is."""
        return codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig")


@dataclasses.dataclass
class SourceCounts:
    """What was read of some sources."""

    num_files: int = 0
    num_documents: int = 0
    num_rows: int = 0  # of tables and JSON; lines, of text
    rows_without_text: int = 0  # of tables and JSON
    rows_skipped: int = 0  # could not be read
    rows_replaced: int = 0  # had characters that could not be decoded
    first_files: list[str] = dataclasses.field(default_factory=list)  # paths, MAX_FIRST_FILES at most

    def __add__(self, other: Self) -> Self:
        names = [field.name for field in dataclasses.fields(self)]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return type(self)(**{**sums, "first_files": sums["first_files"][:MAX_FIRST_FILES]})


class Tally:
    """Counts the rows of a source or of a range of it, and decides about the bad ones."""

    def __init__(self, settings: SourceSettings):
        self.settings = settings
        self.counts = SourceCounts()
        self.kind = "unknown"  # of the source and its packing, as csv or csv+gzip

    def readable(self, text: str, place: Callable[[], str]) -> str | None:
        """Returns a row's text without what cannot be encoded, None where the row is skipped.

        Args:
            text: surrogates in it, which are no characters, stand for what could not be decoded.
            place: returns where the row is, which may take time.
        """
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError as error:
            if self.settings.on_bad_text == "replace":
                self.counts.rows_replaced += 1
                self._check_limit(place)
                return _SURROGATE.sub("\ufffd", text)
            self.skip(place, f"character {error.start} of the text is none")
            return None
        return text

    def skip(self, place: Callable[[], str], mistake: str) -> None:
        """Counts a row that cannot be read.

        Raises:
            CorpusError: where such rows are not to be skipped, or are too many.
        """
        if self.settings.on_bad_text != "skip":
            raise CorpusError(f"{place()}: {mistake}")
        self.counts.rows_skipped += 1
        self._check_limit(place, mistake)

    def _check_limit(self, place: Callable[[], str], mistake: str = "undecodable text") -> None:
        num_bad = self.counts.rows_skipped + self.counts.rows_replaced
        if num_bad > max(_MIN_BAD_ROWS, self.settings.max_bad_rate * self.counts.num_rows):
            raise CorpusError(
                f"{num_bad} of the first {self.counts.num_rows} rows cannot be read, more than --max-bad-rate "
                f"{self.settings.max_bad_rate} and more than {_MIN_BAD_ROWS}; the last: {place()}: {mistake}"
            )

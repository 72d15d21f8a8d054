"""The formats of examples, and the way from tokenised lines to examples in each of them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pretrain.documents import cut_documents, first_tokens, pack_pieces
from pretrain.examples import Draws, PackedExamples, assign_lines, pack_examples

if TYPE_CHECKING:
    from electra_span.tokenization import FlatIds, Tokenizer  # brings TensorFlow


class Packing(NamedTuple):
    """How lines of text become examples."""

    max_seq_length: int = 128
    format: str = "pairs"  # a key of FORMATS
    document_tails: str = "join"  # one of DOCUMENT_TAILS, where the format is "sentences"


class _Text(NamedTuple):
    """What is packed, and by what."""

    lines: "FlatIds"
    document_ends: Sequence[int]
    tokenizer: "Tokenizer"
    draws: Draws
    packing: Packing

    @property
    def arguments(self) -> dict[str, int]:
        """What all packers of tokens take, by name."""
        return {"max_seq_length": self.packing.max_seq_length} | {
            name: getattr(self.tokenizer, name) for name in ("cls_id", "sep_id", "pad_id")
        }

    @property
    def document_splits(self) -> np.ndarray:
        """Where each document starts in the ids, and the end, int64 [num_documents + 1]."""
        return self.lines.row_splits[[0, *self.document_ends]]


def _pairs(text: _Text) -> tuple[PackedExamples, dict[str, int]]:
    ids, row_splits = text.lines
    max_seq_length = text.packing.max_seq_length
    line_lengths = np.diff(row_splits).tolist()
    assignment = assign_lines(line_lengths, text.document_ends, max_seq_length=max_seq_length, draws=text.draws)
    examples, dropped = pack_examples(ids, row_splits, assignment, **text.arguments)
    return examples, {"end_of_first_segment": dropped.first_segments, "end_of_second_segment": dropped.second_segments}


def _sentences(text: _Text) -> tuple[PackedExamples, dict[str, int]]:
    ids, row_splits = text.lines
    is_word_start = ~text.tokenizer.is_continuation[ids]  # [T]
    is_word_start[row_splits[:-1][np.diff(row_splits) > 0]] = True  # a line ends the word before it
    pieces, num_dropped = cut_documents(
        text.document_splits,
        is_word_start,
        max_seq_length=text.packing.max_seq_length,
        document_tails=text.packing.document_tails,
    )
    return pack_pieces(ids, pieces, **text.arguments), {"document_tails": num_dropped}


def _rows(text: _Text) -> tuple[PackedExamples, dict[str, int]]:
    pieces, num_dropped = first_tokens(text.document_splits, max_seq_length=text.packing.max_seq_length)
    return pack_pieces(text.lines.ids, pieces, **text.arguments), {"end_of_row": num_dropped}


FORMATS: dict[str, Callable[[_Text], tuple[PackedExamples, dict[str, int]]]] = {
    "pairs": _pairs,  # one or two segments of whole lines, as the original draws them
    "sentences": _sentences,  # one segment of the next tokens, whatever lines they are in
    "rows": _rows,  # one segment of the first tokens of each document
}


def pack(
    lines: "FlatIds", document_ends: Sequence[int], packing: Packing, *, tokenizer: "Tokenizer", draws: Draws
) -> tuple[PackedExamples, dict[str, int]]:
    """Returns examples of some text, and the number of tokens that are in none, by reason.

    Args:
        lines: the tokens of all lines.
        document_ends: of each document, the number of the line after its last one; the last is the number of lines.
        packing: the format of the examples and its settings.
        tokenizer: what the lines were tokenised with.
        draws: a source of random numbers, for "pairs".
    """
    return FORMATS[packing.format](_Text(lines, document_ends, tokenizer, draws, packing))

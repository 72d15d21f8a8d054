"""Packs documents into examples of one segment: chunks of the full length, or one example a document.

Python handles whole chunks and tails; array operations then move their tokens all at once.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pretrain.dataset.examples import Draws, PackedExamples, assign_lines, copy_runs, pack_examples

if TYPE_CHECKING:
    from electra_span.tokenization import FlatIds, Tokenizer  # brings TensorFlow


DOCUMENT_TAILS = ("join", "keep", "drop")

_NUM_AROUND = 2  # [CLS] and [SEP]

# A text without blanks, as Chinese in SentencePiece, is one word: to look farther back for a word's start than most
# words are long would leave examples half empty.
_MAX_TOKENS_BACK = 16


class Pieces(NamedTuple):
    """Runs of tokens, the piece of an example that ends with its next [SEP] each."""

    starts: np.ndarray  # int64 [num_pieces], in the ids of all lines
    lengths: np.ndarray  # int64 [num_pieces]
    examples: np.ndarray  # int64 [num_pieces], the example of each: 0, 1, 2 ... with repeats


def cut_documents(
    splits: np.ndarray, is_word_start: np.ndarray, *, max_seq_length: int, document_tails: str
) -> tuple[Pieces, int]:
    """Returns documents in examples of L - 2 tokens and their last tokens as told, and the number of dropped tokens.

    A document is cut where a word starts, the last one of the 16 tokens before there is no more room; where none does,
    there.

    Args:
        splits: int64 [num_documents + 1], where each document starts in the ids, and the end.
        is_word_start: bool [T], tokens that go on with no word.
        max_seq_length: L.
        document_tails: what becomes of the tokens that are left at a document's end, fewer than L - 2: "join" puts
            those of several documents into an example, "keep" makes an example of each, "drop" leaves them out.
    """
    room = max_seq_length - _NUM_AROUND
    cuts, is_tail = _cut(splits, is_word_start, room)
    lengths = np.diff(cuts)
    whole, tails = np.flatnonzero(~is_tail & (lengths > 0)), np.flatnonzero(is_tail & (lengths > 0))
    num_dropped = 0
    if document_tails == "drop":
        num_dropped, tails = int(lengths[tails].sum()), tails[:0]
    joined = np.arange(len(tails))
    if document_tails == "join":
        joined = best_fit((lengths[tails] + 1).tolist(), room + 1)
    order = np.argsort(joined, kind="stable")  # the tails of an example are in the order of the text
    pieces = np.concatenate([whole, tails[order]])
    examples = np.concatenate([np.arange(len(whole)), len(whole) + joined[order]])
    return Pieces(cuts[:-1][pieces], lengths[pieces], examples), num_dropped


def _cut(splits: np.ndarray, is_word_start: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns where all pieces start, with the end, and which of them are shorter because their document ended."""
    num_ids = len(is_word_start)
    last_word_starts = np.maximum.accumulate(np.where(is_word_start, np.arange(num_ids), 0))  # [T]
    max_back = min(_MAX_TOKENS_BACK, room - 1)
    cuts: list[int] = []
    tails: list[int] = []
    start = 0
    for end in splits[1:].tolist():
        while end - start > room:
            cuts.append(start)
            start += room
            word_start = int(last_word_starts[start])
            if start - word_start <= max_back:
                start = word_start
        if end - start < room:
            tails.append(len(cuts))
        cuts.append(start)
        start = end
    is_tail = np.zeros(len(cuts), np.bool_)
    is_tail[tails] = True
    return np.asarray([*cuts, start], np.int64), is_tail


def best_fit(sizes: Sequence[int], capacity: int) -> np.ndarray:
    """Returns the bin of each size, int64 [num_sizes]: the largest first, to the fullest bin that has room for it.

    Args:
        sizes: each at least 1 and at most capacity.
        capacity: of a bin.
    """
    bins = np.empty(len(sizes), np.int64)
    bins_with_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = 0  # bit r is set where a bin has room r
    num_bins = 0
    for number in sorted(range(len(sizes)), key=lambda number: -sizes[number]):
        room, size = capacity, sizes[number]
        if fitting := rooms >> size:
            room = size + (fitting & -fitting).bit_length() - 1
            chosen = bins_with_room[room].pop()
            if not bins_with_room[room]:
                rooms ^= 1 << room
        else:
            chosen = num_bins
            num_bins += 1
        bins[number] = chosen
        bins_with_room[room - size].append(chosen)
        rooms |= 1 << room - size
    return bins


def first_tokens(splits: np.ndarray, *, max_seq_length: int) -> tuple[Pieces, int]:
    """Returns an example of the first L - 2 tokens of each document that has any, and the number of the others.

    Args:
        splits: int64 [num_documents + 1], where each document starts in the ids, and the end.
        max_seq_length: L.
    """
    wanted = np.diff(splits)
    documents = np.flatnonzero(wanted)
    lengths = np.minimum(wanted[documents], max_seq_length - _NUM_AROUND)
    return Pieces(splits[documents], lengths, np.arange(len(documents))), int(wanted.sum() - lengths.sum())


def pack_pieces(
    ids: np.ndarray, pieces: Pieces, *, max_seq_length: int, cls_id: int, sep_id: int, pad_id: int
) -> PackedExamples:
    """Returns examples of one segment, `[CLS] piece [SEP]` or `[CLS] piece [SEP] piece [SEP] ...`.

    Args:
        ids: int32 [T], the tokens of all lines.
        pieces: those of each example take L - 1 positions at most, their [SEP]s included.
        max_seq_length: L.
        cls_id: the id of [CLS].
        sep_id: the id of [SEP].
        pad_id: the id of [PAD].
    """
    num_examples = int(pieces.examples[-1]) + 1 if len(pieces.examples) else 0
    sizes = pieces.lengths + 1
    offsets = np.cumsum(sizes) - sizes
    is_first = np.diff(pieces.examples, prepend=-1) > 0
    offsets -= offsets[is_first][pieces.examples]  # [num_pieces], in the example
    places = pieces.examples * max_seq_length + 1 + offsets
    input_ids = np.full((num_examples, max_seq_length), pad_id, np.int32)
    input_ids[:, 0] = cls_id
    flat_ids = input_ids.reshape(-1)  # [num_examples L]
    flat_ids[places + pieces.lengths] = sep_id
    copy_runs(ids, pieces.starts, flat_ids, places, pieces.lengths)
    lengths = 1 + np.bincount(pieces.examples, sizes, minlength=num_examples).astype(np.int32)
    return PackedExamples(input_ids, first_lengths=lengths, lengths=lengths)


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

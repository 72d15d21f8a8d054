import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_span.tokenization import load_tokenizer
from pretrain.dataset.examples import MIN_SEQ_LENGTH, assign_lines, pack_examples

CLS_ID, SEP_ID, PAD_ID = 1, 2, 3
FIRST_TOKEN_ID = 4


class RecordedDraws:
    """Gives recorded draws again, then 0.5 for ever."""

    def __init__(self, draws):
        self.draws = iter(draws)

    def random(self):
        return self._next("random", ["random", 0.5])

    def randint(self, _start, _end):
        return self._next("randint", None)

    def _next(self, function, default):
        recorded = next(self.draws, default)
        assert recorded[0] == function
        return recorded[-1]


def _pack(line_lengths, document_ends, max_seq_length, draws):
    """Returns assignment, examples and dropped tokens of lines whose tokens are all different."""
    assignment = assign_lines(line_lengths, document_ends, max_seq_length=max_seq_length, draws=draws)
    row_splits = np.cumsum([0, *line_lengths])
    ids = np.arange(FIRST_TOKEN_ID, FIRST_TOKEN_ID + row_splits[-1], dtype=np.int32)
    examples, dropped = pack_examples(
        ids,
        row_splits,
        assignment,
        max_seq_length=max_seq_length,
        cls_id=CLS_ID,
        sep_id=SEP_ID,
        pad_id=PAD_ID,
    )
    return assignment, examples, dropped


def _documents(lines, blanks_separate_docs):
    texts, ends = [], []
    for line in map(str.strip, lines):
        if line:
            texts.append(line)
        elif blanks_separate_docs and len(texts) > (ends[-1] if ends else 0):
            ends.append(len(texts))
    return texts, ends if blanks_separate_docs else [len(texts)]


def _golden_rows(golden_run):
    return [(example["input_ids"], example["segment_ids"]) for example in golden_run["examples"]]


def _rows(examples):
    rows = []
    for ids, first_length, length in zip(examples.input_ids, examples.first_lengths, examples.lengths, strict=True):
        rows.append((ids[:length].tolist(), [0] * first_length + [1] * (length - first_length)))
    return rows


def test_recorded_runs_of_the_original_are_reproduced(golden, shared_data):
    recorded = json.loads(golden("pretrain_data/example_builder.json").read_text(encoding="utf-8"))
    tokenizer = load_tokenizer(shared_data / "vocab" / "vocab.txt")
    assert len(recorded["runs"]) == 24
    for run in recorded["runs"]:
        texts, document_ends = _documents([*recorded["lines"], ""], run["blanks_separate_docs"])
        ids, row_splits = tokenizer.encode_flat(texts)
        draws = RecordedDraws([draw for example in run["examples"] for draw in example["draws"]])
        max_length = run["max_length"]
        assignment = assign_lines(np.diff(row_splits).tolist(), document_ends, max_seq_length=max_length, draws=draws)
        examples, _ = pack_examples(
            ids,
            row_splits,
            assignment,
            max_seq_length=max_length,
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            pad_id=tokenizer.pad_id,
        )
        num_left_over = len(examples.lengths) - run["n_examples"]
        assert _rows(examples)[: run["n_examples"]] == _golden_rows(run)
        assert num_left_over == (1 if any(run["left_over_sentences"]) else 0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draws_come_in_the_original_order_from_pythons_generator(golden, shared_data, seed):
    recorded = json.loads(golden("pretrain_data/example_builder.json").read_text(encoding="utf-8"))
    tokenizer = load_tokenizer(shared_data / "vocab" / "vocab.txt")
    run = next(
        run
        for run in recorded["runs"]
        if (run["seed"], run["max_length"], run["blanks_separate_docs"]) == (seed, 64, True)
    )
    texts, document_ends = _documents([*recorded["lines"], ""], True)
    ids, row_splits = tokenizer.encode_flat(texts)
    assignment = assign_lines(np.diff(row_splits).tolist(), document_ends, max_seq_length=64, draws=random.Random(seed))
    examples, _ = pack_examples(
        ids,
        row_splits,
        assignment,
        max_seq_length=64,
        cls_id=tokenizer.cls_id,
        sep_id=tokenizer.sep_id,
        pad_id=tokenizer.pad_id,
    )
    assert _rows(examples) == _golden_rows(run)


@st.composite
def _corpora(draw):
    documents = draw(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), min_size=1, max_size=12))
    lengths = [length for document in documents for length in document]
    ends = np.cumsum([len(document) for document in documents]).tolist()
    return lengths, ends, draw(st.integers(MIN_SEQ_LENGTH, 40)), draw(st.integers(0, 2**32))


@settings(deadline=None)
@given(_corpora())
def test_examples_are_well_formed(corpus):
    lengths, ends, max_seq_length, seed = corpus
    _, examples, _ = _pack(lengths, ends, max_seq_length, random.Random(seed))
    assert examples.input_ids.shape == (len(examples.lengths), max_seq_length)
    for ids, first_length, length in zip(examples.input_ids, examples.first_lengths, examples.lengths, strict=True):
        assert 3 <= first_length <= length <= max_seq_length
        assert ids[0] == CLS_ID
        assert np.flatnonzero(ids == CLS_ID).tolist() == [0]
        assert np.flatnonzero(ids == SEP_ID).tolist() == sorted({first_length - 1, length - 1})
        assert length == first_length or length >= first_length + 2
        assert (ids[:length] != PAD_ID).all()
        assert (ids[length:] == PAD_ID).all()


@settings(deadline=None)
@given(_corpora())
def test_no_token_is_lost_but_those_counted_at_the_ends_of_segments(corpus):
    lengths, ends, max_seq_length, seed = corpus
    assignment, examples, dropped = _pack(lengths, ends, max_seq_length, random.Random(seed))
    starts = FIRST_TOKEN_ID + np.cumsum([0, *lengths])
    example_start = num_dropped = 0
    for example, example_end in enumerate(assignment.example_ends):
        first_length, length = examples.first_lengths[example], examples.lengths[example]
        row = examples.input_ids[example]
        for segment, kept in enumerate([row[1 : first_length - 1], row[first_length : max(first_length, length - 1)]]):
            wanted = [
                token
                for line in range(example_start, example_end)
                if assignment.segments[line] == segment
                for token in range(starts[line], starts[line + 1])
            ]
            assert kept.tolist() == wanted[: len(kept)]
            num_dropped += len(wanted) - len(kept)
            if len(kept) < len(wanted):
                assert length == max_seq_length or max_seq_length - length == 1  # a [SEP] alone is not appended
        example_start = example_end
    assert sum(lengths[example_start:]) == 0
    assert num_dropped == sum(dropped)


@settings(deadline=None)
@given(_corpora())
def test_no_example_spans_two_documents(corpus):
    lengths, ends, max_seq_length, seed = corpus
    assignment, _, _ = _pack(lengths, ends, max_seq_length, random.Random(seed))
    document_of_line = np.repeat(np.arange(len(ends)), np.diff([0, *ends]))
    start = 0
    for end in assignment.example_ends:
        with_text = [document_of_line[line] for line in range(start, end) if lengths[line]]
        assert len(set(with_text)) == 1
        start = end


def test_a_line_that_overflows_the_first_segment_joins_it_in_half_of_the_cases():
    two_segments, first_target_stays = 0.9, 0.9
    for coin, segments in ((0.4, [0, 0, 1]), (0.6, [0, 1, 1])):
        draws = RecordedDraws([["random", value] for value in (two_segments, coin, first_target_stays)])
        assignment, _, _ = _pack([5, 10, 10], [3], 20, draws)
        assert assignment.segments == segments


def test_deviation_padding_has_the_id_of_pad_where_the_original_has_0():
    two_segments, coin = 0.9, 0.5
    _, examples, _ = _pack([3, 2], [2], 12, RecordedDraws([["random", two_segments], ["random", coin]]))
    assert examples.input_ids.tolist() == [[CLS_ID, 4, 5, 6, SEP_ID, 7, 8, SEP_ID, *[PAD_ID] * 4]]


def test_lines_without_tokens_make_no_example():
    assignment, examples, dropped = _pack([0, 0, 0], [1, 3], 11, RecordedDraws([]))
    assert assignment.example_ends == []
    assert examples.input_ids.shape == (0, 11)
    assert dropped == (0, 0)


def test_no_lines_make_no_example():
    _, examples, _ = _pack([], [], 11, RecordedDraws([]))
    assert examples.input_ids.shape == (0, 11)

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.dataset.examples import MIN_SEQ_LENGTH
from pretrain.dataset.packing import DOCUMENT_TAILS, best_fit, cut_documents, first_tokens, pack_pieces

CLS_ID, SEP_ID, PAD_ID = 1, 2, 3
FIRST_TOKEN_ID = 4


@st.composite
def _corpora(draw):
    """Draws where documents start, which of their tokens start a word, and L."""
    sizes = draw(st.lists(st.integers(0, 70), max_size=14))
    splits = np.cumsum([0, *sizes])
    share = draw(st.sampled_from([0.05, 0.5, 1.0]))
    is_word_start = np.random.default_rng(draw(st.integers(0, 99))).random(splits[-1]) < share
    is_word_start[splits[:-1][np.diff(splits) > 0]] = True
    return splits, is_word_start, draw(st.integers(MIN_SEQ_LENGTH, 40))


def _examples(pieces, num_tokens, max_seq_length):
    """Returns examples of tokens that are all different."""
    ids = np.arange(FIRST_TOKEN_ID, FIRST_TOKEN_ID + num_tokens, dtype=np.int32)
    told = {"cls_id": CLS_ID, "sep_id": SEP_ID, "pad_id": PAD_ID}
    return pack_pieces(ids, pieces, max_seq_length=max_seq_length, **told)


def _texts(examples, max_seq_length):
    """Returns the places of each example's tokens, in a list a piece, after checking what stands around them."""
    assert examples.input_ids.shape == (len(examples.lengths), max_seq_length)
    assert (examples.first_lengths == examples.lengths).all()
    texts = []
    for ids, length in zip(examples.input_ids, examples.lengths, strict=True):
        assert 3 <= length <= max_seq_length
        assert ids[0] == CLS_ID
        assert ids[length - 1] == SEP_ID
        assert (ids[length:] == PAD_ID).all()
        assert not np.isin(ids[1:length], [CLS_ID, PAD_ID]).any()
        pieces = np.split(ids[1:length], np.flatnonzero(ids[1:length] == SEP_ID) + 1)
        texts.append([(piece[:-1] - FIRST_TOKEN_ID).tolist() for piece in pieces[:-1]])
    return texts


@settings(deadline=None)
@given(_corpora(), st.sampled_from(DOCUMENT_TAILS))
def test_chunks_and_tails_are_the_documents_again(corpus, document_tails):
    splits, is_word_start, max_seq_length = corpus
    pieces, num_dropped = cut_documents(
        splits, is_word_start, max_seq_length=max_seq_length, document_tails=document_tails
    )
    texts = _texts(_examples(pieces, splits[-1], max_seq_length), max_seq_length)
    runs = sorted(run for text in texts for run in text)
    places = sorted(place for run in runs for place in run)
    assert all(run == list(range(run[0], run[0] + len(run))) for run in runs)
    if document_tails == "drop":
        lost = set(range(splits[-1])) - set(places)
        assert num_dropped == len(lost)
        assert all(set(range(place, splits[np.searchsorted(splits, place, "right")])) <= lost for place in lost)
    else:
        assert num_dropped == 0
        assert places == list(range(splits[-1]))
    documents = np.searchsorted(splits, [run[0] for run in runs], "right")
    assert (documents == np.searchsorted(splits, [run[-1] for run in runs], "right")).all()


@settings(deadline=None)
@given(_corpora(), st.sampled_from(DOCUMENT_TAILS))
def test_only_tails_are_short_and_only_joined_ones_share_an_example(corpus, document_tails):
    splits, is_word_start, max_seq_length = corpus
    room = max_seq_length - 2
    pieces, _ = cut_documents(splits, is_word_start, max_seq_length=max_seq_length, document_tails=document_tails)
    for text in _texts(_examples(pieces, splits[-1], max_seq_length), max_seq_length):
        assert len(text) == 1 or document_tails == "join"
        starts = [run[0] for run in text]
        assert starts == sorted(starts)
        for run in text:
            end = run[-1] + 1
            if end in splits:
                assert len(run) == room or document_tails != "drop"
            else:
                assert len(text) == 1
                assert len(run) == room or is_word_start[end]
                assert not is_word_start[end + 1 : run[0] + room + 1].any()
                assert is_word_start[end] or not is_word_start[max(run[0] + 1, end - 16) : end].any()


def _cuts(is_word_start, max_seq_length):
    splits = np.array([0, len(is_word_start)])
    pieces, _ = cut_documents(splits, is_word_start, max_seq_length=max_seq_length, document_tails="keep")
    return sorted(pieces.starts.tolist())


def test_cut_falls_at_the_last_word_that_starts_in_reach():
    is_word_start = np.zeros(100, np.bool_)
    is_word_start[[0, 20, 35]] = True
    assert _cuts(is_word_start, max_seq_length=42) == [0, 35, 75]  # at 40, 5 tokens back; then no word starts
    assert _cuts(is_word_start, max_seq_length=62) == [0, 60]  # 25 tokens back is out of reach
    is_word_start[36] = True
    assert _cuts(is_word_start, max_seq_length=38) == [0, 36, 72]  # a word starts where there is no more room


def test_tails_share_examples_by_best_fit_in_the_order_of_the_text():
    splits = np.cumsum([0, 2, 5, 1, 10, 4])  # with 9 positions, 7 tokens: the fourth is a chunk of 7 and a tail of 3
    pieces, _ = cut_documents(splits, np.ones(22, np.bool_), max_seq_length=9, document_tails="join")
    texts = _texts(_examples(pieces, 22, 9), 9)
    # Sizes with [SEP]: 3 6 2, 4, 5. In 8 positions: 6 and, later, 2; 5 and 3; 4.
    assert [[(run[0], len(run)) for run in text] for text in texts] == [
        [(8, 7)],
        [(2, 5), (7, 1)],
        [(0, 2), (18, 4)],
        [(15, 3)],
    ]


@given(st.lists(st.integers(1, 12), max_size=60))
def test_bins_of_best_fit_are_never_overfull_and_one_at_most_is_half_empty(sizes):
    loads = np.bincount(best_fit(sizes, 12), sizes)
    assert loads.sum() == sum(sizes)
    assert ((loads > 0) & (loads <= 12)).all()
    assert np.count_nonzero(loads <= 6) <= 1


@settings(deadline=None)
@given(_corpora())
def test_rows_are_the_first_tokens_of_documents_and_the_others_are_counted(corpus):
    splits, _, max_seq_length = corpus
    pieces, num_dropped = first_tokens(splits, max_seq_length=max_seq_length)
    texts = _texts(_examples(pieces, splits[-1], max_seq_length), max_seq_length)
    documents = [list(range(*ends)) for ends in itertools.pairwise(splits) if ends[0] < ends[1]]
    assert texts == [[document[: max_seq_length - 2]] for document in documents]
    assert num_dropped == sum(len(document[max_seq_length - 2 :]) for document in documents)


@pytest.mark.parametrize("splits", [[0], [0, 0, 0]])
def test_documents_without_tokens_make_no_example(splits):
    splits = np.array(splits)
    for document_tails in DOCUMENT_TAILS:
        pieces, _ = cut_documents(splits, np.ones(0, np.bool_), max_seq_length=9, document_tails=document_tails)
        assert _examples(pieces, 0, 9).input_ids.shape == (0, 9)
    pieces, num_dropped = first_tokens(splits, max_seq_length=9)
    assert (_examples(pieces, 0, 9).input_ids.shape, num_dropped) == ((0, 9), 0)

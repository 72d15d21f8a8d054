"""The masking of a run, made of hparams, vocabulary and records."""

import numpy as np
import pytest

from configure_pretraining import PretrainingConfig
from electra_span.tokenization import WordPieceTokenizer
from pretrain.data import count_tokens, make_masking
from pretrain.dataset.examples import PackedExamples
from pretrain.dataset.records import write_records

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "c", "##", "d")
CLS, SEP = 2, 3
L = 7


@pytest.fixture
def files(tmp_path):
    """Records [CLS] a ##b [SEP], then nine times [CLS] c c d a [SEP]; in two files."""
    rows = [[CLS, 5, 6, SEP]] + 9 * [[CLS, 7, 7, 9, 5, SEP]]
    input_ids = np.array([row + [0] * (L - len(row)) for row in rows], np.int32)
    lengths = np.array([len(row) for row in rows], np.int32)
    paths = [tmp_path / f"pretrain_data.tfrecord-{shard}-of-2" for shard in (0, 1)]
    for path, part in zip(paths, (slice(0, 4), slice(4, 10)), strict=True):
        write_records(path, [PackedExamples(input_ids[part], lengths[part], lengths[part])])
    return [str(path) for path in paths]


def masking_of(files, **hparams):
    config = PretrainingConfig.from_hparams(
        model_name="m", data_dir="d", hparams={"max_seq_length": L, "num_eval_examples": 1, **hparams}
    )
    return make_masking(config, WordPieceTokenizer(VOCABULARY), files)


def test_hparams_reach_the_masking(files):
    masking = masking_of(files, masking="span", span_geometric_p=0.3, max_span_length=4, span_whole_words=True)
    assert (masking.masking, masking.span_geometric_p, masking.max_span_length) == ("span", 0.3, 4)
    assert (masking.span_whole_words, masking.replace_probs, masking.replace_unit) == (True, (0.8, 0.1, 0.1), "span")
    assert masking.is_continuation.tolist() == [False] * 6 + [True, False, True, False]
    assert (masking.mask_id, sorted(masking.special_ids)) == (4, [0, 2, 3, 4])


def test_random_tokens_are_any_but_the_special_ones(files):
    counts = masking_of(files, masking="whole_word").random_token_counts
    assert counts.tolist() == [0, 1, 0, 0, 0, 1, 1, 1, 1, 1]


def test_random_tokens_by_frequency_are_counted_in_the_training_examples(files):
    counts = masking_of(files, masking="span", random_tokens="frequency").random_token_counts
    assert counts.tolist() == [0, 0, 0, 0, 0, 9, 0, 18, 0, 9]  # the first example is held out
    counts = masking_of(files, masking="span", random_tokens="frequency", num_eval_examples=0).random_token_counts
    assert counts.tolist() == [0, 0, 0, 0, 0, 10, 1, 18, 0, 9]


def test_padding_is_not_counted(files):
    counts = count_tokens(files, max_seq_length=L, vocab_size=len(VOCABULARY), num_held_out=0)
    assert counts[0] == 0
    assert counts.sum() == 4 + 9 * 6


def test_without_random_tokens_nothing_is_counted():
    assert masking_of(["not-there"], masking="token").random_token_counts is None

import numpy as np
import pytest
import tensorflow as tf

from electra_span.tokenization import load_tokenizer
from pretrain.builder.shards import encode_task, write_shards
from pretrain.dataset.packing import Packing
from pretrain.dataset.records import parse_records
from pretrain.dataset.workspace import ReadPlan, read_slots
from pretrain.sources.corpus import TextRange


@pytest.fixture
def tokenizer(letter_vocab):
    return load_tokenizer(letter_vocab)


def _encode(folder, tokenizer, text, *, task=0, seed=0, max_seq_length=16):
    source = folder / f"text-{task}"
    source.write_text(text, encoding="utf-8")
    return encode_task(
        [TextRange(source, 0, source.stat().st_size)],
        folder / f"spill-{task}",
        tokenizer=tokenizer,
        task=task,
        seed=seed,
        packing=Packing(max_seq_length),
        blanks_separate_docs=True,
    )


TEXT = "abcdef gh\nklm\nuvw xyz\n\nzzzz ? z\n\n" * 7


def test_counts_tell_what_became_of_every_token(tmp_path, tokenizer):
    counts, (spill,), _ = _encode(tmp_path, tokenizer, TEXT)
    (examples,) = read_slots([spill], range(1), 1, np.random.default_rng(0))
    special = [tokenizer.cls_id, tokenizer.sep_id]
    assert counts.num_documents == 14
    assert counts.tokens_in == 7 * (8 + 3 + 6 + 6)
    assert counts.unknown_tokens == 7
    assert counts.num_examples == spill.num_rows == len(examples.lengths)
    assert counts.special_tokens == np.isin(examples.input_ids, special).sum()
    assert counts.tokens_out == examples.lengths.sum() - counts.special_tokens
    assert list(counts.dropped) == ["end_of_first_segment", "end_of_second_segment"]
    assert sum(counts.dropped.values()) > 0
    assert counts.tokens_in == counts.tokens_out + sum(counts.dropped.values())


def test_tasks_of_the_same_text_draw_differently(tmp_path, tokenizer):
    _encode(tmp_path, tokenizer, TEXT, task=0)
    _encode(tmp_path, tokenizer, TEXT, task=1)
    first, second = (tmp_path / "spill-0").read_bytes(), (tmp_path / "spill-1").read_bytes()
    _encode(tmp_path, tokenizer, TEXT, task=0)
    assert (tmp_path / "spill-0").read_bytes() == first != second


def test_text_without_tokens_makes_an_empty_spill(tmp_path, tokenizer):
    counts, (spill,), _ = _encode(tmp_path, tokenizer, "\n\n\u0007\n")
    assert counts.num_examples == spill.num_rows == 0


@pytest.mark.parametrize("plan", [ReadPlan(4, 2, 1), ReadPlan(4, 1, 3)])
def test_files_hold_all_examples_whatever_is_read_at_a_time(tmp_path, tokenizer, plan):
    spills = [_encode(tmp_path, tokenizer, TEXT * (task + 1), task=task).spills[0] for task in range(3)]
    files = [tmp_path / f"records-{shard}" for shard in range(4)]
    sizes = []
    for first in range(0, 4, plan.shards_per_read):
        some = files[first : first + plan.shards_per_read]
        sizes += write_shards(spills, some, first_shard=first, plan=plan, stream=(0,))
    records = [list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator()) for file in files]
    assert [len(each) for each in records] == sizes
    assert min(sizes) > 0
    (expected,) = read_slots(spills, range(1), 1, np.random.default_rng(0))
    parsed = parse_records(tf.constant([record for each in records for record in each]), 16)
    assert sorted(parsed.input_ids.numpy().tolist()) == sorted(expected.input_ids.tolist())

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_span.tokenization import WordPieceTokenizer, load_tokenizer
from finetune import text_task
from finetune.features import num_train_steps, truncated_pairs
from finetune.readers.glue import GLUE_TASKS, MAX_SCORE, read_glue, with_swapped_pairs
from finetune.readers.reading import DataError, Example
from finetune.text_task import classification_features, regression_features, restored_scores, text_features

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg"]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(WORDS)


@pytest.fixture(scope="module")
def english(shared_data):
    return load_tokenizer(shared_data / "vocab/vocab.txt")


@pytest.fixture(scope="module")
def recorded(golden):
    return json.loads(golden("glue/classification_features.json").read_text())


def featurize(task, split, golden, tokenizer, max_seq_length):
    examples = read_glue(task, split, golden(f"glue/data/{task.name}")).examples
    if task.is_symmetric and split == "train":
        examples = with_swapped_pairs(examples)
    if task.labels is None:
        return regression_features(examples, tokenizer, max_seq_length, lowest=0, highest=MAX_SCORE)
    return classification_features(examples, tokenizer, max_seq_length, labels=task.labels)


def rows_of(values, row_splits):
    return [row.tolist() for row in np.split(values, row_splits[1:-1])]


@pytest.mark.parametrize("name", list(GLUE_TASKS))
@pytest.mark.parametrize("max_seq_length", [32, 128])
def test_features_are_the_recorded_ones(golden, recorded, english, name, max_seq_length):
    task = GLUE_TASKS[name]
    for split in task.splits.keys() - {"dev_mismatched"}:
        rows = [row for row in recorded[name]["splits"][f"{split}_{max_seq_length}"]["rows"] if "error" not in row]
        text, ids, labels = featurize(task, split, golden, english, max_seq_length)
        assert rows_of(text.input_ids, text.row_splits) == [row["input_ids"] for row in rows]
        assert rows_of(text.segment_ids, text.row_splits) == [row["segment_ids"] for row in rows]
        assert text.lengths().tolist() == [row["length"] for row in rows]
        assert ids.tolist() == [row[f"{name}_eid"] for row in rows]
        key = f"{name}_targets" if task.labels is None else f"{name}_label_ids"
        np.testing.assert_allclose(labels, [row[key] for row in rows], rtol=1e-7)


def test_pairs_are_truncated_as_recorded(golden):
    recorded = json.loads(golden("glue/truncate_seq_pair.json").read_text())
    columns = dict(zip(recorded["columns"], np.array(recorded["rows"]).T, strict=True))
    kept = truncated_pairs(columns["len_a"], columns["len_b"], columns["max_length"])
    np.testing.assert_array_equal(kept.first, columns["kept_a"])
    np.testing.assert_array_equal(kept.second, columns["kept_b"])


@settings(deadline=None)
@given(first=st.integers(0, 90), second=st.integers(0, 90), limit=st.integers(1, 60))
def test_pairs_lose_a_token_of_the_longer_text_at_a_time(first, second, limit):
    kept = truncated_pairs(np.array([first]), np.array([second]), limit)
    while first + second > limit:
        first, second = (first - 1, second) if first > second else (first, second - 1)
    assert (kept.first.item(), kept.second.item()) == (first, second)


def test_records_and_steps_of_training_are_the_recorded_ones(golden, english):
    recorded = json.loads(golden("glue/serialization.json").read_text())
    config = recorded["config"]
    for split, num_epochs in (("train", config["num_train_epochs"]), ("dev", 1)):
        features = featurize(GLUE_TASKS["mrpc"], split, golden, english, 32)
        there = [
            {"task_id": 0, "eid": eid, "label": label, "length": length}
            for eid, label, length in zip(
                features.example_ids.tolist(), features.labels.tolist(), features.text.lengths().tolist(), strict=True
            )
        ]
        records = [record for record in recorded[split]["records"] if record["task_id"] == 0]
        assert there == sorted(records, key=lambda record: record["eid"])
        assert num_train_steps(len(there), config["train_batch_size"], num_epochs) == recorded[split]["steps"]


def test_features_do_not_depend_on_how_examples_are_batched(tokenizer, monkeypatch):
    texts = [("a b c d e f", "g a"), ("", "b"), ("c", None), ("d", ""), ("e f g", "a b c d")]
    examples = [Example(number, *pair, None) for number, pair in enumerate(texts)]
    whole = text_features(examples, tokenizer, 7)
    monkeypatch.setattr(text_task, "_BATCH_SIZE", 2)
    for one, other in zip(whole, text_features(examples, tokenizer, 7), strict=True):
        np.testing.assert_array_equal(one, other)
    words = [" ".join(tokenizer.tokens(row)) for row in rows_of(whole.input_ids, whole.row_splits)]
    assert words == [
        "[CLS] a b [SEP] g a [SEP]",
        "[CLS] [SEP] b [SEP]",
        "[CLS] c [SEP]",
        "[CLS] d [SEP]",
        "[CLS] e f [SEP] a b [SEP]",
    ]
    assert rows_of(whole.segment_ids, whole.row_splits)[:2] == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 1, 1]]


def test_no_examples_have_no_features(tokenizer):
    features = classification_features([], tokenizer, 8, labels=["x"])
    assert [values.tolist() for values in features.text] == [[], [], [0]]
    assert len(features.labels) == 0


def test_features_go_by_the_special_ids_of_the_vocabulary():
    other = WordPieceTokenizer(["a", "[SEP]", "b", "[CLS]", "[MASK]", "[UNK]", "[PAD]"])
    features = text_features([Example(0, "a", "b", None)], other, 8)
    assert features.input_ids.tolist() == [3, 0, 1, 2, 1]


def test_scores_go_from_0_to_1_and_back(tokenizer):
    examples = [Example(number, "a", None, score) for number, score in enumerate([-2.0, 1.0, 4.0])]
    features = regression_features(examples, tokenizer, 8, lowest=-2, highest=4)
    np.testing.assert_allclose(features.labels, [0, 0.5, 1])
    np.testing.assert_allclose(restored_scores(features.labels, lowest=-2, highest=4), [-2, 1, 4])
    with pytest.raises(DataError, match=r"must be above the lowest. Received: 4 to 4"):
        regression_features(examples, tokenizer, 8, lowest=4, highest=4)


def test_an_unknown_class_is_an_error(tokenizer):
    with pytest.raises(DataError, match=r"example 7: the label must be one of x, y. Received: 'z'"):
        classification_features([Example(7, "a", None, "z")], tokenizer, 8, labels=["x", "y"])


def test_a_length_without_room_for_a_pair_is_an_error(tokenizer):
    with pytest.raises(DataError, match=r"max_seq_length must be at least 5 for pairs of texts. Received: 4"):
        text_features([Example(0, "a", "b", None)], tokenizer, 4)

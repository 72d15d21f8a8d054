import json
import pathlib
import zipfile

import pytest

from finetune.readers.glue import (
    GLUE_TASKS,
    SplitPredictions,
    read_glue,
    read_tsv,
    with_swapped_pairs,
    write_submission,
)
from finetune.readers.reading import BadRowLimit, DataError, Example

NO_BAD_ROWS = BadRowLimit(num_rows=0, rate=0)


def write_sst(folder: pathlib.Path, *rows: str, header: str = "sentence\tlabel") -> pathlib.Path:
    (folder / "train.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def expected_splits(golden) -> list[tuple[str, str, list[dict]]]:
    recorded = json.loads(golden("glue/classification_features.json").read_text())
    return [
        (name, split.removesuffix("_128"), content["rows"])
        for name, task in recorded.items()
        for split, content in task["splits"].items()
        if split.endswith("_128")
    ]


def test_tasks_and_their_classes_are_the_original_ones(golden):
    recorded = json.loads(golden("glue/classification_features.json").read_text())
    assert recorded.keys() == GLUE_TASKS.keys()
    for name, task in GLUE_TASKS.items():
        assert (task.labels and list(task.labels)) == recorded[name]["label_list"]
        tests = [split for split, file in task.splits.items() if file.submission]
        assert tests == recorded[name]["test_splits"]


def test_every_recorded_file_gives_the_recorded_examples(golden):
    for name, split, rows in expected_splits(golden):
        task = GLUE_TASKS[name]
        examples = read_glue(task, split, golden(f"glue/data/{name}")).examples
        if task.is_symmetric and split == "train":
            examples = with_swapped_pairs(examples)
        usable = [row for row in rows if "error" not in row]
        assert [example[:3] for example in examples] == [(row["eid"], row["text_a"], row["text_b"]) for row in usable]
        is_test = task.splits[split].layout.label is None
        kind = float if task.labels is None else str
        assert [example.label for example in examples] == [None if is_test else kind(row["label"]) for row in usable]


def test_rows_that_the_original_dropped_are_counted_and_those_it_failed_on_too(golden):
    counts = {
        (name, split): read_glue(GLUE_TASKS[name], split, golden(f"glue/data/{name}")).tally.left_out
        for name, split in (("cola", "train"), ("mrpc", "train"), ("qqp", "train"), ("cola", "dev"))
    }
    assert counts == {
        ("cola", "train"): {"not 4 fields": 1},
        ("mrpc", "train"): {"not 5 fields": 1},
        ("qqp", "train"): {"not 6 fields": 1},
        ("cola", "dev"): {"the label is none of 0, 1": 1},
    }


def test_text_that_is_empty_is_kept_and_counted(golden):
    split = read_glue(GLUE_TASKS["sst"], "train", golden("glue/data/sst"))
    assert split.examples[-1] == Example(3, "", None, "1")
    assert split.tally.kept == {"empty text": 1}
    assert split.tally.summary().endswith("train.tsv: 4 rows, 1 used although of empty text")


def test_mismatched_development_set_of_mnli_is_a_split(golden):
    examples = read_glue(GLUE_TASKS["mnli"], "dev_mismatched", golden("glue/data/mnli")).examples
    assert examples == [Example(0, "He laughed.", "He cried.", "contradiction")]


def test_tab_separated_lines_are_read_as_recorded(golden, tmp_path):
    for case in json.loads(golden("glue/read_tsv.json").read_text()).values():
        (tmp_path / "file.tsv").write_bytes(case["raw"].encode())
        assert list(read_tsv(tmp_path / "file.tsv")) == case["rows"]


@pytest.mark.parametrize(
    ("folder", "name", "num_examples"),
    [
        ("CoLA", "cola", (8551, 1043, 1063)),
        ("SST-2", "sst", (67349, 872, 1821)),
        ("MRPC", "mrpc", (3668, 408, 1725)),
        ("STS-B", "sts", (5749, 1500, 1379)),
        ("RTE", "rte", (2490, 277, 3000)),
        ("WNLI", "wnli", (635, 71, 146)),
    ],
)
def test_the_distributed_files_are_read_without_a_bad_row(shared_data, folder, name, num_examples):
    for split, number in zip(("train", "dev", "test"), num_examples, strict=True):
        read = read_glue(GLUE_TASKS[name], split, shared_data / "glue" / folder, NO_BAD_ROWS)
        assert len(read.examples) == number
        assert [example.example_id for example in read.examples] == list(range(number))


def test_a_byte_order_mark_is_passed_over(tmp_path):
    write_sst(tmp_path, "fine\t1", header="\ufeffsentence\tlabel")
    assert read_glue(GLUE_TASKS["sst"], "train", tmp_path).examples == [Example(0, "fine", None, "1")]


@pytest.mark.parametrize(
    ("row", "mistake"),
    [
        ("fine", r"not 2 fields. Received: 1"),
        ("fine\t1\tmore", r"not 2 fields. Received: 3"),
        ("", r"not 2 fields. Received: 0"),
        ("fine\t2", r"the label is none of 0, 1. Received: '2'"),
        (" \t1", r"empty text"),
    ],
)
def test_a_bad_row_over_the_limit_is_named_with_file_and_line(tmp_path, row, mistake):
    write_sst(tmp_path, "good\t1", row)
    with pytest.raises(DataError, match=rf"train\.tsv: line 3: {mistake}"):
        read_glue(GLUE_TASKS["sst"], "train", tmp_path, NO_BAD_ROWS)


def test_as_many_rows_may_be_bad_as_the_larger_limit_allows(tmp_path):
    write_sst(tmp_path, *["good\t1"] * 8, "bad", "bad")
    read = read_glue(GLUE_TASKS["sst"], "train", tmp_path, BadRowLimit(num_rows=1, rate=0.2))
    assert (len(read.examples), read.tally.num_bad) == (8, 2)
    with pytest.raises(DataError, match=r"2 of the first 10 rows are bad, more than 1 and more than 10.0%"):
        read_glue(GLUE_TASKS["sst"], "train", tmp_path, BadRowLimit(num_rows=1, rate=0.1))


def test_what_was_left_out_is_told_in_the_log_in_the_end(tmp_path, caplog):
    write_sst(tmp_path, "good\t1", *["bad"] * 7, " \t0")
    read_glue(GLUE_TASKS["sst"], "train", tmp_path)
    messages = [record.getMessage().replace(f"{tmp_path}/", "") for record in caplog.records]
    assert messages[0] == "train.tsv: line 3: not 2 fields. Received: 1; the row is left out"
    assert messages[5:] == ["train.tsv: 9 rows, 7 left out (not 2 fields), 1 used although of empty text"]


def test_bytes_that_are_no_text_are_a_bad_row(tmp_path):
    (tmp_path / "train.tsv").write_bytes(b"sentence\tlabel\ngood\t1\ncaf\xe9\t0\n")
    read = read_glue(GLUE_TASKS["sst"], "train", tmp_path)
    assert (len(read.examples), read.tally.left_out) == (1, {"not UTF-8": 1})


@pytest.mark.parametrize("score", ["5.1", "-1", "nan", "high"])
def test_a_score_outside_the_scale_is_a_bad_row(golden, tmp_path, score):
    text = golden("glue/data/sts/train.tsv").read_text(encoding="utf-8").replace("0.000", score)
    (tmp_path / "train.tsv").write_text(text, encoding="utf-8")
    read = read_glue(GLUE_TASKS["sts"], "train", tmp_path)
    assert read.tally.left_out == {"the score is no number from 0 to 5": 1}
    assert [example.label for example in read.examples] == [5.0, 2.75]


def test_no_row_of_a_test_file_may_be_left_out(tmp_path):
    (tmp_path / "test.tsv").write_text("index\tsentence\n0\tfine\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"test\.tsv: line 3: not 2 fields.*every row of this file needs an answer"):
        read_glue(GLUE_TASKS["sst"], "test", tmp_path)


def test_ids_of_a_test_file_are_those_in_it(tmp_path):
    (tmp_path / "test.tsv").write_text("index\tsentence\n1\tsecond\n0\tfirst\n", encoding="utf-8")
    examples = read_glue(GLUE_TASKS["sst"], "test", tmp_path).examples
    assert [example.example_id for example in examples] == [1, 0]
    (tmp_path / "test.tsv").write_text("index\tsentence\nx\tsecond\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2: the first column of a test file is no number. Received: 'x'"):
        read_glue(GLUE_TASKS["sst"], "test", tmp_path)


@pytest.mark.parametrize("header", ["text\tlabel", "sentence", "label\tsentence", ""])
def test_another_header_is_an_error(tmp_path, header):
    write_sst(tmp_path, "good\t1", header=header)
    with pytest.raises(DataError, match=r"train\.tsv: line 1: column [12] must be '(sentence|label)'"):
        read_glue(GLUE_TASKS["sst"], "train", tmp_path)


def test_a_missing_file_and_one_without_examples_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"train\.tsv: cannot be read: No such file"):
        read_glue(GLUE_TASKS["sst"], "train", tmp_path)
    with pytest.raises(DataError, match=r"train\.tsv: there are no examples in it"):
        read_glue(GLUE_TASKS["sst"], "train", write_sst(tmp_path))


def test_swapped_pairs_never_share_an_id_with_others_where_a_row_was_left_out():
    examples = [Example(0, "a", "b", "1"), Example(4, "c", "d", "0")]
    swapped = with_swapped_pairs(examples)
    assert swapped == [*examples, Example(5, "b", "a", "1"), Example(6, "d", "c", "0")]


def test_a_submission_holds_classes_by_name_and_scores_from_0_to_5(tmp_path):
    predictions = [
        SplitPredictions("mnli", "diagnostic", {1: 2, 0: 0}),
        SplitPredictions("rte", "test", {0: 1}),
        SplitPredictions("sts", "test", {0: 0.55, 1: 1.2, 2: -0.1}),
        SplitPredictions("cola", "test", {0: 1}),
    ]
    missing = write_submission(tmp_path / "glue.zip", predictions)
    with zipfile.ZipFile(tmp_path / "glue.zip") as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert files == {
        "AX.tsv": "index\tprediction\n0\tcontradiction\n1\tneutral\n",
        "CoLA.tsv": "index\tprediction\n0\t1\n",
        "RTE.tsv": "index\tprediction\n0\tnot_entailment\n",
        "STS-B.tsv": "index\tprediction\n0\t2.750\n1\t5.000\n2\t0.000\n",
    }
    assert missing == ["MNLI-m.tsv", "MNLI-mm.tsv", "MRPC.tsv", "QNLI.tsv", "QQP.tsv", "SST-2.tsv", "WNLI.tsv"]


@pytest.mark.parametrize(
    ("predictions", "mistake"),
    [
        ([("sst", "dev", {0: 1})], "'dev' of sst has labels and is not sent in"),
        ([("sst", "test", {0: 1}), ("sst", "test", {0: 1})], "'test' of sst is there twice"),
        ([("sst", "test", {0: 1, 2: 1})], "every row from 0 on. Received: 2, none for row 1"),
        ([("sst", "test", {0: 2})], "sst has 2 classes. Received: 2"),
    ],
)
def test_a_submission_that_the_benchmark_would_refuse_is_an_error(tmp_path, predictions, mistake):
    with pytest.raises(DataError, match=mistake):
        write_submission(tmp_path / "glue.zip", [SplitPredictions(*prediction) for prediction in predictions])
    assert not (tmp_path / "glue.zip").exists()

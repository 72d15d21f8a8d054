"""The labels of a trained head and those of a task meet by one rule."""

import pytest

from electra_span.head_config import HeadConfig
from electra_span.tokenization import WordPieceTokenizer
from finetune.readers.reading import DataError
from finetune.registry import make_tasks
from finetune.task import matched_labels
from tests.finetune.tiny_tasks import VOCABULARY, configure, write_tasks


def unnamed(number):
    return tuple(f"LABEL_{index}" for index in range(number))


@pytest.mark.parametrize(
    ("trained", "labels", "expected"),
    [
        (("b", "a"), ("a", "b"), ("b", "a")),
        (unnamed(2), ("no", "yes"), ("no", "yes")),
        (unnamed(12), tuple(sorted(map(str, range(12)))), tuple(map(str, range(12)))),
        (unnamed(12), tuple(sorted(unnamed(12))), unnamed(12)),
        (unnamed(3), ("no", "yes"), None),
        (("no", "maybe"), ("no", "yes"), None),
        (("LABEL_0", "yes"), ("no", "yes"), None),
    ],
)
def test_labels_match_if_they_are_equal_or_the_model_has_unnamed_ones(trained, labels, expected):
    assert matched_labels(trained, labels) == expected


def test_the_order_of_a_task_that_has_one_is_kept():
    assert matched_labels(("b", "a"), ("a", "b"), has_fixed_order=True) is None
    assert matched_labels(unnamed(2), ("1", "0"), has_fixed_order=True) == ("1", "0")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = write_tasks(tmp_path_factory.mktemp("tasks"))
    (folder / "mood.csv").write_text(
        "text,label\n" + "".join(f"t{n},{'bad' if n % 2 else 'good'}\n" for n in range(20))
    )
    return folder


def head_of(data_dir, name, kind, labels):
    known = {"theirs": HeadConfig(task="theirs", kind=kind, labels=labels)}
    (task,) = make_tasks(configure(data_dir, name), WordPieceTokenizer(VOCABULARY), known)
    return task.head.labels


@pytest.mark.parametrize("task", ["sst", "csv", "tag", "chunk"])
def test_unnamed_labels_of_a_model_take_the_names_of_every_kind_of_task(data_dir, task):
    chunks = data_dir / "finetuning_data" / "chunk"
    name = {"csv": f"csv:{data_dir / 'mood.csv'}", "tag": f"tag:{chunks}"}.get(task, task)
    kind = "tagging" if task in ("tag", "chunk") else "classification"
    labels = {"sst": ("0", "1"), "csv": ("bad", "good")}.get(task, ("B-C", "B-N", "O"))
    assert head_of(data_dir, name, kind, unnamed(len(labels))) == labels
    with pytest.raises(DataError, match=r"that the model has learned, LABEL_0|model has 5 labels without names"):
        head_of(data_dir, name, kind, unnamed(len(labels) + 2))


def test_a_table_takes_the_order_of_the_labels_of_a_model(data_dir):
    assert head_of(data_dir, f"csv:{data_dir / 'mood.csv'}", "classification", ("good", "bad")) == ("good", "bad")
    with pytest.raises(DataError, match=r"must be those that the model has learned, 1, 0\. Received: 0, 1"):
        head_of(data_dir, "sst", "classification", ("1", "0"))

import dataclasses
import json

import numpy as np
import pytest

from electra_span.head_config import HeadConfig
from electra_span.tokenization.wordpiece import WordPieceTokenizer
from finetune.readers.reading import DataError
from finetune.registry import make_tasks
from tests.finetune.tiny_tasks import VOCABULARY, configure, write_tasks


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(VOCABULARY)


def _task(data_dir, name, known=None, **hparams):
    (task,) = make_tasks(configure(data_dir, name, **hparams), WordPieceTokenizer(VOCABULARY), known)
    return task


def test_tasks_know_their_labels(data_dir):
    assert _task(data_dir, "sst").head.labels == ("0", "1")
    assert _task(data_dir, "sts").head.score_range == (0.0, 5.0)
    assert _task(data_dir, "chunk").head.labels == ("O", "S-C", "S-N")
    head = _task(data_dir, "squad", joint_prediction=False, answerable_classifier=False).head
    assert (head.kind, head.joint_prediction, head.answerable_classifier) == ("questions", False, False)


def _tagged(folder, tags, **files):
    folder.mkdir()
    rows = "\n".join(map(" ".join, zip(("red", "green", "one", "blue"), tags.split(), strict=True)))
    for name in files or {"train": 1, "dev": 1}:
        (folder / f"{name}.conllu").write_text(f"# text = red green\n{rows}\n")
    return f"tag:{folder}"


@pytest.mark.parametrize(
    ("labels", "tags", "scores"),
    [
        (("B-C", "E-C", "O", "S-C"), "B-C I-C O B-C", {"f1": 100, "accuracy": 100}),
        (("O", "B-C", "I-C"), "B-C E-C O S-C", {"f1": 100, "accuracy": 100}),
        (("C-I", "O"), "B_C L_C O U_C", {"f1": 100, "accuracy": 100}),
        (("LABEL_0", "LABEL_1", "LABEL_2"), "B-C I-C O B-C", {"f1": 100, "accuracy": 100}),
        (("ADJ", "NUM"), "ADJ ADJ NUM ADJ", {"accuracy": 100}),
    ],
)
def test_a_published_tagger_is_scored_whatever_its_scheme_and_that_of_the_files(
    tmp_path, tokenizer, labels, tags, scores
):
    name = _tagged(tmp_path / "files", tags)
    known = {"tagging": HeadConfig(task="tagging", kind="tagging", labels=labels)}
    task = _task(tmp_path, name, known)
    rows = task.make_rows("dev", tokenizer)
    assert rows.targets["weights"].values.all()
    predictions = {"classes": [rows.targets["labels"].row(0)], "loss": [np.float32(0.5)]}
    found = task.evaluate("dev", rows, predictions).scores
    of_spans = {"precision": 100, "recall": 100} if "f1" in scores else {}
    assert found == {"loss": pytest.approx(0.5 / 4), **of_spans, **scores}
    assert task.headline(found) == 100


def test_labels_without_names_must_be_as_many_as_the_tags(tmp_path):
    name = _tagged(tmp_path / "files", "B-C I-C O B-C")
    known = {"t": HeadConfig(task="t", kind="tagging", labels=("LABEL_0", "LABEL_1"))}
    with pytest.raises(DataError, match=r"2 labels without names, .* Received: 3 tags, B-C, I-C, O"):
        _task(tmp_path, name, known)


def test_a_head_may_have_labels_of_bio_which_are_trained_from_any_scheme(tmp_path, tokenizer):
    task = _task(tmp_path, _tagged(tmp_path / "files", "B-C E-C O S-C"), tag_scheme="bio")
    assert task.head.labels == ("B-C", "I-C", "O")
    assert task.make_rows("train", tokenizer).targets["labels"].row(0).tolist() == [0, 1, 2, 0]
    plain = _task(tmp_path, _tagged(tmp_path / "plain", "E S S E"), tag_scheme="bio")
    assert plain.head.labels == ("E", "S")


def test_one_file_of_tags_is_a_task(tmp_path, tokenizer):
    (tmp_path / "tags.txt").write_text("red A\n\ngreen B\n\none A\n\ntwo B\n\nblue A\n")
    task = _task(tmp_path, f"tag:{tmp_path / 'tags.txt'}", dev_rate=0.5)
    assert task.head.labels == ("A", "B")
    assert sum(len(task.make_rows(split, tokenizer)) for split in ("train", "dev")) == 5
    assert task.test_splits == []


def test_of_few_sentences_one_is_taken_for_evaluation_and_one_stays(tmp_path, tokenizer):
    (tmp_path / "tags.txt").write_text("red A\n\ngreen B\n\n" * 5)
    task = _task(tmp_path, f"tag:{tmp_path / 'tags.txt'}", dev_rate=1e-9)
    assert [len(task.make_rows(split, tokenizer)) for split in ("train", "dev")] == [5, 5]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("red A\nblue B\n\n" * 9, "there must be two different ones"),
        ("red _\n\nblue _\n", "two tags or more.*'_' alone"),
    ],
)
def test_sentences_that_nothing_can_be_learned_from_are_refused(tmp_path, tokenizer, text, mistake):
    (tmp_path / "tags.txt").write_text(text)
    with pytest.raises(DataError, match=mistake):
        _task(tmp_path, f"tag:{tmp_path / 'tags.txt'}").make_rows("train", tokenizer)


def test_pairs_without_an_order_are_read_twice_for_training_alone(data_dir, tokenizer):
    rows = {
        (split, doubled): len(_task(data_dir, "sts", double_unordered=doubled).make_rows(split, tokenizer))
        for split in ("train", "dev")
        for doubled in (True, False)
    }
    assert rows == {("train", True): 128, ("train", False): 64, ("dev", True): 18, ("dev", False): 18}


def test_perfect_predictions_have_perfect_scores(data_dir, tokenizer):
    for name, metric in (("sst", "accuracy"), ("sts", "pearson"), ("chunk", "f1")):
        task = _task(data_dir, name)
        rows = task.make_rows("dev", tokenizer)
        labels = rows.targets["labels"]
        if name == "sst":
            predictions = {"logits": list(np.eye(2)[labels])}
        elif name == "sts":
            predictions = {"logits": list(labels)}
        else:
            predictions = {"classes": [np.append(labels.row(index), 0) for index in range(len(rows))]}
        evaluation = task.evaluate("dev", rows, predictions | {"loss": [np.float32(0.5)] * len(rows)})
        assert evaluation.scores[metric] == pytest.approx(100)
        assert task.headline(evaluation.scores) == pytest.approx(100)
        assert not evaluation.is_constant


@pytest.mark.parametrize("joint", [True, False])
def test_spans_are_answers_by_either_way_of_prediction(data_dir, tokenizer, joint):
    task = _task(data_dir, "squad", joint_prediction=joint)
    rows = task.make_rows("dev", tokenizer)
    starts, ends = rows.targets["start_positions"], rows.targets["end_positions"]
    predictions = {"answerable_logit": list(rows.targets["is_impossible"] * 10 - 5)}
    if joint:
        predictions |= {
            "start_top_log_probs": [np.array([-0.1, -9.0])] * len(rows),
            "start_top_index": [np.array([start, 0]) for start in starts],
            "end_top_log_probs": [np.array([[-0.1], [-9.0]])] * len(rows),
            "end_top_index": [np.array([[end], [0]]) for end in ends],
        }
    else:
        logits = np.eye(24) * 10
        predictions |= {"start_logits": list(logits[starts]), "end_logits": list(logits[ends])}
    evaluation = task.evaluate("dev", rows, predictions)
    assert evaluation.scores["exact"] == 100
    assert evaluation.scores["NoAns_total"] == 5
    answers = task.of_examples("dev", rows, predictions).values
    assert {bool(text) for name, text in answers.items() if name.startswith("dev")} == {True, False}


def test_tags_without_a_dev_file_are_split_by_sentence(data_dir, tmp_path, tokenizer):
    train = (data_dir / "finetuning_data" / "chunk" / "train.txt").read_text()
    (tmp_path / "train.txt").write_text(train)
    task = _task(data_dir, f"tag:{tmp_path}", dev_rate=0.3)
    sizes = [len(task.make_rows(split, tokenizer)) for split in ("train", "dev")]
    assert sum(sizes) == 64
    assert 8 <= sizes[1] <= 30
    assert list(task.evaluation_splits) == ["dev"]
    assert task.files("dev") == task.files("train")


def test_own_questions_are_read_by_the_names_of_their_files(data_dir, tmp_path):
    folder = data_dir / "finetuning_data" / "squad"
    assert len(_task(data_dir, f"qa:{folder}").questions("dev")) == 18
    line = {"context": "one red", "qas": [{"qid": "q", "question": "who", "detected_answers": [
        {"text": "red", "char_spans": [[4, 6]]}]}]}  # fmt: skip
    (tmp_path / "dev.jsonl").write_text(json.dumps(line) + "\n")
    assert [question.id for question in _task(data_dir, f"qa:{tmp_path}").questions("dev")] == ["q"]
    with pytest.raises(DataError, match="there must be train and dev files"):
        _task(data_dir, f"qa:{tmp_path / 'none'}")


def test_rows_differ_where_a_setting_of_theirs_does(data_dir):
    changes = {
        "sst": {"max_seq_length": 20},
        "sts": {"double_unordered": False},
        "chunk": {"tagging_segment_id": 1},
        "squad": {"doc_stride": 5, "max_query_length": 3, "max_seq_length": 20},
    }
    for name, settings in changes.items():
        before = _task(data_dir, name).settings
        for key, value in settings.items():
            assert _task(data_dir, name, **{key: value}).settings != before, key
        json.dumps(before)


def test_answers_can_have_the_originals_text(data_dir, tokenizer):
    texts = []
    for align_answers in (False, True):
        task = _task(data_dir, "squad", align_answers=align_answers, joint_prediction=False)
        rows = task.make_rows("dev", tokenizer)
        logits = list(np.eye(24)[rows.targets["start_positions"]])
        predictions = {"start_logits": logits, "end_logits": logits, "answerable_logit": [np.float32(-5)] * len(rows)}
        texts.append(task.of_examples("dev", rows, predictions).values)
    assert texts[0] == texts[1]
    assert task._answer_text.__name__ != "covered_text"


TRAINED = HeadConfig(task="sst", kind="classification", labels=("0", "1"), classifier="dense")


def test_a_trained_head_is_taken_for_its_task(data_dir):
    assert _task(data_dir, "sst", {"sst": TRAINED}).head == TRAINED
    unnamed = dataclasses.replace(TRAINED, task="classifier", labels=("LABEL_0", "LABEL_1"))
    assert _task(data_dir, "sst", {"classifier": unnamed}).head == dataclasses.replace(unnamed, labels=("0", "1"))


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        ("sst", [dataclasses.replace(TRAINED, labels=("0", "2"))], "those that the model has learned, 0, 2. Rec"),
        ("sts", [dataclasses.replace(TRAINED, task="sts")], "the head in init_checkpoint is for classification"),
        ("sts", [TRAINED, dataclasses.replace(TRAINED, task="cola")], "no head for it, only for sst, cola"),
    ],
)
def test_a_head_that_does_not_fit_is_an_error(data_dir, name, known, message):
    with pytest.raises(DataError, match=message):
        _task(data_dir, name, {head.task: head for head in known})

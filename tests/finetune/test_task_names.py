import itertools
import json

import pytest

from electra_span.config import HparamError
from electra_span.head_config import HeadConfig
from finetune.task_names import parse_task_name, parse_task_names, tasks_slug, with_earlier_slugs

# Of each row, all had one folder.
ALIKE = [
    ["csv:e/отзывы.csv", "csv:e/новости.csv", "csv:日本.csv", "csv:___.csv", "csv:..", "csv:/"],
    ["csv:2023.reviews.csv", "csv:2023.news.csv", "csv:2023.csv", "csv:2023"],
    ["csv:my-data", "csv:my_data", "csv:my data", "csv:my.data"],
    ["csv:a/train.csv", "csv:b/train.csv", "csv:train.tsv", "csv:train.csv", "csv:/a/train.csv", "csv:train"],
    ["tag:Übung", "tag:Ubung", "tag:U\u0308bung", "tag:übung"],
]


def test_tasks_that_differ_have_slugs_that_differ():
    names = [*itertools.chain(*ALIKE), "qa:train.csv", "sst", "csv:sst"]
    slugs = [parse_task_name(name).slug.casefold() for name in names]  # as file systems compare them
    assert len(set(slugs)) == len(names)
    assert tasks_slug([slugs[0], slugs[1]]) not in slugs


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("csv:e/отзывы.csv", "csv_e_отзывы_"),
        ("csv:2023.reviews.csv", "csv_2023_reviews_"),
        ("csv:/data/my-data/train.tsv", "csv_my_data_train_"),
        ("qa:../हिंदी.json", "qa_हिंदी_"),
        ("tag:a/v1.2", "tag_a_v1_2_"),
    ],
)
def test_slugs_have_the_end_of_the_path_in_any_script_and_a_hash(name, start):
    slug = parse_task_name(name).slug
    assert slug[: len(start)] == start
    assert len(slug) == len(start) + 6


def test_slugs_are_short_enough_for_file_systems():
    tasks = parse_task_names([f"csv:{'й' * 100}{number}.csv" for number in range(9)])
    assert max(len(task.slug.encode()) for task in tasks) < 80
    assert len(tasks_slug(task.slug for task in tasks).encode()) < 170


def test_heads_have_short_names_that_no_other_task_of_the_run_has_and_no_folders():
    assert parse_task_name("csv:private/tweets.csv").head == "csv_tweets"
    for row in ALIKE:
        heads = [task.head for task in parse_task_names(row)]
        assert len(set(heads)) == len(row)
        assert all(HeadConfig(task=head, kind="questions").task == head for head in heads)
    tasks = parse_task_names(["csv:private/train.csv", "csv:secret/отзывы.csv", "csv:private2/train.csv"])
    assert not any(folder in task.head for folder in ("private", "secret") for task in tasks)
    assert parse_task_name("csv:private/train.csv").heads[1] == tasks[0].head


def test_a_task_under_two_names_is_there_twice():
    with pytest.raises(HparamError, match="each once"):
        parse_task_names(["csv:a/b.csv", "csv:a//./b.csv"])


def test_folders_of_before_are_gone_on_with_by_the_tasks_that_have_them(tmp_path):
    folder = tmp_path / "finetuning_models" / "csv_train_model_1"
    folder.mkdir(parents=True)
    (folder / "trial.json").write_text(json.dumps({"hparams": {"task_names": ["csv:a/train.csv"]}}))
    (task,) = with_earlier_slugs(parse_task_names(["csv:a/train.csv"]), tmp_path)
    assert (task.slug, task.head) == ("csv_train", "csv_train")
    other = parse_task_names(["csv:b/train.csv"])
    assert with_earlier_slugs(other, tmp_path) == other
    (folder / "trial.json").write_text("")
    same = parse_task_names(["csv:a/train.csv"])
    assert with_earlier_slugs(same, tmp_path) == same

"""What a head may be, and what is said of one that may not."""

import subprocess
import sys

import pytest

from electra_span.config import HparamError
from electra_span.head_config import HeadConfig, has_transformers_layout

# What is wrong with a head, and what the error must say.
BAD_HEADS = [
    ({"task": "a/b"}, r"task must be made of letters, digits and underscores\. Received: 'a/b'"),
    ({"task": ""}, "Received: ''"),
    ({"kind": "taging"}, "unknown kind 'taging': did you mean 'tagging'"),
    ({"classifier": "deep"}, "unknown classifier 'deep'"),
    ({"kind": "classification", "labels": ("one",)}, r"task 'mine': classification needs at least 2"),
    ({"kind": "tagging"}, r"tagging needs at least 1\. Received: \(\)"),
    ({"kind": "tagging", "labels": ("O", "B", "O")}, "labels of task 'mine' must differ. Received: 'O' twice"),
    ({"labels": ("a", "b")}, r"labels of task 'mine': regression has none\. Received: \('a', 'b'\)"),
    ({"score_range": (5.0, 0.0)}, r"the first one smaller\. Received: \(5.0, 0.0\)"),
    ({"score_range": (0.0, float("nan"))}, "two numbers"),
    ({"score_range": (0.0, "5")}, "two numbers"),
    ({"score_range": (0.0, 1.0, 2.0)}, "two numbers"),
    ({"kind": "tagging", "labels": ("O", 1)}, r"must be strings\. Received: \('O', 1\)"),
    ({"kind": "questions", "score_range": (0.0, 1.0)}, "questions has none"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_HEADS)
def test_an_impossible_head_is_an_error_that_names_the_setting_and_its_value(changes, message):
    with pytest.raises(HparamError, match=message):
        HeadConfig(**{"task": "mine", "kind": "regression", **changes})


def test_a_head_has_a_logit_for_each_label_or_number():
    assert HeadConfig(task="a", kind="classification", labels=("x", "y", "z")).num_outputs == 3
    assert HeadConfig(task="a", kind="tagging", labels=("O",)).num_outputs == 1
    assert HeadConfig(task="a", kind="regression", score_range=(0.0, 5.0)).num_outputs == 1
    assert HeadConfig(task="a", kind="questions").num_outputs == 2


def test_one_head_of_transformers_kind_makes_a_model_of_transformers():
    plain = {"joint_prediction": False, "answerable_classifier": False}
    dense = HeadConfig(task="a", kind="regression", classifier="dense")
    assert has_transformers_layout([dense])
    assert has_transformers_layout([HeadConfig(task="a", kind="tagging", labels=("O", "B"))])
    assert has_transformers_layout([HeadConfig(task="a", kind="questions", **plain)])
    assert not has_transformers_layout([dense, HeadConfig(task="b", kind="tagging", labels=("O", "B"))])
    assert not has_transformers_layout([HeadConfig(task="a", kind="regression")])
    assert not has_transformers_layout([HeadConfig(task="a", kind="questions")])
    for flag in plain:
        assert not has_transformers_layout([HeadConfig(task="a", kind="questions", **{**plain, flag: True})])


def test_heads_are_configured_without_tensorflow():
    code = "import electra_span.head_config, sys; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

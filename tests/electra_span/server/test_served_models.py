"""The names of models that are served, and what is told of them."""

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from electra_span.config import UserError
from electra_span.head_config import HeadConfig
from electra_span.inference.signatures import models_needed
from electra_span.published.save_load import save_pretrained
from electra_span.server import schemas
from electra_span.server.limits import Limits
from electra_span.server.served_models import describe_model, find_folders, load_models
from tests.electra_span.inference.tiny_text_models import LENGTH, MOOD, make_text_model
from tests.electra_span.server.running import serving

CHUNK = HeadConfig(task="chunk", kind="tagging", labels=("O", "S-NP"))


def make_folders(root, *paths):
    for path in paths:
        (root / path).mkdir(parents=True)
        (root / path / "config.json").write_text("{}", encoding="utf-8")
    return [str(root / path) for path in paths]


def names(paths):
    return list(find_folders(paths))


def test_a_model_is_called_by_its_folder_and_a_half_by_its_model(tmp_path):
    paths = make_folders(tmp_path, "mine/discriminator", "mood")
    assert names(paths) == ["mine/discriminator", "mood"]


def test_both_halves_of_a_folder_are_models(tmp_path):
    make_folders(tmp_path, "mine/discriminator", "mine/generator")
    (tmp_path / "mine" / "config.json").write_text("{}", encoding="utf-8")  # of the run
    found = find_folders([str(tmp_path / "mine")])
    assert found == {f"mine/{half}": tmp_path / "mine" / half for half in ("discriminator", "generator")}


def test_equal_names_grow_until_they_differ(tmp_path):
    paths = make_folders(tmp_path, "one/x/discriminator", "two/x/discriminator", "one/mood", "two/mood", "rest")
    assert names(paths) == ["one/x/discriminator", "two/x/discriminator", "one/mood", "two/mood", "rest"]


def test_no_folder_and_one_folder_twice_are_mistakes(tmp_path):
    (path,) = make_folders(tmp_path, "mood")
    with pytest.raises(UserError, match=r"each model is to be named once\. Received twice: .*mood"):
        find_folders([path, f"{path}/../mood"])
    with pytest.raises(UserError, match=r"a model is a folder, .* Received: .*none"):
        find_folders([str(tmp_path / "none")])


def test_models_are_told_with_their_tasks():
    told = describe_model("mine", make_text_model("tasks", heads=(MOOD, LENGTH, CHUNK))).description
    assert (told.name, told.kind, told.mask_token, told.max_tokens) == ("mine", "model for tasks", "[MASK]", 16)
    assert [(task.name, task.command) for task in told.tasks] == [
        ("mood", "classify"),
        ("length", "classify"),
        ("chunk", "tag"),
    ]
    assert set(told.commands) == {"classify", "tag", "embed"}


@pytest.mark.parametrize(
    ("kind", "told", "commands"),
    [
        ("discriminator", "discriminator", {"replaced", "embed"}),
        ("generator", "generator", {"fill_mask", "embed"}),
        ("two_towers", "two-tower generator", {"fill_mask"}),
    ],
)
def test_each_kind_of_model_has_its_commands(kind, told, commands):
    description = describe_model("mine", make_text_model(kind)).description
    assert (description.kind, set(description.commands)) == (told, commands)


def test_every_command_has_words_for_the_model_that_it_needs():
    assert set(models_needed()) == set(schemas.Command.__args__)


def test_a_model_without_a_vocabulary_is_refused():
    model = make_text_model("generator")
    model.tokenizer = None
    with pytest.raises(UserError, match="mine: has no vocabulary"):
        describe_model("mine", model)


def test_served_models_say_what_their_methods_say(tmp_path):
    for kind in ("discriminator", "generator"):
        model = make_text_model(kind)
        save_pretrained(model, model.tokenizer, tmp_path / "mine" / kind)
    served = load_models(find_folders([str(tmp_path / "mine")]))
    discriminator, generator = (one.model for one in served)
    text = "The 日 cat [MASK] on the mat."
    with serving(served, Limits()) as server:
        (tokens,) = server.post("replaced", texts=[text]).body["results"]
        (masks,) = server.post("fill_mask", texts=[text], num_candidates=3).body["results"]
        refused = server.post("fill_mask", texts=[text], model="mine/discriminator")
        cut = server.post("replaced", texts=["cat " * 30])
    assert [tuple(token.values()) for token in tokens] == [
        (*token[:3], pytest.approx(token.probability)) for token in discriminator.replaced_tokens([text])[0]
    ]
    assert [tuple(one.values()) for one in masks[0]["candidates"]] == [
        (fill.token, fill.text, pytest.approx(fill.probability)) for fill in generator.fill_mask([text], 3)[0][0]
    ]
    assert text[masks[0]["start"] : masks[0]["end"]] == "[MASK]"
    assert refused.status == 422
    assert "Load a generator" in refused.body["error"]
    assert cut.body["warnings"][0].startswith("1 of 1 texts have more than the 16 tokens")

"""The README.md of published models: what the hub reads of it, and whose it is."""

import json

import pytest

from electra_span.config import EncoderConfig, HparamError
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel, TwoTowerGenerator
from electra_span.published.card import (
    CARD_FILE,
    MARK,
    ModelCard,
    json_block,
    make_header,
    plain,
    render,
    rounded,
    table,
    usage,
    write_card,
)
from electra_span.published.card_metadata import Origin, check_origin
from electra_span.published.config import Architecture

CONFIG = EncoderConfig()
DISCRIMINATOR = Architecture(ElectraDiscriminator, CONFIG)
GENERATOR = Architecture(ElectraGenerator, CONFIG)
TOWERS = Architecture(TwoTowerGenerator, CONFIG)
TAGGER = HeadConfig(task="t", kind="tagging", labels=("O", "B"))
QUESTIONS = HeadConfig(task="q", kind="questions")


def of_tasks(*heads):
    return Architecture(ElectraTaskModel, CONFIG, 0, heads)


def header_of(card):
    """Returns what YAML reads in a card's header."""
    yaml = pytest.importorskip("yaml")
    _, header, _ = render(card).split("---\n", 2)
    return yaml.safe_load(header)


def test_header_is_yaml_of_the_same_values():
    header = {
        "language": "no", "license": "apache-2.0", "tags": ["a: b", "#c", "é", "\U0001f600", "- x", "1e5"],
        "model-index": [{"name": 'x"y\\z\n', "results": [{"value": 0.0001, "other": 1e15, "is": True}]}],
        "left_out": None,
    }  # fmt: skip
    expected = {key: value for key, value in header.items() if value is not None}
    assert header_of(ModelCard(header, "t", [])) == expected


def test_nothing_in_a_value_ends_the_header_or_is_obeyed():
    card = ModelCard({"license": "a\n---\n# b\u2028\x85\x1b[31m"}, "<script>|x", [("S", table(["a|b"], [["c\nd`"]]))])
    assert header_of(card) == {"license": "a\n---\n# b\u2028\ufffd\x1b[31m"}
    text = render(card)
    assert text.count("\n---\n") == 1
    assert "\\<script\\>\\|x" in text
    assert "| c d\\` |" in text
    block = json_block({"x": "```\u202e"})
    assert block.count("`") == 6
    assert json.loads(block.removeprefix("```json\n").removesuffix("\n```")) == {"x": "```\ufffd"}


def test_numbers_are_rounded_to_what_yaml_knows_as_numbers():
    assert [rounded(value) for value in (91.23456, 1e-7, float("nan"), float("inf"))] == [91.2346, 0.0, None, None]


@pytest.mark.parametrize(
    ("architecture", "library", "pipeline", "calls"),
    [
        (DISCRIMINATOR, "transformers", "feature-extraction", ["replaced_tokens", "ElectraForPreTraining"]),
        (GENERATOR, "transformers", "fill-mask", ['"a <mask> sat', "ElectraForMaskedLM"]),
        (TOWERS, "electra-span", None, ["fill_mask", "does not know"]),
        (of_tasks(TAGGER), "transformers", "token-classification", ["model.tag(", "ElectraForTokenClassification"]),
        (of_tasks(QUESTIONS), "electra-span", "question-answering", ["model.answer(", "does not know"]),
        (of_tasks(TAGGER, QUESTIONS), "electra-span", None, ["model.tag(", "model.answer("]),
    ],
)
def test_each_kind_of_model_says_what_loads_it(architecture, library, pipeline, calls):
    header = make_header(architecture, Origin(language=["en", "de"]), started_from=None, tags=["x", "electra"])
    assert (header["library_name"], header["pipeline_tag"]) == (library, pipeline)
    assert header["tags"] == ["electra", "electra-span", "x"]
    assert header["language"] == ["en", "de"]
    text = usage(architecture, mask="<mask>")
    assert all(call in text for call in calls)


def test_base_model_is_what_is_said_or_what_the_hubs_cache_is_called_by():
    path = "/h/hub/models--google--electra-small-generator/snapshots/0123/"
    assert make_header(GENERATOR, Origin(), started_from=path)["base_model"] == "google/electra-small-generator"
    assert make_header(GENERATOR, Origin(base_model="a/b"), started_from=path)["base_model"] == "a/b"
    assert make_header(GENERATOR, Origin(), started_from="/home/me/model")["base_model"] is None


def test_a_card_of_a_persons_own_stays(tmp_path):
    card = ModelCard({}, "first", [])
    assert write_card(tmp_path, card)
    assert write_card(tmp_path, card._replace(title="second"))
    file = tmp_path / CARD_FILE
    assert "# second" in file.read_text()
    file.write_text(file.read_text().replace(MARK, "mine"))
    before = file.read_bytes()
    assert not write_card(tmp_path, card)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_empty_sections_are_left_out():
    assert "## " not in render(ModelCard({}, "t", [("Results", " ")]))


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        (Origin(language="English please"), "language must be a code"),
        (Origin(language=["en", ""]), "language must be a code"),
        (Origin(data_license="a\nb"), "data_license must be a text in one line"),
        (Origin(model_license=" "), "model_license must be a text in one line"),
    ],
)
def test_what_is_said_wrongly_is_refused(origin, message):
    with pytest.raises(HparamError, match=message):
        check_origin(origin)
    check_origin(Origin("zh-Hant", "CC BY-SA 4.0", "mit", "a/b"))


def test_plain_text_shows_as_it_is():
    assert plain("a_b*c [d](e)") == "a\\_b\\*c \\[d\\](e)"

"""The lines on using a model in README.md and docs/using_models.md, run as they stand there."""

import pathlib
import re

import pytest

import electra_span
from electra_span.__main__ import make_parser
from electra_span.export.saved_model import write_saved_model
from tests.electra_span.inference.tiny_text_models import FACTS, MOOD, TAGS, make_text_model

ROOT = pathlib.Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = (ROOT / "docs" / "using_models.md").read_text(encoding="utf-8").partition("\n## Keras layers")[0]
MODELS = {"sst_model_1": MOOD, "squad_model_1": FACTS, "chunk_model_1": TAGS}

pytestmark = pytest.mark.filterwarnings("ignore::electra_span.inference.requests.TextCutWarning")


def load(folder):
    """Returns a tiny model of the kind that is in a folder of that name."""
    name = pathlib.Path(folder).name
    return make_text_model("tasks", heads=(MODELS[name],)) if name in MODELS else make_text_model(name)


def test_the_lines_of_python_run(monkeypatch, tmp_path):
    monkeypatch.setattr(electra_span, "load_pretrained", load, raising=False)
    monkeypatch.chdir(tmp_path)
    write_saved_model(load("squad_model_1"), tmp_path / "serving" / "squad" / "1")
    of_package, of_tensorflow = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    exec(of_package, {})
    names = {}
    exec(of_tensorflow, names)
    assert names["found"]["answers"].shape == (1, 5)


def test_the_lines_of_the_readme_run(monkeypatch):
    monkeypatch.setattr(electra_span, "load_pretrained", load, raising=False)
    (lines,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(lines, {})


def test_the_commands_are_those_of_the_parser():
    lines = re.findall(r"^python -m electra_span (.*)$", SECTION, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        words = re.findall(r'"[^"]*"|[^ ]+', re.split(" <|  #", line)[0])
        assert make_parser().parse_args([word.strip('"') for word in words]).model.parts[0] == "data"

"""The diagram of imports in docs/architecture.md."""

import pathlib

from scripts import draw_architecture
from tests.in_process import run_command

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_diagram_in_the_documentation_is_current(tmp_path):
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    copy = tmp_path / "architecture.md"
    copy.write_text(text, encoding="utf-8")
    assert run_command("scripts.draw_architecture", "--update", copy).status == 0
    assert copy.read_text(encoding="utf-8") == text


def test_an_arrow_that_follows_from_others_is_left_out():
    imports = {"scripts.a": {"pretrain.b", "electra_span.c"}, "pretrain.b": {"electra_span.c"}, "electra_span.c": set()}
    lines = draw_architecture.draw(imports).splitlines()
    assert [line.strip() for line in lines if "-->" in line] == [
        "pretrain --> electra_span__config__files__ops_____",
        "scripts --> pretrain",
    ]


def test_a_file_without_the_marks_is_refused(tmp_path):
    file = tmp_path / "page.md"
    file.write_text("text", encoding="utf-8")
    assert "must have the lines" in run_command("scripts.draw_architecture", "--update", file).mistake

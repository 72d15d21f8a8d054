"""Imports go one way: commands, then pretrain or finetune, then electra_span, then libraries. No circles."""

import ast
import graphlib
import pathlib

import pytest

from scripts.draw_architecture import imports_by_folder, imports_by_module

ROOT = pathlib.Path(__file__).resolve().parents[1]

# What of the project each part of it may import, itself aside.
ALLOWED = {
    "electra_span": set(),
    "configure_pretraining": {"electra_span", "pretrain"},
    "pretrain": {"electra_span", "configure_pretraining"},
    "configure_finetuning": {"electra_span"},
    "finetune": {"electra_span", "configure_finetuning"},
    "run_pretraining": {"electra_span", "configure_pretraining", "pretrain"},
    "run_finetuning": {"electra_span", "configure_finetuning", "finetune"},
    "scripts": {"electra_span", "configure_pretraining", "configure_finetuning", "pretrain", "finetune"},
}
FILES = [
    (part, file) for part in ALLOWED for file in [ROOT / f"{part}.py", *(ROOT / part).rglob("*.py")] if file.is_file()
]


def imported_modules(file: pathlib.Path) -> set[str]:
    """Returns the names of all modules a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names.add(node.module)
    return names


@pytest.mark.parametrize(("part", "file"), FILES, ids=[str(file.relative_to(ROOT)) for _, file in FILES])
def test_imports_never_point_upwards(part, file):
    parts = {name.split(".")[0] for name in imported_modules(file)} & (ALLOWED.keys() | {"tests", "benchmarks"})
    assert parts <= ALLOWED[part] | {part}


def test_configuration_of_pretraining_knows_only_what_needs_no_tensorflow():
    files = [f"pretrain/{name}.py" for name in ("config/defaults", "config/pairs", "config/rules")]
    known = {file.removesuffix(".py").replace("/", ".") for file in files}
    known |= {f"electra_span.{name}" for name in ("config", "model_cost", "published.card_metadata", "schedules")}
    for file in ("configure_pretraining.py", *files):
        modules = imported_modules(ROOT / file)
        assert {name for name in modules if name.split(".")[0] in ALLOWED} <= known, file


def test_imports_of_modules_and_of_folders_make_no_circle():
    imports = imports_by_module(ROOT)
    assert "electra_span.layers.heads" in imports["electra_span.models"]
    for graph in (imports, imports_by_folder(imports)):
        graphlib.TopologicalSorter(graph).prepare()  # raises a CycleError that lists the circle

"""Draws the imports between the folders of the repository as a Mermaid diagram, or updates the one in a file."""

import argparse
import ast
import collections
import pathlib
from collections.abc import Iterator, Mapping

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.files import write_text

REPOSITORY = pathlib.Path(__file__).absolute().parents[1]
PACKAGES = ("electra_span", "pretrain", "finetune", "scripts")
COMMANDS = ("run_pretraining", "run_finetuning", "configure_pretraining")
BEGIN, END = "<!-- imports -->", "<!-- end of imports -->"


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--update",
        type=command_line.parse_path,
        metavar="FILE",
        help=f"Markdown file with the lines {BEGIN} and {END}, between which the diagram is written",
    )
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints the diagram, or writes it into the file named in the arguments."""
    diagram = draw(imports_by_module(REPOSITORY))
    if arguments.update is None:
        print(diagram, end="")
        return
    text = arguments.update.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text.partition(BEGIN)[2]:
        raise UserError(f"--update: {arguments.update} must have the lines {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    write_text(arguments.update, f"{before}{BEGIN}\n{diagram}{END}{rest.partition(END)[2]}")


def imports_by_module(root: pathlib.Path) -> dict[str, set[str]]:
    """Returns the modules of the project that each of its modules imports, also inside functions.

    Imports under `if TYPE_CHECKING:` are left out: they do not happen when the program runs.

    Args:
        root: Folder of the repository.
    """
    files = [root / f"{name}.py" for name in COMMANDS]
    files += [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    names = {_module_of(file, root): file for file in files}
    return {
        module: set(_imports(ast.parse(file.read_text(encoding="utf-8")), names.keys()))
        for module, file in names.items()
    }


def _module_of(file: pathlib.Path, root: pathlib.Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _imports(node: ast.AST, known: collections.abc.Set[str]) -> Iterator[str]:
    """Yields the known modules that are imported below a node of a syntax tree."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names if alias.name in known)
        elif isinstance(child, ast.ImportFrom) and child.module:
            for alias in child.names:
                submodule = f"{child.module}.{alias.name}"
                if submodule in known or child.module in known:
                    yield submodule if submodule in known else child.module
        else:
            yield from _imports(child, known)


def imports_by_folder(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Returns the folders that each folder imports, itself excluded.

    Args:
        imports: Modules that each module imports, as `imports_by_module` returns them.
    """
    edges: dict[str, set[str]] = collections.defaultdict(set)
    for module, imported in imports.items():
        folder = _folder(module, imports)
        edges[folder] |= {_folder(name, imports) for name in imported} - {folder}
    return dict(edges)


def draw(imports: Mapping[str, set[str]]) -> str:
    """Returns a Mermaid flowchart of folders; an arrow points to what is imported.

    An arrow is left out where others lead to the same folder.

    Args:
        imports: Modules that each module imports, as `imports_by_module` returns them.
    """
    sizes = collections.Counter(_folder(module, imports) for module in imports)
    edges = imports_by_folder(imports)
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {_key(folder)}["{folder} ({sizes[folder]})"]' for folder in sorted(sizes)]
    for folder in sorted(edges):
        for target in sorted(edges[folder]):
            between = edges[folder] - {target}
            if not any(target in _reachable(edges, other, {folder}) for other in between):
                lines.append(f"    {_key(folder)} --> {_key(target)}")
    return "\n".join([*lines, "```", ""])


def _folder(module: str, imports: Mapping[str, set[str]]) -> str:
    """Returns the folder of a module. Models and basics lie in one folder and are told apart by what they import."""
    package, _, rest = module.partition(".")
    if package in COMMANDS:
        return "run_*.py" if package.startswith("run_") else f"{package}.py"
    folders = {name.rpartition(".")[0] for name in imports if name.count(".") > 1}
    folder = f"{package}.{rest.partition('.')[0]}"
    if folder in folders:
        return folder.replace(".", "/")
    if package == "electra_span":
        if rest in ("", "__main__"):
            return "electra_span/__main__.py"
        is_model = any(name.startswith("electra_span.layers") for name in imports[module])
        return "electra_span: encoder, models" if is_model else "electra_span: config, files, ops, ..."
    return package


def _reachable(edges: Mapping[str, set[str]], start: str, without: set[str]) -> set[str]:
    """Returns what can be reached from a folder, itself excluded, without passing some folders."""
    found: set[str] = set()
    rest = [start]
    while rest:
        new = edges[rest.pop()] - found - without
        found |= new
        rest += new
    return found - {start}


def _key(folder: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in folder)


if __name__ == "__main__":
    command_line.run(main, make_parser)

"""What pyproject.toml says of other packages."""

import pathlib
import re
import tomllib

_ROOT = pathlib.Path(__file__).parents[1]
_LEAST = re.compile(r"(?P<name>[\w-]+)(\[[\w-]+\])?(>=|~=)(?P<version>[\d.]+)")


def _requirements(*extras):
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    chosen = extras or tuple(optional)
    return [*project["dependencies"], *(name for extra in chosen for name in optional[extra])]


def test_every_dependency_has_a_least_version():
    assert [name for name in _requirements() if not _LEAST.match(name)] == []


def test_the_oldest_versions_are_those_of_the_constraints_file():
    lines = (_ROOT / "tests" / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    oldest = {match["name"]: match["version"] for match in map(_LEAST.match, _requirements("test"))}
    assert [line for line in lines if not line.startswith("#")] == [
        f"{name}=={version}" for name, version in sorted(oldest.items())
    ]


def test_sentencepiece_is_one_that_every_allowed_protobuf_works_with():
    assert "sentencepiece>=0.2.2,<0.2.3" in _requirements()

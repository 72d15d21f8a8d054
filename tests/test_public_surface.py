"""What users type and read by name stays: see public_surface.py. A deliberate change: `python -m tests.record`."""

import json

import pytest

from tests import public_surface


@pytest.mark.parametrize("name", ["commands.json", "hparams.json", "names.json"])
def test_what_users_type_is_as_recorded(name):
    recorded = json.loads((public_surface.FOLDER / name).read_text(encoding="utf-8"))
    current = json.loads(json.dumps(public_surface.surface()[name]))
    for part in recorded.keys() | current.keys():
        assert current[part] == recorded[part]


def test_hparams_keep_their_order():
    """In which config.json, --help and the tables of the documentation list them."""
    recorded = json.loads((public_surface.FOLDER / "hparams.json").read_text(encoding="utf-8"))
    for config, fields in public_surface.hparams()["fields"].items():
        assert list(fields) == list(recorded["fields"][config])

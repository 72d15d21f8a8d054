"""Fixtures shared by all tests: recorded numbers and real data."""

import os
import pathlib
from collections.abc import Callable

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"
# The full set of recorded numbers comes first: some files of the subset hold only a part of the arrays.
_RECORDED = (_SHARED / "golden", pathlib.Path(__file__).resolve().parent / "golden")


def _recorded_path(path: str, holding: str = "") -> pathlib.Path:
    """Returns the place of a recorded file, folder, or prefix of a checkpoint's files.

    Args:
        path: Path in the set of recorded numbers, as "tf1/small/io.npz".
        holding: A file that the folder `path` must hold; the subset has only the settings of some variants.

    Raises:
        pytest.skip.Exception: Neither the full set nor the subset in tests/golden has it.
    """
    for folder in _RECORDED:
        place = folder / path
        if place.with_name(f"{place.name}.index").is_file() or (place / holding).exists():
            return place
    pytest.skip(f"needs ../shared/golden/{path}, which is neither there nor in tests/golden")


@pytest.fixture(scope="session")
def golden() -> Callable[..., pathlib.Path]:
    """Finds numbers recorded from the reference implementations; the test skips where they are missing."""
    return _recorded_path


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of real public data."""
    folder = _SHARED / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data, which is not here")
    return folder


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names parametrized tests by the beginning of long texts, which environment variables could not hold."""
    return f"{val[:20]!a}..." if isinstance(val, str | bytes) and len(val) > 100 else None

"""Fixtures shared by all tests: recorded numbers and real data, where they are there."""

import os
import pathlib

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


def _folder(name: str) -> pathlib.Path:
    folder = _SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs ../shared/{name}, which is not here")
    return folder


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    """The folder of numbers recorded from the reference implementations."""
    return _folder("golden")


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
    """The folder of real public data."""
    return _folder("data")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names parametrized tests by the beginning of long texts, which environment variables could not hold."""
    return f"{val[:20]!a}..." if isinstance(val, str | bytes) and len(val) > 100 else None

"""What is said where the packages for ONNX files are not installed."""

import importlib.util

import pytest

from electra_span.config import UserError
from scripts import export_onnx


def test_packages_that_are_missing_are_named(monkeypatch, tmp_path):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else find_spec(name))
    arguments = export_onnx.make_parser().parse_args([str(tmp_path), str(tmp_path / "model.onnx")])
    with pytest.raises(UserError, match=r"install .*tf2onnx: pip install 'electra-span\[onnx\]'"):
        export_onnx.main(arguments)

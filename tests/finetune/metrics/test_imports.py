"""Metrics cost no seconds of TensorFlow."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["finetune.metrics.squad", "finetune.metrics.mrqa"])
def test_metrics_import_no_tensorflow(module):
    code = f"import sys, {module}; assert not {{'tensorflow', 'keras', 'torch'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

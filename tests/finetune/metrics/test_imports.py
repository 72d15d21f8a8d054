"""Metrics, and all of question answering that needs no tensors, cost no seconds of TensorFlow."""

import subprocess
import sys

import pytest

MODULES = [
    *("finetune.metrics.squad", "finetune.metrics.squad", "finetune.qa.readers", "finetune.qa.decoding"),
    *("finetune.qa.conversion", "finetune.analysis.page", "finetune.analysis.tables"),
]


@pytest.mark.parametrize("module", MODULES)
def test_no_tensorflow_is_imported(module):
    code = f"import sys, {module}; assert not {{'tensorflow', 'keras', 'torch'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

"""What the package offers, and what importing it costs."""

import subprocess
import sys

import pytest

import electra_span


def _run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_the_package_imports_no_tensorflow():
    code = "import sys, electra_span, electra_span.config; dir(electra_span); print('tensorflow' in sys.modules)"
    assert _run(code).strip() == "False"


def test_what_the_package_offers_is_that_of_its_modules():
    from electra_span.config import EncoderConfig
    from electra_span.encoder import ElectraEncoder
    from electra_span.head_config import HeadConfig
    from electra_span.objective.electra import Electra
    from electra_span.published.save_load import load_pretrained, load_task_model, save_pretrained
    from electra_span.tokenization import load_tokenizer

    assert electra_span.Electra is Electra
    assert electra_span.ElectraEncoder is ElectraEncoder
    assert electra_span.EncoderConfig is EncoderConfig
    assert electra_span.HeadConfig is HeadConfig
    assert electra_span.load_pretrained is load_pretrained
    assert electra_span.load_task_model is load_task_model
    assert electra_span.save_pretrained is save_pretrained
    assert electra_span.load_tokenizer is load_tokenizer
    offered = {"Electra", "HeadConfig", "load_pretrained", "load_task_model", "load_tokenizer", "save_pretrained"}
    assert offered <= set(dir(electra_span))


def test_a_name_the_package_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'load_pretrain'"):
        electra_span.load_pretrain  # noqa: B018

"""SavedModels where there is no Python: TensorFlow's C API runs them, tokenizer and all."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from electra_span.export.saved_model import write_saved_model
from tests.electra_span.export import run_by_c_api
from tests.electra_span.inference.tiny_text_models import make_text_model, sentence_piece

PACKAGES = pathlib.Path(tf.__file__).parents[1]


def run_by_c(folder, signature, texts):
    """Returns the outputs of a signature by their names, as a process without TensorFlow's Python gets them."""
    content = saved_model_pb2.SavedModel()
    content.ParseFromString((folder / "saved_model.pb").read_bytes())
    described = content.meta_graphs[0].signature_def[signature]
    asked = {
        "packages": str(PACKAGES),
        "folder": str(folder),
        "texts": texts,
        "input": described.inputs["texts"].name,
        "outputs": {name: output.name for name, output in described.outputs.items()},
    }
    command = [sys.executable, "-I", run_by_c_api.__file__]
    done = subprocess.run(command, input=json.dumps(asked), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: np.reshape(values, shape) for name, (shape, values) in json.loads(done.stdout).items()}


@pytest.mark.skipif(
    not (PACKAGES / "tensorflow/libtensorflow_cc.so.2").exists(), reason="TensorFlow has its C API in another file"
)
@pytest.mark.parametrize(
    ("kind", "make_tokenizer", "signature", "text"),
    [
        ("discriminator", None, "replaced", "The cats sat on the Café: 日"),
        ("generator", sentence_piece, "fill_mask", "the <mask> sat on<mask>"),
    ],
)
def test_the_c_api_says_what_python_says(tmp_path, kind, make_tokenizer, signature, text):
    model = make_text_model(kind, make_tokenizer and make_tokenizer())
    functions = write_saved_model(model, tmp_path / "model")
    texts = [text, "the", ""]
    found = run_by_c(tmp_path / "model", signature, texts)
    wanted = functions[signature](texts=tf.constant(texts))
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        if value.dtype == tf.string:
            assert found[name].tolist() == np.char.decode(value.numpy().astype(bytes)).tolist()
        else:
            np.testing.assert_allclose(found[name], value, atol=1e-5)

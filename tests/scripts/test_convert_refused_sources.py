"""Sources that are broken, or made to do harm: refused in one line, with nothing run and nothing written."""

import importlib.machinery
import json
import os
import pathlib
import pickle
import shutil
import stat
import struct
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from electra_span.config import UserError
from scripts import convert_checkpoint
from tests.command_errors import error_line
from tests.converted import convert, split_model


@pytest.mark.parametrize(
    ("file", "message"),
    [("../model.safetensors", "must name safetensors files beside it"), ("nothing.safetensors", "nothing.safetensors")],
)
def test_index_that_points_elsewhere_is_refused(golden, file, message, tmp_path):
    split_model(golden("hf/tiny/generator"), tmp_path / "shards")
    index = tmp_path / "shards/model.safetensors.index.json"
    files = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": {**files, next(iter(files)): file}}))
    with pytest.raises(UserError, match=message):
        convert(tmp_path / "shards", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil", "leaves the folder"),
        ("a/../../evil", "leaves the folder"),
        ("..\\evil", "leaves the folder"),
        ("/tmp/evil", "an absolute path"),
        ("C:\\evil", "an absolute path"),
    ],
)
def test_zip_that_reaches_outside_is_refused(name, message, tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("model.ckpt.index", "x")
        archive.writestr(name, "evil")
    with pytest.raises(UserError, match=message):
        convert(tmp_path / "evil.zip", tmp_path / "in/out")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / "evil.zip"]


def test_zip_with_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("model.ckpt.index")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="a link or a device"):
        convert(tmp_path / "evil.zip", tmp_path / "out")


def test_zip_of_absurd_size_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.ckpt.index", bytes(2**25))
    with pytest.raises(UserError, match="which no weights do"):
        convert(tmp_path / "bomb.zip", tmp_path / "out")
    lie = bytearray((tmp_path / "bomb.zip").read_bytes())
    directory = lie.index(b"PK\x01\x02")
    lie[directory + 24 : directory + 28] = struct.pack("<I", 10)  # its size, where the directory has it
    (tmp_path / "lie.zip").write_bytes(lie)
    with pytest.raises(UserError, match="not a zip that can be unpacked"):
        convert(tmp_path / "lie.zip", tmp_path / "out")


def test_broken_zip_is_refused(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match="not a zip"):
        convert(tmp_path / "broken.zip", tmp_path / "out")


def test_zip_with_nothing_that_is_read_is_named_and_not_its_temporary_folder(tmp_path):
    for name, files in {"empty.zip": [], "notes.zip": ["notes.txt"]}.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for file in files:
                archive.writestr(file, "text")
        with pytest.raises(UserError, match=rf"{name}: must have .* Received: {files[0] if files else 'nothing'}"):
            convert(tmp_path / name, tmp_path / "out")


@pytest.fixture
def model(golden, tmp_path) -> pathlib.Path:
    """A copy of a small Hugging Face model."""
    shutil.copytree(golden("hf/tiny/generator"), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("size", [2**62, 10**6, 3])
def test_safetensors_header_that_lies_about_its_size_is_refused(model, size, tmp_path):
    weights = model / "model.safetensors"
    weights.write_bytes(struct.pack("<Q", size) + weights.read_bytes()[8:])
    with pytest.raises(UserError, match="not a safetensors file"):
        convert(model, tmp_path / "out")


def test_safetensors_that_claims_more_than_it_has_is_refused(model, tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode()
    (model / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(UserError, match="not a safetensors file"):
        convert(model, tmp_path / "out")


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_hidden_layers", 10**9), ("hidden_size", 20), ("vocab_size", "61"), ("max_position_embeddings", 10**12)],
)
def test_config_that_differs_from_the_weights_is_refused(model, field, value, tmp_path):
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**settings, field: value}))
    with pytest.raises(UserError, match=field):
        convert(model, tmp_path / "out")


def test_weights_that_do_not_fit_together_are_refused(model, tmp_path):
    tensors = load_file(model / "model.safetensors")
    tensors["electra.encoder.layer.1.output.dense.bias"] = np.zeros(11, np.float32)
    save_file(tensors, model / "model.safetensors")
    with pytest.raises(UserError, match=r"layer.1.output.dense.bias has the shape \[11\], not \[10\]"):
        convert(model, tmp_path / "out")


def test_copies_are_known_and_an_output_table_of_its_own_is_refused(model, tmp_path, capsys):
    tensors = load_file(model / "model.safetensors")
    words = tensors["electra.embeddings.word_embeddings.weight"]
    copies = {"generator_lm_head.weight": words, "electra.embeddings.position_ids": np.arange(40)[None]}
    save_file({**tensors, **copies, "more": words[0].copy()}, model / "model.safetensors")
    convert(model, tmp_path / "out")
    printed = capsys.readouterr().out
    assert "(optimizer, step, copies): 2," in printed
    assert "left out, unknown: more\n" in printed
    save_file({**tensors, "generator_lm_head.weight": words + 1}, model / "model.safetensors")
    with pytest.raises(UserError, match="which ELECTRA ties it to"):
        convert(model, tmp_path / "out2")


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(("name", "message"), [("model.bin", "may be a pickle"), ("pytorch_model.bin", "torch")])
def test_pickle_is_refused_and_not_run(model, name, message, tmp_path):
    (model / "model.safetensors").unlink()
    (model / name).write_bytes(pickle.dumps(Evil(tmp_path / "was here")))
    with pytest.raises(UserError, match=message):
        convert(model, tmp_path / "out")
    with pytest.raises(UserError, match="may run anything"):
        convert(model / name, tmp_path / "out")
    assert not (tmp_path / "was here").exists()


class FakeTensor:
    """As much of a torch tensor as is asked of one."""

    def __init__(self, value) -> None:
        self.value, self.shape, self.dtype = value, value.shape, value.dtype

    def is_floating_point(self) -> bool:
        return self.dtype == np.float32

    def float(self) -> "FakeTensor":
        return self

    def numpy(self) -> np.ndarray:
        return self.value


@pytest.fixture
def torch(monkeypatch):
    """A module that stands for torch, which refuses to load anything unsafely."""
    module = types.ModuleType("torch")
    module.__spec__ = importlib.machinery.ModuleSpec("torch", None)
    module.Tensor, module.state = FakeTensor, {}

    def load(path, *, map_location, weights_only):
        assert (map_location, weights_only) == ("cpu", True)
        if isinstance(module.state, Exception):
            raise module.state
        return module.state

    module.load = load
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


def test_pickle_is_read_by_torch_alone(model, torch, tmp_path):
    tensors = load_file(model / "model.safetensors")
    os.replace(model / "model.safetensors", model / "pytorch_model.bin")
    torch.state = {name: FakeTensor(value) for name, value in tensors.items()}
    convert(model, tmp_path / "out")
    written = load_file(tmp_path / "out/model.safetensors")
    assert all(np.array_equal(written[name], value) for name, value in tensors.items())
    for state, message in (
        (pickle.UnpicklingError("Weights only load failed"), "torch does not load it: Weights only load failed"),
        ([], "must hold tensors by name"),
        ({**torch.state, "more": 3}, "holds what is no tensor: more"),
        ({**torch.state, "generator_lm_head.bias": FakeTensor(np.ones(61, np.int8))}, "must be of floating point"),
    ):
        torch.state = state
        with pytest.raises(UserError, match=message):
            convert(model, tmp_path / "out2")


def test_quantized_weights_are_refused(model, tmp_path):
    tensors = load_file(model / "model.safetensors")
    quantized = {"generator_lm_head.bias": np.ones(61, np.int8)}
    save_file({**tensors, **quantized}, model / "model.safetensors")
    with pytest.raises(UserError, match=r"generator_lm_head\.bias: must be of floating point\. Received: int8"):
        convert(model, tmp_path / "out")


def test_config_that_tells_of_another_span_head_than_there_is_is_refused(model, tmp_path):
    settings, tensors = json.loads((model / "config.json").read_text()), load_file(model / "model.safetensors")
    (model / "config.json").write_text(json.dumps({**settings, "max_span_length": 10**9}))
    positions = {"generator_span_predictions.boundary.position_embeddings": np.ones([3, 200], np.float32)}
    save_file({**tensors, **positions}, model / "model.safetensors")
    with pytest.raises(UserError, match=r"max_span_length of 3 .* says 1000000000"):
        convert(model, tmp_path / "out")


def test_checkpoint_of_fine_tuning_is_no_pretrained_model(golden, tmp_path):
    (checkpoint,) = golden("tf1_finetune/multitask").glob("*.index")
    with pytest.raises(UserError, match="holds no discriminator and no generator of ELECTRA, but heads for tasks"):
        convert(checkpoint, tmp_path / "out")


def test_checkpoint_whose_data_is_cut_off_is_refused(golden, tmp_path):
    shutil.copytree(golden("tf1/small"), tmp_path / "cut")
    data = tmp_path / "cut/model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"claims [0-9,]+ bytes, its data files have 1,000"):
        convert(tmp_path / "cut", tmp_path / "out")


def test_what_is_no_model_is_named(golden, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="Received: nothing"):
        convert(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(UserError, match="SOURCE: no such file"):
        convert(tmp_path / "nowhere/model.ckpt", tmp_path / "out")
    with pytest.raises(UserError, match="TARGET must be a new or an empty folder"):
        convert(golden("hf/tiny"), golden("hf"))
    with pytest.raises(UserError, match="several checkpoints, after6"):
        convert(golden("tf1/train_steps"), tmp_path / "out")


def test_mistake_is_one_line(model, tmp_path):
    (model / "model.safetensors").write_bytes(b"\xff" * 20)
    command = [sys.executable, convert_checkpoint.__file__, str(model), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "is not a safetensors file" in error_line(done)

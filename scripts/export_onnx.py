"""Writes a published model as an ONNX file, once onnxruntime was seen to give the same hidden states and logits."""

import argparse
import importlib.util
import pathlib

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.files import whole_file
from electra_span.places import check_distinct, check_input, check_output_file

_PACKAGES = ("onnx", "onnxruntime", "tf2onnx")
_LARGEST_DIFFERENCE = 1e-3


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "model", type=command_line.parse_path, help="folder of a published model, with any head or several"
    )
    parser.add_argument("target", type=command_line.parse_path, help="the file to write, such as model.onnx")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Writes the file and prints its outputs and the largest difference."""
    check_input("model", arguments.model, expects_folder=True)
    check_output_file("target", arguments.target)
    check_distinct({"target": arguments.target}, _files_of_model(arguments.model))
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"to write ONNX install {' and '.join(missing)}: pip install 'electra-span[onnx]'")

    # Imports TensorFlow, which takes seconds: only now.
    from electra_span.export.onnx import OnnxError, difference_in_onnxruntime, onnx_model
    from electra_span.published.save_load import load_pretrained

    model = load_pretrained(arguments.model)
    proto = onnx_model(model)
    serialized = proto.SerializeToString()
    difference = difference_in_onnxruntime(model, serialized)
    if not difference <= _LARGEST_DIFFERENCE:
        raise OnnxError(f"{arguments.model}: onnxruntime differs from Keras by {difference:.2g}. Nothing was written")
    with whole_file(arguments.target) as partial:
        partial.write_bytes(serialized)
    for output in proto.graph.output:
        axes = (axis.dim_param or str(axis.dim_value) for axis in output.type.tensor_type.shape.dim)
        print(f"{output.name} float32 [{', '.join(axes)}]")
    print(f"{arguments.target}: {len(serialized) / 1e6:.1f} MB, differs from Keras by {difference:.2g} at most")


def _files_of_model(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the files of a model's folder by their names, but for other exports."""
    files = folder.iterdir() if folder.is_dir() else ()
    return {file.name: file for file in files if file.suffix != ".onnx"}


if __name__ == "__main__":
    command_line.run(main, make_parser)

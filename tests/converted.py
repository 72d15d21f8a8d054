"""Running the conversion of checkpoints in a test's own process."""

import json
import shutil

from safetensors.numpy import load_file, save_file

from scripts import convert_checkpoint


def convert(source, target, *options) -> None:
    """Runs the command in this process."""
    convert_checkpoint.main(convert_checkpoint.make_parser().parse_args([str(source), str(target), *map(str, options)]))


def split_model(source, folder) -> None:
    """Writes a published model as transformers does where it is large."""
    folder.mkdir()
    tensors = load_file(source / "model.safetensors")
    files = {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(tensors)}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in tensors if files[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    shutil.copy(source / "config.json", folder)
